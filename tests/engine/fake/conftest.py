from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from diffusionapi.engine.fake.props import Props

if TYPE_CHECKING:
    from diffusionapi.settings import Settings


@pytest.fixture
def props(settings: Settings) -> Props:
    return Props.of(settings)


@pytest.fixture
def checking_props(props: Props) -> Props:
    return replace(props, checks=True)
