"""The labels of models: a JSON object, name -> label, that the operator may edit."""

from __future__ import annotations

import json
from pathlib import Path

from diffusionapi import files
from diffusionapi.errors import Misconfigured


def read_labels(path: Path) -> dict[str, str]:
    """The table in the order of its labels; empty when there is no file."""
    content = files.read(path)
    if content is None:
        return {}
    try:
        table = json.loads(content)
    except ValueError as error:
        raise Misconfigured(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(table, dict) or not all(isinstance(label, str) for label in table.values()):
        raise Misconfigured(f'{path.name} must be an object of names and labels, as in {{"name": "Label"}}')
    return dict(sorted(table.items(), key=lambda pair: pair[1].casefold()))
