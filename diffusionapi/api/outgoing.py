"""Which dialects have something to tell servers of their clients, for all processes that may send it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.api.backlog.outgoing import BacklogOutgoing
from diffusionapi.api.backlog.translate import DIALECT as BACKLOG
from diffusionapi.api.v3.outgoing import V3Outgoing
from diffusionapi.api.v3.state import DIALECT as V3

if TYPE_CHECKING:
    from diffusionapi.auth.clients import Clients
    from diffusionapi.jobs.store import JobStore
    from diffusionapi.webhooks.message import Outgoing


def outgoing(clients: Clients, store: JobStore) -> dict[str, Outgoing]:
    """By the name of the dialect that is on the tickets."""
    return {BACKLOG: BacklogOutgoing(clients, store), V3: V3Outgoing(store)}
