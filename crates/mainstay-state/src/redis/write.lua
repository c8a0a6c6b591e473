-- Does all operations or none. KEYS[1] holds the latest version that was given out; KEYS[i + 1] is the key of operation i,
-- and five arguments are what it is about:
--   required      '' nothing, '-' the key is absent, or the version that it has
--   action        's' set, 'd' delete, '' nothing, because a later operation on the key decides
--   value
--   content type  '' none, or '=' and the type
--   milliseconds to live, or ''
-- Answers nothing, or {i, version} of the first operation whose requirement does not hold.
local FIELDS = 5
-- Up to here numbers are exact; what is larger was not given out here.
local EXACT = 9007199254740992

local last = 0
local sets = false
for i = 1, #KEYS - 1 do
  local found = redis.pcall('HGET', KEYS[i + 1], 'version')
  -- A key of another type, or a hash of somebody else.
  if type(found) == 'table' or (not found and redis.call('EXISTS', KEYS[i + 1]) == 1) then
    found = '?'
  end
  local required = ARGV[(i - 1) * FIELDS + 1]
  if required ~= '' and required ~= (found or '-') then
    return {i, found}
  end
  local number = tonumber(found or '') or 0
  if number > last and number < EXACT then
    last = number
  end
  sets = sets or ARGV[(i - 1) * FIELDS + 2] == 's'
end

-- The time makes versions new even when the counter was lost with the latest writes; the counter does when the clock was
-- set back.
local version
if sets then
  local time = redis.call('TIME')
  local counter = tonumber(redis.call('GET', KEYS[1]) or '') or 0
  version = string.format('%.0f', math.max(time[1] * 1000000 + time[2], counter + 1, last + 1))
  -- The first write, because it is one that a full server refuses, before anything was changed.
  redis.call('SET', KEYS[1], version)
end

for i = 1, #KEYS - 1 do
  local key, at = KEYS[i + 1], (i - 1) * FIELDS
  local action, content_type, left = ARGV[at + 2], ARGV[at + 4], ARGV[at + 5]
  if action ~= '' then
    redis.call('DEL', key)
  end
  if action == 's' then
    redis.call('HSET', key, 'data', ARGV[at + 3], 'version', version)
    if content_type ~= '' then
      redis.call('HSET', key, 'content-type', string.sub(content_type, 2))
    end
    if left ~= '' then
      redis.call('PEXPIRE', key, left)
    end
  end
end
return false
