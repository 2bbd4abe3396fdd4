-- Note which credential a run works with.
-- KEYS: run   ARGV: attempt, fingerprint   Returns 1, or 0 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'credential_fingerprint', ARGV[2])
return 1
