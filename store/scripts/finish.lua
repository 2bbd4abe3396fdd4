-- End a run. Ending it again changes nothing.
-- KEYS: run, lease, remediation, events, active, line (or the run again), past of the line, journal,
--       open runs that write on the API server (or the run again)
-- ARGV: run id, attempt, status, now, error (JSON or ''), event, most runs kept in the past, its life in seconds
-- Returns the number of runs still open, or -1 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[2] then return -1 end
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' or status == 'running' then
  redis.call('HSET', KEYS[1], 'status', ARGV[3], 'finished_at', ARGV[4])
  if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[5]) end
  redis.call('DEL', KEYS[2])
  redis.call('SREM', KEYS[5], ARGV[1])
  if KEYS[9] ~= KEYS[1] then redis.call('ZREM', KEYS[9], ARGV[1]) end
  if KEYS[6] ~= KEYS[1] then
    redis.call('LREM', KEYS[6], 0, ARGV[1])
    if redis.call('EXISTS', KEYS[8]) == 1 then
      redis.call('RPUSH', KEYS[7], ARGV[1])
      redis.call('LTRIM', KEYS[7], -tonumber(ARGV[7]), -1)
      redis.call('EXPIRE', KEYS[7], ARGV[8])
    end
  end
  redis.call('HINCRBY', KEYS[3], 'open', -1)
  redis.call('XADD', KEYS[4], '*', 'type', 'run.finished', 'data', ARGV[6])
end
return tonumber(redis.call('HGET', KEYS[3], 'open'))
