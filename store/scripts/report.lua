-- Store finished namespaces. A namespace's first row is final, so a step that runs twice counts once.
-- KEYS: run, events, memory of the cluster, one row key per outcome
-- ARGV: attempt, most events kept, life of the memory in seconds, event, then for each row: namespace, index of its row
-- key, row, counts (JSON), lines of the memory (one without a uid forgets)
-- Returns the number of new rows, or -1 for a late worker
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return -1 end
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return -1 end
local function known(namespace)
  for key = 4, #KEYS do
    local low = '[' .. namespace .. '\0'
    if #redis.call('ZRANGEBYLEX', KEYS[key], low, low .. '\255', 'LIMIT', 0, 1) > 0 then return true end
  end
  return false
end
local function name_of(line)
  return string.match(line, '^[^ ]+')
end
local function remember(namespace, lines)
  local changed = {}
  for line in string.gmatch(lines, '[^\n]+') do changed[name_of(line)] = line end
  local kept = {}
  for line in string.gmatch(redis.call('HGET', KEYS[3], namespace) or '', '[^\n]+') do
    if not changed[name_of(line)] then kept[#kept + 1] = line end
  end
  for line in string.gmatch(lines, '[^\n]+') do
    if string.find(line, ' ', 1, true) then kept[#kept + 1] = line end
  end
  if #kept == 0 then
    redis.call('HDEL', KEYS[3], namespace)
  else
    redis.call('HSET', KEYS[3], namespace, table.concat(kept, '\n'))
    redis.call('EXPIRE', KEYS[3], ARGV[3])
  end
end
local added = 0
for at = 5, #ARGV, 5 do
  if not known(ARGV[at]) then
    redis.call('ZADD', KEYS[3 + tonumber(ARGV[at + 1])], 0, ARGV[at + 2])
    for name, value in pairs(cjson.decode(ARGV[at + 3])) do
      redis.call('HINCRBY', KEYS[1], 'n.' .. name, value)
    end
    if ARGV[at + 4] ~= '' then remember(ARGV[at], ARGV[at + 4]) end
    added = added + 1
  end
end
if added > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'type', 'run.progress', 'data', ARGV[4])
end
return added
