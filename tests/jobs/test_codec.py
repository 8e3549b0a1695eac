"""Records of other versions: what an older server wrote is still read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from diffusionapi.core.events import Finished, Picture, Sampled, Started, Step
from diffusionapi.core.job import Progress
from diffusionapi.core.request import Control, GenerationRequest, Upscale
from diffusionapi.errors import DamagedJob
from diffusionapi.jobs import codec
from tests.factories import a_request, a_ticket, a_ticket_of

SAMPLED = Sampled("DDIM", "own", 7, 4, None, ("one notice", "and another"))
PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0, SAMPLED)


def test_what_is_written_is_read_back() -> None:
    ticket = replace(a_ticket(), notices=("a notice",))
    assert codec.read_ticket(ticket.id, codec.write_ticket(ticket)) == ticket
    progress = Progress().evolve(Started(1, "w"), 1.0).evolve(Finished(PICTURE), 2.0)
    assert codec.read_progress(codec.write_progress(progress)) == progress


def test_all_that_a_picture_may_be_asked_for_is_read_back() -> None:
    held = Control("canny", "00000000-0000-4000-8000-000000000000.png", "canny", 0.8, 0.1, 0.9, True)
    upscale = Upscale("Lanczos", 2.0, True)
    ticket = a_ticket_of(
        a_request(controls=(held, held), upscale=upscale, vae="mse", tiling="both", translate=True)
    )
    assert codec.read_ticket(ticket.id, codec.write_ticket(ticket)) == ticket


def test_jobs_of_before_there_were_other_kinds_are_read_as_pictures_to_paint() -> None:
    ticket = a_ticket(prompt="an old lighthouse")
    old = json.loads(codec.write_ticket(ticket))
    for new in (
        "kind",
        "controls",
        "self_attention",
        "tiling",
        "vae",
        "upscale",
        "translate",
        "blanking",
        "safety",
        "source",
    ):
        del old["request"][new]
    read = codec.read_ticket(ticket.id, json.dumps(old).encode())
    assert isinstance(read.request, GenerationRequest)
    assert read == ticket


def test_a_job_of_a_kind_that_is_none_is_damaged() -> None:
    ticket = a_ticket()
    strange = json.loads(codec.write_ticket(ticket))
    strange["request"]["kind"] = "cooking"
    with pytest.raises(DamagedJob, match="cooking"):
        codec.read_ticket(ticket.id, json.dumps(strange).encode())


def test_records_of_before_there_were_trainings_are_read() -> None:
    progress = Progress().evolve(Started(1, "w"), 1.0).evolve(Step(1, 2, 0.5), 2.0)
    old = json.loads(codec.write_progress(progress))
    del old["trained"], old["recent"][1]["event"]["loss"]
    assert codec.read_progress(json.dumps(old).encode()) == progress


def test_records_of_before_the_sampling_was_kept_are_read() -> None:
    ticket = a_ticket()
    old = json.loads(codec.write_ticket(ticket))
    del old["notices"]
    assert codec.read_ticket(ticket.id, json.dumps(old).encode()) == ticket
    progress = Progress().evolve(Started(1, "w"), 1.0).evolve(Finished(PICTURE), 2.0)
    old = json.loads(codec.write_progress(progress))
    del old["picture"]["sampled"], old["recent"][1]["event"]["picture"]["sampled"]
    read = codec.read_progress(json.dumps(old).encode())
    assert read is not None
    assert read.picture == replace(PICTURE, sampled=None)
