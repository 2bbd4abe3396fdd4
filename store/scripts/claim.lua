-- Take a run's lease and a fencing number (the attempt), unless it has ended, is held, was tried too often, or another
-- run of its line goes first.
-- KEYS: run, lease, remediation, events, line (or the run again: it stands in none)
-- ARGV: now, lease ms, max attempts, event, run id
-- Returns {"claimed" | "held" | "ended" | "exhausted" | "behind" | "gone", attempt}
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'gone', 0} end
local attempt = tonumber(redis.call('HGET', KEYS[1], 'attempt'))
if status ~= 'queued' and status ~= 'running' then return {'ended', attempt} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'held', attempt} end
if KEYS[5] ~= KEYS[1] and redis.call('LINDEX', KEYS[5], 0) ~= ARGV[5] then return {'behind', attempt} end
local handed_back = tonumber(redis.call('HGET', KEYS[1], 'handed_back') or 0)
if attempt - handed_back >= tonumber(ARGV[3]) then return {'exhausted', attempt} end
attempt = redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('SET', KEYS[2], attempt, 'PX', ARGV[2])
redis.call('HSET', KEYS[1], 'status', 'running')
redis.call('HSETNX', KEYS[1], 'started_at', ARGV[1])
if redis.call('HGET', KEYS[3], 'status') == 'queued' then
  redis.call('HSET', KEYS[3], 'status', 'running', 'started_at', ARGV[1])
end
redis.call('XADD', KEYS[4], '*', 'type', 'run.started', 'data', ARGV[4])
return {'claimed', attempt}
