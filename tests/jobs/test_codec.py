"""Records of other versions: what an older server wrote is still read."""

from __future__ import annotations

import json
from dataclasses import replace

from diffusionapi.core.events import Finished, Picture, Sampled, Started
from diffusionapi.core.job import Progress
from diffusionapi.jobs import codec
from tests.factories import a_ticket

SAMPLED = Sampled("DDIM", "own", 7, 4, None, ("one notice", "and another"))
PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0, SAMPLED)


def test_what_is_written_is_read_back() -> None:
    ticket = replace(a_ticket(), notices=("a notice",))
    assert codec.read_ticket(ticket.id, codec.write_ticket(ticket)) == ticket
    progress = Progress().evolve(Started(1, "w"), 1.0).evolve(Finished(PICTURE), 2.0)
    assert codec.read_progress(codec.write_progress(progress)) == progress


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
