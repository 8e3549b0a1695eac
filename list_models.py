#!/usr/bin/env python3
"""Print the labels of models and the names they stand for: `python3 list_models.py [--json]`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv" / "bin" / "python"
if __name__ == "__main__" and Path(sys.prefix) != HERE / ".venv" and PYTHON.exists():
    # Called with the system's Python: ours has the packages.
    os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606

from diffusionapi.errors import Error  # noqa: E402
from diffusionapi.generate import get_model_labels  # noqa: E402


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
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # of `| head -1`: end, and say nothing
    main()
