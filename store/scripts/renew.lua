-- Keep the lease for as long as nobody else has claimed the run, even where it ran out during an outage.
-- KEYS: run, lease, remediation   ARGV: attempt, lease ms (0 = give the lease back, '' = only look)
-- Returns 1, 2 when the run is to be cancelled, or 0 when it is lost
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
if ARGV[2] == '0' then
  -- A worker that was told to stop has not failed. The lease goes once, however often this is sent.
  if redis.call('DEL', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[1], 'handed_back', 1) end
elseif ARGV[2] ~= '' then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
return redis.call('HGET', KEYS[3], 'status') == 'cancelling' and 2 or 1
