"""Trainings from their request to their file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from diffusionapi.core.events import Step
from diffusionapi.engine.adapters.lora import Use
from diffusionapi.engine.denoiser import Weights
from diffusionapi.engine.engine import Taught
from diffusionapi.engine.recipe import generate
from diffusionapi.engine.training import class_pictures, course, notebook, student
from diffusionapi.engine.training.course import learn
from diffusionapi.engine.training.loss import Example, loss
from diffusionapi.engine.training.pictures import examples
from diffusionapi.engine.training.student import Diverged, TooLarge
from diffusionapi.engine.workshop import Workshop
from diffusionapi.errors import BadRequest, Misconfigured
from diffusionapi.weights import trained
from tests import miniatures
from tests.engine.adapters.lora_files import a_lora, answers, largest_difference, parts, save_kohya
from tests.engine.rendering import a_photo, make_house, upload
from tests.engine.training.lessons import a_training, loss_on, train

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.engine.models.loaded import LoadedModel
    from diffusionapi.settings import Settings


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(autouse=True)
def _slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is told, and what is kept is kept by the number of steps."""
    monkeypatch.setattr(course, "_TELLING", 0.0)
    monkeypatch.setattr(notebook, "_SECONDS", 1e9)


# --- what comes of it -----------------------------------------------------------------------------------


def test_the_loss_on_its_pictures_falls(
    workshop: Workshop, pictures: tuple[str, ...], tmp_path: Path
) -> None:
    request = a_training(name="hundred", pictures=pictures, steps=100)
    run = train(workshop, request)
    with workshop.taught("sd1") as weights, torch.no_grad():
        seen = list(examples(request, workshop.uploads, weights.model))
    before, after = (loss_on(workshop, lora, seen, request.instance_prompt) for lora in ({}, run.lora))
    assert after < 0.85 * before
    assert run.taught.loss == pytest.approx(after, rel=0.2)
    assert run.taught.steps == 100
    assert run.phases == ["loading", "training", "saving"]
    told = run.steps
    assert [one.step for one in told] == sorted({one.step for one in told})
    assert (told[-1].step, told[-1].steps, told[-1].fraction) == (100, 100, 1.0)
    assert told[-1].loss == run.taught.loss
    file = tmp_path / "hundred.safetensors"
    file.write_bytes(run.taught.content)
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["ss_network_dim"] == "8"
        assert {opened.get_tensor(name).dtype for name in opened.keys()} == {torch.float16, torch.float32}  # noqa: SIM118
    said = trained.read(file)
    assert said is not None
    assert (said.model, said.instance_prompt) == ("sd1", "a photo of sks dog")


def test_class_pictures_keep_the_class_in_mind(
    workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_pictures, "CALLS", 4)
    fields: dict[str, Any] = {"pictures": pictures, "steps": 40, "class_prompt": "a photo of a dog"}
    held = a_training(name="held", class_pictures=2, prior_weight=3.0, **fields)
    run, free = train(workshop, held), train(workshop, a_training(name="free", **fields))
    assert run.phases == ["loading", "preparing", "training", "saving"]
    assert [(one.step, one.steps) for one in run.steps if one.loss is None] == [(1, 2), (2, 2)]
    fractions = [one.fraction for one in run.steps]
    assert fractions == sorted(fractions)
    assert free.phases == ["loading", "training", "saving"]
    kept = notebook.Notebook(workshop.trainings / "held", held)
    latents = [kept.class_picture(number) for number in range(2)]
    painted = [Example(one, "a photo of a dog") for one in latents if one is not None]
    losses = [loss_on(workshop, one.lora, painted, "a photo of a dog") for one in (run, free)]
    assert losses[0] < losses[1]


def test_steps_are_told_now_and_then(
    workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_TELLING", 1e9)
    told = train(workshop, a_training(name="quiet", pictures=pictures, steps=4)).steps
    assert [one.step for one in told] in ([4], [1, 4])


@pytest.mark.parametrize("name", ["sd2-base", "sd2-v", "sdxl"])
def test_every_family_learns(name: str, workshop: Workshop, pictures: tuple[str, ...]) -> None:
    request = a_training(name=f"one-{name}", model=name, pictures=pictures, steps=2)
    lora = train(workshop, request).lora
    ups = [one for key, one in lora.items() if key.endswith("lora_up.weight")]
    assert all(bool(one.isfinite().all()) and float(one.abs().max()) > 0 for one in ups)
    other = train(
        workshop, a_training(name=f"two-{name}", model=name, pictures=pictures, steps=2, seed=4)
    ).lora
    assert not same(lora, other)


def test_pictures_of_unlike_shapes_share_a_step(
    workshop: Workshop, school: Settings, pictures: tuple[str, ...]
) -> None:
    wide = upload(school, a_photo(512, 100))
    request = a_training(name="shapes", pictures=(wide, pictures[0]), steps=1, batch=2, size=128)
    assert train(workshop, request).taught.steps == 1


# --- text encoders --------------------------------------------------------------------------------------


def words_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: one for name, one in tensors.items() if name.startswith("lora_te")}


