--- group -- one consumer of a consumer group: the commands, and what their replies mean.
---
--- Commands are put into a pipeline by whoever has one, so that a round of the worker is one exchange.

---@class moonweir.worker.Group
---@field red userdata  moonweir.hiredis
---@field names moonweir.worker.Names
---@field name string   of the group
---@field consumer string
local Group = {}
Group.__index = Group

local group = {}

local function pairs_of(list)
	local it = {}
	for i = 1, #(list or {}), 2 do
		it[list[i]] = list[i + 1]
	end
	return it
end

---@return moonweir.worker.Group
function group.new(red, names, name, consumer)
	return setmetatable({ red = red, names = names, name = name, consumer = consumer }, Group)
end

--- Of the stream's last entry, be it deleted; "0" if there is no stream.
---@return string|nil, string? message, string? code
function Group:last_id()
	local info, message, code = self.red:call_again("XINFO", "STREAM", self.names.stream)
	if info then
		return pairs_of(info)["last-generated-id"]
	elseif message:find("no such key", 1, true) then
		return "0"
	end
	return nil, message, code
end

--- Is the group there? False also where that can't be known.
function Group:exists()
	for _, info in ipairs(self.red:call_again("XINFO", "GROUPS", self.names.stream) or {}) do
		if pairs_of(info).name == self.name then
			return true
		end
	end
	return false
end

--- The group is there afterwards, and its stream. A new one begins with what is already in the stream, or behind `start`.
---@param start? string an id; "$": with what comes from now on
---@return string|nil began behind which id; of a group that was there already "0", for nobody knows
---@return string? message
---@return string? code
function Group:ensure(start)
	local from, message, code = start or "0"
	if from == "$" then -- as an id, so that the group can be made once more where it was
		from, message, code = self:last_id()
		if not from then
			return nil, message, code
		end
	end
	local ok
	ok, message, code = self.red:call_again("XGROUP", "CREATE", self.names.stream, self.name, from, "MKSTREAM")
	if ok then
		return from
	elseif code == "busygroup" or code == "oom" and self:exists() then -- a full Redis makes none, and has room once it is read
		return "0"
	end
	return nil, message, code
end

--- Entries that nobody has read, or with `after` those that this consumer has read and not finished.
---@param count integer
---@param block_ms? integer how long to wait for one
---@param after? string
---@return table command
function Group:read(count, block_ms, after)
	local command = { "XREADGROUP", "GROUP", self.name, self.consumer, "COUNT", count }
	if block_ms and not after then
		command[#command + 1], command[#command + 2] = "BLOCK", block_ms
	end
	for _, word in ipairs { "STREAMS", self.names.stream, after or ">" } do
		command[#command + 1] = word
	end
	return command
end

--- The reply to that: a list of { id, fields }; fields false: the entry was deleted from the stream.
function Group.entries(reply)
	return reply and reply[1] and reply[1][2] or {}
end

local MOST = 1000 -- ids in one command

--- XACK, and XDEL where the group is the only reader; several commands if there are many.
---@param ids string[]
function Group:acknowledge(commands, ids, delete)
	for first = 1, #ids, MOST do
		local ack = { "XACK", self.names.stream, self.name }
		local del = { "XDEL", self.names.stream }
		for i = first, math.min(first + MOST - 1, #ids) do
			ack[#ack + 1] = ids[i]
			del[#del + 1] = ids[i]
		end
		commands[#commands + 1] = ack
		if delete then
			commands[#commands + 1] = del
		end
	end
end

--- The claim on these begins anew, so that nobody takes us for dead.
function Group:renew(commands, ids)
	for first = 1, #ids, MOST do
		local claim = { "XCLAIM", self.names.stream, self.name, self.consumer, 0 }
		for i = first, math.min(first + MOST - 1, #ids) do
			claim[#claim + 1] = ids[i]
		end
		claim[#claim + 1] = "JUSTID"
		commands[#commands + 1] = claim
	end
end

--- Takes over what others have left for `idle` seconds.
---@param from string where to go on; "0-0" at first
---@return table command
function Group:claim(from, idle, count)
	return { "XAUTOCLAIM", self.names.stream, self.name, self.consumer, math.floor(idle * 1000), from, "COUNT", count }
end

--- Commands whose replies `state` reads.
function Group:ask_state(commands)
	commands[#commands + 1] = { "XINFO", "GROUPS", self.names.stream }
	commands[#commands + 1] = { "XINFO", "STREAM", self.names.stream }
	commands[#commands + 1] = { "XLEN", self.names.dead }
	commands[#commands + 1] = { "ZCARD", self.names.parked }
	commands[#commands + 1] = { "ZRANGE", self.names.parked, 0, "-1", "WITHSCORES" }
	return 5
end

---@class moonweir.worker.State
---@field lag integer|nil   entries that nobody has read; nil: Redis can't tell, as some were deleted
---@field pending integer   read by somebody and not finished
---@field consumers integer
---@field length integer    of the stream
---@field dead integer      entries in the dead stream
---@field parked integer    accounts whose entries are parked

---@return moonweir.worker.State
---@return table<string, number> due of parked accounts, ms since 1970
function Group:state(replies, first)
	local stream = pairs_of(replies[first + 1])
	local state = { pending = 0, consumers = 0, length = stream.length or 0, dead = replies[first + 2] or 0,
		parked = replies[first + 3] or 0 }
	for _, one in ipairs(replies[first] or {}) do
		local it = pairs_of(one)
		if it.name == self.name then
			state.pending, state.consumers = it.pending, it.consumers
			state.lag = it.lag or nil
			if it["last-delivered-id"] == stream["last-generated-id"] then
				state.lag = 0 -- Redis's own reckoning is off after it has read its append-only file
			end
		end
	end
	local due = {}
	for account, at in pairs(pairs_of(replies[first + 4])) do
		due[account] = tonumber(at)
	end
	return state, due
end

return group
