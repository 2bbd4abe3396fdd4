-- Ask for the end of a remediation.
-- KEYS: remediation, events, idempotency record (or the remediation again: the request has no key)
-- ARGV: event, what to keep under the key, its life in seconds
-- Returns {"known", what is kept under the key} if the key was used before, else {"status", that of the remediation
-- after this: cancelling, or a final one}, or {"gone"}
local keyed = KEYS[3] ~= KEYS[1]
local known = keyed and redis.call('GET', KEYS[3])
if known then return {'known', known} end
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'gone'} end
if status == 'queued' or status == 'running' then
  status = 'cancelling'
  redis.call('HSET', KEYS[1], 'status', status)
  redis.call('XADD', KEYS[2], '*', 'type', 'remediation.cancelling', 'data', ARGV[1])
end
-- Of what had ended otherwise nothing is made: the key stays free.
if keyed and (status == 'cancelling' or status == 'cancelled') then
  redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[3])
end
return {'status', status}
