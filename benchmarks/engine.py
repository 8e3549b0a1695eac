"""The engine's speed: a picture alone beside diffusers' pipeline, the way to a first step, many at once."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.report import Figure, single
from diffusionapi.core.events import Phase
from diffusionapi.engine.running import DiffusionEngine
from diffusionapi.engine.workshop import Workshop
from diffusionapi.settings import Settings
from tests.factories import a_request

if TYPE_CHECKING:
    import argparse

    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.engine import EngineEvent

TIME_LIMIT = 1800
_NAME = "measured"
_PROMPT = "a lighthouse at dusk, oil painting"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, required=True, help="a diffusers folder; random weights will do"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="pixels a side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="Euler steps (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="pictures each way (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0: as torch has it")
    parser.add_argument(
        "--together", type=int, nargs="*", default=[], help="also so many pictures at once, as 8 32"
    )


def run(options: argparse.Namespace) -> list[Figure]:
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        workshop = _workshop(Path(root), options)
        engine = DiffusionEngine(workshop, capacity=max([1, *options.together]))
        _render(engine, options, count=1)  # loads the model, fills caches
        ours, theirs, starts = [], [], []
        pipeline = _pipeline(options, workshop)
        _timed(workshop, lambda: _call(pipeline, options))
        for _ in range(options.rounds):  # in turns, since the machine's speed drifts
            seconds, start = _timed(workshop, lambda: _render(engine, options, count=1))
            ours.append(seconds)
            starts.append(start)
            theirs.append(_timed(workshop, lambda: _call(pipeline, options))[0])
        figures = _alone(ours, theirs, starts)
        for count in options.together:
            seconds, _ = _timed(workshop, lambda count=count: _render(engine, options, count=count))
            figures.append(single(f"pictures per second, {count} at once", count / seconds, "per s"))
        engine.close()
    return figures


def _alone(ours: list[float], theirs: list[float], starts: list[float]) -> list[Figure]:
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return [
        single("a picture alone", statistics.median(ours), "s"),
        single("the same by diffusers' pipeline", statistics.median(theirs), "s"),
        single("  the former to the latter", statistics.median(ratios), "times"),
        single("from its admission to its first step", 1000 * statistics.median(starts), "ms"),
    ]


def _workshop(root: Path, options: argparse.Namespace) -> Workshop:
    models = root / "models"
    models.mkdir()
    (models / _NAME).symlink_to(options.model.absolute())
    return Workshop(Settings(data_dir=root, models_dir=models, engine="diffusers", device=options.device))


def _request(options: argparse.Namespace, seed: int) -> GenerationRequest:
    return a_request(
        prompt=_PROMPT,
        negative_prompt="blurry",
        model=_NAME,
        width=options.size,
        height=options.size,
        steps=options.steps,
        sampler="Euler",
        schedule="default",
        seed=seed,
        file_type="jpg",
    )


def _render(engine: DiffusionEngine, options: argparse.Namespace, *, count: int) -> float:
    """So many pictures at once; the seconds until one began its first step."""
    began = time.perf_counter()
    first = 0.0
    for number in range(count):
        engine.admit(str(number), _request(options, number))
    left = count
    while left:
        for _, event in engine.step(0):
            if not first and isinstance(event, Phase) and event.name == "generation":
                first = time.perf_counter() - began
            left -= _ended(event)
    return first


def _ended(event: EngineEvent) -> bool:
    if event.kind == "failed":
        raise SystemExit(f"The picture failed: {event.failure.sentence}")
    return event.kind == "rendered"


def _pipeline(options: argparse.Namespace, workshop: Workshop) -> Any:
    """diffusers' own, with the weights that are loaded already."""
    from diffusers import DiffusionPipeline, EulerDiscreteScheduler

    model = workshop.scene(_request(options, 0)).model
    parts = {"unet": model.unet, "vae": model.vae, "text_encoder": model.text_encoders[0]}
    if len(model.text_encoders) > 1:
        parts["text_encoder_2"] = model.text_encoders[1]
    pipeline = DiffusionPipeline.from_pretrained(options.model, dtype=model.dtype, **parts)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="linspace"
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _call(pipeline: Any, options: argparse.Namespace) -> float:
    pipeline(
        prompt=_PROMPT,
        negative_prompt="blurry",
        num_inference_steps=options.steps,
        guidance_scale=7.0,
        width=options.size,
        height=options.size,
        generator=torch.Generator().manual_seed(0),
    )
    return 0.0


def _timed(workshop: Workshop, work: Any) -> tuple[float, float]:
    began = time.perf_counter()
    found: float = work()
    if workshop.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, found
