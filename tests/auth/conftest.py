"""All tests here hold for one machine and for many, if they do not say otherwise."""

from __future__ import annotations

from tests.one_or_many import settings

__all__ = ["settings"]