def test_text_encoders_learn_when_asked_and_so_long(
    workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "_STEPS", 1)
    fields: dict[str, Any] = {"model": "sdxl", "pictures": pictures, "steps": 4}
    request = a_training(name="words", text_encoder_rate=1e-2, text_encoder_steps=2, **fields)
    seen = []
    for steps in (1, 2, 3):
        train(workshop, request, stop_at=steps)
        state = notebook.Notebook(workshop.trainings / "words", request).state()
        assert state is not None
        assert state["steps"] == steps
        seen.append(state["lora"])
    assert {name[:8] for name in words_of(seen[0])} == {"lora_te1", "lora_te2"}
    assert not same(words_of(seen[0]), words_of(seen[1]))
    assert same(words_of(seen[1]), words_of(seen[2]))
    assert not same(seen[1], seen[2])
    for unasked in ({"text_encoder_steps": 2}, {"text_encoder_rate": 1e-2}):
        one = a_training(name=f"no-{len(str(unasked))}", **fields | {"steps": 1}, **unasked)
        assert not words_of(train(workshop, one).lora)


# --- going on -------------------------------------------------------------------------------------------


def said_in(taught: Taught, folder: Path) -> dict[str, str]:
    file = folder / "one.safetensors"
    file.write_bytes(taught.content)
    with safe_open(file, "pt") as opened:
        metadata: dict[str, str] = opened.metadata()
    return metadata


def test_a_stopped_training_comes_to_the_same_lora(
    workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(notebook, "_STEPS", 3)
    monkeypatch.setattr(class_pictures, "CALLS", 2)
    painted: list[int] = []

    def counted(request: GenerationRequest, at: Workshop) -> Any:
        painted.append(request.seed)
        return generate(request, at)

    monkeypatch.setattr(class_pictures, "generate", counted)
    fields: dict[str, Any] = {"class_prompt": "a dog", "class_pictures": 2, "batch": 2, "pictures": pictures}
    fields |= {"steps": 8, "text_encoder_rate": 1e-3, "text_encoder_steps": 5}
    whole = train(workshop, a_training(name="whole", **fields))
    assert painted == [4, 5]
    stopped = a_training(name="stopped", **fields)
    train(workshop, stopped, stop_at=5)
    rest = train(workshop, stopped)
    assert len(painted) == 4
    assert next(one.step for one in rest.steps if one.loss is not None) == 4, "it was kept at step 3"
    assert same(rest.lora, whole.lora)
    assert rest.taught.loss == whole.taught.loss
    again = train(workshop, stopped)
    assert same(again.lora, rest.lora)
    assert said_in(again.taught, tmp_path) == said_in(rest.taught, tmp_path)
    assert not [one for one in again.steps if one.loss is not None], "there was nothing left to learn"


def test_the_folder_of_another_training_is_refused(workshop: Workshop, pictures: tuple[str, ...]) -> None:
    train(workshop, a_training(name="taken", pictures=pictures), stop_at=1)
    with pytest.raises(BadRequest, match="another unfinished training 'taken'"):
        train(workshop, a_training(name="taken", pictures=pictures, steps=5))


# --- the model is as it was -----------------------------------------------------------------------------


def bits(model: LoadedModel) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": one.clone()
        for part, network in (parts(model) | {"vae": model.vae}).items()
        for name, one in network.state_dict().items()
    }


