"""An engine in a child process, with the interface of an engine: a crash takes the child, never its owner.

The two ends talk through a socket pair. The child ends itself when the owner's end closes, whatever it is
doing then, so no child outlives a killed server.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from diffusionapi import logs
from diffusionapi.engine.engine import ENDS
from diffusionapi.engine.environment import environment
from diffusionapi.errors import EngineDied, EngineOutOfMemory, Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.core.work import Work
    from diffusionapi.engine.engine import Engine, Happening
    from diffusionapi.settings import Settings

log = logging.getLogger(__name__)

_OUT_OF_MEMORY = 77
"""Exit status of a child that ran out of memory and could say so."""
_BEHIND = 4
"""So many steps that the owner has not heard of yet, and it is spared the previews."""
_IDLE = 0.05
"""Seconds the child's engine may wait for something to happen before it looks at its orders again."""


class ProcessEngine:
    """The owner's end. `build` names the function, as "module:function", that makes the engine there."""

    def __init__(self, build: str, settings: Settings) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "diffusionapi.engine.process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment(),
            )
        self._pipe: Connection[Any, Any] = Connection(ours.detach())
        try:
            self._send((build, settings))
            self.capacity: int = self._begun(self._receive())
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _begun(word: int | tuple[str, str]) -> int:
        """The child's first word: how many jobs there is room for, or why there will be no engine."""
        if isinstance(word, int):
            return word
        reason, trace = word
        log.debug("the engine was not built\n%s", trace)
        raise EngineDied(reason)

    @property
    def pid(self) -> int:
        return self._child.pid

    def admit(self, job_id: str, work: Work) -> None:
        self._send(("admit", job_id, work))

    def cancel(self, job_id: str) -> None:
        self._send(("cancel", job_id))

    def preview(self, job_id: str, on: bool) -> None:
        self._send(("preview", job_id, on))

    def step(self, timeout: float) -> list[Happening]:
        if not self._pipe.poll(timeout):
            return []
        happened: list[Happening] = self._receive()
        return happened

    def close(self) -> None:
        """Kill the child: what it was doing belongs to jobs that run again or were cancelled."""
        self._child.kill()
        self._child.wait()
        self._pipe.close()

    def _send(self, order: object) -> None:
        try:
            self._pipe.send(order)
        except OSError as error:
            raise self._death() from error

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error

    def _death(self) -> EngineDied:
        try:
            status = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return EngineDied("the engine's process stopped answering")
        if status == _OUT_OF_MEMORY:
            return EngineOutOfMemory("the engine's process ran out of memory")
        if status == -signal.SIGKILL:
            return EngineDied(
                "the engine's process was killed (SIGKILL), as the system does when memory runs out"
            )
        if status < 0:
            return EngineDied(f"the engine's process was ended by {signal.Signals(-status).name}")
        return EngineDied(f"the engine's process ended with status {status}")


def _serve(pipe: Connection[Any, Any]) -> None:
    """The child: build the engine, then follow orders and step until the owner is gone."""
    # Ctrl-C in a terminal reaches the whole group; the owner decides when the child goes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    build, settings = pipe.recv()
    logs.configure(settings.log_level, settings.log_format)
    try:
        module, _, function = build.partition(":")
        make: Callable[[Settings], Engine] = getattr(importlib.import_module(module), function)
        engine = make(settings)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the owner tells it
        pipe.send((_in_a_line(error), "".join(traceback.format_exception(error))))
        return
    pipe.send(engine.capacity)
    orders: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    outbox: queue.SimpleQueue[list[Happening]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, orders), daemon=True).start()
    threading.Thread(target=_tell, args=(pipe, outbox), daemon=True).start()
    running = 0
    while True:
        while running == 0 or not orders.empty():
            name, *arguments = orders.get()
            getattr(engine, name)(*arguments)
            running += name == "admit"
        happened = engine.step(_IDLE)
        running -= sum(isinstance(event, ENDS) for _, event in happened)
        if outbox.qsize() >= _BEHIND:
            happened = [one for one in happened if one[1].kind != "preview"]
        if happened:
            outbox.put(happened)


def _in_a_line(error: Exception) -> str:
    if isinstance(error, Error):
        return error.sentence
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _tell(pipe: Connection[Any, Any], outbox: queue.SimpleQueue[list[Happening]]) -> None:
    """Tell what happened in a thread of its own, so that no step waits for an owner that is busy."""
    try:
        while True:
            pipe.send(outbox.get())
    except OSError:
        os._exit(0)
    except MemoryError:
        traceback.print_exc()
        os._exit(_OUT_OF_MEMORY)


def _listen(pipe: Connection[Any, Any], orders: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    """Take orders in a thread of its own, so that the owner's end is noticed in the middle of a step too."""
    try:
        while True:
            orders.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)


def main() -> None:
    try:
        _serve(Connection(int(sys.argv[1])))
    except (EOFError, BrokenPipeError):
        return
    except MemoryError:
        # Nothing that needs memory can be relied on now.
        traceback.print_exc()
        os._exit(_OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
