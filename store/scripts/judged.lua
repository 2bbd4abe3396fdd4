-- Store what a check found on a cluster, in several calls of one attempt; what an earlier attempt stored goes first.
-- KEYS: run, findings, restarts
-- ARGV: attempt, "first" or "more", verdict and counts (JSON, '' until the last call), restarts (JSON or ''), then findings
-- Returns 1, or 0 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
if ARGV[2] == 'first' then redis.call('DEL', KEYS[2], KEYS[3]) end
for at = 5, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[at]) end
if ARGV[4] ~= '' then redis.call('SET', KEYS[3], ARGV[4]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'judged', ARGV[3]) end
return 1
