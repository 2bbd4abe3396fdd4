-- Note what will be written, before it is. A later attempt's note holds what the earlier one did, and replaces it.
-- KEYS: run, journal   ARGV: attempt, then for each namespace: its name, intent (JSON)   Returns 1, or 0 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
for at = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
end
return 1
