-- Append entries to a trail, if its newest entry is the one that they were chained to.
-- KEYS: trail, head   ARGV: hash of the newest entry ('' for none), most entries kept, then for each entry: text, hash
-- Returns {hash, number} of the newest entry after this; other than the last one given, nothing was appended
local hash = redis.call('HGET', KEYS[2], 'hash') or ''
local count = tonumber(redis.call('HGET', KEYS[2], 'count') or 0)
if hash ~= ARGV[1] then return {hash, count} end
for at = 3, #ARGV, 2 do
  count = count + 1
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*',
    'sequence', count, 'previous', hash, 'text', ARGV[at], 'hash', ARGV[at + 1])
  hash = ARGV[at + 1]
end
redis.call('HSET', KEYS[2], 'hash', hash, 'count', count)
return {hash, count}
