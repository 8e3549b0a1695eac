"""Downloads take what is needed, go on where they were cut off, and say in a sentence what is in the way."""

from __future__ import annotations

import shutil
from collections import namedtuple
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import constants

from diffusionapi.engine.models.pull import pull, wanted
from diffusionapi.errors import BrokenModel, PullFailed
from diffusionapi.weights.inspection import inspect
from tests import miniatures
from tests.engine.models.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNET = "unet/diffusion_pytorch_model"
SDXL = [
    ".gitattributes",
    "README.md",
    "model_index.json",
    "scheduler/scheduler_config.json",
    "sd_xl_base_1.0.safetensors",
    "text_encoder/config.json",
    "text_encoder/flax_model.msgpack",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.onnx",
    "text_encoder/model.safetensors",
    "text_encoder/openvino_model.bin",
    "text_encoder/pytorch_model.bin",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "tokenizer_2/merges.txt",
    "tokenizer_2/vocab.json",
    "unet/config.json",
    f"{UNET}.bin",
    f"{UNET}.fp16.safetensors",
    f"{UNET}.non_ema.safetensors",
    f"{UNET}.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
    "safety_checker/model.safetensors",
]


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def hub(sd1_folder: Path, tmp_path: Path) -> Iterator[Hub]:
    repository = miniatures.as_half(sd1_folder, tmp_path / "repository")
    shutil.copy(sd1_folder / f"{UNET}.safetensors", repository / f"{UNET}.safetensors")
    (repository / "README.md").write_text("words")
    (repository / "safety_checker").mkdir()
    (repository / "safety_checker" / "model.safetensors").touch()
    with Hub({"org/name": repository}) as hub:
        yield hub


def test_half_precision_is_taken_where_there_is_a_choice_and_nothing_twice() -> None:
    assert sorted(wanted("org/name", SDXL)) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "text_encoder_2/config.json",
        "text_encoder_2/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "tokenizer_2/merges.txt",
        "tokenizer_2/vocab.json",
        "unet/config.json",
        f"{UNET}.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]


def test_shards_come_with_their_index() -> None:
    files = ["model_index.json", "unet/config.json"]
    sharded = [
        f"{UNET}.safetensors.index.fp16.json",
        *(f"{UNET}.fp16-0000{n}-of-00002.safetensors" for n in (1, 2)),
    ]
    full = [f"{UNET}.safetensors.index.json", *(f"{UNET}-0000{n}-of-00002.safetensors" for n in (1, 2))]
    assert sorted(wanted("org/name", [*files, *sharded, *full])) == sorted([*files, *sharded])
    assert sorted(wanted("org/name", [*files, *full])) == sorted([*files, *full])


def test_pickles_are_taken_only_when_allowed() -> None:
    files = ["model_index.json", "unet/config.json", f"{UNET}.bin"]
    with pytest.raises(PullFailed, match="no safetensors weights in unet; allow pickles"):
        wanted("org/name", files)
    assert f"{UNET}.bin" in wanted("org/name", files, pickles=True)


def test_a_repository_of_checkpoints_gives_its_only_one_or_asks() -> None:
    assert wanted("org/name", ["README.md", "a.safetensors", "b.ckpt"]) == ["a.safetensors"]
    with pytest.raises(PullFailed, match=r"pick one with --file: a\.safetensors, b\.safetensors"):
        wanted("org/name", ["a.safetensors", "b.safetensors"])
    with pytest.raises(PullFailed, match=r"neither model_index\.json nor"):
        wanted("org/name", ["README.md"])


def test_a_pulled_model_is_whole(hub: Hub, tmp_path: Path) -> None:
    folder = pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    assert folder == tmp_path / "models" / "models--org--name"
    assert inspect(folder).family == "sd1"
    files = {str(one.relative_to(folder)) for one in folder.rglob("*") if ".cache" not in one.parts}
    assert f"{UNET}.fp16.safetensors" in files
    assert not files & {f"{UNET}.safetensors", "README.md", "safety_checker/model.safetensors"}


