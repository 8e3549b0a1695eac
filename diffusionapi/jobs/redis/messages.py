"""The words on the channel `changes`, which every process hears: small, and nothing is lost with one.

new {worker} …          jobs may be claimed; these idle workers are asked to, or all if there are none
taken {id}              somebody holds a job now
moved {id} {number}     a job's progress has come to this event
cancel {id}             the holder of a job is asked to stop
gone {id}               a job was forgotten
want {id} {by}          somebody watches a job and wants previews; who says so need not hear it
shown {id} {by}         there is another preview; the same
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    word: str
    names: tuple[str, ...]

    @property
    def job_id(self) -> str:
        return self.names[0]


def read(content: bytes) -> Message:
    word, *names = content.decode().split(" ")
    return Message(word, tuple(one for one in names if one))
