"""Every way we fail: a sentence for people, a code for programs, a status for HTTP.

    Error
    ├── BadRequest              422  a field of a request is wrong
    │   ├── UnknownName         422  … because nothing of that name is installed
    │   ├── BadPicture          422  … because it holds no picture that can be read
    │   │   ├── PictureTooLarge 422  … or a larger one than is taken
    │   │   ├── PictureGone     422  … or names one of ours that is not there
    │   │   └── NotFetched      422  … or a URL that gives none, for whatever reason
    │   └── KeyReused           422  an Idempotency-Key came back with another request
    ├── BadJson                 400  the body cannot be read at all
    ├── NotAuthenticated        401  who asks cannot be told from the credentials
    ├── WrongSecret             401  a client is known, and this is not its secret
    ├── NotAllowed              403  the operator has not opened this to everybody
    ├── UnknownJob              404
    ├── UnknownClient           404  nobody has this client token
    ├── UnknownPicture          404
    ├── DamagedJob              500  its job file cannot be read
    ├── JobEnded                409  what was asked for needs a job that has not ended
    ├── JobExists               409  a job of this id was submitted before
    ├── NameTaken               409  somebody has signed up by this name
    ├── TooManyAttempts         429  at guessing passwords, or at signing up
    ├── TooManyRequests         429  with one API key
    ├── TooManyRepeats          429  of one request with one API key
    ├── QueueFull               429
    ├── Misconfigured           500  a setting or a file of the operator is wrong
    ├── BrokenModel             500  a model's file is damaged, missing, half-downloaded or of an unknown kind
    ├── PullFailed                -  a model could not be downloaded
    ├── StorageUnavailable      503  the queue or the pictures cannot be reached
    │   ├── StorageFull         507
    │   └── StorageRefused      503  … for good: somebody has to open it to us
    ├── HoldLost                  -  another worker has taken the job; the one that had it lets go
    └── EngineDied                -  the engine's process is gone; the worker answers for it
        └── EngineOutOfMemory     -  … because it had no memory left

A dialect chooses the face these wear on its wire (api/dialect.py); the sentence stays the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Error(Exception):
    """The root: anything below it may be shown to a client."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class BadRequest(Error):
    code = "bad_request"
    status = 422

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def names_known(known: Sequence[str]) -> str:
    return "known: " + ", ".join(known[:20]) + (", …" if len(known) > 20 else "")


class UnknownName(BadRequest):
    code = "unknown_name"

    def __init__(self, field: str, kind: str, name: str, near: Sequence[str], known: Sequence[str]) -> None:
        if near:
            hint = "did you mean " + " or ".join(repr(one) for one in near) + "?"
        elif known:
            hint = names_known(known)
        else:
            hint = f"no {kind} is installed"
        super().__init__(field, f"unknown {kind} {name!r}; {hint}")
        self.kind = kind
        self.name = name
        self.near = tuple(near)


class BadPicture(BadRequest):
    code = "bad_picture"


class PictureTooLarge(BadPicture):
    code = "picture_too_large"


class PictureGone(BadPicture):
    code = "picture_gone"


class NotFetched(BadPicture):
    """One sentence for all reasons, or a client could learn from it what else our network holds."""

    code = "picture_not_fetched"


class KeyReused(BadRequest):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key", "this key was used before with another request; use a new key")


class BadJson(Error):
    code = "bad_json"
    status = 400


class NotAuthenticated(Error):
    """One sentence for every reason, or a client could learn from it who has an account."""

    code = "not_authenticated"
    status = 401

    def __init__(self) -> None:
        super().__init__("Could not validate credentials")


class WrongSecret(Error):
    code = "wrong_secret"
    status = 401

    def __init__(self) -> None:
        super().__init__("Invalid secret")


class NotAllowed(Error):
    code = "not_allowed"
    status = 403


class NameTaken(Error):
    code = "name_taken"
    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(f"User {name} already exists")


class TooManyAttempts(Error):
    code = "too_many_attempts"
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts; try again in {retry_after} seconds")
        self.retry_after = retry_after


class TooManyRequests(Error):
    code = "too_many_requests"
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many requests with this key; try again in {retry_after} seconds")
        self.retry_after = retry_after


class TooManyRepeats(Error):
    code = "too_many_repeats"
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The same request came too often; try again in {retry_after} seconds")
        self.retry_after = retry_after


class UnknownJob(Error):
    code = "unknown_job"
    status = 404

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id} not found")
        self.job_id = job_id


class DamagedJob(Error):
    code = "damaged_job"

    def __init__(self, job_id: str, problem: str) -> None:
        super().__init__(f"The job file of {job_id} is damaged ({problem}); submit the request again")
        self.job_id = job_id


class UnknownClient(Error):
    code = "unknown_client"
    status = 404

    def __init__(self) -> None:
        super().__init__("Could not find client")


class UnknownPicture(Error):
    code = "unknown_picture"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"Picture {name} not found")


class JobEnded(Error):
    code = "job_ended"
    status = 409

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"Job {job_id} has ended already ({state}) and cannot be cancelled")


class JobExists(Error):
    code = "job_exists"
    status = 409

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is, or was, a job {job_id} already")
        self.job_id = job_id


class QueueFull(Error):
    code = "queue_full"
    status = 429

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(f"The queue is full ({limit} jobs are waiting); try again in {retry_after} seconds")
        self.retry_after = retry_after


class Misconfigured(Error):
    code = "misconfigured"


class StorageUnavailable(Error):
    code = "storage_unavailable"
    status = 503
    retry_after: ClassVar[int | None] = 2


class StorageFull(StorageUnavailable):
    code = "storage_full"
    status = 507
    retry_after = None
    """Nobody knows: somebody has to make room."""


class StorageRefused(StorageUnavailable):
    code = "storage_refused"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"Cannot use {what}: {reason}")
        self.reason = reason


class HoldLost(Error):
    """Raised to the worker only; whoever has the job now tells its client what came of it."""

    code = "hold_lost"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Another worker has taken job {job_id}")
        self.job_id = job_id


class EngineDied(Error):
    """Raised to the worker only; what a client reads is the failure the worker makes of it."""

    code = "engine_died"


class EngineOutOfMemory(EngineDied):
    code = "out_of_memory"


class BrokenModel(Error):
    code = "broken_model"

    def __init__(self, path: Path, problem: str) -> None:
        # Enough of the path to find the file, and none of how this machine is laid out.
        parts = path.parts
        start = parts.index("snapshots") - 1 if "snapshots" in parts else -3
        super().__init__(f"{'/'.join(parts[start:])} cannot be used: {problem}")
        self.path = path
        self.problem = problem


class PullFailed(Error):
    code = "pull_failed"
