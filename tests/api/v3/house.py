"""Servers of the v3 API in this process, with things installed that pass every look and cannot draw."""

from __future__ import annotations

import base64
import io
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image
from pydantic import SecretStr

from diffusionapi.weights import trained
from tests.factories import settings_in
from tests.stubs import LISTENING, WIDTHS, a_file, a_lora, a_model

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

    from diffusionapi.api.v3.state import V3State
    from diffusionapi.core.job import Ticket
    from diffusionapi.core.request import GenerationRequest
    from diffusionapi.service import Service
    from diffusionapi.settings import Settings

Json = dict[str, Any]

KEY, OTHER_KEY = "key-of-bob-0123456789abcdef", "key-of-ann-0123456789abcdef"
INVALID_KEY = {
    "status": "error",
    "message": "Invalid Api Key",
    "tip": "1. Make sure you are passing Content-Type: application/json in header. "
    "2. Make sure you are doing POST request with valid JSON. "
    "3. Make sure your JSON does not have error, use jsonlint to validate json array. "
    "4. Make sure you have valid API key.",
}
RATE_LIMIT = {
    "status": "error",
    "message": "Rate limit exceeded",
    "tips": "you are sending same request multiple times, spam filter is enabled, please wait for 30 seconds "
    "and try again",
}
FAILED = {"status": "failed", "id": "", "message": "Failed, Try Again", "output": ""}
NO_REQUEST = FAILED | {"message": "Request not found"}
NO_MODEL = {"status": "error", "message": "Model id not found"}


def v3_settings(folder: Path, **changed: object) -> Settings:
    keys = SecretStr(f"bob:{KEY},ann:{OTHER_KEY}")
    usual: Json = {"api_keys": keys, "v3_repeats": 0, "allow_private_urls": True}
    return settings_in(folder).model_copy(update=usual | changed)


@dataclass(frozen=True)
class House:
    """A server, and a client of it that sends JSON with a key. Pictures are small unless a test says so."""

    client: TestClient
    key: str = KEY

    def ask(self, path: str, /, **body: object) -> Json:
        answer = self.client.post(path, json={"key": self.key} | body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def make(self, path: str = "/api/v3/text2img", /, **body: object) -> Json:
        return self.ask(path, **{"prompt": "a lighthouse", "width": 64, "height": 64} | body)

    @property
    def service(self) -> Service:
        service: Service = self.client.app.state.service  # type: ignore[attr-defined]
        return service

    @property
    def state(self) -> V3State:
        state: V3State = self.client.app.state.v3  # type: ignore[attr-defined]
        return state

    def ticket(self, answer: Json, place: int = 0) -> Ticket:
        """What a job was submitted as."""
        assert isinstance(answer.get("id"), int), answer
        return self.service.store.ticket(self.state.ids.of(answer["id"], place))

    def asked(self, path: str = "/api/v3/text2img", /, **body: object) -> GenerationRequest:
        """What the core is asked for."""
        return self.ticket(self.make(path, **body)).generation

    def wrong(self, path: str = "/api/v3/text2img", /, **body: object) -> Json:
        """The fields that a request is refused for."""
        answer = self.make(path, **body)
        assert answer["status"] == "error", answer
        found: Json = answer["message"]
        return found

    def picture(self, url: str) -> Image.Image:
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/png"
        return opened(answer.content)


def opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
    return picture


def a_png(width: int = 64, height: int = 64, colour: str = "steelblue") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def as_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


PICTURE = as_base64(a_png())


def furnish(folder: Path) -> None:
    """Models of two families, LoRAs, a training, textual inversions, ControlNets, a VAE, an upscaler."""
    here = folder / "stable_diffusion"
    a_model(here / "models" / "mini", "sd1")
    a_model(here / "models" / "large", "sdxl")
    a_model(here / "models" / "finisher", "refiner")
    for name in ("ink", "wool"):
        a_lora(here / "loras" / f"{name}.safetensors")
    a_lora(here / "loras" / "largelora.safetensors", "sdxl")
    a_training(here / "loras" / "F5jvdzGnYi.safetensors", "mini", "photo of sks dog")
    a_training(here / "loras" / "orphan0000.safetensors", "gone", "photo of sks cat")
    for name in ("easynegative", "midnight"):
        a_file(here / "embeddings" / f"{name}.safetensors", {"emb_params": (1, 768)})
    for name, width in {
        "control_v11p_sd15_canny": 768,
        "control_v11f1p_sd15_depth": 768,
        "control_v11p_sd15_inpaint": 768,
        "control_v1p_sd15_qrcode_monster": 768,
        "diffusers_xl_canny_full": 2048,
        "diffusers_xl_openpose": 2048,
        "my-own-net": 768,
    }.items():
        a_part(here / "controlnet" / name, {"_class_name": "ControlNetModel", "cross_attention_dim": width})
    vae = {"_class_name": "AutoencoderKL", "latent_channels": 4, "scaling_factor": 0.18215}
    a_part(here / "vaes" / "sd-vae-ft-mse", vae | {"block_out_channels": [1, 2, 3, 4]})
    a_part(here / "vaes" / "sdxl-vae", vae | {"block_out_channels": [1, 2, 3, 4], "scaling_factor": 0.13025})
    a_part(here / "hints" / "depth", {})
    (here / "upscalers").mkdir()
    (here / "upscalers" / "RealESRGAN_x4plus.pth").write_bytes(b"")


def a_part(folder: Path, config: Json) -> None:
    """A network that is no whole model, as diffusers keeps one."""
    if config.get("cross_attention_dim") == WIDTHS["sdxl"]:
        config = config | {"addition_embed_type": "text_time"}
    a_file(folder / "diffusion_pytorch_model.safetensors", {})
    (folder / "config.json").write_text(json.dumps(config))


def a_training(file: Path, model: str, words: str) -> None:
    """What a training leaves: a LoRA of one layer that says what it was trained on, and by which words."""
    said = trained.metadata(
        name=file.stem,
        model=model,
        family="sd1",
        prediction="epsilon",
        instance_prompt=words,
        steps=1,
        rank=1,
        alpha=1.0,
        created_at=1_700_000_000.0,
    )
    width, end, table = WIDTHS["sd1"], 0, dict[str, Any]({"__metadata__": said})
    for name, (rows, columns) in {"lora_down": (1, width), "lora_up": (320, 1)}.items():
        start, end = end, end + 2 * rows * columns
        table[f"{LISTENING}.{name}.weight"] = {
            "dtype": "F16",
            "shape": [rows, columns],
            "data_offsets": [start, end],
        }
    header = json.dumps(table).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(end))
