"""The steps that have to be taken at once, in Lua; names.py says what the keys hold.

A holder proves itself by its token in the script that writes. Times are Redis' own.
"""

from __future__ import annotations

from diffusionapi.jobs.redis.lua import script

HOLD_SECONDS = 3.5
"""A hold that was not renewed for so long is a dead worker's."""
_GAP = 2.0
"""Seconds without any process that looks, after which nobody is taken for dead for HOLD_SECONDS: it may have
been Redis that was away, and not the holders."""
_LOOK = 0.3
"""Seconds between two looks for the dead, by whomever."""
_LETTERS = 10_000
"""Dead letters that are kept: the newest."""
_FORGET_WORKER = 600.0
"""Seconds after which a worker that claims nothing is no more counted as being on a model."""

SUBMIT = script(
    """
-- limit, key ('' for none), fingerprint, seconds of the key, progress; then id, lane, created, ticket of each
local limit, name, fingerprint = tonumber(ARGV[1]), ARGV[2], ARGV[3]
if name ~= '' then
    local earlier = call('HMGET', key('key', name), 'fingerprint', 'job')
    if earlier[1] then
        if earlier[1] ~= fingerprint then return {'reused'} end
        return {'kept', earlier[2]}
    end
end
for i = 6, #ARGV, 4 do
    if call('EXISTS', key('job', ARGV[i]), key('grave', ARGV[i])) > 0 then return {'exists', ARGV[i]} end
end
local count = (#ARGV - 5) / 4
if call('ZCARD', key('waiting')) + count > limit then return {'full'} end
for i = 6, #ARGV, 4 do enlist(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[5]) end
if name ~= '' then
    call('HSET', key('key', name), 'fingerprint', fingerprint, 'job', ARGV[6])
    call('EXPIRE', key('key', name), ARGV[4])
end
ring(ARGV[7], count)
return {'kept', ARGV[6]}
"""
)

LANES = script(
    """
-- worker, its model ('' for none): the lanes in which there is something to claim. Who finds none is idle.
local own, found = call('HGET', key('posts'), ARGV[1]), {}
for _, lane in ipairs(call('SMEMBERS', key('lanes'))) do
    local first = call('ZRANGE', key('line', lane), 0, 0, 'WITHSCORES')
    if first[1] then
        local model = model_of(lane)
        local crowd = tonumber(call('HGET', key('crowd'), model) or '0')
        if own == model then crowd = crowd - 1 end
        local since = call('HGET', key('job', first[1]), 'since') or '0'
        found[#found + 1] = {lane, call('ZCARD', key('line', lane)), first[2], since, crowd}
    end
end
if #found == 0 then
    call('ZADD', key('idle'), stamp(now()), ARGV[1])
    if ARGV[2] ~= '' then call('ZADD', key('idle', ARGV[2]), stamp(now()), ARGV[1]) end
end
return {stamp(now()), found}
""",
    when_full=True,
)

CLAIM = script(
    """
-- lane, process, worker: hold the first job of the lane
local lane, stream = ARGV[1], key('lane', ARGV[1])
for _ = 1, 100 do
    local id = call('ZRANGE', key('line', lane), 0, 0)[1]
    if not id then return false end
    local job = read(id, 'entry', 'delivered', 'ticket', 'progress', 'cancel')
    if not job.entry then
        call('ZREM', key('line', lane), id)
    else
        local has = false
        if job.delivered then
            has = #call('XCLAIM', stream, GROUP, ARGV[2], 0, job.entry, 'JUSTID') > 0
        else
            local next = call('XREADGROUP', 'GROUP', GROUP, ARGV[2], 'COUNT', 1, 'STREAMS', stream, '>')
            has = next and next[1][2][1][1] == job.entry
            if next and not has then call('XACK', stream, GROUP, next[1][2][1][1]) end
        end
        if has then
            local token = call('INCR', key('token'))
            call('HSET', key('job', id), 'token', token, 'worker', ARGV[3], 'delivered', 1)
            call('ZREM', key('line', lane), id)
            call('SADD', key('held'), id)
            call('ZREM', key('idle'), ARGV[3])
            -- An upscaler pushes no model out.
            if not string.find(lane, '^[^:]*:upscaling:') then take_post(ARGV[3], model_of(lane)) end
            tell('taken', id)
            return {id, token, job.ticket, job.progress, job.cancel or ''}
        end
        -- The stream does not go with the line, as after a repair by hand: the line is what counts.
        call('XDEL', stream, job.entry)
        call('HSET', key('job', id), 'entry', call('XADD', stream, '*', 'job', id))
        call('HDEL', key('job', id), 'delivered')
    end
end
return redis.error_reply('the stream of lane ' .. lane .. ' is out of order')
""",
    when_full=True,
)

