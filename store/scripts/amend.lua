-- Change lines of a cluster's memory that are as they were read.
-- KEYS: memory   ARGV: for each line: namespace, the line as it was read, the line as it is to be (without a uid: none)
for at = 1, #ARGV, 3 do
  local text = redis.call('HGET', KEYS[1], ARGV[at])
  if text then
    local kept = {}
    for line in string.gmatch(text, '[^\n]+') do
      if line == ARGV[at + 1] then line = ARGV[at + 2] end
      if string.find(line, ' ', 1, true) then kept[#kept + 1] = line end
    end
    if #kept == 0 then
      redis.call('HDEL', KEYS[1], ARGV[at])
    else
      redis.call('HSET', KEYS[1], ARGV[at], table.concat(kept, '\n'))
    end
  end
end
return 1
