"""A process that tells webhooks until it is killed.

with telling(folder, "file:queue"):
    ...
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diffusionapi.blobs.folder import FolderBlobs
from diffusionapi.jobs.open import open_store
from diffusionapi.settings import Settings
from diffusionapi.webhooks.courier import Courier
from tests.webhooks.tale import DIALECT, Tale

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def telling(folder: Path, job_store: str) -> Iterator[None]:
    """It is killed at the end, as a power cut would."""
    process = subprocess.Popen([sys.executable, "-m", "tests.webhooks.teller", str(folder), job_store])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _tell(folder: Path, job_store: str) -> None:
    settings = Settings(data_dir=folder, job_store=job_store, allow_private_urls=True)
    blobs = FolderBlobs(folder / "outputs")
    Courier(settings, open_store(settings), blobs, {DIALECT: Tale()}).start()
    time.sleep(60)


if __name__ == "__main__":
    _tell(Path(sys.argv[1]), sys.argv[2])
