-- Tells of the values of the hashes KEYS, without them. Answers the server's time in milliseconds, and for each key nothing or
-- {bytes of the value, version, content type, milliseconds to live or -1}. What no state store has written is nothing.
local time = redis.call('TIME')
local items = {}
for i, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  items[i] = false
  if left ~= -2 and redis.pcall('HEXISTS', key, 'data') == 1 then
    local fields = redis.call('HMGET', key, 'version', 'content-type')
    if fields[1] then
      items[i] = {redis.call('HSTRLEN', key, 'data'), fields[1], fields[2] or false, left}
    end
  end
end
return {time[1] * 1000 + math.floor(time[2] / 1000), items}
