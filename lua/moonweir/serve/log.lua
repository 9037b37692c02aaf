--- log -- what the daemon tells, one line of logfmt each: for people, and for whatever collects them.
---
---     local log = log.new { level = "info" }
---     log:say("warning", "unsigned", { account = "acme", reason = "…" })
---     time=2026-01-31T12:00:00.123Z level=warning event=unsigned account=acme reason="…"
---
--- Of one kind of event at most a line a second is written; the next one says how many were not. So a flood of refused
--- requests is no flood of lines. Who calls gives no secret and no body; control characters are taken out here.
--- A host whose log has times and levels of its own (nginx) says bare = true.

local process = require("moonweir.core").process
local terminal = require "moonweir.cli.terminal"

local log = {}

local LEVELS = { debug = 1, info = 2, warning = 3, error = 4 }
local INTERVAL = 1 -- seconds
local VALUE_MAX = 500

---@class moonweir.serve.Log
---@field level string
local Log = {}
Log.__index = Log

---@param options {level: string?, write: fun(line: string, level: string)?, clock: (fun(): number)?, bare: boolean?}
function log.new(options)
	return setmetatable({
		level = options.level or "info",
		bare = options.bare,
		write = options.write or function(line)
			io.stderr:write(line)
		end,
		clock = options.clock or process.monotonic,
		said = {},
		withheld = {},
	}, Log)
end

local function value_of(value)
	if type(value) == "number" then
		return value % 1 == 0 and ("%.0f"):format(value) or ("%.3f"):format(value)
	end
	local text = terminal.safe(tostring(value), VALUE_MAX)
	if text == "" or text:find '[%s"=\\]' then
		return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
	end
	return text
end

local function now()
	local wall = process.wall()
	local seconds = math.floor(wall)
	return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. (".%03dZ"):format(math.floor((wall - seconds) * 1000))
end

---@param level "debug"|"info"|"warning"|"error"
---@param event string a stable word
---@param fields? table<string, any>
function Log:say(level, event, fields)
	if LEVELS[level] < LEVELS[self.level] then
		return
	end
	local at = self.clock()
	local last = self.said[event]
	if last and at - last < INTERVAL and level ~= "info" then
		self.withheld[event] = (self.withheld[event] or 0) + 1
		return
	end
	self:write_line(at, level, event, fields)
end

function Log:write_line(at, level, event, fields)
	self.said[event] = at
	local parts = self.bare and { "event=" .. event } or { "time=" .. now(), "level=" .. level, "event=" .. event }
	local names = {}
	for name in pairs(fields or {}) do
		names[#names + 1] = name
	end
	table.sort(names)
	for _, name in ipairs(names) do
		parts[#parts + 1] = name .. "=" .. value_of(fields[name])
	end
	if self.withheld[event] then
		parts[#parts + 1] = "withheld=" .. self.withheld[event]
		self.withheld[event] = nil
	end
	self.write(table.concat(parts, " ") .. (self.bare and "" or "\n"), level)
end

--- Tell what was withheld and has had no line since: a flood that is over is counted to its end.
function Log:flush()
	local at = self.clock()
	for event in pairs(self.withheld) do
		if at - self.said[event] >= INTERVAL then
			self:write_line(at, "warning", event)
		end
	end
end

return log
