-- Note what the observation found: the number of namespaces, and the names that do not exist.
-- KEYS: run, events   ARGV: attempt, total, missing (JSON), event, unmatched and endings (JSON, both left out to keep them)
-- Returns 1, or 0 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'n.total', ARGV[2], 'missing', ARGV[3])
if ARGV[5] then redis.call('HSET', KEYS[1], 'unmatched', ARGV[5], 'endings', ARGV[6]) end
redis.call('XADD', KEYS[2], '*', 'type', 'run.observed', 'data', ARGV[4])
return 1
