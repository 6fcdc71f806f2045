// The transitions of a message in Redis, each one Lua script and so each atomic. All keys of a shard share a hash
// tag. A message is a hash (`m`: record, r:<recipient>, e:<event>, sid, ...) and a string (`b`: its octets); it is
// in exactly one of: the stream `ready` (claimed or not), the sorted set `later` (by due time: deferred, or scheduled
// by its sender), the sorted
// set `done` (ended, by time), the sorted set `aside` (for a person). `index` holds all of them by time of acceptance.
//
// Scripts that free memory or move a message on are allowed when Redis is full; only `put` is not.

/** The consumer group of all delivering workers. */
export const GROUP = 'deliver';

/** The holder of an entry, as {consumer, deliveries}, or nil. */
const HOLDER = `
local function holder(ready, sid)
  local pending = redis.pcall('XPENDING', ready, '${GROUP}', sid, sid, 1)
  if not pending.err and pending[1] then return pending[1][2], pending[1][4] end
end
local function held(ready, sid, consumer, deliveries)
  local who, count = holder(ready, sid)
  return who == consumer and count == tonumber(deliveries)
end
local function dequeue(ready, sid)
  redis.call('XACK', ready, '${GROUP}', sid)
  redis.call('XDEL', ready, sid)
end
local function enqueue(ready, m, id)
  redis.call('HSET', m, 'sid', redis.call('XADD', ready, '*', 'id', id))
end
local function note(m, event)
  redis.call('HSET', m, 'e:' .. redis.call('HINCRBY', m, 'events', 1), event)
end`;

/** Ending a message, and forgetting the oldest ended ones beyond the bounds. */
const FINISH = `
local function forget(p, ids)
  local keys, captured = {}, redis.call('EXISTS', p .. 'captured') == 1
  for _, id in ipairs(ids) do
    local size = captured and redis.call('ZREM', p .. 'captured', id) == 1 and redis.call('STRLEN', p .. 'b:' .. id) or 0
    if size > 0 then redis.call('DECRBY', p .. 'captured-bytes', size) end
    keys[#keys + 1] = p .. 'b:' .. id
    keys[#keys + 1] = p .. 'm:' .. id
  end
  redis.call('UNLINK', unpack(keys))
  redis.call('ZREM', p .. 'index', unpack(ids))
  redis.call('ZREM', p .. 'done', unpack(ids))
end
-- Many at a time: beyond the bound the number is brought to a little below it (one in a hundred, a hundred at most).
local function trim_done(p, now, keepMs, maxDone)
  local done = p .. 'done'
  local excess = redis.call('ZCARD', done) - maxDone
  local ids
  if excess > 0 then
    ids = redis.call('ZRANGE', done, 0, math.min(excess, 100) + math.floor(math.min(maxDone / 100, 100)) - 1)
  else
    ids = redis.call('ZRANGEBYSCORE', done, '-inf', now - keepMs, 'LIMIT', 0, 20)
  end
  if ids[1] then forget(p, ids) end
end
local function trim_captured(p, maxCaptured, maxBytes)
  for _ = 1, 1000 do
    local id = redis.call('ZRANGE', p .. 'captured', 0, 0)[1]
    if not id then break end
    local bytes = tonumber(redis.call('GET', p .. 'captured-bytes') or 0)
    if bytes <= maxBytes and redis.call('ZCARD', p .. 'captured') <= maxCaptured then break end
    forget(p, {id})
  end
end
-- The order of the queue as a number: milliseconds, and the place within one as a fraction (exact up to 4,096).
local function place(sid)
  local ms, seq = string.match(sid, '(%d+)-(%d+)')
  return tonumber(ms) + math.min(tonumber(seq), 4095) / 4096
end
local function finish(p, id, now, keepBody)
  local b, m = p .. 'b:' .. id, p .. 'm:' .. id
  redis.call('HSET', m, 'done_at', now)
  redis.call('ZADD', p .. 'done', now, id)
  if keepBody then
    redis.call('ZADD', p .. 'captured', string.format('%.17g', place(redis.call('HGET', m, 'sid'))), id)
    redis.call('INCRBY', p .. 'captured-bytes', redis.call('STRLEN', b))
  else
    redis.call('UNLINK', b)
  end
end`;

/**
 * Messages become durable together: ready, or waiting until they are due. What belongs to a batch that was paused or
 * cancelled waits too, so that PROMOTE decides about it.
 * KEYS: ready, index, later, batches, once, then (m, b) a message. ARGV: answer to keep under `once` ('' = none),
 * seconds to keep it, now, who claims the oldest ready messages in the same step, how many (0 = none), then (id,
 * record, accepted at, size, last octets, 1 when earlier octets were stored, due at ('' = now), batch ('' = none)) a
 * message. Returns the answer, the sid of each message ('' = it waits), then (sid, id) of each that was claimed. The
 * answer alone is that of an earlier call with the same `once`: nothing of this one is kept. Or an error, when the octets
 * in Redis are not as many as a record says.
 */
