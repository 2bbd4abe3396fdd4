-- Ask for the end of a remediation.
-- KEYS: remediation, events   ARGV: event   Returns its status after this: cancelling, or a final one; false if there is none
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'queued' or status == 'running' then
  redis.call('HSET', KEYS[1], 'status', 'cancelling')
  redis.call('XADD', KEYS[2], '*', 'type', 'remediation.cancelling', 'data', ARGV[1])
  return 'cancelling'
end
return status
