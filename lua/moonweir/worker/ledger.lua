--- ledger -- the entries that were read and are not finished.
---
---     read --push--> under way --its last message has come to its end--> over --acknowledged--> gone
---
--- An entry's messages are known by its tag; they are counted down. The ledger is what bounds a worker: so many entries,
--- so many messages and bytes of them.

local letters = require "moonweir.worker.letter"

---@class moonweir.worker.Ledger
---@field count integer     entries
---@field messages integer  of those under way
---@field bytes integer     of the entries' fields, which are kept until they are gone
---@field over moonweir.worker.Entry[]  to be acknowledged, buried or parked
local Ledger = {}
Ledger.__index = Ledger

local ledger = {}

---@return moonweir.worker.Ledger
function ledger.new()
	return setmetatable({ by_tag = {}, by_id = {}, count = 0, messages = 0, bytes = 0, next_tag = 1, over = {} }, Ledger)
end

--- Is this entry being worked on?
function Ledger:has(id)
	return self.by_id[id] ~= nil
end

---@param entry moonweir.worker.Entry
function Ledger:add(entry, now)
	entry.tag = self.next_tag
	self.next_tag = entry.tag + 1
	entry.renewed = now
	self.by_tag[entry.tag], self.by_id[entry.id] = entry, entry
	self.count, self.bytes = self.count + 1, self.bytes + entry.bytes
end

--- Its messages are on their way; with none it is over.
function Ledger:start(entry, messages)
	entry.left = messages
	self.messages = self.messages + messages
	if messages == 0 then
		self:finish(entry)
	end
end

function Ledger:finish(entry)
	if entry.left >= 0 then
		entry.left = -1
		self.over[#self.over + 1] = entry
	end
end

--- A message of each of these came to its end.
function Ledger:settle(tags)
	local by_tag, over, messages = self.by_tag, self.over, 0
	for i = 1, #tags do
		local entry = by_tag[tags[i]]
		local left = entry and entry.left or 0
		if left > 0 then
			messages = messages + 1
			left = left - 1
			if left == 0 then
				over[#over + 1], left = entry, -1
			end
			entry.left = left
		end
	end
	self.messages = self.messages - messages
end

--- What client:settled gave.
---@param tags integer[]
---@param others moonweir.Report[]
function Ledger:settle_all(tags, others)
	self:settle(tags)
	for _, report in ipairs(others) do
		local entry = report.outcome ~= "parked" and self.by_tag[report.tag]
		if entry then
			if report.outcome == "dead" then
				entry.letter = letters.refused(entry.letter, report)
			elseif report.outcome == "withdrawn" then
				entry.is_withdrawn, entry.account = true, report.account
			end
			self:settle { report.tag }
		end
	end
end

--- It is finished in Redis, too.
function Ledger:forget(entry)
	if self.by_tag[entry.tag] == entry then
		self.by_tag[entry.tag], self.by_id[entry.id] = nil, nil
		self.count, self.bytes = self.count - 1, self.bytes - entry.bytes
		self.messages = self.messages - math.max(entry.left, 0)
	end
end

--- Ids of entries whose claim is older than `age` seconds, which count as renewed from now on.
---@return string[]
function Ledger:stale(now, age)
	local ids = {}
	for id, entry in pairs(self.by_id) do
		if now - entry.renewed >= age then
			entry.renewed = now
			ids[#ids + 1] = id
		end
	end
	return ids
end

--- Entries under way: their reports got lost, or the end has come. They stay pending in Redis.
---@return moonweir.worker.Entry[]
function Ledger:unfinished()
	local list = {}
	for _, entry in pairs(self.by_id) do
		if entry.left >= 0 then
			list[#list + 1] = entry
		end
	end
	return list
end

return ledger