export const PUT = `#!lua
local function forget()
  for at = 7, #KEYS, 2 do redis.call('UNLINK', KEYS[at]) end
end
local earlier = ARGV[1] ~= '' and redis.call('GET', KEYS[5])
if earlier then
  forget()
  return {earlier}
end
for at = 7, #KEYS, 2 do
  local arg, size = (at - 7) * 4 + 6
  if ARGV[arg + 5] == '1' then
    local last = ARGV[arg + 4]
    size = last == '' and redis.call('STRLEN', KEYS[at]) or redis.call('APPEND', KEYS[at], last)
    redis.call('PERSIST', KEYS[at])
  else
    size = #ARGV[arg + 4]
    redis.call('SET', KEYS[at], ARGV[arg + 4])
  end
  if size ~= tonumber(ARGV[arg + 3]) then
    forget()
    return redis.error_reply('ERR the message in the store has ' .. size .. ' octets, expected ' .. ARGV[arg + 3])
  end
end
local out = {ARGV[1]}
for at = 6, #KEYS, 2 do
  local arg = (at - 6) * 4 + 6
  local id, due, batch = ARGV[arg], ARGV[arg + 6], ARGV[arg + 7]
  if due == '' and batch ~= '' and redis.call('HEXISTS', KEYS[4], batch) == 1 then due = ARGV[3] end
  if due == '' then
    local sid = redis.call('XADD', KEYS[1], '*', 'id', id)
    redis.call('HSET', KEYS[at], 'record', ARGV[arg + 1], 'sid', sid)
    out[#out + 1] = sid
  else
    out[#out + 1] = ''
    redis.call('ZADD', KEYS[3], due, id)
    redis.call('HSET', KEYS[at], 'record', ARGV[arg + 1], unpack(batch ~= '' and {'batch', batch} or {}))
  end
  redis.call('ZADD', KEYS[2], ARGV[arg + 2], id)
end
if ARGV[1] ~= '' then redis.call('SET', KEYS[5], ARGV[1], 'EX', ARGV[2]) end
if ARGV[5] == '0' then return out end
-- Without the group, which a claim makes, nothing is claimed.
local read = redis.pcall('XREADGROUP', 'GROUP', '${GROUP}', ARGV[4], 'COUNT', ARGV[5], 'STREAMS', KEYS[1], '>')
for _, entry in ipairs(read and not read.err and read[1] and read[1][2] or {}) do
  out[#out + 1] = entry[1]
  out[#out + 1] = entry[2][2]
end
return out`;

/**
 * What became of leased messages of one consumer. KEYS: ready (the others follow from the prefix).
 * ARGV: prefix, consumer, now, keep ms, max done, max captured, max captured bytes, then a message: id, sid,
 * deliveries, retry at ('' = ended), keep body (0 or 1), report id ('' = none), its record, its octets, count of
 * fields, count of events, (field, value)..., events...
 * Returns for each message 1, 0 when the lease was lost, or the text of an error, which leaves the others alone.
 */
export const SETTLE = `#!lua flags=allow-oom${HOLDER}${FINISH}
local p, now, ready = ARGV[1], tonumber(ARGV[3]), KEYS[1]
local function settle(at)
  local id, sid, retryAt, reportId = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 5]
  local m, token = p .. 'm:' .. id, sid .. ' ' .. ARGV[2] .. ' ' .. ARGV[at + 2]
  if not held(ready, sid, ARGV[2], ARGV[at + 2]) then
    -- The same settlement again, because the answer to the first was lost.
    return redis.call('HGET', m, 'settled') == token and 1 or 0
  end
  local known = redis.call('HMGET', m, 'cancelled_at', 'events', 'lost')
  -- One HSET for all fields, as far as Lua can pass them in one call.
  local fields, count = {'settled', token}, tonumber(known[2] or 0)
  local function set(field, value)
    if #fields > 1000 then
      redis.call('HSET', m, unpack(fields))
      fields = {}
    end
    fields[#fields + 1] = field
    fields[#fields + 1] = value
  end
  local events = at + 10 + 2 * ARGV[at + 8]
  for field = at + 10, events - 2, 2 do set(ARGV[field], ARGV[field + 1]) end
  for event = events, events + ARGV[at + 9] - 1 do
    count = count + 1
    set('e:' .. count, ARGV[event])
  end
  set('events', count)
  redis.call('HSET', m, unpack(fields))
  if known[3] then redis.call('HDEL', m, 'lost') end
  if reportId ~= '' then
    local report = p .. 'm:' .. reportId
    redis.call('SET', p .. 'b:' .. reportId, ARGV[at + 7])
    redis.call('HSET', report, 'record', ARGV[at + 6])
    redis.call('ZADD', p .. 'index', now, reportId)
    enqueue(ready, report, reportId)
  end
  dequeue(ready, sid)
  if retryAt ~= '' and not known[1] then
    redis.call('ZADD', p .. 'later', retryAt, id)
  else
    finish(p, id, now, ARGV[at + 4] == '1')
  end
  return 1
end
local out, at, captures = {}, 8, false
while at <= #ARGV do
  local sound, result = pcall(settle, at)
  out[#out + 1] = sound and result or tostring(type(result) == 'table' and result.err or result)
  captures = captures or ARGV[at + 4] == '1'
  at = at + 10 + 2 * ARGV[at + 8] + ARGV[at + 9]
end
trim_done(p, now, tonumber(ARGV[4]), tonumber(ARGV[5]))
if captures then trim_captured(p, tonumber(ARGV[6]), tonumber(ARGV[7])) end
return out`;

