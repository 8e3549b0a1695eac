"""The steps of a training: a loss, its gradients, AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import torch

from diffusionapi.engine.training.dice import START, dice
from diffusionapi.engine.training.layers import Learnt, parameters
from diffusionapi.engine.training.loss import loss
from diffusionapi.errors import Error

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from diffusionapi.core.work import TrainingRequest
    from diffusionapi.engine.denoiser import Weights
    from diffusionapi.engine.prompts.cache import Encoded
    from diffusionapi.engine.training.loss import Row
    from diffusionapi.engine.workshop import Workshop

_WARM_UP = 50
"""Steps in which the rate rises to what it then is; a tenth of all if that is fewer."""
_LONGEST_GRADIENT = 1.0
_DECAY = 0.01
_VALUES = 3 * 2**10
"""Numbers that the UNet of SDXL keeps for the way back, for each pixel; that of SD 1.x keeps half as many."""

State = dict[str, Any]


class Diverged(Error):
    code = "not_a_number"

    def __init__(self, step: int, request: TrainingRequest) -> None:
        super().__init__(
            f"At step {step} of {request.steps} the loss was no number any more; lower the rates "
            f"({request.rate:g}, text encoders {request.text_encoder_rate:g}), or try PRECISION=fp32"
        )


class TooLarge(Error):
    code = "out_of_memory"

    def __init__(self, request: TrainingRequest) -> None:
        super().__init__(
            "The device ran out of memory while it learnt; "
            f"lower size ({request.size}), batch ({request.batch}) or rank ({request.rank})"
        )


class Student:
    """A model with a LoRA that learns. Between two steps the model is as if there were none."""

    def __init__(self, weights: Weights, workshop: Workshop, request: TrainingRequest) -> None:
        self._weights = weights
        self._model = model = weights.model
        self._workshop = workshop
        self._encoder = workshop.prompt_encoder(model)
        self._request = request
        self._words_until = request.text_encoder_steps if request.text_encoder_rate > 0 else 0
        with learning():
            self.learnt = Learnt(
                model,
                rank=request.rank,
                alpha=request.alpha,
                words=self._words_until > 0,
                dice=dice(request.seed, START),
            )
            self._optimiser = self._made_optimiser()
        # Without it gradients in float16, which knows nothing below 6e-8, would mostly be zero.
        self._scaler = torch.amp.GradScaler(model.device.type, enabled=model.dtype == torch.float16)
        # Main memory that runs out ends the process, so there is no second try as on a GPU.
        self._frugal = model.device.type == "cpu" and _kept(request, model.dtype) > _available() / 2

    @property
    def timesteps(self) -> int:
        return len(self._model.alphas_cumprod)

    def step(self, number: int, rows: Sequence[Row]) -> float:
        """Learn from these rows, as the step of this number (from 0); the loss there was before."""
        self._workshop.activate(self._weights)  # pictures may have put LoRAs onto the model since
        try:
            return self._step(number, rows)
        except torch.OutOfMemoryError as error:
            if self._frugal:
                raise TooLarge(self._request) from error
        # From now on what is in between is calculated twice and not kept: a third slower, in half the memory.
        self._frugal = True
        self._optimiser.zero_grad()
        self._workshop.free_memory()
        return self.step(number, rows)

    def _step(self, number: int, rows: Sequence[Row]) -> float:
        with learning(), self.learnt.acting(), self._memory_spared():
            words = self._words(number, rows)
            total = torch.stack([loss(self._model, *group) for group in _alike(rows, words)]).sum()
            torch.autograd.backward(self._scaler.scale(total))
        value = float(total.detach())
        if not math.isfinite(value):
            raise Diverged(number + 1, self._request)
        self._move(number)
        return value

    def _words(self, number: int, rows: Sequence[Row]) -> dict[str, Encoded]:
        encode = self._encoder.encode_anew if number < self._words_until else self._encoder.encode
        return {prompt: encode(prompt) for prompt in {row.example.prompt: None for row in rows}}

    def _move(self, number: int) -> None:
        warmth = min(1.0, (number + 1) / max(1, min(_WARM_UP, self._request.steps // 10)))
        for group in self._optimiser.param_groups:
            group["lr"] = group["full_lr"] * warmth
        self._scaler.unscale_(self._optimiser)
        length = torch.nn.utils.clip_grad_norm_(parameters(self.learnt.layers), _LONGEST_GRADIENT)
        if not self._scaler.is_enabled() and not bool(torch.isfinite(length)):
            raise Diverged(number + 1, self._request)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad()

    # --- what is kept -----------------------------------------------------------------------------------

    def state(self) -> State:
        return {
            "lora": self.learnt.tensors(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def go_on(self, state: State) -> None:
        with learning():
            self.learnt.put(state["lora"])
            self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])

    def _made_optimiser(self) -> torch.optim.AdamW:
        request = self._request
        groups = [{"params": parameters(self.learnt.of_unet), "full_lr": request.rate}]
        if self.learnt.of_text_encoders:
            words = {"params": parameters(self.learnt.of_text_encoders), "full_lr": request.text_encoder_rate}
            groups.append(words)
        return torch.optim.AdamW(groups, lr=request.rate, weight_decay=_DECAY, foreach=True)

    @contextmanager
    def _memory_spared(self) -> Iterator[None]:
        unet = self._model.unet
        if not self._frugal:
            yield
            return
        unet.enable_gradient_checkpointing()
        try:
            yield
        finally:
            unet.disable_gradient_checkpointing()


@contextmanager
def learning() -> Iterator[None]:
    """With gradients, whatever whoever steps the engine has said; what is made in here can have some."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _kept(request: TrainingRequest, dtype: torch.dtype) -> int:
    """Bytes that a step may need, if every picture has one beside it that is held to."""
    return 2 * request.batch * request.size**2 * _VALUES * dtype.itemsize


def _available() -> int:
    return int(psutil.virtual_memory().available)


def _alike(rows: Sequence[Row], words: dict[str, Encoded]) -> Iterator[tuple[list[Row], list[Encoded]]]:
    """Those that can share a call of the network."""
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        shape = row.example.latents.shape, words[row.example.prompt].context.shape
        groups.setdefault(shape, []).append(row)
    for group in groups.values():
        yield group, [words[row.example.prompt] for row in group]
