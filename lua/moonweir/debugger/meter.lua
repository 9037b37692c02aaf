--- meter -- requests, messages and bytes of each of the last 60 seconds.
---
--- Never reads a clock: `now` is seconds on one that does not run backwards.

local core = require "moonweir.core"

local meter = {}

meter.SECONDS = 60

---@class moonweir.debugger.Meter
local Meter = {}
Meter.__index = Meter

---@return moonweir.debugger.Meter
function meter.new()
	return setmetatable({ slots = {} }, Meter)
end

--- One request came.
---@param now number
---@param bytes integer of its body
---@param messages integer
function Meter:add(now, bytes, messages)
	local second = math.floor(now)
	local slot = self.slots[second % meter.SECONDS]
	if not slot or slot.second ~= second then
		slot = { second = second, requests = 0, messages = 0, bytes = 0, largest = 0 }
		self.slots[second % meter.SECONDS] = slot
	end
	slot.requests = slot.requests + 1
	slot.messages = slot.messages + messages
	slot.bytes = slot.bytes + bytes
	slot.largest = math.max(slot.largest, bytes)
end

--- Lists of 60 numbers, oldest first; the last is that of the second that is not over yet.
---@param now number
---@return {requests: integer[], messages: integer[], bytes: integer[], largest: integer[]}
function Meter:view(now)
	local view = {}
	for _, name in ipairs { "requests", "messages", "bytes", "largest" } do
		view[name] = core.array {}
	end
	local this = math.floor(now)
	for second = this - meter.SECONDS + 1, this do
		local slot = self.slots[second % meter.SECONDS]
		local is_right = slot and slot.second == second
		for name, list in pairs(view) do
			list[#list + 1] = is_right and slot[name] or 0
		end
	end
	return view
end

return meter
