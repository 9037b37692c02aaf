--- ring -- the last 500 things that came, newest last; older ones are forgotten.
---
---     local r = ring.new()
---     r:push { raw = "{…}" }                    -- gets its number: 1, 2, 3, …
---     for entry in r:after(seen) do … end       -- those with a higher number that are still there
---
--- Bounded in bytes as well, as one message may have hundreds of thousands.

local ring = {}

ring.ENTRIES = 500
ring.BYTES = 32 * 1024 * 1024

---@class moonweir.debugger.Ring
---@field last integer number of the newest, ever; 0: none yet
local Ring = {}
Ring.__index = Ring

---@return moonweir.debugger.Ring
function ring.new()
	return setmetatable({ entries = {}, first = 1, last = 0, bytes = 0 }, Ring)
end

function Ring:forget_first()
	self.bytes = self.bytes - #self.entries[self.first].raw
	self.entries[self.first] = nil
	self.first = self.first + 1
end

---@param entry {raw: string, number: integer?}
function Ring:push(entry)
	self.last = self.last + 1
	entry.number = self.last
	self.entries[self.last] = entry
	self.bytes = self.bytes + #entry.raw
	while self.last - self.first >= ring.ENTRIES or self.bytes > ring.BYTES and self.first < self.last do
		self:forget_first()
	end
end

--- How many are there.
function Ring:count()
	return self.last - self.first + 1
end

--- Those with a higher number, oldest first.
---@param number integer
---@return fun(): table?
function Ring:after(number)
	local i = math.max(number + 1, self.first) - 1
	return function()
		i = i + 1
		return self.entries[i]
	end
end

--- Forget all; numbers go on.
function Ring:clear()
	self.entries, self.first, self.bytes = {}, self.last + 1, 0
end

return ring
