"""`python -m diffusionapi.jobs.dead`: jobs that engines or workers died under until they were given up."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

from diffusionapi.core.lane import lane_of
from diffusionapi.errors import Error, Misconfigured
from diffusionapi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from diffusionapi.jobs.redis.store import RedisJobStore


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace, RedisJobStore], None] = options.verb
    try:
        with closing(_store(Settings.load())) as store:
            verb(options, store)
    except Error as error:
        sys.exit(error.sentence)


def _store(settings: Settings) -> RedisJobStore:
    if (url := settings.redis_url) is None:
        raise Misconfigured(
            f"Setting JOB_STORE: {settings.job_store} keeps no dead letters; a Redis does. There the client "
            "of a job that was given up reads why, and sends it again"
        )
    from diffusionapi.jobs.redis.store import RedisJobStore

    return RedisJobStore(url)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffusionapi.jobs.dead", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="list | replay | drop")
    verbs.add_parser("list", help="all of them, and why each was given up").set_defaults(verb=_list)
    verb = verbs.add_parser("replay", help="have jobs run again, with their attempts counted from none")
    verb.set_defaults(verb=_replay)
    verb.add_argument("id", nargs="+")
    verb = verbs.add_parser("drop", help="keep them no longer; what their clients read stays as it is")
    verb.set_defaults(verb=_drop)
    verb.add_argument("id", nargs="+")
    return parser


def _list(_: argparse.Namespace, store: RedisJobStore) -> None:
    for one in store.dead_letters():
        lane = lane_of(one.ticket)
        died = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.died_at))
        _say(f"{one.ticket.id}  {died}  {lane.kind} {lane.model}  {one.failure.code}: {one.failure.sentence}")


def _replay(options: argparse.Namespace, store: RedisJobStore) -> None:
    for job_id in options.id:
        store.replay(job_id)
        _say(f"{job_id} waits again.")


def _drop(options: argparse.Namespace, store: RedisJobStore) -> None:
    for job_id in options.id:
        store.drop(job_id)
        _say(f"{job_id} is dropped.")


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    main()
