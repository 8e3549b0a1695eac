"""Records in the Redis that keeps the jobs, shared by all machines; each change is one script.

records:{kind}          sorted set: ids, by when their records were made
record:{kind}:{id}      hash: the columns that have a value
record-names:{kind}     hash: the id that goes with a name
record-group:{kind}:{group}
                        sorted set: ids of a group, by when their records were made
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusionapi.jobs.redis.names import key
from diffusionapi.records.records import Kind, Records, Row

if TYPE_CHECKING:
    from diffusionapi.jobs.redis.connect import Connection
    from diffusionapi.records.shared import SharedConnection

_PRELUDE = """
local call, kind, id = redis.call, ARGV[1], ARGV[2]

local function key(...) return KEYS[1] .. ':' .. table.concat({...}, ':') end

local all, names = key('records', kind), key('record-names', kind)

local function record(id) return key('record', kind, id) end

local function group(name) return key('record-group', kind, name) end

-- Of a kind without names or groups their columns are empty.
local function drop(id, name_column, group_column)
    local found = call('HMGET', record(id), name_column, group_column)
    if found[1] then call('HDEL', names, found[1]) end
    if found[2] then call('ZREM', group(found[2]), id) end
    call('ZREM', all, id)
    return call('DEL', record(id))
end
"""
_ADD = (
    _PRELUDE
    + """
local name, of, created, only_first = unpack(ARGV, 3, 6)
if only_first == '1' and call('EXISTS', all) == 1 then return 0 end
if call('EXISTS', record(id)) == 1 then return 0 end
if name ~= '' and call('HEXISTS', names, name) == 1 then return 0 end
call('HSET', record(id), unpack(ARGV, 7))
call('ZADD', all, created, id)
if name ~= '' then call('HSET', names, name, id) end
if of ~= '' then call('ZADD', group(of), created, id) end
return 1
"""
)
_CHANGE = (
    _PRELUDE
    + """
if call('EXISTS', record(id)) == 0 then return 0 end
call('HSET', record(id), unpack(ARGV, 3))
return 1
"""
)
_FILL = (
    _PRELUDE
    + """
if call('EXISTS', record(id)) == 0 then return 0 end
return call('HSETNX', record(id), ARGV[3], ARGV[4])
"""
)
_REMOVE = _PRELUDE + "return drop(id, ARGV[3], ARGV[4])"
_FORGET = (
    _PRELUDE
    + """
local old = call('ZRANGEBYSCORE', group(ARGV[2]), '-inf', '(' .. ARGV[3])
for _, one in ipairs(old) do drop(one, ARGV[4], ARGV[5]) end
return #old
"""
)


class RedisRecords(Records):
    def __init__(self, kind: Kind, shared: SharedConnection) -> None:
        self._kind = kind
        self._shared = shared
        self._found_by = (kind.name or "", kind.group or "")
        shared.join(self)

    def get(self, record_id: str | bytes) -> Row | None:
        return self._read(self._connection.call("HGETALL", self._place(_written(record_id))))

    def named(self, name: str) -> Row | None:
        found = self._connection.call("HGET", key("record-names", self._kind.table), name)
        return None if found is None else self._read(self._connection.call("HGETALL", self._place(found)))

    def all(self) -> list[Row]:
        return self._listed(key("records", self._kind.table))

    def of(self, group: str | int) -> list[Row]:
        return self._listed(key("record-group", self._kind.table, str(group)))

    def add(self, row: Row, *, only_first: bool = False) -> bool:
        name, group = (_written(row[column]) if column else b"" for column in self._found_by)
        created, first = _written(row["created"]), int(only_first)
        arguments = (name, group, created, first, *_pairs(row))
        return bool(self._run(_ADD, _written(row[self._kind.id]), *arguments))

    def change(self, record_id: str | bytes, **values: Any) -> bool:
        return bool(self._run(_CHANGE, _written(record_id), *_pairs(values)))

    def fill(self, record_id: str | bytes, column: str, value: Any) -> None:
        self._run(_FILL, _written(record_id), column, _written(value))

    def remove(self, record_id: str | bytes) -> bool:
        return bool(self._run(_REMOVE, _written(record_id), *self._found_by))

    def forget(self, group: str | int, *, made_before: float) -> None:
        self._run(_FORGET, group, repr(made_before), *self._found_by)

    def close(self) -> None:
        self._shared.leave(self)

    @property
    def _connection(self) -> Connection:
        return self._shared.connection

    def _run(self, script: str, *arguments: object) -> object:
        return self._connection.run(script, self._kind.table, *arguments)

    def _place(self, record_id: bytes) -> bytes:
        return key("record", self._kind.table, "").encode() + record_id

    def _listed(self, ids: str) -> list[Row]:
        """Whoever is removed meanwhile is left out."""
        names = self._connection.call("ZRANGE", ids, 0, -1)
        found = self._connection.calls([("HGETALL", self._place(one)) for one in names]) if names else []
        rows = [row for one in found if (row := self._read(one)) is not None]
        return sorted(rows, key=lambda row: (row["created"], row[self._kind.name or self._kind.id]))

    def _read(self, content: dict[bytes, bytes]) -> Row | None:
        if not content:
            return None
        return {name: _value(content.get(name.encode()), kind) for name, kind in self._kind.columns.items()}


def _pairs(row: Row) -> list[bytes]:
    """Columns and their values, one after the other."""
    found: list[bytes] = []
    for column, value in row.items():
        if value is not None:
            found += (column.encode(), _written(value))
    return found


def _written(value: str | bytes | float) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return repr(float(value) if isinstance(value, float) else int(value)).encode()


def _value(content: bytes | None, kind: type) -> Any:
    if content is None:
        return None
    return content if kind is bytes else kind(content.decode())
