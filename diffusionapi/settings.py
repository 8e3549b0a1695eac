"""Everything an operator can set: one frozen object, read once from the environment and `.env`.

Nobody else reads the environment. `python -m diffusionapi.settings` prints every name, value and meaning.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from diffusionapi import env_files, places
from diffusionapi.errors import Misconfigured

PROJECT = Path(__file__).resolve().parent.parent

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _base_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


def _folders(value: object) -> object:
    return tuple(one for one in value.split(":") if one) if isinstance(value, str) else value


def _flag(value: object) -> object:
    """On unless it says no: documents of the task API say that anything turns it on, its samples say 0."""
    return value.strip().lower() not in ("", "0", "false", "no", "off") if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file_encoding="utf-8")

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a server for a network
    port: int = Field(7866, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    ssl_certfile: str = Field(
        "cert.pem", description="Certificate; HTTPS when it and its key exist. Empty: HTTP."
    )
    ssl_keyfile: str = Field("key.pem", description="Private key of the certificate.")
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        "", description="How clients reach this server, for the links in answers. Empty: as they asked."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs tokens. Empty: one is made, kept in SECRET_KEY_FILE or, with the jobs, in Redis.",
    )
    secret_key_file: Path = Field(Path("secret.key"), description="Keeps the key that was made.")
    users_file: Path = Field(Path("users.sqlite"), description="Who has signed up; with Redis it is there.")
    api_keys: SecretStr = Field(
        SecretStr(""), description="Keys that open the APIs with keys: NAME:KEY or KEY, with commas between."
    )
    keys_file: Path = Field(
        Path("keys.sqlite"),
        description="API keys (hashed) and clients that were made, unless the jobs are in Redis.",
    )
    backlog_demo: Flag = Field(
        False, description="Anybody is let into the backlog API, at POST /api/v1/public/client/demo."
    )
    enable_signup: Flag = Field(False, description="Anybody may sign up at POST /user.")
    enable_public_access: Flag = Field(
        False, description="Requests of the task API need no token, and POST /token/all gives one to anybody."
    )
    print_link_with_token: Flag = Field(
        False, description="Print a link at the start that makes a picture in a browser."
    )
    protect_uploads: Flag = Field(False, description="POST /blob needs a token, too.")
    login_attempts: int = Field(
        10, ge=1, description="Attempts to log in a minute, for each user from each address."
    )
    stream_max_wait: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds a request of the streaming API waits for a free engine; 0: it is turned away.",
    )
    stream_timeout: Seconds = Field(
        300, description="Seconds a picture of the streaming API may take, from its start."
    )
    stream_preview_every: int = Field(
        1, ge=0, description="Steps from one preview of the streaming API to the next; 0: none are sent."
    )
    stream_error_frames: Flag = Field(
        False, description="The streaming API says in a frame, too, why it closes a socket."
    )

    v3_wait: float = Field(
        30, ge=0, allow_inf_nan=False, description="Seconds the v3 API waits with its answer for a picture."
    )
    v3_repeats: int = Field(
        5,
        ge=0,
        description="How often a key may send the v3 API the same request within 30 s; 0: as it likes.",
    )
    v3_error_statuses: Flag = Field(
        False, description="Errors of the v3 API have statuses of HTTP, too, and are not all 200."
    )

    data_dir: Path = Field(PROJECT, description="Folder that relative paths are taken from.")
    models_dir: Path = Field(Path("stable_diffusion/models"), description="Models.")
    model_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
        (), description="Further folders of models, with ':' between them, as a hub cache."
    )
    huggingface_token: SecretStr = Field(SecretStr(""), description="For pulling models that are gated.")
    loras_dir: Path = Field(Path("stable_diffusion/loras"), description="LoRAs (*.safetensors).")
    upscalers_dir: Path = Field(
        Path("stable_diffusion/upscalers"), description="Upscalers (*.pth, *.safetensors)."
    )
    safety_checker_dir: Path = Field(
        Path("stable_diffusion/safety_checker"), description="Safety checker of models that come without one."
    )
    taesd_dir: Path = Field(
        Path("stable_diffusion/taesd"), description="Tiny decoders (TAESD) for better previews."
    )
    outputs_dir: Path = Field(Path("outputs"), description="Finished pictures.")
    uploads_dir: Path = Field(Path("uploads"), description="Pictures that clients gave, as PNG.")
    model_labels: Path = Field(
        Path("model_labels.json"), description="JSON object: name of a model -> its label."
    )
    default_model: str = Field(
        "",
        description="Model of a request without one. Empty: stable-diffusion-v1-5, else picturebook, else "
        "the first.",
    )

    job_store: Annotated[str, AfterValidator(places.job_store)] = Field(
        "file:queue",
        description="Where jobs are kept: 'file:FOLDER' (of one machine; survives everything), 'memory:', or "
        "'redis://[USER:PASSWORD@]HOST:PORT/DB' for many machines; also rediss:// and unix://.",
    )
    redis_host: str = Field("", description="Keeps the jobs in the Redis there, unless JOB_STORE is set.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Its port.")
    redis_password: SecretStr = Field(
        SecretStr(""), description="Of the Redis, also of one in a JOB_STORE without a password."
    )
    blobs: Annotated[str, AfterValidator(places.blobs)] = Field(
        "file:",
        description="Where pictures and uploads are kept: 'file:' (OUTPUTS_DIR and UPLOADS_DIR, on many "
        "machines shared folders), 's3://BUCKET/PREFIX', or 'redis:' (beside the jobs, for JOB_TTL).",
    )
    blob_links: Flag = Field(
        False,
        description="Clients fetch pictures from the bucket of BLOBS itself, by links that are signed for 15 "
        "minutes. Else they come through this server.",
    )
    aws_endpoint_url: str = Field("", description="Of an S3 that is not Amazon's, as http://minio:9000.")
    aws_region: str = Field("us-east-1", description="Of the bucket.")
    aws_access_key_id: str = Field(
        "", description="Opens the bucket. Empty: the machine's own role does, where it has one."
    )
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="Belongs to AWS_ACCESS_KEY_ID.")
    spool_dir: Path = Field(
        Path("spool"),
        description="On a worker's own disk: finished pictures that BLOBS cannot take for the moment.",
    )
    affinity: int = Field(
        16,
        ge=1,
        description="Jobs in a row that a worker takes for the model it holds while others wait; with Redis.",
    )
    queue_limit: int = Field(1000, ge=1, description="Jobs that may wait; one more is answered 429.")
    job_ttl: Seconds = Field(86400, description="Seconds a finished job waits to be fetched.")
    job_timeout: Seconds = Field(600, description="Seconds one attempt at a job may take.")

    trainings_dir: Path = Field(Path("trainings"), description="What trainings know so far, for going on.")
    training_timeout: Seconds = Field(
        86400, description="Seconds one attempt at a training may take; the next one goes on where it was."
    )
    training_yields: Flag = Field(
        False, description="Pictures are drawn between the steps of a training, not after it."
    )

    embeddings_dir: Path = Field(Path("stable_diffusion/embeddings"), description="Textual inversions.")
    controlnet_dir: Path = Field(Path("stable_diffusion/controlnet"), description="ControlNets.")
    hints_dir: Path = Field(
        Path("stable_diffusion/hints"), description="Networks that read pictures for ControlNets."
    )
    vaes_dir: Path = Field(Path("stable_diffusion/vaes"), description="VAEs that a request may name.")
    faces_dir: Path = Field(Path("stable_diffusion/faces"), description="Restorer and detector of faces.")
    translators_dir: Path = Field(
        Path("stable_diffusion/translators"), description="Models that translate prompts to English."
    )
    allow_pickles: bool = Field(
        False, description="Also load .ckpt models, through a reader that takes weights only."
    )
    device: str = Field(
        "auto", pattern="^(auto|cpu|mps|cuda(:[0-9]+)?)$", description="auto, cpu, cuda, cuda:N or mps."
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        "auto",
        description="Of the networks; auto takes the fastest that is safe on the device. fp32 is not TF32.",
    )
    model_memory_mb: int = Field(
        0,
        ge=0,
        description="Memory for loaded models, in MiB: the device's, with OFFLOAD main memory. "
        "0: of a GPU what is free at the start less two fifths of all, else three fifths.",
    )
    offload: Literal["none", "model", "sequential"] = Field(
        "none",
        description="For small GPUs: weights wait in main memory, and only one part of a model at a time is "
        "on the device (model), or a piece of 256 MiB at most (sequential; slow).",
    )

    engine: Literal["diffusers", "fake"] | None = Field(
        None,
        description="diffusers, or fake (seeded shapes). Empty: fake while no model is installed.",
    )
    workers: int | None = Field(
        None, ge=0, le=64, description="Engine processes of this server; 0 for none. Empty: one per device."
    )
    max_batch: int | None = Field(
        None, ge=1, le=64, description="Jobs an engine renders side by side. Empty: 8 on a GPU, else 1."
    )
    fake_step_seconds: float = Field(
        0.02, ge=0, allow_inf_nan=False, description="How long a step of the fake engine takes."
    )
    max_side: int = Field(
        2048,
        ge=64,
        le=16384,
        description="Largest width and height of a request, in pixels; the hires pass may reach twice that.",
    )
    max_body_mb: int = Field(32, ge=1, description="Largest body of a request, in MiB.")

    max_upload_mb: int = Field(32, ge=1, description="Largest file of a picture that clients give, in MiB.")
    max_upload_pixels: int = Field(
        16_777_216, ge=4096, description="Most pixels (width times height) of a picture that clients give."
    )
    upload_ttl: Annotated[float, Field(ge=60, allow_inf_nan=False)] = Field(
        86400,
        description="Seconds an upload is kept after its last use; while its job waits or runs, always.",
    )
    fetch_timeout: Seconds = Field(
        10, description="Seconds that fetching a picture from a URL may take, redirects and all."
    )
    allow_private_urls: bool = Field(
        False,
        description="Also fetch pictures from, and call webhooks at, private addresses and any port. Lets "
        "clients reach what the server reaches.",
    )

    safety: Literal["asked", "available", "required"] = Field(
        "asked",
        description="When a safety checker looks at pictures: if a request asks for it and one is installed; "
        "always if one is installed; always, and without one nothing is drawn.",
    )

    min_free_mb: int = Field(100, ge=0, description="Free disk space under which /readyz says no, in MiB.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    log_format: Literal["text", "json"] = Field("text", description="How log lines look.")

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """Read the environment and `.env`, but for what is `given`; say in a sentence what is wrong."""
        files = _env_files()
        for file in files:
            list(env_files.names(file))
        try:
            return cls(_env_file=files, _env_ignore_empty=False, **given)
        except ValidationError as error:
            sentences = [_sentence(str(one["loc"][0]), one["input"], one["msg"]) for one in error.errors()]
            raise Misconfigured("\n".join(sentences)) from error

    @model_validator(mode="before")
    @classmethod
    def _jobs_in_redis(cls, values: dict[str, Any]) -> dict[str, Any]:
        """REDIS_HOST alone says where the jobs are, too."""
        port = values.get("redis_port", cls.model_fields["redis_port"].default)
        if (host := values.get("redis_host")) and "job_store" not in values and str(port).isdecimal():
            return {**values, "job_store": places.by_parts(host, port)}
        return values

    @property
    def redis_url(self) -> str | None:
        """Where the jobs are, password and all, when that is a Redis."""
        if not places.is_redis(self.job_store):
            return None
        return places.with_password(self.job_store, self.redis_password.get_secret_value())

    def path(self, relative: Path | str) -> Path:
        return self.data_dir / relative

    @property
    def model_folders(self) -> list[Path]:
        return [self.path(folder) for folder in (self.models_dir, *self.model_roots)]

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """Certificate and key, when both are named and there."""
        if not (self.ssl_certfile and self.ssl_keyfile):
            return None
        files = self.path(self.ssl_certfile), self.path(self.ssl_keyfile)
        return files if all(file.is_file() for file in files) else None


def _sentence(field: str, value: object, message: str) -> str:
    secret = Settings.model_fields[field].annotation is SecretStr
    shown = "its value" if secret else places.shown(repr(value))
    return f"Setting {field.upper()}: {shown} is not right: {message.removeprefix('Value error, ')}"


def unknown_names() -> list[str]:
    """A sentence for each name in `.env` that is no setting but looks like one."""
    known = [name.upper() for name in Settings.model_fields]
    return [sentence for file in _env_files() for sentence in env_files.doubts(file, known)]


def _env_files() -> list[Path]:
    """The files that are read, the one that wins last."""
    return [file for file in dict.fromkeys((PROJECT / ".env", Path.cwd() / ".env")) if file.is_file()]


def main() -> None:
    """Print every setting with its value and meaning."""
    if sys.argv[1:] == ["--markdown"]:
        print(_table())  # noqa: T201
        return
    settings, differs = Settings.load(), False
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        mark = " " if value == field.default else "*"
        print(f"{mark} {name.upper()}={_shown(value)}\n      {field.description}")  # noqa: T201
        differs = differs or mark == "*"
    if differs:
        print("\n* differs from the default")  # noqa: T201
    for sentence in unknown_names():
        print(sentence, file=sys.stderr)  # noqa: T201


def _table() -> str:
    """The defaults as the README lists them."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        shown = "the project's folder" if field.default == PROJECT else _shown(field.default)
        code = f"`{shown}`" if shown and field.default != PROJECT else shown
        rows.append(f"| `{name.upper()}` | {code} | {field.description} |")
    return "\n".join(rows)


def _shown(value: object) -> str:
    """A value for people; of a secret, only whether there is one."""
    if isinstance(value, SecretStr):
        return "*****" if value.get_secret_value() else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, tuple):
        return ":".join(str(one) for one in value)
    return "" if value is None else places.shown(str(value))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # of `| head -1`: end, and say nothing
    try:
        main()
    except Misconfigured as error:
        sys.exit(error.sentence)
