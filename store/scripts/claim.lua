-- Take a run's lease and a fencing number (the attempt), unless it has ended, is held, was tried too often, or another
-- run of its line goes first, or nobody may begin it: it is not approved, or the service is paused. What is being
-- cancelled is no exception to the first and one to the second: its end is not a start.
-- KEYS: run, lease, remediation, events, line (or the run again: it stands in none),
--       pause (or the run again: it is claimed in order to be ended)
-- ARGV: now, lease ms, max attempts, event, run id, name of this claim: sent again, it is the same one
-- Returns {"claimed" | "held" | "ended" | "exhausted" | "behind" | "unapproved" | "paused" | "gone", attempt}
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'gone', 0} end
local attempt = tonumber(redis.call('HGET', KEYS[1], 'attempt'))
if status ~= 'queued' and status ~= 'running' then return {'ended', attempt} end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {redis.call('HGET', KEYS[1], 'claim') == ARGV[6] and 'claimed' or 'held', attempt}
end
local whole = redis.call('HGET', KEYS[3], 'status')
if KEYS[6] ~= KEYS[1] then
  local approval = redis.call('HGET', KEYS[3], 'approval_state')
  if approval and approval ~= 'approved' then return {'unapproved', attempt} end
  if whole ~= 'cancelling' and redis.call('EXISTS', KEYS[6]) == 1 then return {'paused', attempt} end
end
if KEYS[5] ~= KEYS[1] and redis.call('LINDEX', KEYS[5], 0) ~= ARGV[5] then return {'behind', attempt} end
local handed_back = tonumber(redis.call('HGET', KEYS[1], 'handed_back') or 0)
if attempt - handed_back >= tonumber(ARGV[3]) then return {'exhausted', attempt} end
attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('SET', KEYS[2], attempt, 'PX', ARGV[2])
redis.call('HSET', KEYS[1], 'status', 'running', 'claim', ARGV[6])
redis.call('HSETNX', KEYS[1], 'started_at', ARGV[1])
redis.call('HDEL', KEYS[1], 'judged') -- what an earlier attempt of a check came to counts no more
if whole == 'queued' then
  redis.call('HSET', KEYS[3], 'status', 'running', 'started_at', ARGV[1])
end
redis.call('XADD', KEYS[4], '*', 'type', 'run.started', 'data', ARGV[4])
return {'claimed', attempt}
