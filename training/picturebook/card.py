"""The model card of an exported picture book, and the place in it for figures."""

from __future__ import annotations

from pathlib import Path

from training.picturebook.world.plan import COLOURS, EXTRAS, GROUNDS, OBJECTS, SHAPES, TIMES

NAME = "README.md"
_TEMPLATE = Path(__file__).with_name("card.md")
_BEGIN, _END = "<!-- figures -->\n", "<!-- /figures -->\n"


def write(folder: Path, *, parameters: int, size: int, samples: int) -> None:
    """The card of a model without figures."""
    facts: dict[str, object] = {
        "parameters": f"{parameters / 1e6:.1f}",
        "megabytes": f"{size / 1e6:.1f}",
        "samples": f"{samples:,}".replace(",", " "),
        "shapes": len(SHAPES),
        "objects": len(OBJECTS),
        "colours": len(COLOURS),
        "shape_names": ", ".join(SHAPES),
        "object_names": ", ".join(OBJECTS),
        "colour_names": ", ".join(COLOURS),
        "ground_names": ", ".join(GROUNDS),
        "time_names": ", ".join(TIMES),
        "extra_names": ", ".join(EXTRAS),
    }
    (folder / NAME).write_text(_TEMPLATE.read_text().format(**facts))


def fill_in(folder: Path, figures: str) -> None:
    """Puts figures, as markdown, into the card in the place of older ones."""
    card = folder / NAME
    before, found, rest = card.read_text().partition(_BEGIN)
    _, ended, after = rest.partition(_END)
    if not (found and ended):
        raise ValueError(f"{card} has no place for figures")
    card.write_text(f"{before}{_BEGIN}{figures.strip()}\n{_END}{after}")
