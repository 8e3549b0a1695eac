"""What all scripts share: the names of keys, the clock, and where a job is counted and waits."""

from __future__ import annotations

from diffusionapi.jobs.redis.names import GROUP, NOBODY


def script(body: str, *, when_full: bool = False, **numbers: float) -> str:
    """A whole script; the numbers stand in it by their names.

    Redis without memory refuses scripts, but not those that begin by removing something: so that what is
    there can be worked off, all but submits do, `when_full`.
    """
    own = "".join(f"local {name} = {number}\n" for name, number in numbers.items())
    return _PRELUDE + ("call('DEL', key('nothing'))\n" if when_full else "") + own + body


_PRELUDE = f"""
local call = redis.call
local root, GROUP, NOBODY = KEYS[1], '{GROUP}', '{NOBODY}'

local function key(...) return root .. ':' .. table.concat({{...}}, ':') end

local function now()
    local time = call('TIME')
    return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local function stamp(time) return string.format('%.6f', time) end

local function tell(...) call('PUBLISH', key('changes'), table.concat({{...}}, ' ')) end

local function model_of(lane) return string.match(lane, '^[^:]*:[^:]*:(.*)$') end

-- Ask idle workers to claim, one a job: first one that has the model.
local function ring(lane, count)
    local words = {{'new'}}
    local own = key('idle', model_of(lane))
    while #words <= count do
        local found = call('ZPOPMIN', own)[1]
        if not found then break end
        if call('ZREM', key('idle'), found) == 1 then words[#words + 1] = found end
    end
    if #words <= count then
        local others = call('ZPOPMIN', key('idle'), count + 1 - #words)
        for i = 1, #others, 2 do words[#words + 1] = others[i] end
    end
    tell(unpack(words))
end

-- Its place among all that wait: numbers, which may be times in ms, are below 2 ^ 44.
local function rank(lane, number) return number - tonumber(string.match(lane, '^[^:]*')) * 2 ^ 44 end

-- Where a job is counted, by its state.
local function place(id, lane, number, state)
    call('ZREM', key('waiting'), id)
    call('ZREM', key('running'), id)
    if state == 'queued' then call('ZADD', key('waiting'), rank(lane, number), id)
    elseif state == 'running' then call('ZADD', key('running'), number, id)
    else call('ZADD', key('ended'), stamp(now()), id) end
end

-- Take a job out of its lane for good.
local function settle(id, lane, entry)
    call('XACK', key('lane', lane), GROUP, entry)
    call('XDEL', key('lane', lane), entry)
    call('ZREM', key('line', lane), id)
    call('SREM', key('held'), id)
end

-- Back to its place in the line, for anybody.
local function free(id, job)
    call('HDEL', key('job', id), 'token', 'worker')
    call('SREM', key('held'), id)
    call('ZADD', key('line', job.lane), job.number, id)
end

local function read(id, ...)
    local names, found = {{...}}, {{}}
    local values = call('HMGET', key('job', id), unpack(names))
    for i, name in ipairs(names) do found[name] = values[i] end
    return found
end

local function leave_post(worker)
    local model = call('HGET', key('posts'), worker)
    if model then
        call('HDEL', key('posts'), worker)
        if call('HINCRBY', key('crowd'), model, -1) <= 0 then call('HDEL', key('crowd'), model) end
    end
    call('ZREM', key('seen'), worker)
end

local function take_post(worker, model)
    if call('HGET', key('posts'), worker) ~= model then
        leave_post(worker)
        call('HSET', key('posts'), worker, model)
        call('HINCRBY', key('crowd'), model, 1)
    end
    call('ZADD', key('seen'), stamp(now()), worker)
end

-- Numbers rise, also when a Redis that lost what it had counts anew: then from the time, in ms.
local function next_number()
    local number = call('INCR', key('number'))
    if number > 1 then return number end
    local began = string.format('%.0f', now() * 1000)
    call('SET', key('number'), began)
    call('SET', key('began'), began)
    return began
end

local function enlist(id, lane, created, ticket, progress)
    if call('SADD', key('lanes'), lane) == 1 then
        call('XGROUP', 'CREATE', key('lane', lane), GROUP, '0', 'MKSTREAM')
    end
    local number = next_number()
    local entry = call('XADD', key('lane', lane), '*', 'job', id)
    call('HSET', key('job', id), 'ticket', ticket, 'progress', progress, 'state', 'queued', 'lane', lane,
        'entry', entry, 'number', number, 'since', stamp(now()), 'created', created)
    call('ZADD', key('order'), number, id)
    call('ZADD', key('waiting'), rank(lane, number), id)
    call('ZADD', key('line', lane), number, id)
end

local function erase(id, job)
    if job.entry then settle(id, job.lane, job.entry) end
    for _, name in ipairs({{'waiting', 'running', 'ended', 'order'}}) do call('ZREM', key(name), id) end
    call('DEL', key('job', id))
end
"""
