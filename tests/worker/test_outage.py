from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.errors import StorageUnavailable
from diffusionapi.worker.outage import Outage

if TYPE_CHECKING:
    import pytest


def refuse(outage: Outage, sentence: str, job_id: str | None = None) -> None:
    with outage.noted("no job can be claimed", job_id):
        raise StorageUnavailable(sentence)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.levelname == "WARNING"]


def test_an_outage_is_told_when_it_begins_when_its_reason_changes_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage(1.0)
    for sentence in ("Away", "Away", "Away", "Refused", "Refused"):
        refuse(outage, sentence)
    assert outage.on
    for _ in range(3):
        with outage.noted("no job can be claimed"):
            pass
    assert warnings(caplog) == [
        "no job can be claimed: Away",
        "no job can be claimed: Refused",
        "no job can be claimed: that is over",
    ]


def test_of_each_job_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(1.0)
    for job_id in ("a", "b", "a"):
        refuse(outage, "Away", job_id)
    assert len(warnings(caplog)) == 2