SAVE = script(
    """
-- id, token, progress, state, its number, dead letter ('' for none); whether the hold still stands
local id = ARGV[1]
local job = read(id, 'token', 'last', 'state', 'lane', 'entry', 'number')
if job.token ~= ARGV[2] then
    -- An end that was written, but whose answer was lost on the way.
    return (job.last == ARGV[2] and job.state == ARGV[4]) and 1 or 0
end
call('HSET', key('job', id), 'progress', ARGV[3])
if job.state ~= ARGV[4] then
    call('HSET', key('job', id), 'state', ARGV[4])
    place(id, job.lane, job.number, ARGV[4])
    if ARGV[4] ~= 'queued' and ARGV[4] ~= 'running' then
        call('HDEL', key('job', id), 'token', 'worker', 'cancel')
        call('HSET', key('job', id), 'last', ARGV[2])
        settle(id, job.lane, job.entry)
    end
end
if ARGV[6] ~= '' then
    call('HSET', key('letters'), id, ARGV[6])
    call('ZADD', key('dead'), stamp(now()), id)
    for _, old in ipairs(call('ZRANGE', key('dead'), 0, -LETTERS - 1)) do
        call('ZREM', key('dead'), old)
        call('HDEL', key('letters'), old)
    end
end
tell('moved', id, ARGV[5])
return 1
""",
    when_full=True,
    LETTERS=_LETTERS,
)

RELEASE = script(
    """
-- id, token
local job = read(ARGV[1], 'token', 'lane', 'entry', 'number')
if job.token ~= ARGV[2] then return 0 end
call('XCLAIM', key('lane', job.lane), GROUP, NOBODY, 0, job.entry, 'JUSTID')
free(ARGV[1], job)
ring(job.lane, 1)
return 1
""",
    when_full=True,
)

CANCEL = script(
    """
-- id, the progress as it was read, the one after the cancel, its number
local id = ARGV[1]
local job = read(id, 'token', 'progress', 'lane', 'entry', 'number')
if not job.entry then return 'unknown' end
if job.token then
    call('HSET', key('job', id), 'cancel', 1)
    tell('cancel', id)
    return 'asked'
end
if job.progress ~= ARGV[2] then return 'changed' end
call('HSET', key('job', id), 'progress', ARGV[3], 'state', 'cancelled')
settle(id, job.lane, job.entry)
place(id, job.lane, job.number, 'cancelled')
tell('moved', id, ARGV[4])
return 'ended'
""",
    when_full=True,
)

FORGET = script(
    """
-- id, seconds of the grave
local job = read(ARGV[1], 'progress', 'lane', 'entry')
if not job.progress then return 0 end
erase(ARGV[1], job)
call('SET', key('grave', ARGV[1]), job.progress, 'EX', ARGV[2])
tell('gone', ARGV[1])
return 1
""",
    when_full=True,
)

