--- form -- name and value pairs as signatures need them: in the order they came, every one, brackets being letters.

local form = {}

--- As many as the mapping reads of a form.
local PAIRS_MAX = 10000

local function decode(text)
	local bad = text:gsub("%%%x%x", ""):find("%", 1, true)
	if bad then
		return nil
	end
	return (text:gsub("%+", " "):gsub("%%(%x%x)", function(hex)
		return string.char(tonumber(hex, 16))
	end))
end

--- a=1&b=x%20y -> { { "a", "1" }, { "b", "x y" } }; nil if an escape is broken or there are too many.
---@param text string
---@return string[][]|nil
function form.pairs(text)
	local list = {}
	for part in text:gmatch "[^&]+" do
		local name, value = part:match "^([^=]*)=(.*)$"
		name, value = decode(name or part), decode(value or "")
		if not name or not value or #list == PAIRS_MAX then
			return nil
		end
		list[#list + 1] = { name, value }
	end
	return list
end

local function escape(text)
	return (text:gsub("[^%w%-._~%[%]]", function(c)
		return ("%%%02X"):format(c:byte())
	end))
end

--- The other way round; brackets stay, for the mapping reads them.
---@param list string[][]
---@return string
function form.encode(list)
	local parts = {}
	for i, pair in ipairs(list) do
		parts[i] = escape(pair[1]) .. "=" .. escape(pair[2])
	end
	return table.concat(parts, "&")
end

--- The same of a form's text, of which nothing else is read: a stranger's may be long. Only for names of letters, which nobody
--- escapes; nil if the value can't be decoded.
---@param text string
---@param name string
---@return string|nil
function form.find(text, name)
	local value = text:match("^" .. name .. "=([^&]*)") or text:match("&" .. name .. "=([^&]*)")
	return value and decode(value)
end

--- The value of the first pair of that name.
---@param list string[][]
---@param name string
---@return string|nil
function form.value(list, name)
	for _, pair in ipairs(list) do
		if pair[1] == name then
			return pair[2]
		end
	end
	return nil
end

return form
