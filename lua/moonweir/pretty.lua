--- pretty -- JSON for people: indented, its names in the order they were given in, the same each time.
---
---     pretty.encode(pretty.object("type", "TRACK", "key", nil, "rules", pretty.list { 1, 2 }))

local core = require "moonweir.core"

local pretty = {}

local Object, List = {}, {}

--- Names and values in turn. What is nil is left out; core.null is a null.
function pretty.object(...)
	local made = setmetatable({}, Object)
	for i = 1, select("#", ...), 2 do
		local name, value = select(i, ...)
		if value ~= nil then
			rawset(made, #made + 1, { name = name, value = value })
		end
	end
	return made
end

--- The members of a table, by name; `of` makes something of each value.
function pretty.members(from, of)
	local names, made = {}, setmetatable({}, Object)
	for name in next, from do
		names[#names + 1] = name
	end
	table.sort(names)
	for i, name in ipairs(names) do
		made[i] = { name = name, value = of(from[name], name) }
	end
	return made
end

function pretty.list(items)
	return setmetatable(items, List)
end

local function whole(value, indent)
	local kind = getmetatable(value)
	if type(value) ~= "table" or kind ~= Object and kind ~= List then
		return (core.encode(value)) or "null"
	elseif #value == 0 then
		return kind == Object and "{}" or "[]"
	end
	local inner, parts, is_short = indent .. "  ", {}, kind == List
	for i, item in ipairs(value) do
		parts[i] = kind == Object and core.encode(item.name) .. ": " .. whole(item.value, inner) or whole(item, inner)
		is_short = is_short and type(item) ~= "table"
	end
	if is_short then
		return "[" .. table.concat(parts, ", ") .. "]"
	end
	local open, close = kind == Object and "{" or "[", kind == Object and "}" or "]"
	return open .. "\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. close
end

--- A value of the above, or a plain one, as JSON without a newline at its end.
---@return string
function pretty.encode(value)
	return whole(value, "")
end

--- A value read by core.decode, for encode; its names sorted, those in `first` before all others.
---@param value any
---@param first? string[]
function pretty.of_json(value, first)
	if type(value) ~= "table" then
		return value
	elseif getmetatable(value) ~= nil then
		local items = {}
		for i, item in ipairs(value) do
			items[i] = pretty.of_json(item)
		end
		return pretty.list(items)
	end
	local rank = {}
	for i, name in ipairs(first or {}) do
		rank[name] = i
	end
	local made = pretty.members(value, function(member)
		return pretty.of_json(member)
	end)
	table.sort(made, function(a, b)
		local x, y = rank[a.name] or 1000, rank[b.name] or 1000
		if x ~= y then
			return x < y
		end
		return a.name < b.name
	end)
	return made
end

return pretty