BEAT = script(
    """
-- process, then id and token of each of its holds: they are renewed, and the dead lose theirs. Gives how many
-- jobs are held, how many may be claimed, and of each hold: 0 lost, 1 kept, 2 to be cancelled
local answer = {0, 0}
for i = 2, #ARGV, 2 do
    local job = read(ARGV[i], 'token', 'last', 'lane', 'entry', 'cancel')
    local state = 0
    if job.token == ARGV[i + 1] then
        call('XCLAIM', key('lane', job.lane), GROUP, ARGV[1], 0, job.entry, 'JUSTID')
        state = job.cancel and 2 or 1
    elseif job.last == ARGV[i + 1] then
        state = 1 -- its end was written, and its holder, who missed the answer, is about to say it again
    end
    answer[#answer + 1] = state
end

local function bury(lane, entry)
    local id = entry[2][2]
    local job = read(id, 'token', 'worker', 'lane', 'entry', 'number')
    if job.token and job.entry == entry[1] then
        leave_post(job.worker)
        call('INCR', key('redelivered'))
        free(id, job)
        ring(lane, 1)
    end
end

local function look(lanes)
    for _, lane in ipairs(lanes) do
        local cursor, stream = '0-0', key('lane', lane)
        repeat
            local found = call('XAUTOCLAIM', stream, GROUP, NOBODY, HOLD * 1000, cursor, 'COUNT', 100)
            cursor = found[1]
            for _, entry in ipairs(found[2]) do bury(lane, entry) end
        until cursor == '0-0'
    end
end

local time = now()
local lanes = call('SMEMBERS', key('lanes'))
local looked = tonumber(call('GET', key('looked')) or '0')
if time - looked >= LOOK then
    if time - looked > GAP then call('SET', key('attentive'), stamp(time)) end
    call('SET', key('looked'), stamp(time))
    if time - tonumber(call('GET', key('attentive')) or '0') >= HOLD then look(lanes) end
    for _, worker in ipairs(call('ZRANGEBYSCORE', key('seen'), '-inf', stamp(time - FORGET))) do
        leave_post(worker)
    end
end
answer[1] = call('SCARD', key('held'))
for _, lane in ipairs(lanes) do answer[2] = answer[2] + call('ZCARD', key('line', lane)) end
return answer
""",
    when_full=True,
    HOLD=HOLD_SECONDS,
    GAP=_GAP,
    LOOK=_LOOK,
    FORGET=_FORGET_WORKER,
)

SWEEP = script(
    """
-- Remove lanes in which nothing is left, and consumers that are gone (an hour).
for _, lane in ipairs(call('SMEMBERS', key('lanes'))) do
    local stream = key('lane', lane)
    if call('XLEN', stream) == 0 then
        call('DEL', stream, key('line', lane), key('idle', model_of(lane)))
        call('SREM', key('lanes'), lane)
    else
        for _, one in ipairs(call('XINFO', 'CONSUMERS', stream, GROUP)) do
            if one[2] ~= NOBODY and one[4] == 0 and one[6] > 3600000 then
                call('XGROUP', 'DELCONSUMER', stream, GROUP, one[2])
            end
        end
    end
end
call('ZREMRANGEBYSCORE', key('idle'), '-inf', stamp(now() - 86400))
return 1
""",
    when_full=True,
)

REPLAY = script(
    """
-- id, lane, created, ticket, progress
local job = read(ARGV[1], 'state', 'lane', 'entry')
if job.state == 'queued' or job.state == 'running' then return 0 end
if call('HDEL', key('letters'), ARGV[1]) == 0 then return 0 end
call('ZREM', key('dead'), ARGV[1])
erase(ARGV[1], job)
call('DEL', key('grave', ARGV[1]))
enlist(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
ring(ARGV[2], 1)
return 1
"""
)

LIVING = script("return {call('ZRANGE', key('waiting'), 0, -1), call('ZRANGE', key('running'), 0, -1)}")

FIGURES = script(
    """
-- of each lane its name, how many may be claimed, and for how long the first of them has waited (s)
local lanes, time = {}, now()
for _, lane in ipairs(call('SMEMBERS', key('lanes'))) do
    local first = call('ZRANGE', key('line', lane), 0, 0)[1]
    local since = first and call('HGET', key('job', first), 'since') or time
    lanes[#lanes + 1] = {lane, call('ZCARD', key('line', lane)), stamp(time - tonumber(since))}
end
return {lanes, call('ZCARD', key('waiting')), call('ZCARD', key('running')),
    call('GET', key('redelivered')) or '0', call('ZCARD', key('dead'))}
"""
)