/** Gives a leased message back untried. KEYS: ready, m. ARGV: id, sid, consumer, deliveries, prefix. Returns 1 or 0. */
export const RELEASE = `#!lua flags=allow-oom${HOLDER}${FINISH}
if not held(KEYS[1], ARGV[2], ARGV[3], ARGV[4]) then return 0 end
dequeue(KEYS[1], ARGV[2])
local cancelledAt = redis.call('HGET', KEYS[2], 'cancelled_at')
if cancelledAt then finish(ARGV[5], ARGV[1], tonumber(cancelledAt), false)
else enqueue(KEYS[1], KEYS[2], ARGV[1]) end
return 1`;

/** Keeps leases alive. KEYS: ready. ARGV: consumer, then (sid, deliveries)... Returns the sids that were lost. */
export const RENEW = `#!lua flags=allow-oom${HOLDER}
local lost = {}
for at = 2, #ARGV, 2 do
  if held(KEYS[1], ARGV[at], ARGV[1], ARGV[at + 1]) then
    redis.call('XCLAIM', KEYS[1], '${GROUP}', ARGV[1], 0, ARGV[at], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost`;

/**
 * Takes over entries that were silent for too long and marks each as lost once more, before anybody tries it again.
 * Forgets consumers that are gone.
 * KEYS: ready. ARGV: prefix, consumer, silence in ms, count, now. Returns (sid, id, deliveries)...
 */
export const RECLAIM = `#!lua flags=allow-oom${HOLDER}${FINISH}
local taken = redis.call('XAUTOCLAIM', KEYS[1], '${GROUP}', ARGV[2], ARGV[3], '0-0', 'COUNT', ARGV[4])[2]
local out = {}
for _, entry in ipairs(taken) do
  local sid, id = entry[1], entry[2][2]
  local m = ARGV[1] .. 'm:' .. id
  local _, deliveries = holder(KEYS[1], sid)
  if redis.call('HEXISTS', m, 'cancelled_at') == 1 then
    dequeue(KEYS[1], sid)
    finish(ARGV[1], id, tonumber(ARGV[5]), false)
  else
    if redis.call('EXISTS', m) == 1 then
      redis.call('HINCRBY', m, 'lost', 1)
      note(m, cjson.encode({type = 'in-doubt', at = tonumber(ARGV[5]), reply = 'the worker that had it was lost'}))
    end
    out[#out + 1] = sid
    out[#out + 1] = id
    out[#out + 1] = deliveries
  end
end
-- Every process has its own name in the group. One that was silent as long and holds nothing is gone, or comes back.
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], '${GROUP}')
for _, flat in ipairs(consumers.err and {} or consumers) do
  local facts = {}
  for at = 1, #flat, 2 do facts[flat[at]] = flat[at + 1] end
  if facts.pending == 0 and facts.idle > tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], '${GROUP}', facts.name)
  end
end
return out`;

/** The score in `later` of a message whose batch is paused: beyond every time. */
export const PAUSED = 8.64e15;

/**
 * Messages that are due become ready. Those of a batch that was cancelled end, those of a paused one stay until the
 * batch is resumed; both only before their first attempt. What ended long ago is forgotten, also where no mail comes.
 * KEYS: later, ready, batches. ARGV: prefix, now, count, keep ms, max done. Returns how many were due.
 */
