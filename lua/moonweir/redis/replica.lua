--- moonweir.redis.replica -- a hash in Redis, followed: all of it once, and then what was changed.
--
-- Beside the hash (name -> bytes) lies a sorted set (name -> revision). Whoever writes does both in one script, and gives
-- the next revision: later than all before, and never earlier than Redis's clock says, in microseconds. So a follower asks
-- for what is above the revision that it has seen, which mostly is one short answer: nothing.
--
-- After a connection broke, all is read again: Redis may have been restarted with a file that lacks the last second, or a
-- replica that lacks it took over, and then has what the follower has not and the other way round. The revision of the
-- removed is kept for a day; a follower that did not look for an hour reads all as well. A `steady` one does neither: what
-- it follows only ever grows, so what Redis lost does no harm where it is known. It may keep its `revision` and go on later.
--
-- Both keys have one hash tag, so that a script may have both in a cluster.

local hiredis = require "moonweir.hiredis"
local process = require("moonweir.core").process

local replica = {}

local PAGE = 1000 -- names in one answer
local STALE = 3600 -- seconds

-- KEYS: hash, order. ARGV: name; what is there now ("": nothing), if it is to be compared; what is to be there ("": nothing);
-- "1" to compare. True: done.
local PUT = hiredis.script [[
if ARGV[4] == "1" and (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then
  return 0
end
if ARGV[3] == "" then
  redis.call("HDEL", KEYS[1], ARGV[1])
else
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
end
local last = redis.call("ZREVRANGE", KEYS[2], 0, 0, "WITHSCORES")[2]
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local revision = math.max((tonumber(last) or 0) + 1, now)
redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", string.format("%.0f", now - 86400000000))
redis.call("ZADD", KEYS[2], string.format("%.0f", revision), ARGV[1])
return 1
]]

---@class moonweir.redis.Replica
local Replica = {}
Replica.__index = Replica

--- Follow the hash `key`, whose order is in `key:changes`. `red` is a connection of moonweir.hiredis's.
---@param steady? boolean
---@return moonweir.redis.Replica
function replica.new(red, key, steady)
	return setmetatable({ red = red, key = key, order = key .. ":changes", looked = -math.huge, steady = steady }, Replica)
end

--- Write one, if it still is what it was when it was last read: `old` false where there was nothing, nil: whatever it was.
---@return boolean|nil done
---@return string? message
---@return string? code
function Replica:put(name, old, new)
	local reply, message, code =
		self.red:call(PUT, 2, self.key, self.order, name, old or "", new or "", old == nil and "0" or "1")
	if not reply then
		return nil, message, code
	end
	return reply == 1
end

---@return string|false|nil
function Replica:get(name)
	return self.red:call_again("HGET", self.key, name)
end

--- The revision of the latest change.
function Replica:latest()
	local reply, message, code = self.red:call_again("ZREVRANGE", self.order, 0, 0, "WITHSCORES")
	if not reply then
		return nil, message, code
	end
	return tonumber(reply[2]) or 0
end

function Replica:all(each)
	local latest, message, code = self:latest()
	if not latest then
		return nil, message, code
	end
	local cursor = "0"
	repeat
		local reply
		reply, message, code = self.red:call_again("HSCAN", self.key, cursor, "COUNT", PAGE)
		if not reply then
			return nil, message, code
		end
		cursor = reply[1]
		local ok
		ok, message, code = each(reply[2])
		if not ok then
			return nil, message, code
		end
	until cursor == "0"
	self.revision = latest
	return true
end

function Replica:changed(each)
	while true do
		local names, message, code = self.red:call_again("ZRANGEBYSCORE", self.order, ("(%.0f"):format(self.revision), "+inf",
			"WITHSCORES", "LIMIT", 0, PAGE)
		if not names then
			return nil, message, code
		elseif #names == 0 then
			return true
		end
		local command, list = { "HMGET", self.key }, {}
		for i = 1, #names, 2 do
			command[#command + 1] = names[i]
		end
		local rows = self.red:pipeline({ command }, true)
		if not rows or rows.errors then
			return nil, rows and rows.errors[1].message or "Redis gave no rows", rows and rows.errors[1].code or "io"
		end
		for i = 1, #names, 2 do
			list[i], list[i + 1] = names[i], rows[1][(i + 1) / 2]
		end
		local ok
		ok, message, code = each(list)
		if not ok then
			return nil, message, code
		end
		self.revision = tonumber(names[#names])
	end
end

--- Hand what is new to `each({ name, bytes, name, false, … })`, in pieces; false: it was removed. `begin` and `finish` are
--- called around a reading of all, of which `each` is told every one that there is.
---@return "all"|"changes"|nil what
---@return string? message
---@return string? code
function Replica:look(each, begin, finish)
	local now = process.monotonic()
	local connects = self.red:stats().connects
	local fresh = self.revision and connects == self.connects and now - self.looked < STALE
	if self.revision and self.steady and connects ~= self.connects then
		-- Revisions only grow; a Redis that is behind ours is another one.
		local latest, message, code = self:latest()
		if not latest then
			return nil, message, code
		end
		fresh = latest >= self.revision
	elseif self.revision and self.steady then
		fresh = true
	end
	if fresh then
		local ok, message, code = self:changed(each)
		if not ok then
			return nil, message, code
		end
		fresh = self.steady or self.red:stats().connects == connects
		self.connects = self.steady and self.red:stats().connects or self.connects
	end
	if not fresh then
		if begin then
			begin()
		end
		self.connects = nil
		local ok, message, code = self:all(each)
		if ok then
			ok, message, code = self:changed(each) -- what was changed meanwhile
		end
		if ok and finish then
			ok, message, code = finish()
		end
		if not ok then
			return nil, message, code
		end
		self.connects = self.red:stats().connects
	end
	self.looked = now
	return fresh and "changes" or "all"
end

return replica
