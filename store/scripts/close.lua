-- End a remediation whose runs have all ended. A final status never changes. One that is to be followed by a readiness
-- check, and was not cancelled, is noted as due for it in the same step, and names it from then on.
-- A readiness check tells its verdict to the remediation that it followed, if that is still there.
-- KEYS: remediation, events, open, open ones of its caller, approvals, sealed login, checks due,
--       remediation that it followed (or the remediation again: it followed none), events of that
-- ARGV: remediation id, status, now, event, id of the check, verdict, event of the verdict
-- Returns 1 if this call ended it
local status = redis.call('HGET', KEYS[1], 'status')
if not status or (status ~= 'queued' and status ~= 'running' and status ~= 'cancelling') then
  redis.call('SREM', KEYS[3], ARGV[1])
  redis.call('SREM', KEYS[4], ARGV[1])
  redis.call('DEL', KEYS[6])
  return 0
end
if tonumber(redis.call('HGET', KEYS[1], 'open')) ~= 0 then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'finished_at', ARGV[3])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('DEL', KEYS[6])
if redis.call('HGET', KEYS[1], 'readiness') == '1' and ARGV[2] ~= 'cancelled' then
  redis.call('HSET', KEYS[1], 'check', ARGV[5])
  redis.call('SADD', KEYS[7], ARGV[1])
end
redis.call('XADD', KEYS[2], '*', 'type', 'remediation.finished', 'data', ARGV[4])
if KEYS[8] ~= KEYS[1] and redis.call('EXISTS', KEYS[8]) == 1 then
  redis.call('HSET', KEYS[8], 'verdict', ARGV[6])
  redis.call('XADD', KEYS[9], '*', 'type', 'readiness.finished', 'data', ARGV[7])
end
return 1
