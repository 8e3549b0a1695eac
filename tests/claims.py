"""Claims for tests that speak of one job among several."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusionapi.jobs.store import Claim, JobStore


def claim_of(store: JobStore, job_id: str) -> Claim:
    """Hold this job; those before it in the line are left where they are."""
    passed: list[Claim] = []
    try:
        while claim := store.claim():
            if claim.ticket.id == job_id:
                return claim
            passed.append(claim)
    finally:
        for one in passed:
            one.release()
    raise AssertionError(f"job {job_id} cannot be claimed")
