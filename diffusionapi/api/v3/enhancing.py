"""Words that are added to prompts, unless a request says no."""

from __future__ import annotations

_WANTED = "highly detailed, sharp focus, balanced composition, fine texture, soft natural light"
_UNWANTED = (
    "blurry, low quality, jpeg artefacts, watermark, signature, text, cropped, deformed, bad anatomy, "
    "extra limbs, extra fingers"
)


def enhanced(prompt: str, negative_prompt: str) -> tuple[str, str]:
    """Both with the words that they do not hold already. Where a ControlNet works without words, none are
    added: those of one side alone lead away from whatever it shows."""
    if not prompt.strip():
        return prompt, negative_prompt
    return _with(prompt, _WANTED), _with(negative_prompt, _UNWANTED)


def _with(prompt: str, words: str) -> str:
    said = prompt.casefold()
    new = [one for one in words.split(", ") if one not in said]
    return joined(prompt, *new)


def joined(*parts: str) -> str:
    """With commas between those that say something."""
    said = [part.strip().strip(",").strip() for part in parts]
    return ", ".join(one for one in said if one)
