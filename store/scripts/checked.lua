-- Note what the registry said of the credential.
-- KEYS: run, events   ARGV: attempt, result (JSON), event   Returns 1, or 0 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'registry_check', ARGV[2])
redis.call('XADD', KEYS[2], '*', 'type', 'run.checked', 'data', ARGV[3])
return 1
