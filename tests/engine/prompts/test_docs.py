"""What docs/prompts.md says of the grammar is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diffusionapi.core.lora_tags import take_loras
from diffusionapi.engine.prompts.parse import weights
from diffusionapi.engine.prompts.schedule import scheduled

PAGE = (Path(__file__).parents[3] / "docs" / "prompts.md").read_text()

EMPHASIS = re.findall(r"^\| `([^`<]+)` \| ([0-9.]+) \|$", PAGE, re.MULTILINE)
LORAS = re.findall(r"^\| `(<[^`]+>)` \| ([0-9.]+) \| ([0-9.]+) \|$", PAGE, re.MULTILINE)
CHANGES = re.findall(r"^ {4}(\S*\[\S+\])", PAGE, re.MULTILINE)


def test_the_page_has_its_tables() -> None:
    assert (len(EMPHASIS), len(LORAS), len(CHANGES)) == (8, 4, 7)


@pytest.mark.parametrize(("text", "weight"), EMPHASIS)
def test_words_count_as_the_page_says(text: str, weight: str) -> None:
    ((words, found),) = weights(text)
    assert words == "fox"
    assert found == pytest.approx(float(weight), abs=5e-4)


@pytest.mark.parametrize(("tag", "unet", "text_encoders"), LORAS)
def test_a_lora_tag_has_the_scales_the_page_says(tag: str, unet: str, text_encoders: str) -> None:
    text, (found,) = take_loras(tag)
    assert text == ""
    assert (found.scale, found.text_encoder_scale) == (float(unet), float(text_encoders))


@pytest.mark.parametrize("text", CHANGES)
def test_a_prompt_that_is_said_to_change_changes(text: str) -> None:
    assert len(scheduled(text, 20)) > 1
