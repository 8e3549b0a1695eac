"""What the store in Redis promises beyond the contract: to other processes, and at no cost when idle."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from diffusionapi.core.events import Finished, Phase, Picture, Preview, Queued, Started, Step
from diffusionapi.core.job import JobState
from diffusionapi.core.lane import Lane
from diffusionapi.errors import UnknownJob
from diffusionapi.jobs.affinity import Preference
from diffusionapi.jobs.redis import scripts
from diffusionapi.jobs.redis.holds import Hold
from diffusionapi.jobs.redis.names import GROUP, ROOT, job, key, write_lane
from diffusionapi.jobs.store import KEY_SECONDS, TOMBSTONE_SECONDS, Claim, IdempotencyKey
from tests.factories import a_ticket, a_ticket_of, an_upscaling
from tests.server import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffusionapi.jobs.redis.store import RedisJobStore

    Opened = Callable[[], RedisJobStore]

PICTURE = Picture("a.png", "png", 64, 64, None, 7, "fake", 1.5, 10.0, 11.0)
PREVIEW = Preview(1, 4, 64, 48, b"\xff\xd8 one\n two \xff\xd9")


def submit(store: RedisJobStore, **fields: Any) -> str:
    return store.submit(a_ticket(**fields), limit=1000)


def start(store: RedisJobStore) -> Claim:
    claim = store.claim()
    assert claim is not None
    claim.record(Started(1, "w"))
    return claim


def calls(redis: Any, name: str) -> int:
    """How often Redis was asked for something, ever."""
    found = redis.info("commandstats").get(f"cmdstat_{name}")
    return int(found["calls"]) if found else 0


def holds(model: str | None, streak: int = 0, stay: int = 16) -> Preference:
    return Preference("w", model, streak, stay)


# --- jobs reach other processes -----------------------------------------------------------------------------


def test_a_job_is_known_and_worked_on_elsewhere(opened: Opened) -> None:
    api, worker = opened(), opened()
    job_id = submit(api)
    claim = start(worker)
    assert claim.ticket == api.ticket(job_id)
    assert [one.job_id for one in api.listing(10).running] == [job_id]
    claim.record(Finished(PICTURE))
    assert opened().progress(job_id).picture == PICTURE


def test_an_idle_worker_elsewhere_is_woken_by_a_submit(opened: Opened) -> None:
    api, worker = opened(), opened()
    assert worker.claim() is None
    pulse, began = worker.pulse(), time.monotonic()
    threading.Timer(0.2, submit, args=(api,)).start()
    worker.wait(10, since=pulse)
    assert time.monotonic() - began < 1.0  # and not by the look a second later
    assert worker.claim() is not None


def test_a_submit_wakes_the_idle_worker_that_has_the_model(opened: Opened) -> None:
    api, other, holder = opened(), opened(), opened()
    for worker, model in ((other, "b"), (holder, "a")):
        assert worker.claim(preference=Preference(f"w-{model}", model, 0, 16)) is None
    asleep, pulse = other.pulse(), holder.pulse()
    submit(api, model="a")
    holder.wait(0.8, since=pulse)
    assert holder.pulse() != pulse
    assert other.pulse() == asleep


def test_an_idle_worker_that_has_left_is_not_woken_in_the_place_of_another(opened: Opened) -> None:
    leaving, staying = opened(), opened()
    for store in (leaving, staying):
        assert store.claim() is None
    leaving.close()
    pulse = staying.pulse()
    opened().submit(a_ticket(), limit=10)
    wait_until(lambda: staying.pulse() != pulse, 0.5)


def test_a_released_job_wakes_workers_elsewhere(opened: Opened) -> None:
    one, other = opened(), opened()
    submit(one)
    claim = start(one)
    assert other.claim() is None
    pulse, began = other.pulse(), time.monotonic()
    claim.record(Queued("given back"))
    claim.release()
    other.wait(10, since=pulse)
    assert time.monotonic() - began < 0.8
    again = other.claim()
    assert again is not None
    assert again.ticket.id == claim.ticket.id


def test_a_cancel_reaches_the_holder_elsewhere_at_once(opened: Opened) -> None:
    api, worker = opened(), opened()
    job_id = submit(api)
    claim = start(worker)
    began = time.monotonic()
    api.cancel(job_id)
    wait_until(claim.cancel_requested, 5)
    assert time.monotonic() - began < 0.5  # and not at the next renewal


def test_previews_are_wanted_and_shown_across_processes(opened: Opened) -> None:
    api, worker = opened(), opened()
    job_id = submit(api)
    api.previews.want(job_id)
    wait_until(lambda: worker.previews.wanted(job_id), 5)
    assert api.previews.latest(job_id) is None
    worker.previews.put(job_id, PREVIEW)
    wait_until(lambda: api.previews.latest(job_id) == PREVIEW, 0.5)
    worker.previews.drop(job_id)
    wait_until(lambda: api.previews.latest(job_id) is None, 5)


def test_own_words_about_previews_that_come_back_late_bring_nothing_back(opened: Opened) -> None:
    one, other = opened(), opened()
    names = [str(uuid.uuid4()) for _ in range(200)]
    for name in names:
        one.previews.want(name)
        one.previews.put(name, PREVIEW)
        one.previews.drop(name)
    one.previews.want("last")
    wait_until(lambda: other.previews.wanted("last"), 5)
    time.sleep(0.1)
    assert not any(one.previews.wanted(name) for name in names)


# --- progress -----------------------------------------------------------------------------------------------


def test_many_steps_are_two_writes_a_second_and_the_newest_is_seen_elsewhere(
    opened: Opened, redis: Any
) -> None:
    api, worker = opened(), opened()
    job_id = submit(api)
    claim = start(worker)
    claim.record(Phase("generation"))
    assert api.progress(job_id).state is JobState.RUNNING
    heard = redis.pubsub()
    heard.subscribe(key("changes"))
    for number in range(100):
        claim.record(Step(number, 100, number / 100))
        time.sleep(0.01)
    wait_until(lambda: api.progress(job_id).fraction == 0.99, 2)
    assert len(api.progress(job_id).recent) == 64
    writes = 0
    while message := heard.get_message(timeout=0.2):
        writes += message["type"] == "message" and message["data"].startswith(b"moved")
    heard.close()
    assert 1 <= writes <= 4  # in 1.0 to 1.7 s


def test_a_change_of_state_is_written_at_once_with_all_steps_before_it(opened: Opened) -> None:
    api, worker = opened(), opened()
    job_id = submit(api)
    claim = start(worker)
    for number in range(4):
        claim.record(Step(number, 4, number / 4))
    claim.record(Finished(PICTURE))
    kinds = [one.event.kind for one in api.progress(job_id).recent]
    assert kinds == ["started", "step", "step", "step", "step", "finished"]


def test_a_watched_job_is_not_asked_for_at_every_look(opened: Opened, redis: Any) -> None:
    api, worker = opened(), opened()
    job_id = submit(api)
    claim = start(worker)
    assert api.progress(job_id).state is JobState.RUNNING
    before = calls(redis, "hget")
    for _ in range(200):
        api.progress(job_id)
    assert calls(redis, "hget") - before <= 2
    claim.record(Finished(PICTURE))
    wait_until(lambda: api.progress(job_id).state is JobState.DONE, 0.5)


def test_what_is_forgotten_elsewhere_is_unknown_here(opened: Opened) -> None:
    api, other = opened(), opened()
    job_id = submit(api)
    start(other).record(Finished(PICTURE))
    assert api.progress(job_id).state is JobState.DONE
    other.forget(job_id)

    def unknown() -> bool:
        try:
            api.progress(job_id)
        except UnknownJob:
            return True
        return False

    wait_until(unknown, 0.5)


# --- which job ----------------------------------------------------------------------------------------------


def test_a_worker_stays_with_its_model_and_then_takes_what_waits_longer(opened: Opened) -> None:
    store = opened()
    other = submit(store, model="b")
    own = [submit(store, model="a") for _ in range(2)]
    first = store.claim(preference=holds("a", streak=1, stay=2))
    second = store.claim(preference=holds("a", streak=2, stay=2))
    assert [first and first.ticket.id, second and second.ticket.id] == [own[0], other]


def test_workers_that_are_on_a_model_are_counted_once_each(opened: Opened, redis: Any) -> None:
    store = opened()
    for model in ("a", "a", "b"):
        submit(store, model=model)
    for preference in (Preference("w1", "a", 0, 16), Preference("w2", "a", 0, 16)):
        assert store.claim(preference=preference) is not None
    assert redis.hgetall(key("crowd")) == {b"a": b"2"}
    assert store.claim(preference=Preference("w2", None, 0, 16)) is not None
    assert redis.hgetall(key("crowd")) == {b"a": b"1", b"b": b"1"}
    store.submit(a_ticket_of(an_upscaling()), limit=10)
    assert store.claim(preference=Preference("w1", "a", 1, 16)) is not None
    assert redis.hgetall(key("crowd")) == {b"a": b"1", b"b": b"1"}  # an upscaler pushes no model out


def test_a_claim_costs_the_same_however_many_wait(opened: Opened, redis: Any) -> None:
    store = opened()

    def cost() -> int:
        before = redis.info("commandstats")
        assert store.claim() is not None
        after = redis.info("commandstats")
        return sum(
            after[name]["calls"] - before.get(name, {"calls": 0})["calls"]
            for name in after
            if name not in ("cmdstat_info", "cmdstat_publish", "cmdstat_scard", "cmdstat_smembers")
        )

    for _ in range(10):
        submit(store)
    cost()
    few = cost()
    store.submit_all([a_ticket() for _ in range(3000)], limit=10_000)
    assert abs(cost() - few) < 20  # a beat of the keeper may come between


# --- no cost, no leftovers ----------------------------------------------------------------------------------


def test_idle_processes_ask_redis_for_nothing(opened: Opened, redis: Any) -> None:
    workers = [opened(), opened()]
    for worker in workers:
        assert worker.claim() is None
    time.sleep(1.5)  # the last look for others
    before = redis.info("stats")["total_commands_processed"]
    began = time.monotonic()
    while time.monotonic() < began + 1.5:
        for worker in workers:
            assert worker.claim() is None
            worker.wait(0.1, since=worker.pulse())
    assert redis.info("stats")["total_commands_processed"] - before <= 3  # the first of ours among them


def test_keys_and_graves_end_by_themselves(opened: Opened, redis: Any) -> None:
    store = opened()
    job_id = store.submit(a_ticket(), limit=10, key=IdempotencyKey("mine", "body"))
    store.cancel(job_id)
    store.forget(job_id)
    assert 0 < redis.ttl(key("key", "mine")) <= KEY_SECONDS
    assert 0 < redis.ttl(key("grave", job_id)) <= TOMBSTONE_SECONDS


def test_a_sweep_leaves_nothing_of_jobs_that_are_gone(opened: Opened, redis: Any) -> None:
    store = opened()
    for model in ("a", "b"):
        submit(store, model=model)
        start(store).record(Finished(PICTURE))
    assert store.sweep(ended_before=time.time() + 10) == 2
    left = {name.decode() for name in redis.keys("*")}
    assert not [name for name in left if any(part in name for part in (":job:", ":lane", ":line:"))]
    assert redis.zcard(key("ended")) == 0


# --- what may be broken -------------------------------------------------------------------------------------


def test_a_job_whose_ticket_is_damaged_ends_with_a_reason_and_holds_up_nobody(
    opened: Opened, redis: Any
) -> None:
    store = opened()
    damaged, sound = submit(store), submit(store)
    redis.hset(job(damaged), "ticket", b"{")
    assert start(store).ticket.id == sound
    failure = store.progress(damaged).failure
    assert failure is not None
    assert failure.code == "damaged_job"
    assert store.listing(10).waiting_total == 0


def test_an_entry_that_somebody_removed_from_a_stream_costs_no_job(opened: Opened, redis: Any) -> None:
    store = opened()
    first, second = submit(store), submit(store)
    stream = key("lane", write_lane(Lane("generation", "fake")))
    redis.xdel(stream, redis.hget(job(first), "entry"))
    assert {start(store).ticket.id, start(store).ticket.id} == {first, second}
    assert redis.xpending(stream, GROUP)["pending"] == 2


def test_an_end_that_is_written_twice_since_its_answer_was_lost_is_one_end(opened: Opened) -> None:
    store = opened()
    job_id = submit(store)
    claim = start(store)
    ended = claim.progress.evolve(Finished(PICTURE), time.time())
    store.save(claim, ended, durable=True)
    store.save(claim, ended, durable=True)
    assert store.progress(job_id).picture == PICTURE


def test_a_holder_that_missed_the_answer_to_its_end_is_not_told_that_another_has_its_job(
    opened: Opened, redis: Any
) -> None:
    store = opened()
    submit(store)
    claim = start(store)
    hold = claim.hold
    assert isinstance(hold, Hold)
    claim.record(Finished(PICTURE))
    said = [redis.eval(scripts.BEAT, 1, ROOT, "p", hold.job_id, token) for token in (hold.token, "another")]
    assert [state for _, _, state in said] == [1, 0]


@pytest.mark.parametrize("states", [1, 2])
def test_the_census_counts_lanes(opened: Opened, states: int) -> None:
    store = opened()
    for number in range(states):
        submit(store, model=f"m{number}")
    start(store)
    submit(store, model="m0")
    census = store.census()
    assert (census.waiting, census.running) == (states, 1)
    assert {one.lane.model: one.waiting for one in census.lanes if one.waiting} == {
        f"m{number}": 1 for number in range(states)
    }
    assert all(0 <= one.age < 30 for one in census.lanes)
