-- Reads the hashes KEYS at one moment. Answers the server's time in milliseconds, and for each key nothing or
-- {data, version, content type, milliseconds to live or -1}.
local time = redis.call('TIME')
local items = {}
for i, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  if left == -2 then
    items[i] = false
  else
    -- A key of another type has no fields; the error is left aside.
    local fields = redis.pcall('HMGET', key, 'data', 'version', 'content-type')
    items[i] = {fields[1] or false, fields[2] or false, fields[3] or false, left}
  end
end
return {time[1] * 1000 + math.floor(time[2] / 1000), items}
