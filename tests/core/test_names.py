from __future__ import annotations

from diffusionapi.core.names import fold, near


def test_case_hyphens_underscores_and_blanks_do_not_matter() -> None:
    assert fold(" ChikMix_V3 ") == fold("chikmix-v3") == fold("chikmix  V3")


def test_near_names_are_those_a_typo_away() -> None:
    assert near("MeinaMx V11", ["MeinaMix V11", "ChikMix V3", "Amanatsu"])[0] == "MeinaMix V11"


def test_a_part_of_a_name_is_near() -> None:
    assert near("meina", ["models--Meina--MeinaMix_V11", "Amanatsu"]) == ["models--Meina--MeinaMix_V11"]


def test_nothing_is_near_to_nonsense() -> None:
    assert near("qqqq", ["Amanatsu"]) == []
