#!/usr/bin/env python3
"""Print the labels of models and the names they stand for: `python list_models.py [--json]`."""

from __future__ import annotations

import argparse
import json
import sys

from diffusionapi.errors import Error
from diffusionapi.generate import get_model_labels


def main() -> None:
    parser = argparse.ArgumentParser(description="List the labels of models.")
    parser.add_argument("--json", action="store_true", help="print a JSON object, name -> label")
    options = parser.parse_args()
    try:
        labels = get_model_labels()
    except Error as error:
        sys.exit(error.sentence)
    if options.json:
        print(json.dumps(labels, indent=2, ensure_ascii=False))  # noqa: T201
        return
    for name, label in labels.items():
        print(f"{label} -> {name}")  # noqa: T201


if __name__ == "__main__":
    main()
