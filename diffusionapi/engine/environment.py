"""The environment that an engine's process begins with, where the operator does not say otherwise."""

from __future__ import annotations

import os

_OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""What is installed is never looked up on the network."""
_PATIENCE = {"GOMP_SPINCOUNT": "3000"}
"""How long torch's threads wait for each other before they let go of their cores. The usual 300,000 is faster
on cores that are free, and makes a picture many times as long where others want them, too."""


def environment() -> dict[str, str]:
    """This process' own, and what it leaves open."""
    patience = {} if "OMP_WAIT_POLICY" in os.environ else _PATIENCE
    return _OFFLINE | patience | os.environ


def settle() -> None:
    """Makes it this process' own, before torch is imported: for an engine without a process of its own."""
    os.environ.update(environment())
