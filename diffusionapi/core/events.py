"""Everything that can happen to a job: a closed union. Polling, feeds and sockets are renderings of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator

PhaseName = Literal[
    "loading", "generation", "initial generation", "upscaling", "saving", "preparing", "training"
]


@dataclass(frozen=True, slots=True)
class Sampled:
    """How a picture was really sampled; `notices` are sentences on what differs from what was asked for."""

    sampler: str
    schedule: str
    """One of `core.sampling`, or "own" for the sampler's own noise levels."""
    seed: int
    steps: int
    """That were made; of DPM adaptive, which may take a step back, those tried."""
    hires_steps: int | None = None
    notices: tuple[str, ...] = ()
    checked: bool = False
    """A safety checker has looked at the picture."""
    flagged: bool = False
    """It objected to it, so the picture does not show what it did."""
    translated: tuple[str, str] | None = None
    """The two prompts in English, if they had to be translated."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a finished job made. `name` is the picture's name in the blob store."""

    name: str
    file_type: Literal["jpg", "png"]
    width: int
    height: int
    quality: int | None
    seed: int
    model: str
    seconds: float
    memory_before_mb: float
    memory_after_mb: float
    sampled: Sampled | None = None
    """None of a picture that was only made larger, and in records of before it was kept."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished LoRA, in its folder."""

    name: str
    model: str
    steps: int
    loss: float
    """The mean of the last tenth of the steps."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: a code for programs and a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting for a worker, for the first time or again: `cause` says how the last attempt ended.

    `position` (1 is next) is filled in for a watcher; it is not kept, since it changes with other jobs.
    """

    cause: Literal["submitted", "crashed", "interrupted", "given back"] = "submitted"
    position: int | None = None
    kind: Literal["queued"] = "queued"


@dataclass(frozen=True, slots=True)
class Started:
    attempt: int
    worker: str
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Phase:
    name: PhaseName
    kind: Literal["phase"] = "phase"


@dataclass(frozen=True, slots=True)
class Step:
    """`step` of `steps` of the present phase are done; `fraction` (0..1) counts the whole job."""

    step: int
    steps: int
    fraction: float
    loss: float | None = None
    """Of a training, lately."""
    kind: Literal["step"] = "step"


@dataclass(frozen=True, slots=True)
class Saving:
    """The picture is complete; `picture` is what the job will have made once its file is in place."""

    picture: Picture
    kind: Literal["saving"] = "saving"


@dataclass(frozen=True, slots=True)
class Finished:
    picture: Picture
    kind: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True)
class Learned:
    """The end of a training."""

    trained: Trained
    kind: Literal["learned"] = "learned"


@dataclass(frozen=True, slots=True)
class Failed:
    failure: Failure
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Cancelled:
    kind: Literal["cancelled"] = "cancelled"


Event = Annotated[
    Queued | Started | Phase | Step | Saving | Finished | Learned | Failed | Cancelled, Discriminator("kind")
]
"""`kind` tells a reader of JSON which one it is, without trying them all."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a picture looks like after a step, roughly. No job's record keeps it: nobody needs it later."""

    step: int
    steps: int
    width: int
    height: int
    content: bytes
    """A JPEG of that size, which is the picture's."""
    kind: Literal["preview"] = "preview"


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with its place in the life of its job, so that a watcher can go on where it was."""

    number: int
    event: Event
