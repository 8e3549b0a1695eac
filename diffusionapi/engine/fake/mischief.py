"""What a prompt can have the fake engine do wrong."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING

from diffusionapi.core.events import Failed, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISCHIEF = re.compile(r"#(crash|hang|fail|memory)@(\d+)")


def mischief(prompt: str, step: int) -> Iterator[Failed]:
    """Do what the prompt asks for at this step."""
    found = _MISCHIEF.search(prompt)
    if found is None or step != int(found[2]):
        return
    match found[1]:
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            while True:
                time.sleep(3600)
        case "memory":
            raise MemoryError
    yield Failed(Failure("generation_failed", "The prompt asked the fake engine to fail"))
