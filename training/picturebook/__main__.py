"""Trains the picture book: `python -m training.picturebook make` does everything, the rest are its parts.

Whatever was interrupted goes on where it was when the same line is given again. On a CPU one thread is the
fastest; `decoder` and `denoise` of one run can work side by side.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from training.picturebook import card, decoder, recipe, sheet
from training.picturebook.export import export
from training.picturebook.siblings import names

_HERE = Path(__file__).parent
RUN, TRIAL = _HERE / "runs" / "picturebook", _HERE / "runs" / "short"
MODEL = _HERE.parent.parent / "stable_diffusion" / "models" / "picturebook"
SCORED_SIZE, SCORED_STEPS, SCORED_GUIDANCE = 512, 20, 5.0


def main(arguments: list[str] | None = None) -> None:
    given = _options().parse_args(arguments)
    if "run" in given and given.run is None:
        given.run = TRIAL if given.short else RUN
    if given.device == "cpu":
        torch.set_num_threads(1)
    given.do(given)


def _amount(given: argparse.Namespace) -> recipe.Amount:
    return recipe.SHORT if given.short else recipe.WHOLE


def make(given: argparse.Namespace) -> None:
    """Everything, from nothing to the scored model. A trial's stays in its run's folder: what it paints is
    not to take the place of the model."""
    if given.out is None:
        given.out = given.run / "model" if given.short else MODEL
    train_decoder(given)
    denoise(given)
    write(given)
    given.model, given.size = given.out, 128 if given.short else SCORED_SIZE
    given.prompts = _amount(given).scored
    score(given)


def train_decoder(given: argparse.Namespace) -> None:
    white = recipe.whitening(given.run, given.seed)
    decoder.train(given.run, white, _amount(given).decoder_steps, given.device)


def denoise(given: argparse.Namespace) -> None:
    amount = _amount(given)
    recipe.denoise(
        given.run, amount.stages, seed=given.seed, device=given.device, text_steps=amount.text_steps
    )


def write(given: argparse.Namespace) -> None:
    _say(f"The model is in {export(given.run, given.out)}")


def score(given: argparse.Namespace) -> None:
    """Also writes the figures into the model's card."""
    from training.picturebook.score import score as of

    table = of(
        given.model,
        prompts=given.prompts,
        size=given.size,
        steps=SCORED_STEPS,
        guidance=SCORED_GUIDANCE,
        seed=given.seed,
        device=given.device,
        sheet=given.sheet,
        batch=4,
    )
    _say(str(table))
    card.fill_in(given.model, str(table))


def draw(given: argparse.Namespace) -> None:
    """What the run paints as it is now."""
    with TemporaryDirectory() as folder:
        pipeline = sheet.load(export(given.run, Path(folder) / "model"), given.device)
    prompts = given.prompt or sheet.PROMPTS
    shown = sheet.pictures(
        pipeline, prompts, size=given.size, steps=given.steps, guidance=given.guidance, seed=given.seed
    )
    sheet.sheet(shown, prompts).save(given.out)
    _say(f"The sheet is {given.out}")


def sibling(given: argparse.Namespace) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    one = names.SIBLINGS[given.name]
    out = given.out or _HERE.parent.parent / "stable_diffusion" / one.place
    steps = one.steps if given.steps is None else given.steps
    one.train(given.model, out, steps=steps, seed=given.seed, device=given.device)
    _say(f"{given.name} is {out}")


def _say(text: str) -> None:
    print(text)  # noqa: T201


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.picturebook", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=does, description=does)
        one.add_argument("--seed", type=int, default=1)
        one.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        return one

    def run(one: argparse.ArgumentParser, *, training: bool = True) -> None:
        one.add_argument("--run", type=Path, help=f"folder of what is unfinished ({RUN})")
        one.set_defaults(short=False)
        if training:
            one.add_argument("--short", action="store_true", help=f"minutes of it, as a trial ({TRIAL})")

    one = command("make", "everything from nothing")
    run(one)
    one.add_argument("--out", type=Path, help=f"the model ({MODEL})")
    one.set_defaults(do=make, sheet=None)
    one = command("decoder", "train the decoder")
    run(one)
    one.set_defaults(do=train_decoder)
    one = command("denoise", "train the text encoder and the UNet")
    run(one)
    one.set_defaults(do=denoise)
    one = command("export", "write the model of a run as it is now")
    run(one, training=False)
    one.add_argument("--out", type=Path, default=MODEL, help="the model (%(default)s)")
    one.set_defaults(do=write)
    one = command("score", "measure a model, and fill the figures into its card")
    one.add_argument("--model", type=Path, default=MODEL)
    one.add_argument("--prompts", type=int, default=recipe.WHOLE.scored)
    one.add_argument("--size", type=int, default=SCORED_SIZE)
    one.add_argument("--sheet", type=Path, help="also write a sheet of the pictures")
    one.set_defaults(do=score)
    one = command("sheet", "a sheet of what a run paints as it is now")
    run(one, training=False)
    one.add_argument("prompt", nargs="*", help="prompts; without any, a dozen of the world's")
    one.add_argument("--out", type=Path, default=Path("sheet.png"))
    one.add_argument("--size", type=int, default=256)
    one.add_argument("--steps", type=int, default=16)
    one.add_argument("--guidance", type=float, default=5.0)
    one.set_defaults(do=draw)
    one = command("sibling", "train something that belongs to the model: a LoRA, a ControlNet, an upscaler …")
    one.add_argument("name", choices=sorted(names.SIBLINGS))
    one.add_argument("--model", type=Path, default=MODEL, help="the finished model (%(default)s)")
    one.add_argument("--out", type=Path, help="file or folder; without it, its place in stable_diffusion")
    one.add_argument("--steps", type=int)
    one.set_defaults(do=sibling)
    return parser


if __name__ == "__main__":
    main()
