"""What every job store promises, run against each of them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from diffusionapi.core.events import (
    Cancelled,
    Failed,
    Failure,
    Finished,
    Learned,
    Phase,
    Picture,
    Queued,
    Started,
    Step,
    Trained,
)
from diffusionapi.core.job import JobState
from diffusionapi.core.request import Source
from diffusionapi.core.work import mode_of
from diffusionapi.errors import JobEnded, JobExists, KeyReused, QueueFull, UnknownJob
from diffusionapi.jobs.file import FileJobStore
from diffusionapi.jobs.memory import MemoryJobStore
from diffusionapi.jobs.store import Claim, IdempotencyKey, JobStore
from tests.factories import a_request, a_ticket, a_ticket_of, a_training, an_upscaling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from diffusionapi.core.job import Ticket
    from diffusionapi.core.lane import Lane
    from diffusionapi.core.work import Work

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=["memory", "file", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    store: JobStore
    match request.param:
        case "memory":
            store = MemoryJobStore()
        case "file":
            store = FileJobStore(tmp_path / "queue")
        case _:
            store = request.getfixturevalue("redis_store")
    yield store
    store.close()


def submit(store: JobStore, count: int = 1) -> list[str]:
    return [store.submit(a_ticket(), limit=100) for _ in range(count)]


def start(store: JobStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    return claim


def finish(claim: Claim) -> None:
    claim.record(Finished(PICTURE))
    claim.release()


def test_a_submitted_job_waits_and_is_what_was_asked_for(store: JobStore) -> None:
    ticket = a_ticket(prompt="ünïcode ✓")
    store.submit(ticket, limit=100)
    assert store.ticket(ticket.id) == ticket
    assert store.progress(ticket.id).state is JobState.QUEUED


OTHERS: list[Work] = [an_upscaling(faces=True), a_training(class_prompt="ein Hund ✓")]


@pytest.mark.parametrize("work", OTHERS)
def test_a_job_of_any_kind_is_what_was_asked_for(store: JobStore, work: Work) -> None:
    ticket = a_ticket_of(work)
    store.submit(ticket, limit=100)
    assert store.ticket(ticket.id) == ticket
    assert list(store.living()) == [ticket]
    claim = store.claim()
    assert claim is not None
    assert claim.ticket == ticket


def test_what_a_training_came_to_is_read_as_it_was_recorded(store: JobStore) -> None:
    ticket = a_ticket_of(a_training())
    store.submit(ticket, limit=100)
    claim = start(store)
    trained = Trained("a-dog", "fake", 10, 0.05, 12.5)
    for event in (Phase("training"), Step(10, 10, 1.0, 0.05), Learned(trained)):
        claim.record(event)
    claim.release()
    progress = store.progress(ticket.id)
    assert (progress.state, progress.trained, progress.picture) == (JobState.DONE, trained, None)
    assert [one.event for one in progress.recent[-2:]] == [Step(10, 10, 1.0, 0.05), Learned(trained)]
    store.forget(ticket.id)
    epitaph = store.epitaph(ticket.id)
    assert epitaph is not None
    assert epitaph.trained == trained


def test_a_claim_passes_over_what_is_not_wanted_and_leaves_its_place_to_it(store: JobStore) -> None:
    works: list[Work] = [a_training(), a_training(), an_upscaling()]
    submitted = [store.submit(a_ticket_of(work), limit=100) for work in works]
    submitted += submit(store)

    def paints(lane: Lane) -> bool:
        return lane.kind != "training"

    claimed = []
    while claim := store.claim(paints):
        claim.record(Started(1, "w"))
        claimed.append(claim.ticket.id)
    assert claimed == submitted[2:]
    assert [store.position(one) for one in submitted[:2]] == [1, 2]
    assert start(store).ticket.id == submitted[0]


def test_jobs_are_claimed_first_in_first_out(store: JobStore) -> None:
    submitted = submit(store, 5)
    claimed = [start(store).ticket.id for _ in submitted]
    assert claimed == submitted
    assert store.claim() is None


def test_of_what_waits_the_highest_priority_goes_first(store: JobStore) -> None:
    names = [store.submit(replace(a_ticket(), priority=one), limit=100) for one in (0, -5, 10, 0, 10)]
    line = [names[number] for number in (2, 4, 0, 3, 1)]
    assert [entry.job_id for entry in store.listing(10).waiting] == line
    assert [store.position(one) for one in line] == [1, 2, 3, 4, 5]
    claim = start(store)
    assert (claim.ticket.id, claim.ticket.priority) == (line[0], 10)
    claim.record(Started(1, "w"))
    claim.record(Queued("given back"))
    claim.release()
    assert store.position(line[0]) == 1  # back to its place
    assert [start(store).ticket.id for _ in line] == line


def test_a_job_has_one_holder(store: JobStore) -> None:
    submitted = submit(store, 40)
    claimed: list[str] = []

    def work() -> None:
        while claim := store.claim():
            claimed.append(claim.ticket.id)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(claimed) == sorted(submitted)


def test_a_job_that_was_let_go_is_claimed_again_before_later_ones(store: JobStore) -> None:
    first, _second = submit(store, 2)
    claim = start(store)
    claim.record(Queued("crashed"))
    claim.release()
    again = store.claim()
    assert again is not None
    assert again.ticket.id == first
    assert again.progress.crashes == 1


def test_progress_is_read_as_it_was_recorded(store: JobStore) -> None:
    (job_id,) = submit(store)
    claim = start(store)
    claim.record(Step(2, 4, 0.5))
    progress = store.progress(job_id)
    assert (progress.state, progress.fraction, progress.attempts) == (JobState.RUNNING, 0.5, 1)
    assert [one.event.kind for one in progress.recent] == ["started", "step"]


def test_an_ended_job_is_not_claimed_again(store: JobStore) -> None:
    (job_id,) = submit(store)
    finish(start(store))
    assert store.claim() is None
    assert store.progress(job_id).picture == PICTURE


@pytest.mark.parametrize("job_id", [NOWHERE, "", "..", "a/b", "x" * 300, "A_B", "index.sqlite", "\0"])
def test_a_job_that_is_not_there_is_unknown(store: JobStore, job_id: str) -> None:
    for ask in (store.progress, store.ticket, store.cancel):
        with pytest.raises(UnknownJob):
            ask(job_id)


def test_a_waiting_job_is_cancelled_at_once(store: JobStore) -> None:
    first, second = submit(store, 2)
    assert store.cancel(first).state is JobState.CANCELLED
    assert store.progress(first).state is JobState.CANCELLED
    assert start(store).ticket.id == second


def test_the_holder_of_a_running_job_hears_of_its_cancel(store: JobStore) -> None:
    (job_id,) = submit(store)
    claim = start(store)
    assert not claim.cancel_requested()
    assert store.cancel(job_id).state is JobState.RUNNING
    assert claim.cancel_requested()
    claim.record(Cancelled())
    claim.release()
    with pytest.raises(JobEnded, match="cancelled"):
        store.cancel(job_id)


def test_a_forgotten_job_is_gone_but_its_end_is_known_for_a_while(store: JobStore) -> None:
    (job_id,) = submit(store)
    assert store.epitaph(job_id) is None
    finish(start(store))
    store.forget(job_id)
    with pytest.raises(UnknownJob):
        store.progress(job_id)
    epitaph = store.epitaph(job_id)
    assert epitaph is not None
    assert epitaph.picture == PICTURE
    store.forget(job_id)  # two clients may have read the last answer at once


def test_positions_count_those_that_wait(store: JobStore) -> None:
    first, second, third = submit(store, 3)
    assert [store.position(one) for one in (first, second, third)] == [1, 2, 3]
    start(store)
    assert [store.position(one) for one in (first, second, third)] == [None, 1, 2]
    store.cancel(second)
    assert store.position(third) == 1


def test_the_listing_shows_running_jobs_and_the_first_waiting_ones(store: JobStore) -> None:
    first, second, third, fourth = submit(store, 4)
    start(store)
    listing = store.listing(2)
    assert [(one.job_id, one.position) for one in listing.running] == [(first, None)]
    assert [(one.job_id, one.position) for one in listing.waiting] == [(second, 1), (third, 2)]
    assert listing.waiting_total == 3
    assert store.position(fourth) == 3


def test_what_a_listed_job_is_can_be_told_by_its_ticket(store: JobStore) -> None:
    source = Source(NOWHERE, strength=0.75, resize="stretch", mask=None)
    works: list[Work] = [a_request(), a_request(source=source), an_upscaling(), a_training()]
    for one in works:
        store.submit(a_ticket_of(one), limit=100)
    start(store)
    listing = store.listing(10)
    told = [mode_of(store.ticket(one.job_id).request) for one in [*listing.running, *listing.waiting]]
    assert told == ["txt2img", "img2img", "upscale", "training"]


def test_a_full_queue_refuses_and_takes_jobs_again_when_one_has_started(store: JobStore) -> None:
    for _ in range(2):
        store.submit(a_ticket(), limit=2)
    refused = a_ticket()
    with pytest.raises(QueueFull, match="2 jobs are waiting"):
        store.submit(refused, limit=2)
    with pytest.raises(UnknownJob):
        store.progress(refused.id)
    start(store)
    store.submit(refused, limit=2)


def test_several_jobs_are_taken_together_and_in_their_order(store: JobStore) -> None:
    tickets = [a_ticket() for _ in range(3)]
    store.submit_all(tickets, limit=3)
    assert [start(store).ticket for _ in tickets] == tickets


def test_several_jobs_for_which_there_is_not_room_are_refused_together(store: JobStore) -> None:
    store.submit(a_ticket(), limit=3)
    tickets = [a_ticket() for _ in range(3)]
    with pytest.raises(QueueFull, match="3 jobs"):
        store.submit_all(tickets, limit=3)
    for one in tickets:
        with pytest.raises(UnknownJob):
            store.progress(one.id)
    assert store.listing(10).waiting_total == 1
    store.submit_all(tickets[:2], limit=3)


def test_nobody_starts_one_of_several_jobs_before_all_are_in(store: JobStore) -> None:
    """Many submits for which there is room once: of those that were refused, no job ever ran."""
    claimed: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            if claim := store.claim():
                claimed.append(claim.ticket.id)

    requests = [[a_ticket() for _ in range(4)] for _ in range(8)]
    accepted: list[str] = []

    def ask(tickets: list[Ticket]) -> None:
        try:
            store.submit_all(tickets, limit=4)
        except QueueFull:
            return
        accepted.extend(one.id for one in tickets)

    threads = [threading.Thread(target=ask, args=(one,)) for one in requests]
    worker = threading.Thread(target=work)
    for thread in (worker, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    worker.join()
    assert accepted
    assert set(claimed) <= set(accepted)


@pytest.mark.parametrize("state", ["waiting", "running", "ended", "forgotten"])
def test_an_id_is_given_to_one_job_alone(store: JobStore, state: str) -> None:
    first = a_ticket(prompt="first")
    store.submit(first, limit=100)
    if state != "waiting":
        claim = start(store)
    if state in ("ended", "forgotten"):
        finish(claim)
    if state == "forgotten":
        store.forget(first.id)
    second, beside = a_ticket(first.id, prompt="second"), a_ticket()
    with pytest.raises(JobExists):
        store.submit(second, limit=100)
    with pytest.raises(JobExists):
        store.submit_all([beside, second], limit=100)
    with pytest.raises(UnknownJob):
        store.progress(beside.id)
    if state != "forgotten":
        assert store.ticket(first.id) == first
    assert store.listing(10).waiting_total == (state == "waiting")


def test_one_of_many_submits_of_one_id_wins(store: JobStore) -> None:
    tickets = [a_ticket(NOWHERE, prompt=str(number)) for number in range(8)]
    accepted: list[Ticket] = []

    def ask(one: Ticket) -> None:
        try:
            store.submit(one, limit=100)
        except JobExists:
            return
        accepted.append(one)

    threads = [threading.Thread(target=ask, args=(one,)) for one in tickets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accepted == [store.ticket(NOWHERE)]
    assert store.listing(10).waiting_total == 1


def test_the_same_key_and_request_give_the_same_job(store: JobStore) -> None:
    key = IdempotencyKey("k", "body")
    first = store.submit(a_ticket(), limit=100, key=key)
    again = a_ticket()
    assert store.submit(again, limit=100, key=key) == first
    with pytest.raises(UnknownJob):
        store.progress(again.id)
    assert store.listing(10).waiting_total == 1


def test_the_same_key_gives_the_same_job_even_when_the_queue_is_full(store: JobStore) -> None:
    key = IdempotencyKey("k", "body")
    first = store.submit(a_ticket(), limit=1, key=key)
    assert store.submit(a_ticket(), limit=1, key=key) == first


def test_the_same_key_with_another_request_is_refused(store: JobStore) -> None:
    store.submit(a_ticket(), limit=100, key=IdempotencyKey("k", "body"))
    with pytest.raises(KeyReused):
        store.submit(a_ticket(), limit=100, key=IdempotencyKey("k", "other"))


def test_one_of_many_submits_with_one_key_wins(store: JobStore) -> None:
    key = IdempotencyKey("k", "body")
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda: got.append(store.submit(a_ticket(), limit=100, key=key)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1
    assert store.listing(10).waiting_total == 1


def test_the_sweep_forgets_ended_jobs_of_old_and_nothing_else(store: JobStore) -> None:
    done, running, waiting = submit(store, 3)
    finish(start(store))
    start(store)
    assert store.sweep(ended_before=time.time() - 60) == 0
    assert store.sweep(ended_before=time.time() + 1) == 1
    with pytest.raises(UnknownJob):
        store.progress(done)
    assert store.progress(running).state is JobState.RUNNING
    assert store.progress(waiting).state is JobState.QUEUED


def test_the_living_jobs_are_those_that_wait_or_run(store: JobStore) -> None:
    submitted = submit(store, 4)
    finish(start(store))
    start(store)
    store.cancel(submitted[2])
    assert {ticket.id for ticket in store.living()} == {submitted[1], submitted[3]}


def test_a_wait_ends_when_a_job_arrives(store: JobStore) -> None:
    pulse = store.pulse()
    began = time.monotonic()
    thread = threading.Thread(target=submit, args=(store,))
    thread.start()
    store.wait(30, since=pulse)
    assert time.monotonic() - began < 10
    assert store.pulse() != pulse
    thread.join()


def test_a_wait_for_a_job_that_came_before_it_ends_at_once(store: JobStore) -> None:
    pulse = store.pulse()
    submit(store)
    began = time.monotonic()
    store.wait(30, since=pulse)
    assert time.monotonic() - began < 10


def test_a_wait_ends_after_its_time(store: JobStore) -> None:
    store.wait(0.05, since=store.pulse())


def test_a_failed_job_keeps_its_reason(store: JobStore) -> None:
    (job_id,) = submit(store)
    claim = start(store)
    claim.record(Failed(Failure("x", "It broke")))
    claim.release()
    assert store.progress(job_id).failure == Failure("x", "It broke")


def test_a_store_in_order_has_nothing_to_complain_of(store: JobStore) -> None:
    store.check()


def test_a_watcher_learns_of_the_jobs_that_were_accepted_since_it_looked(store: JobStore) -> None:
    submit(store, 2)
    newest, none = store.accepted(None)
    assert none == []
    assert store.accepted(newest) == (newest, [])
    new = submit(store, 3)
    number, found = store.accepted(newest)
    assert found == new
    assert number > newest
    more = submit(store)
    assert store.accepted(number)[1] == more


def test_who_remembers_a_place_that_was_lost_is_told_where_the_store_is(store: JobStore) -> None:
    submit(store, 2)
    newest, _ = store.accepted(None)
    assert store.accepted(newest + 7) == (newest, [])


def test_a_job_that_was_forgotten_gives_its_number_to_no_other(store: JobStore) -> None:
    (first,) = submit(store)
    newest, _ = store.accepted(None)
    store.cancel(first)
    store.forget(first)
    store.sweep(ended_before=time.time() + 1000)
    assert store.accepted(newest) == (newest, [])
    second = submit(store)
    assert store.accepted(newest)[1] == second


def test_jobs_that_ended_long_ago_are_known(store: JobStore) -> None:
    done, waiting = submit(store, 2)
    finish(start(store))
    assert store.ended(before=time.time() - 10) == []
    assert store.ended(before=time.time() + 10) == [done]
    assert store.position(waiting) == 1
