"""The engine's speed: a picture alone beside diffusers' pipeline, different ones at once, the roofline."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.report import Figure, single
from benchmarks.roofline import Roofline, wait
from diffusionapi.core.events import Phase
from diffusionapi.engine import devices
from diffusionapi.engine.running import DiffusionEngine
from diffusionapi.engine.samplers.schedules import plan
from diffusionapi.engine.workshop import Workshop
from diffusionapi.settings import Settings
from tests.factories import a_request

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.engine import EngineEvent

TIME_LIMIT = 1800
_NAME = "measured"
_PROMPT = "a lighthouse at dusk, oil painting"
_SUBJECTS = ("a lighthouse", "a red fox", "an old clock", "two boats", "a city at night", "a bowl of plums")
_SAMPLERS = ("Euler", "DPM++ 2M Karras", "Euler a", "DDIM", "UniPC", "DPM++ 2M", "LMS Karras")
"""One call a step, so that pictures of these cost what those of Euler cost."""
_MORE_STEPS = (0, 1, -1, 2, -2)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, required=True, help="a diffusers folder; random weights will do"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    parser.add_argument("--precision", default="auto", help="auto, bf16, fp16, fp32 (default: %(default)s)")
    parser.add_argument(
        "--offload", default="none", help="none, model, sequential; without diffusers' pipeline if not none"
    )
    parser.add_argument("--size", type=int, default=256, help="pixels a side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=8, help="Euler steps (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="pictures each way (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0: as torch has it")
    parser.add_argument(
        "--together", type=int, nargs="*", help="so many pictures at once (default: 8 32 on a GPU, else none)"
    )


def facts(options: argparse.Namespace) -> dict[str, str]:
    """What it ran on, beyond the machine."""
    device = devices.device(Settings(device=options.device))
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else f"{device}, {torch.get_num_threads()} threads"
    return {"device": name, "torch": str(torch.__version__)}


def run(options: argparse.Namespace) -> list[Figure]:
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        workshop = Workshop(settings_of(Path(root), options))
        gpu = workshop.device.type == "cuda"
        together = ([8, 32] if gpu else []) if options.together is None else options.together
        with closing(DiffusionEngine(workshop, capacity=max([1, *together]))) as engine:
            figures, alone = _alone(engine, workshop, options)
            model = workshop.scene(request_of(options, 0)).model
            roofline = Roofline.measured(model, options.size)
            figures.append(_share(roofline, workshop, [request_of(options, 0)], alone))
            for count in together:
                requests = [_different(options, number) for number in range(count)]
                seconds = _together(engine, workshop, requests, options.rounds)
                name = f"pictures per second, {count} different ones at once"
                figures += [single(name, count / seconds, "per s")]
                figures += [_share(roofline, workshop, requests, seconds)]
            figures += roofline.figures()
            for count in [1, *together]:
                scenes = [workshop.scene(_different(options, number)) for number in range(count)]
                figures += roofline.calls(scenes, options.rounds)
    return figures


def _alone(
    engine: DiffusionEngine, workshop: Workshop, options: argparse.Namespace
) -> tuple[list[Figure], float]:
    """The figures, and the seconds of a picture."""
    request = request_of(options, 0)
    _render(engine, [request])  # loads the model, fills caches
    pipeline = _pipeline(options, workshop) if options.offload == "none" else None
    if pipeline:
        _timed(workshop, lambda: _call(pipeline, options))
    ours, theirs, starts = [], [], []
    for _ in range(options.rounds):  # in turns, since the machine's speed drifts
        seconds, start = _timed(workshop, lambda: _render(engine, [request]))
        ours.append(seconds)
        starts.append(start)
        if pipeline:
            theirs.append(_timed(workshop, lambda: _call(pipeline, options))[0])
    alone = statistics.median(ours)
    figures = [single("a picture alone", alone, "s")]
    if theirs:
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        figures.append(single("the same by diffusers' pipeline", statistics.median(theirs), "s"))
        figures.append(single("  the former to the latter", statistics.median(ratios), "times"))
    figures.append(single("from its admission to its first step", 1000 * statistics.median(starts), "ms"))
    return figures, alone


def _together(
    engine: DiffusionEngine, workshop: Workshop, requests: Sequence[GenerationRequest], rounds: int
) -> float:
    if workshop.device.type == "cuda":
        _render(engine, requests)  # kernels for these shapes are chosen, memory for them is taken
    return statistics.median(_timed(workshop, lambda: _render(engine, requests))[0] for _ in range(rounds))


def _share(
    roofline: Roofline, workshop: Workshop, requests: Sequence[GenerationRequest], seconds: float
) -> Figure:
    """Of all that takes time, prompts, VAE and files too, how much the UNet's arithmetic would need."""
    table = workshop.scene(requests[0]).table
    calls = sum(plan(one.sampler, one.schedule, one.steps, table).calls or 0 for one in requests)
    share = 100 * roofline.share(2 * calls, seconds)
    return single("  the UNet's arithmetic in it, of the product's speed", share, "%")


def settings_of(root: Path, options: argparse.Namespace) -> Settings:
    """Those of a server in this folder that has the model."""
    models = root / "models"
    models.mkdir()
    (models / _NAME).symlink_to(options.model.absolute())
    return Settings(
        data_dir=root,
        models_dir=models,
        engine="diffusers",
        device=options.device,
        precision=options.precision,
        offload=options.offload,
    )


def request_of(options: argparse.Namespace, seed: int, **fields: Any) -> GenerationRequest:
    return a_request(
        **{
            "prompt": _PROMPT,
            "negative_prompt": "blurry",
            "model": _NAME,
            "width": options.size,
            "height": options.size,
            "steps": options.steps,
            "sampler": "Euler",
            "schedule": "default",
            "seed": seed,
            "file_type": "jpg",
            **fields,
        }
    )


def _different(options: argparse.Namespace, number: int) -> GenerationRequest:
    """The pictures of one lane differ in prompt, seed, sampler, steps and guidance."""
    sampler = _SAMPLERS[number % len(_SAMPLERS)]
    return request_of(
        options,
        number,
        prompt=f"{_SUBJECTS[number % len(_SUBJECTS)]}, painting number {number}",
        sampler=sampler,
        schedule="karras" if sampler.endswith("Karras") else "default",
        steps=max(options.steps + _MORE_STEPS[number % len(_MORE_STEPS)], 3),
        guidance=5.0 + number % 4,
    )


def _render(engine: DiffusionEngine, requests: Sequence[GenerationRequest]) -> float:
    """These pictures at once; the seconds until one began its first step."""
    began = time.perf_counter()
    first = 0.0
    for number, request in enumerate(requests):
        engine.admit(str(number), request)
    left = len(requests)
    while left:
        for _, event in engine.step(0):
            if not first and isinstance(event, Phase) and event.name == "generation":
                first = time.perf_counter() - began
            left -= ended(event)
    return first


def ended(event: EngineEvent) -> bool:
    if event.kind == "failed":
        raise SystemExit(f"The picture failed: {event.failure.sentence}")
    return event.kind == "rendered"


def _pipeline(options: argparse.Namespace, workshop: Workshop) -> Any:
    """diffusers' own, with the weights that are loaded already."""
    from diffusers import DiffusionPipeline, EulerDiscreteScheduler

    model = workshop.scene(request_of(options, 0)).model
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
    wait(workshop.device)
    return time.perf_counter() - began, found