export const PROMOTE = `#!lua flags=allow-oom${HOLDER}${FINISH}
local p, now = ARGV[1], tonumber(ARGV[2])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
for _, id in ipairs(due) do
  local m = p .. 'm:' .. id
  local batch = redis.call('HGET', m, 'batch')
  local status = batch and redis.call('HGET', KEYS[3], batch)
  if status == 'pause' then
    redis.call('ZADD', KEYS[1], ${PAUSED}, id)
    redis.call('SADD', p .. 'held:' .. batch, id)
  else
    redis.call('ZREM', KEYS[1], id)
    if batch then redis.call('HDEL', m, 'batch') end
    if status == 'cancel' then
      redis.call('HSET', m, 'cancelled_at', now)
      note(m, cjson.encode({type = 'cancelled', at = now, reply = 'its batch ' .. batch .. ' was cancelled'}))
      finish(p, id, now, false)
    else
      enqueue(KEYS[2], m, id)
    end
  end
end
trim_done(p, now, tonumber(ARGV[4]), tonumber(ARGV[5]))
return #due`;

/**
 * A batch is paused or cancelled, or is no longer. What was held because of a pause becomes due again.
 * KEYS: batches, later, held. ARGV: batch, status ('' = none), now. Returns 1.
 */
export const SET_BATCH = `#!lua flags=allow-oom
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
if ARGV[2] ~= 'pause' then
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
    if tonumber(redis.call('ZSCORE', KEYS[2], id) or 0) == ${PAUSED} then redis.call('ZADD', KEYS[2], ARGV[3], id) end
  end
  redis.call('UNLINK', KEYS[3])
end
return 1`;

/**
 * Takes a leased entry out of the queue for a person. KEYS: ready. ARGV: prefix, id, sid, consumer, deliveries, now,
 * reason, event. Returns 1 or 0.
 */
export const SET_ASIDE = `#!lua flags=allow-oom${HOLDER}
if not held(KEYS[1], ARGV[3], ARGV[4], ARGV[5]) then return 0 end
local m = ARGV[1] .. 'm:' .. ARGV[2]
dequeue(KEYS[1], ARGV[3])
redis.call('HSET', m, 'damage', ARGV[7])
redis.call('ZADD', ARGV[1] .. 'aside', ARGV[6], ARGV[2])
redis.call('ZADD', ARGV[1] .. 'index', 'NX', ARGV[6], ARGV[2])
note(m, ARGV[8])
return 1`;

/**
 * A person wants the message tried now. KEYS: m, b, ready, later. ARGV: prefix, id, event, now, recipient fields to reset...
 * Returns queued, not-found, under-way, already-queued or no-body.
 */
export const RETRY = `#!lua flags=allow-oom${HOLDER}
local p, id = ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[1]) == 0 then return 'not-found' end
if redis.call('EXISTS', KEYS[2]) == 0 then return 'no-body' end
local waiting = redis.call('ZREM', KEYS[4], id) + redis.call('ZREM', p .. 'aside', id)
if redis.call('ZREM', p .. 'done', id) == 1 then
  waiting = 1
  if redis.call('ZREM', p .. 'captured', id) == 1 then
    redis.call('DECRBY', p .. 'captured-bytes', redis.call('STRLEN', KEYS[2]))
  end
end
if waiting == 0 then
  return holder(KEYS[3], redis.call('HGET', KEYS[1], 'sid')) and 'under-way' or 'already-queued'
end
redis.call('HDEL', KEYS[1], 'done_at', 'cancelled_at', 'damage', 'batch')
redis.call('HDEL', KEYS[1], 'lost')
redis.call('HSET', KEYS[1], 'retried_at', ARGV[4])
for at = 5, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
note(KEYS[1], ARGV[3])
enqueue(KEYS[3], KEYS[1], id)
return 'queued'`;

/**
 * A person wants the message gone. KEYS: m, ready, later. ARGV: prefix, id, now, event.
 * Returns cancelled, not-found, ended, or after-attempt when a worker has it at this moment.
 */
export const CANCEL = `#!lua flags=allow-oom${HOLDER}${FINISH}
local p, id = ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[1]) == 0 then return 'not-found' end
local sid = redis.call('HGET', KEYS[1], 'sid') or '0-1'
if redis.call('HEXISTS', KEYS[1], 'done_at') == 1 then return 'ended' end
local first = redis.call('HSETNX', KEYS[1], 'cancelled_at', ARGV[3]) == 1
if first then note(KEYS[1], ARGV[4]) end
local waiting = redis.call('ZREM', KEYS[3], id) + redis.call('ZREM', p .. 'aside', id)
if waiting == 0 and holder(KEYS[2], sid) then return 'after-attempt' end
if waiting == 0 then redis.call('XDEL', KEYS[2], sid) end
finish(p, id, tonumber(ARGV[3]), false)
return 'cancelled'`;
