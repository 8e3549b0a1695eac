"""The host never waits for the device while a picture is sampled: a GPU that is waited for stands idle after.

On a CPU nobody waits, but the operations that would wait on a GPU are called all the same and counted here.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from diffusionapi.core.request import Hires, Refiner
from diffusionapi.engine import denoiser
from diffusionapi.engine.devices import sent
from diffusionapi.engine.previews.previewer import Previewer
from diffusionapi.engine.samplers.table import SAMPLERS
from diffusionapi.settings import PROJECT
from tests.engine.rendering import make_engine, make_house, run
from tests.factories import a_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.denoiser import Call
    from diffusionapi.engine.previews.glimpse import Glimpse
    from diffusionapi.engine.running import DiffusionEngine

ENGINE = PROJECT / "diffusionapi" / "engine"
WAITING = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2"}
"""Operations whose answer the host needs; `resolve_neg` is what is seen of `tolist()` and `numpy()`."""
WAITING |= {"resolve_neg"}
OF_THE_HOST = {"levels.py", "noise.py", "unipc.py:_weights", "devices.py:sent"}
"""They work with tensors of the host, or send without waiting."""


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts, by file and function, what would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places: Counter[str] = Counter()

    def __torch_dispatch__(self, op: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = op.overloadpacket.__name__, kwargs or {}
        moved = name in ("to", "_to_copy") and kwargs.get("device") == torch.device("cpu")
        masked = name == "index" and any(one is not None and one.dtype == torch.bool for one in args[1])
        if name in WAITING or moved or masked:
            place = _place()
            if not OF_THE_HOST & {place, place.partition(":")[0]}:
                self.places[place] += 1
        return op(*args, **kwargs)


def _place() -> str:
    """The innermost function of the engine that is running, as file:function."""
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_back and not Path(frame.f_code.co_filename).is_relative_to(ENGINE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"


def waits(engine: DiffusionEngine, steps: int, **fields: Any) -> Counter[str]:
    seen = Waits()
    with seen:
        run(engine, it=a_request(steps=steps, **fields))
    return seen.places


def added_by_steps(engine: DiffusionEngine, **fields: Any) -> Counter[str]:
    waits(engine, 4, **fields)  # loads and encodes
    return waits(engine, 7, **fields) - waits(engine, 4, **fields)


@pytest.mark.parametrize("sampler", [one for one in SAMPLERS if one != "DPM adaptive"])
def test_no_sampler_makes_the_host_wait_in_a_step(engine: DiffusionEngine, sampler: str) -> None:
    assert not added_by_steps(engine, model="sd1", sampler=sampler, schedule="default")


OTHERS: dict[str, dict[str, Any]] = {
    "sdxl with its refiner": {"model": "sdxl", "refiner": Refiner("refiner", 0.6)},
    "a second pass": {"model": "sd1", "hires": Hires(1.5, "Latent", 3, 0.5)},
    "a prompt that changes": {"model": "sd1", "prompt": "[a fox:a hare:0.5] AND a (red:1.2) house"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_kind_of_picture_makes_the_host_wait_in_a_step(engine: DiffusionEngine, name: str) -> None:
    assert not added_by_steps(engine, **OTHERS[name])


def test_a_picture_is_waited_for_only_at_the_ends_of_its_passes(engine: DiffusionEngine) -> None:
    waits(engine, 3, model="sd1")
    places = waits(engine, 3, model="sd1")
    assert places.pop("recipe.py:_denoise") == 1, "whether its latents are numbers"
    assert {place.partition(":")[0] for place in places} == {"autoencoder.py"}


def test_previews_make_no_step_wait(engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for them is a thread of their own."""
    monkeypatch.setattr("diffusionapi.engine.previews.previewer.INTERVAL", 0.0)
    waits(engine, 3, model="sd1")
    plain = waits(engine, 6, model="sd1")
    offered: list[str] = []
    offer = Previewer.offer

    def counted(previewer: Previewer, job_id: str, glimpse: Glimpse) -> bool:
        offered.append(job_id)
        return offer(previewer, job_id, glimpse)

    monkeypatch.setattr(Previewer, "offer", counted)
    admit = engine.admit

    def watched(job_id: str, request: GenerationRequest) -> None:
        admit(job_id, request)
        engine.preview(job_id, True)

    monkeypatch.setattr(engine, "admit", watched)
    assert waits(engine, 6, model="sd1") == plain
    assert len(offered) == 6
    engine.close()


def test_dpm_adaptive_waits_for_its_error_as_its_documentation_says(engine: DiffusionEngine) -> None:
    places = waits(engine, 3, model="sd1", sampler="DPM adaptive")
    assert places["dpm_solver.py:_error"] > 4


@pytest.mark.parametrize(
    "offence",
    [
        lambda x: x.mean().item(),
        lambda x: float(x.mean()),
        lambda x: bool((x > 0).any()),
        lambda x: x.cpu(),
        lambda x: x[x > 0],
        lambda x: x.flatten()[:2].tolist(),
        lambda x: x.nonzero(),
    ],
)
def test_what_waits_is_seen(
    engine: DiffusionEngine, offence: Callable[[Tensor], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = denoiser.answer

    def waiting(calls: Sequence[Call]) -> list[Tensor]:
        answers = answer(calls)
        offence(answers[0])
        return answers

    monkeypatch.setattr(denoiser, "answer", waiting)
    assert added_by_steps(engine, model="sd1")


def test_no_tensor_is_made_of_numbers_on_a_device() -> None:
    """`torch.tensor(numbers, device=gpu)` waits for the copy; `sent(torch.tensor(numbers), gpu)` does not."""
    for module in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                makes = node.func.attr in ("tensor", "as_tensor", "full") and "torch" in ast.dump(node.func)
                assert not makes or all(one.arg != "device" for one in node.keywords), module


def test_what_is_sent_to_a_gpu_is_pinned_and_not_waited_for() -> None:
    done: list[object] = []

    class Tensor:
        def pin_memory(self) -> Tensor:
            done.append("pinned")
            return self

        def to(self, device: torch.device, *, non_blocking: bool = False) -> Tensor:
            done.append((device.type, non_blocking))
            return self

    sent(Tensor(), torch.device("cuda"))  # type: ignore[arg-type]
    sent(Tensor(), torch.device("cpu"))  # type: ignore[arg-type]
    assert done == ["pinned", ("cuda", True), ("cpu", False)]


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["sd1", "sdxl"])
def test_a_gpu_is_not_waited_for_in_a_step(
    tmp_path: Path, sd1_folder: Path, sdxl_folder: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_house(tmp_path, {"sd1": sd1_folder, "sdxl": sdxl_folder})
    engine = make_engine(settings.model_copy(update={"device": "cuda"}))
    run(engine, warm=a_request(model=model))
    answer = denoiser.answer

    def watched(calls: Sequence[Call]) -> list[Tensor]:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return answer(calls)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(denoiser, "answer", watched)
    run(engine, it=a_request(model=model))
    engine.close()
