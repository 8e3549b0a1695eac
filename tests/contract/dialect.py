"""What the stories ask of a dialect, in words that all of them share; a file in `dialects/` translates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self

if TYPE_CHECKING:
    from pathlib import Path

    from diffusionapi.jobs.store import JobStore

State = Literal["waiting", "working", "done", "failed", "cancelled"]
ENDS: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Told:
    """What a client hears of its job. `percent` is as far as it is; a dialect that does not say it in numbers
    has 0 for a job that waits, 50 for one that is worked on, and 100 for a finished one."""

    state: State
    percent: float
    picture: bytes = b""
    """The file, of a finished job."""
    reason: str = ""
    """Why a job failed or was cancelled."""


class Served(Protocol):
    """What the stories are told to: a server, or several that are one to their clients."""

    data_dir: Path
    job_store: str

    @property
    def url(self) -> str: ...

    def log(self) -> str: ...

    def jobs(self) -> set[str]:
        """The ids of all jobs there are."""

    def store(self) -> JobStore:
        """The jobs themselves; to be closed."""


class Refused(Exception):
    """The answer to what a dialect does not take: HTTP's status (or a socket's code), and all it says."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class Unknown(Exception):
    """The dialect's way to say that there is no such job."""


class Dialect(ABC):
    """One client of a dialect, with its credentials where the dialect has some."""

    settings: ClassVar[dict[str, object]] = {}
    """What the server has to be told to speak it."""
    open_to_all: ClassVar[str] = ""
    """Why it refuses nobody; empty for a dialect with credentials."""
    names: ClassVar[dict[str, str]] = {}
    """What it calls prompt, steps, seed, model, where it calls them otherwise."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """Which of these its clients cannot say."""
    nameless: ClassVar[str] = ""
    """Why nobody can ask for another one's job; empty where jobs have names that can be told."""

    def __init__(self, server: Served) -> None:
        self.server = server

    def name(self, field: str) -> str:
        return self.names.get(field, field)

    @abstractmethod
    def submit(self, **asked: object) -> str:
        """Submit a small picture: the fields are prompt, steps, seed, model. Its job, or Refused."""

    @abstractmethod
    def look(self, job: str) -> Told:
        """How far a job is, or how it ended; Unknown. The stories look at an end once."""

    @abstractmethod
    def watch(self, **asked: object) -> list[Told]:
        """Submit a picture and listen to its events; all that was told, to the end."""

    @abstractmethod
    def cancel(self, job: str) -> None:
        """Take a job back; Unknown."""

    def intruder(self) -> Self:
        """The same client with credentials that are none."""
        raise NotImplementedError

    def stranger(self) -> Self | None:
        """Another client, who may not know this one's jobs; None where all clients are one."""
        return None
