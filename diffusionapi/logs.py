"""How log lines look, and what is never written in them: keys and picture data.

A line about a job carries its id: loggers are given `extra=about(job_id)`.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from typing import Literal

_SECRET_IN_QUERY = re.compile(r"(?i)((?:token|key|password|secret)=)[^&\s\"']+")
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]+|(?i:(?<=bearer )[\w.~+/-]+)")
"""JSON Web Tokens wherever they stand (in the path of a blob), and whatever a header bears."""
_KEY = re.compile(r"(?:(?<![0-9A-Za-z])|(?<=%[0-9A-F]{2}))[0-9a-f]{48}(?![0-9A-Za-z])")
"""An API key or a client's secret as we make them, wherever somebody has put it."""
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")


def about(job_id: str) -> dict[str, str]:
    return {"job": job_id}


def clean(text: str) -> str:
    """Take secrets of query strings, tokens, keys and runs of picture data out of a line."""
    text = _KEY.sub("***", _TOKEN.sub("***", _SECRET_IN_QUERY.sub(r"\1***", text)))
    return _LONG_BASE64.sub("[data]", text)


class Complaints:
    """Which of them are news: one that comes again, before it was not heard for `quiet` seconds, goes on."""

    def __init__(self, quiet: float = 60.0) -> None:
        self._quiet = quiet
        self._heard: dict[str, float] = {}
        self._lock = threading.Lock()

    def news(self, complaint: str) -> bool:
        with self._lock:
            self._forget()
            known = complaint in self._heard
            self._heard[complaint] = time.monotonic()
            return not known

    @property
    def over(self) -> bool:
        """Whether none goes on."""
        with self._lock:
            self._forget()
            return not self._heard

    def _forget(self) -> None:
        now = time.monotonic()
        self._heard = {one: at for one, at in self._heard.items() if now < at + self._quiet}


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00,123 info  worker job=…: sentence`."""

    def format(self, record: logging.LogRecord) -> str:
        job = getattr(record, "job", None)
        subject = f" job={job}" if job else ""
        name = record.name.removeprefix("diffusionapi.")
        line = (
            f"{self.formatTime(record)} {record.levelname.lower():7} {name}{subject}: {record.getMessage()}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return clean(line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for machines that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        if job := getattr(record, "job", None):
            fields["job"] = job
        if record.exc_info:
            fields["exception"] = clean(self.formatException(record.exc_info))
        return json.dumps(fields)


def configure(level: str, style: Literal["text", "json"]) -> None:
    """Send everything, uvicorn's lines too, through one handler on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one, _Ours)]
    root.addHandler(_Ours(handler))
    logging.getLogger("diffusionapi").setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_no_false_alarm)
    for name in ("httpx", "httpcore"):  # they write URLs of others whole, with what is secret in them
        logging.getLogger(name).setLevel(logging.WARNING)
    if level == "info":
        # A line for every poll would bury all others.
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """uvicorn says it of each handshake that is refused with an answer of ours (its pull request 3138)."""
    return record.msg != "ASGI callable returned without completing handshake."


class _Ours(logging.Handler):
    """Marks our handler, so that configuring twice leaves one (and leaves pytest's alone)."""

    def __init__(self, inner: logging.Handler) -> None:
        super().__init__()
        self._inner = inner

    def emit(self, record: logging.LogRecord) -> None:
        self._inner.handle(record)
