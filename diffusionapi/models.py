"""`python -m diffusionapi.models`: download models, list them, check one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.catalog import scan
from diffusionapi.catalog.labels import read_labels
from diffusionapi.core.names import fold, near
from diffusionapi.errors import BadRequest, BrokenModel, Error, UnknownName
from diffusionapi.settings import Settings
from diffusionapi.weights import lora_kind
from diffusionapi.weights.families import HOLE_CHANNELS, LABELS
from diffusionapi.weights.inspection import inspect
from diffusionapi.weights.places import Place, find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_GB = 1e9
_MB = 1e6


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace, Settings], None] = options.verb
    try:
        verb(options, Settings.load())
    except Error as error:
        sys.exit(error.sentence)
    except KeyboardInterrupt:
        sys.exit("Stopped; the same command goes on from here")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffusionapi.models", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="pull | list | check")
    verb = verbs.add_parser(
        "pull", help="download a model from the Hugging Face hub; goes on where it was cut off"
    )
    verb.set_defaults(verb=_pull)
    verb.add_argument("name", help="org/name")
    verb.add_argument("--to", type=Path, help="folder for models; default: MODELS_DIR")
    verb.add_argument("--file", help="take this single checkpoint of the repository")
    verbs.add_parser("list", help="what is installed").set_defaults(verb=_list)
    verb = verbs.add_parser("check", help="does it load, what is it, how big is it")
    verb.set_defaults(verb=_check)
    verb.add_argument("name", help="its name, its label, org/name or a path")
    return parser


def _pull(options: argparse.Namespace, settings: Settings) -> None:
    from diffusionapi.engine.models.pull import pull

    to = options.to or settings.path(settings.models_dir)
    folder = pull(options.name, to, token=_token(settings), file=options.file, pickles=settings.allow_pickles)
    found = inspect(folder, pickles=settings.allow_pickles)
    _say(f"{folder.name}  {found.family}  {found.prediction}  {found.bytes / _GB:.2f} GB")


def _list(_: argparse.Namespace, settings: Settings) -> None:
    _list_models(settings)
    _list_loras(settings)


def _list_models(settings: Settings) -> None:
    places = _installed(settings)
    if not places:
        _say(f"No model in {settings.path(settings.models_dir)}; get one, as in")
        _say("  .venv/bin/python -m diffusionapi.models pull org/name")
        return
    labels = read_labels(settings.path(settings.model_labels))
    rows = [("NAME", "FAMILY", "PREDICTION", "GB", "LABEL")]
    for place in places:
        label = labels.get(place.name, "")
        try:
            found = inspect(place.path, pickles=settings.allow_pickles)
        except BrokenModel as error:
            rows.append((place.name, "broken", "", "", error.sentence))
        else:
            rows.append((place.name, found.family, found.prediction, f"{found.bytes / _GB:.2f}", label))
    _say_table(rows)


def _list_loras(settings: Settings) -> None:
    rows = [("LORA", "FAMILY", "MB", "PROBLEM")]
    for one in scan.files(settings.path(settings.loras_dir), ".safetensors"):
        assert one.path is not None
        try:
            found = lora_kind.inspect(one.path)
        except BadRequest as error:
            rows.append((one.name, "", "", error.problem))
        except BrokenModel as error:
            rows.append((one.name, "broken", "", error.sentence))
        else:
            families = "any" if len(found.families) == len(LABELS) else " or ".join(found.families)
            rows.append((one.name, families or "none", f"{found.bytes / _MB:.1f}", ""))
    if len(rows) > 1:
        _say("")
        _say_table(rows)


def _say_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns of equal width, but for the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *columns, last in rows:
        padded = [text.ljust(width) for text, width in zip(columns, widths, strict=True)]
        _say("  ".join([*padded, last]).rstrip())


def _check(options: argparse.Namespace, settings: Settings) -> None:
    place = _named(options.name, settings)

    from diffusionapi.engine.models.checking import check

    checked = check(place.path, pickles=settings.allow_pickles)
    found = checked.found
    _say(f"{place.name} is whole.")
    snr = ", zero terminal SNR" if found.zero_snr else ""
    holes = ", made for inpainting" if found.in_channels == HOLE_CHANNELS else ""
    _say(f"  what      {found.family}, predicts {found.prediction}{snr}{holes}")
    _say(f"  where     {found.path} ({found.kind})")
    _say(f"  size      {found.bytes / _GB:.2f} GB, {found.parameters / 1e6:.0f} million parameters")
    _say(f"  hash      {checked.hash}")
    _say(f"  seconds   {checked.load_seconds:.1f} to load, {checked.read_seconds:.1f} to read every weight")


def _installed(settings: Settings) -> list[Place]:
    return find(settings.model_folders, pickles=settings.allow_pickles)


def _token(settings: Settings) -> str | None:
    """None leaves it to huggingface_hub, which knows HF_TOKEN and `hf auth login`."""
    return settings.huggingface_token.get_secret_value() or None


def _named(name: str, settings: Settings) -> Place:
    """An installed model as the API would find it, else a path."""
    labels = read_labels(settings.path(settings.model_labels))
    places = _installed(settings)
    for place in places:
        hub = place.name.removeprefix("models--").replace("--", "/", 1).replace("__", "/", 1)
        if fold(name) in {fold(one) for one in (place.name, labels.get(place.name, place.name), hub)}:
            return place
    if Path(name).exists():
        return Place(name, Path(name))
    known = [place.name for place in places]
    raise UnknownName("name", "model", name, near(name, known), known)


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    main()
