"""What the task dialect keeps between requests; `main` puts it together once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from diffusionapi.api.tasks.feed import Feed
from diffusionapi.api.tasks.links import Links
from diffusionapi.api.tasks.schemas import TEXT_MODEL

if TYPE_CHECKING:
    from diffusionapi.auth.accounts import Accounts
    from diffusionapi.auth.tokens import Tokens
    from diffusionapi.service import Service


class TaskState:
    """Keys are derived when they are first needed, so a server that nobody asks for a token makes none."""

    def __init__(self, service: Service, accounts: Accounts) -> None:
        self.accounts = accounts
        self.feed = Feed(service)
        self._service = service
        service.intake.own.append(lambda path: self.links.own(path))

    @cached_property
    def tokens(self) -> Tokens:
        return self.accounts.tokens("tasks users")

    @cached_property
    def links(self) -> Links:
        service = self._service
        return Links(
            service.settings.base_url,
            self.accounts.tokens("tasks blobs"),
            service.blobs,
            service.intake.uploads,
        )

    async def link(self, base: str) -> str:
        """The line that an operator is shown at the start; the token in it is that of a new user."""
        token = self.tokens.issue(await self.accounts.passing_user())
        return f"Try visiting {base}/txt2img?prompt=corgi&steps=20&model={TEXT_MODEL}&token={token}"
