--- progress -- one line on a terminal that says how far a run is. Elsewhere it says nothing.

local process = require("moonweir.core").process
local terminal = require "moonweir.cli.terminal"

---@class moonweir.cli.Progress
local Progress = {}
Progress.__index = Progress

local INTERVAL = 0.1 -- seconds between two drawings: smooth enough, and costs nothing
local BAR = 16 -- columns

local function new(total)
	return setmetatable({
		total = total,
		shown = process.is_terminal(2),
		started = process.monotonic(),
		drawn = 0,
		visible = false,
	}, Progress)
end

local function bar(share)
	local full = math.floor(share * BAR)
	return ("[%s%s] %3d %%"):format(("="):rep(full), (" "):rep(BAR - full), math.floor(share * 100))
end

--- Draw, unless that was done a moment ago.
---@param share number|false|nil of the whole, 0 to 1; not known: no bar
---@param parts string[] what there is to say, the most important first
function Progress:draw(share, parts)
	local now = process.monotonic()
	if not self.shown or now - self.drawn < INTERVAL then
		return
	end
	self.drawn = now
	if share then
		table.insert(parts, 1, bar(math.min(1, share)))
	end
	local line = table.concat(parts, "  ")
	while #line >= process.width() and #parts > 1 do -- a narrow terminal: the last things matter least
		parts[#parts] = nil
		line = table.concat(parts, "  ")
	end
	io.stderr:write("\r", line:sub(1, process.width() - 1), "\27[K")
	io.stderr:flush()
	self.visible = true
end

--- How far a run is.
---@param done integer bytes read
---@param stats table the client's
function Progress:update(done, stats)
	if not self.shown then
		return
	end
	local seconds = math.max(process.monotonic() - self.started, 0.001)
	local parts = { terminal.count(stats.events) .. " events", terminal.count(stats.delivered) .. " delivered" }
	if stats.dead > 0 then
		parts[#parts + 1] = terminal.count(stats.dead) .. " dead"
	end
	parts[#parts + 1] = terminal.count(stats.events / seconds) .. "/s"
	self:draw(self.total and self.total > 0 and done / self.total, parts)
end

--- Take the line away, so that another can be written.
function Progress:clear()
	if self.visible then
		io.stderr:write "\r\27[K"
		self.visible = false
	end
end

return { new = new }