def test_what_is_there_is_not_sent_again(hub: Hub, tmp_path: Path) -> None:
    pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    hub.served.clear()
    pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    assert hub.served == []


def test_a_download_goes_on_where_it_was_cut_off(hub: Hub, tmp_path: Path) -> None:
    name = f"{UNET}.fp16.safetensors"
    hub.cut[name] = 2_000_000
    with pytest.raises(PullFailed, match="The hub answered 410"):
        pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    hub.cut.clear()
    hub.served.clear()
    folder = pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    assert hub.served[0] == (name, "bytes=2000000-")
    assert name not in [one for one, _ in hub.served[1:]]
    assert inspect(folder).family == "sd1"


def test_a_half_finished_download_is_not_taken_for_a_model(hub: Hub, tmp_path: Path) -> None:
    hub.cut[f"{UNET}.fp16.safetensors"] = 2_000_000
    with pytest.raises(PullFailed):
        pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    with pytest.raises(BrokenModel, match="did not finish, pull it again"):
        inspect(tmp_path / "models" / "models--org--name")


def test_a_file_that_came_otherwise_than_listed_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.garbled.add("unet/config.json")
    with pytest.raises(PullFailed, match=r"config\.json did not come as the hub has it"):
        pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    hub.garbled.clear()
    assert inspect(pull("org/name", tmp_path / "models", endpoint=hub.endpoint)).family == "sd1"


def test_pulling_again_mends_what_was_damaged(hub: Hub, tmp_path: Path) -> None:
    folder = pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    weights = folder / f"{UNET}.fp16.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"x")
    hub.served.clear()
    pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    assert weights.read_bytes() == whole
    assert [one for one, _ in hub.served] == [f"{UNET}.fp16.safetensors"]


def test_one_checkpoint_can_be_picked(hub: Hub, sd1_folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "checkpoints"
    for name in ("one", "two [v1]"):
        miniatures.as_checkpoint(sd1_folder, repository / f"{name}.safetensors")
    hub.repositories["org/files"] = repository
    folder = pull("org/files", tmp_path / "models", file="two [v1].safetensors", endpoint=hub.endpoint)
    assert inspect(folder).path == folder / "two [v1].safetensors"
    with pytest.raises(PullFailed, match=r"org/files has no file three\.safetensors"):
        pull("org/files", tmp_path / "models", file="three.safetensors", endpoint=hub.endpoint)


def test_an_unknown_model_is_said_to_be(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="There is no model org/other on the hub, or it is private"):
        pull("org/other", tmp_path, endpoint=hub.endpoint)


@pytest.mark.parametrize("name", ["a b/c", "org/", "too/many/parts", "--"])
def test_what_is_no_name_is_said_to_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="looks like org/name"):
        pull(name, tmp_path)


def test_a_gated_model_says_what_to_do_and_opens_with_a_token(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add("org/name")
    with pytest.raises(PullFailed, match=r"gated: accept its terms at .*org/name and set HUGGINGFACE_TOKEN"):
        pull("org/name", tmp_path / "models", token="hf_wrong", endpoint=hub.endpoint)  # noqa: S106
    assert pull("org/name", tmp_path / "models", token=hub.token, endpoint=hub.endpoint).is_dir()


def test_a_hub_out_of_reach_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="hub cannot be reached"):
        pull("org/name", tmp_path, endpoint="http://127.0.0.1:9")


def test_offline_mode_is_said_to_be_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PullFailed, match="HF_HUB_OFFLINE is set"):
        pull("org/name", tmp_path, endpoint="http://127.0.0.1:9")


def test_a_full_disk_is_noticed_before_anything_is_sent(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1_000_000))
    with pytest.raises(PullFailed, match=r"needs 0\.0 GB and 0\.0 GB are free"):
        pull("org/name", tmp_path / "models", endpoint=hub.endpoint)
    assert hub.served == []
    assert not (tmp_path / "models").exists()
