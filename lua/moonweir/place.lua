--- place -- where in which script something stands, for errors and for whoever reads descriptions.
---
--- While a script is being loaded, `place.script` says which one and `place.text` what is in it; the
--- language then writes the line beside everything that the script declares.

local suggest = require "moonweir.suggest"

-- The plain ones: while a script runs, those reached through a text are the sandbox's.
local gmatch, gsub = string.gmatch, string.gsub

local place = {
	script = nil, ---@type string? the script being loaded; nil: declarations made by any other Lua code
	text = nil, ---@type string? its text
}

local own = {}

--- Called by each file of the language, so that its own lines are not taken for the script's.
function place.is_own()
	own[debug.getinfo(2, "S").source] = true
end
place.is_own()

--- The script and line that called into the language. A tail call leaves no line.
---@return string? script
---@return integer? line
function place.here()
	local level = 2
	while true do
		local frame = debug.getinfo(level, "Sl")
		if not frame then
			return place.script, nil
		end
		if place.script then
			if frame.source == "@" .. place.script then
				return place.script, frame.currentline
			end
		elseif frame.currentline > 0 and not own[frame.source] then
			return frame.short_src, frame.currentline
		end
		level = level + 1
	end
end

-- name -> the lines on which it stands before a "=", of the text that `indexed` is.
local index, indexed

local function read_fields(text)
	index, indexed = {}, text
	local number = 0
	local function note(name)
		index[name] = index[name] or {}
		table.insert(index[name], number)
	end
	for line in gmatch(text .. "\n", "([^\n]*)\n") do
		number = number + 1
		local code = gsub(line, "%-%-.*$", "") .. " "
		for name in gmatch(code, "%f[%w_]([%a_][%w_]*)%s*=[^=]") do
			note(name)
		end
		for _, name in gmatch(code, "%[%s*([\"'])(.-)%1%s*%]%s*=[^=]") do
			note(name)
		end
		for name in gmatch(code, "%[%s*(%d+)%s*%]%s*=[^=]") do
			note(name)
		end
	end
end

--- The line on which a plain value is written as `name = …` or `["name"] = …`: such values carry no line themselves.
---@param name any
---@param from? integer not above this line
---@return integer? line
function place.of_field(name, from)
	if not place.text or type(name) ~= "string" then
		return nil
	end
	if indexed ~= place.text then
		read_fields(place.text)
	end
	for _, line in ipairs(index[name] or {}) do
		if line >= (from or 1) then
			return line
		end
	end
	return nil
end

--- Raise `script:line: message`. Without a place given, that of the caller of the language.
---@param message string
---@param script? string
---@param line? integer
function place.fail(message, script, line)
	if not line then
		script, line = place.here()
	end
	error(place.name(script, line) .. ": " .. message, 0)
end

--- "acme.lua:14", or what is known of it.
---@param script? string
---@param line? integer
---@return string
function place.name(script, line)
	script = script or "source"
	return line and ("%s:%d"):format(script, line) or script
end

--- What an error about an unknown name ends with: the nearest known one, or all of them.
---@param name any
---@param known string[]
---@return string
function place.nearest(name, known)
	local clause = suggest(name, known)
	return clause ~= "" and clause or '; known: "' .. table.concat(known, '", "') .. '"'
end

return place
