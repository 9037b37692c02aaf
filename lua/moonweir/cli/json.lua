--- json -- what commands print for programs: members in a fixed order, and nothing that a terminal would obey.

local core = require "moonweir.core"
local terminal = require "moonweir.cli.terminal"

local json = {}

---@param s string
function json.text(s)
	return core.encode(terminal.whole(s, "?"))
end

---@param items any[]
---@param one fun(item: any): string gives its JSON
function json.list(items, one)
	local parts = {}
	for i, item in ipairs(items) do
		parts[i] = one(item)
	end
	return "[" .. table.concat(parts, ",") .. "]"
end

--- Members in this order, of those that are there; values are JSON.
function json.object(...)
	local parts = {}
	for i = 1, select("#", ...), 2 do
		local name, value = select(i, ...)
		if value then
			parts[#parts + 1] = ('"%s":%s'):format(name, value)
		end
	end
	return "{" .. table.concat(parts, ",") .. "}"
end

--- An integer of any size as it is: a Lua number in JSON may get a fraction or an exponent.
---@param n number
function json.count(n)
	return ("%.0f"):format(n)
end

--- Members of these names, for between the braces of an object: "queued":40,"dead":1
---@param entry table<string, number>
---@param names string[]
function json.counts(entry, names)
	local parts = {}
	for i, name in ipairs(names) do
		parts[i] = ('"%s":%.0f'):format(name, entry[name])
	end
	return table.concat(parts, ",")
end

return json
