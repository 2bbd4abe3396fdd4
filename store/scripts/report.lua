-- Store finished namespaces. A namespace's first row is final, so a step that runs twice counts once.
-- KEYS: run, events, one row key per outcome
-- ARGV: attempt, most events kept, event, then for each row: namespace, index of its row key, row, counts (JSON)
-- Returns the number of new rows, or -1 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return -1 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return -1 end
local function known(namespace)
  for key = 3, #KEYS do
    local low = '[' .. namespace .. '\0'
    if #redis.call('ZRANGEBYLEX', KEYS[key], low, low .. '\255', 'LIMIT', 0, 1) > 0 then return true end
  end
  return false
end
local added = 0
for at = 4, #ARGV, 4 do
  if not known(ARGV[at]) then
    redis.call('ZADD', KEYS[2 + tonumber(ARGV[at + 1])], 0, ARGV[at + 2])
    for name, value in pairs(cjson.decode(ARGV[at + 3])) do
      redis.call('HINCRBY', KEYS[1], 'n.' .. name, value)
    end
    added = added + 1
  end
end
if added > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'type', 'run.progress', 'data', ARGV[3])
end
return added
