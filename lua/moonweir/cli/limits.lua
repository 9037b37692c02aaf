--- limits -- how much a spool may hold and for how long: options of the commands that send from one.

local terminal = require "moonweir.cli.terminal"

local limits = {}

local BYTES = { [""] = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30, T = 2 ^ 40 }
local SECONDS = { [""] = 1, s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

--- What turns "20G" or "2d" into a number, or says how the option is to be written.
local function amount(option, units, shape)
	return function(text)
		local n, unit = text:match "^(%d+)(%a?)$"
		if n and units[unit] then
			return tonumber(n) * units[unit]
		end
		return nil, ("%s takes %s, not '%s'"):format(option, shape, terminal.safe(text, 80))
	end
end

-- By the names of moonweir.open, in the order of --help.
local OPTIONS = {
	{ "disk_bytes", "<size>", "The most that the spool may take on disk (10G); then events are refused until some are delivered." },
	{ "repeats", "<time>", "How long an event's id is remembered, so that a repeat is not sent twice (48h); 0: not at all." },
	{ "dead_days", "<n>", "Days for which dead letters are kept (30); 0: as long as there is room." },
	{ "dead_bytes", "<size>", "The most that dead letters may take of it (a tenth, at most 1G); then the oldest go." },
}

local function flag(name)
	return "--" .. name:gsub("_", "-")
end

function limits.define(parser, number)
	for _, option in ipairs(OPTIONS) do
		local name, argument, text = option[1], option[2], option[3]
		local as_flag = flag(name)
		parser:option(as_flag, text):argname(argument):convert(
			argument == "<size>" and amount(as_flag, BYTES, "bytes, or a size such as 500M or 20G")
				or argument == "<time>" and amount(as_flag, SECONDS, "seconds, or a time such as 90m, 48h or 7d")
				or number(as_flag)
		)
	end
end

--- Adds them to mw.open's options.
---@return boolean|nil ok
---@return string? message
function limits.apply(options, args)
	for _, option in ipairs(OPTIONS) do
		local name = option[1]
		if args[name] and not options.spool then
			return nil, flag(name) .. " is about a spool. Give --spool DIR, or set MOONWEIR_SPOOL"
		end
		options[name] = args[name]
	end
	return true
end

return limits
