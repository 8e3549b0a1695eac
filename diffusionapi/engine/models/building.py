"""Networks are built one at a time: accelerate's empty weights, and what transformers does alike, change how
every module of the process is built while they last, in whatever thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from accelerate import init_empty_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

alone = threading.Lock()


@contextmanager
def empty() -> Iterator[None]:
    """What is built has shapes and no weights, so that nothing is drawn by lot that a file then replaces."""
    with alone, init_empty_weights(include_buffers=False):
        yield
