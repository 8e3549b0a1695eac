"""In which language a prompt is. The sentences say the same in each language: a black cat on the roof."""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations

import pytest

from diffusionapi.languages.detection import detect
from tests.languages.prompts import PROMPTS
from tests.languages.short_prompts import ENGLISH as ENGLISH_PROMPTS
from tests.languages.short_prompts import OTHERS, listed

ROOFS = {
    "ar": "قطة سوداء على السطح",
    "cs": "černá kočka na střeše",
    "de": "eine schwarze Katze auf dem Dach",
    "el": "μαύρη γάτα στη στέγη",
    "es": "un gato negro en el tejado",
    "et": "must kass katusel",
    "fa": "گربه سیاه روی پشت بام",
    "fi": "musta kissa katolla",
    "fr": "le chat noir sur le toit",
    "he": "חתול שחור על הגג",
    "hi": "छत पर काली बिल्ली",
    "hr": "crna mačka na krovu",
    "hu": "fekete macska a tetőn",
    "id": "kucing hitam di atap",
    "it": "il gatto nero sul tetto",
    "ja": "屋根の上の黒猫",
    "ko": "지붕 위의 검은 고양이",
    "lt": "juoda katė ant stogo",
    "lv": "melns kaķis uz jumta",
    "nl": "de zwarte kat op het dak",
    "pl": "czarny kot na dachu",
    "pt": "o gato preto no telhado",
    "ro": "o pisică neagră pe acoperiș",
    "ru": "чёрная кошка на крыше",
    "sw": "paka mweusi juu ya paa",
    "th": "แมวดำบนหลังคา",
    "tr": "çatıda siyah bir kedi",
    "uk": "чорна кішка на даху",
    "vi": "con mèo đen trên mái nhà",
    "zh": "屋顶上的黑猫",
}
ENGLISH = (
    "a black cat on the roof",
    "a photo of an astronaut riding a horse on mars",
    "masterpiece, best quality, 1girl, solo, long hair, blue eyes",
    "ugly, blurry, low quality, extra fingers, watermark",
    "portrait of Emma Watson, bokeh, dslr, golden hour",
    "Kyoto temple in autumn",
    "a samurai",
    "tiger",
    "croissant and espresso on a table",
)
PLAIN = [
    *("a dog", "a car", "a man", "a fox", "a comet", "a piano", "a pizza", "a panda", "a llama", "an owl"),
    *("mecha", "pikachu", "ukulele", "dragon", "castle", "red apple", "blue sky", "a mango", "lasagna"),
]


@pytest.mark.parametrize("language", ROOFS)
def test_a_prompt_is_in_its_language(language: str) -> None:
    assert detect([ROOFS[language]]) == [language]


@pytest.mark.parametrize("prompt", ENGLISH)
def test_english_ones_are_left_in_peace(prompt: str) -> None:
    texts = prompt.split(", ")
    assert detect(texts) == [None] * len(texts)


@pytest.mark.parametrize("prompt", PLAIN)
def test_a_word_or_two_of_plain_english_are_english(prompt: str) -> None:
    assert detect([prompt]) == [None]


@pytest.mark.parametrize(
    ("prompt", "language"), [("un chat noir", "fr"), ("un gato", "es"), ("der Hund", "de")]
)
def test_an_article_tells_a_language(prompt: str, language: str) -> None:
    assert detect([prompt]) == [language]


def test_of_prompts_of_a_few_words_nearly_all_are_told_right() -> None:
    """docs/languages.md tells these numbers."""
    told = [(language, detect(prompt.split(", "))) for language, prompt in PROMPTS]
    right = [set(found) - {None} == {language} - {"en"} for language, found in told]
    assert (len(right), sum(right)) == (92, 89)
    assert sum(any(found) for language, found in told if language == "en") == 1
    assert all(any(found) for language, found in told if language != "en")


def test_short_english_prompts_are_taken_for_english() -> None:
    """docs/languages.md tells these numbers."""
    prompts = listed(ENGLISH_PROMPTS)
    foreign = [one for one in prompts if detect([one]) != [None]]
    assert (len(prompts), len(foreign)) == (108, 2), foreign


def test_short_prompts_of_ten_languages_are_not() -> None:
    """docs/languages.md tells these numbers."""
    told = [(code, detect([one])[0]) for code, prompts in OTHERS.items() for one in listed(prompts)]
    assert (len(OTHERS), len(told)) == (10, 100)
    assert sum(found is not None for _, found in told) == 94
    assert sum(found == code for code, found in told) == 91


def test_of_languages_that_look_alike_the_one_that_can_be_translated_is_meant() -> None:
    assert detect(["en svart katt på taket"], rather={"sv"}) == ["sv"]
    assert detect(["en svart katt på taket"], rather={"no"}) == ["no"]


def test_english_words_beside_others_are_known_for_english() -> None:
    texts = ["ein Haus am See", "masterpiece", "best quality", "8k", "alte Bäume"]
    assert detect(texts) == ["de", None, None, None, "de"]


def test_one_prompt_may_speak_several_languages_of_different_letters() -> None:
    assert detect(["海辺の灯台", "夕焼", "кошка на крыше", "a lighthouse"]) == ["ja", "ja", "ru", None]


def test_a_foreign_letter_makes_no_foreign_prompt() -> None:
    assert detect(["α-quartz crystal, macro photograph", "12:30", ""]) == [None, None, None]


def test_letters_of_nobody_here_are_not_taken_for_english() -> None:
    assert detect(["ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ"]) == ["und"]