@pytest.mark.parametrize("end", ["finished", "stopped", "failed"])
def test_the_model_is_as_it_was_after_it(
    end: str, workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with workshop.taught("sd1") as weights:
        model = weights.model
    before, said = bits(model), answers(model)
    fields: dict[str, Any] = {"text_encoder_rate": 1e-2, "text_encoder_steps": 9, "pictures": pictures}
    request = a_training(name=f"once-{end}", steps=3, **fields)
    monkeypatch.setattr(
        student, "_VALUES", 2**40
    )  # so that it saves memory as with a model of the usual size
    if end == "failed":
        with pytest.raises(Diverged, match=r"At step 2 of 3 .* lower the rates"):
            train(
                workshop,
                a_training(name="nan", steps=3, **fields | {"rate": 1e30, "text_encoder_rate": 1e30}),
            )
    else:
        train(workshop, request, stop_at=2 if end == "stopped" else None)
    assert same(bits(model), before)
    assert largest_difference(answers(model), said) == 0
    modules = [one for network in parts(model).values() for one in network.modules()]
    assert not any(one._forward_hooks for one in modules)  # noqa: SLF001
    assert not any(getattr(one, "gradient_checkpointing", False) for one in modules)
    assert not any(
        one.requires_grad or one.grad is not None for net in parts(model).values() for one in net.parameters()
    )


def test_between_two_steps_the_model_paints_as_before(workshop: Workshop, pictures: tuple[str, ...]) -> None:
    with workshop.taught("sd1") as weights:
        model = weights.model
    said = answers(model)
    training = learn(a_training(name="between", pictures=pictures, steps=3), workshop)
    seen = 0
    for moment in training:
        if isinstance(moment, Step):
            seen += 1
            assert largest_difference(answers(model), said) == 0
    assert seen


def test_loras_of_pictures_are_off_while_it_learns(
    workshop: Workshop, pictures: tuple[str, ...], tmp_path: Path
) -> None:
    fields: dict[str, Any] = {"pictures": pictures, "steps": 2}
    alone = train(workshop, a_training(name="alone", **fields)).lora
    with workshop.taught("sd1") as weights:
        file = save_kohya(tmp_path / "strong.safetensors", a_lora(weights.model))
        on_it = Weights(weights.model, weights.table, (Use.of(file, 1.0),))
        training, lora = learn(a_training(name="beside", **fields), workshop), {}
        for moment in training:
            workshop.activate(on_it)
            if isinstance(moment, Taught):
                lora = load(moment.content)
        workshop.activate(weights)
    assert same(lora, alone)


# --- precision and memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_in_full(
    precision: str, school: Settings, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "_STEPS", 1)
    workshop = Workshop(school.model_copy(update={"precision": precision}))
    request = a_training(name=precision, pictures=pictures, steps=2)
    train(workshop, request, stop_at=1)
    lora = train(workshop, request).lora
    state = notebook.Notebook(workshop.trainings / precision, request).state()
    assert state is not None
    ups = [one for name, one in state["lora"].items() if name.endswith("up.weight")]
    assert {one.dtype for one in ups} == {torch.float32}
    assert all(bool(one.isfinite().all()) and float(one.abs().max()) > 0 for one in ups)
    exact = train(Workshop(school), a_training(name=f"{precision}-exact", pictures=pictures, steps=2)).lora
    near = [cosine(lora[name], exact[name]) for name in exact if name.endswith("up.weight")]
    assert sum(near) / len(near) > 0.8
    workshop.close()


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one.float().flatten(), other.float().flatten(), dim=0))


def test_a_full_device_is_spared_from_then_on(
    workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {"pictures": pictures, "steps": 2}
    roomy = train(workshop, a_training(name="roomy", **fields)).lora
    full = []

    def filling(model: Any, *those: Any) -> Any:
        if not is_spared(model.unet):
            full.append(model)
            raise torch.OutOfMemoryError
        return loss(model, *those)

    monkeypatch.setattr(student, "loss", filling)
    tight = train(workshop, a_training(name="tight", **fields)).lora
    assert len(full) == 1
    assert max(float((tight[name] - roomy[name]).abs().max()) for name in roomy) < 1e-4


def is_spared(unet: Any) -> bool:
    return any(getattr(one, "gradient_checkpointing", False) for one in unet.modules())


def test_a_device_that_stays_full_ends_it_with_what_to_lower(
    workshop: Workshop, pictures: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def filling(*_: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(student, "loss", filling)
    with pytest.raises(TooLarge, match=r"lower size \(64\), batch \(1\) or rank \(8\)"):
        train(workshop, a_training(name="full", pictures=pictures))


def test_models_that_wait_in_main_memory_learn_alike(
    workshop: Workshop, school: Settings, pictures: tuple[str, ...]
) -> None:
    fields: dict[str, Any] = {
        "pictures": pictures,
        "steps": 2,
        "text_encoder_rate": 1e-3,
        "text_encoder_steps": 1,
    }
    here = train(workshop, a_training(name="here", **fields)).lora
    away = Workshop(school.model_copy(update={"offload": "model"}))
    assert same(train(away, a_training(name="away", **fields)).lora, here)
    away.close()


# --- what is refused ------------------------------------------------------------------------------------


def test_what_cannot_learn_says_so(refiner_folder: Path, tmp_path: Path) -> None:
    inpainting = miniatures.make_inpainting("sd1", tmp_path / "made")
    settings = make_house(tmp_path / "house", {"refiner": refiner_folder, "inpainting": inpainting})
    workshop = Workshop(settings)
    with pytest.raises(BadRequest, match="model: 'refiner' is the SDXL refiner"):
        train(workshop, a_training(model="refiner"))
    with pytest.raises(BadRequest, match="model: 'inpainting' was made for inpainting"):
        train(workshop, a_training(model="inpainting"))
    with pytest.raises(BadRequest, match="unknown model 'nothing'"):
        train(workshop, a_training(model="nothing"))
    pieces = Workshop(settings.model_copy(update={"offload": "sequential"}))
    with pytest.raises(Misconfigured, match="OFFLOAD"):
        train(pieces, a_training(model="refiner"))
