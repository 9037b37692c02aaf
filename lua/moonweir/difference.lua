--- difference -- how what came out differs from a golden file, message by message and member by member.
---
---     expected  {"account":"a","message":{"messageId":"m1","properties":{"n":1}}}
---     got       {"account":"a","message":{"messageId":"m1","properties":{"n":2}}}
---
---     { kind = "changed", line = 1, changes = { { member = "properties.n", expected = "1", got = "2" } } }
---
--- Equal lines are found first, so that a message that came in between is one difference and not all that follow it.

local core = require "moonweir.core"
local sorted = require "moonweir.sorted"

local difference = {}

--- Lines compared with each other at most; beyond that, what differs is told line by line.
local CELLS_MAX = 1e6

local function is_array(value)
	return type(value) == "table" and getmetatable(value) ~= nil
end

--- A decoded value as JSON with its names in order: two texts are equal if the values are.
---@return string
local function canonical(value)
	if type(value) ~= "table" then
		return (core.encode(value))
	end
	local parts = {}
	if is_array(value) then
		for i, item in ipairs(value) do
			parts[i] = canonical(item)
		end
		return "[" .. table.concat(parts, ",") .. "]"
	end
	for i, name in ipairs(sorted(value)) do
		parts[i] = core.encode(name) .. ":" .. canonical(value[name])
	end
	return "{" .. table.concat(parts, ",") .. "}"
end

local function step(path, name)
	if type(name) == "number" then
		return ("%s[%d]"):format(path, name)
	elseif name == "" or name:find '[.%[%]"%s]' then
		return ('%s["%s"]'):format(path, name)
	end
	return path == "" and name or path .. "." .. name
end

---@class moonweir.Change
---@field member string "properties.total"
---@field expected? string JSON; nil: not there
---@field got? string

---@param out moonweir.Change[]
local function changes(path, expected, got, out)
	local both = type(expected) == "table" and type(got) == "table" and is_array(expected) == is_array(got)
	if not both then
		local was, is = expected ~= nil and canonical(expected) or nil, got ~= nil and canonical(got) or nil
		if was ~= is then
			out[#out + 1] = { member = path, expected = was, got = is }
		end
	elseif is_array(expected) then
		for i = 1, math.max(#expected, #got) do
			changes(step(path, i), expected[i], got[i], out)
		end
	else
		for _, name in ipairs(sorted(expected, got)) do
			changes(step(path, name), expected[name], got[name], out)
		end
	end
	return out
end

-- One line, read: `key` is equal for equal lines, `id` for lines that are about the same message.
local function read_line(text, number)
	local value, message = core.decode(text)
	local line = { text = text, number = number }
	if type(value) ~= "table" or is_array(value) then
		line.broken = value == nil and message or "no JSON object"
		line.key = "broken " .. text
		return line
	end
	line.value, line.key = value, canonical(value)
	line.message = type(value.message) == "table" and not is_array(value.message) and value.message or nil
	line.kind = line.message and "message" or type(value.error) == "table" and "error" or "tally"
	line.id = line.message and type(line.message.messageId) == "string" and line.message.messageId or nil
	return line
end

local function text_lines(text)
	local lines, number = {}, 0
	for line in (text .. "\n"):gmatch "([^\n]*)\n" do
		number = number + 1
		line = line:gsub("\r$", "")
		if line:find "%S" then
			lines[#lines + 1] = read_line(line, number)
		end
	end
	return lines
end

--- Pairs of places of equal lines, ascending: the longest there are (the classic table, behind what is equal at both ends).
---@return table<integer, integer> got -> expected
local function align(expected, got)
	local pairs_of, first, last_e, last_g = {}, 1, #expected, #got
	while first <= last_e and first <= last_g and expected[first].key == got[first].key do
		pairs_of[first] = first
		first = first + 1
	end
	while last_e >= first and last_g >= first and expected[last_e].key == got[last_g].key do
		pairs_of[last_g] = last_e
		last_e, last_g = last_e - 1, last_g - 1
	end
	if (last_e - first + 1) * (last_g - first + 1) > CELLS_MAX then
		return pairs_of
	end
	local length = { [last_e + 1] = {} }
	for e = last_e, first, -1 do
		local row, below = {}, length[e + 1]
		for g = last_g, first, -1 do
			row[g] = expected[e].key == got[g].key and (below[g + 1] or 0) + 1 or math.max(below[g] or 0, row[g + 1] or 0)
		end
		length[e] = row
	end
	local e, g = first, first
	while e <= last_e and g <= last_g do
		if expected[e].key == got[g].key then
			pairs_of[g] = e
			e, g = e + 1, g + 1
		elseif (length[e + 1][g] or 0) >= (length[e][g + 1] or 0) then
			e = e + 1
		else
			g = g + 1
		end
	end
	return pairs_of
end

---@class moonweir.Difference
---@field kind "changed"|"missing"|"extra"|"broken"
---@field line integer of the golden file; of an extra one: of what came out
---@field about string which message: 'track "Email Opened"'
---@field changes? moonweir.Change[]
---@field text? string the line, if it is missing, extra or broken
---@field message? string why it is broken

local function about(line)
	local m = line.message
	if line.kind == "error" then
		return "an event that failed"
	elseif not m then
		return "a count"
	end
	local name = type(m.event) == "string" and m.event or type(m.name) == "string" and m.name
	return ("%s%s"):format(type(m.type) == "string" and m.type or "a message", name and " " .. core.encode(name) or "")
end

-- `message.` says nothing in a message.
local function changes_of(expected, got)
	local out = changes("", expected.value, got.value, {})
	for _, change in ipairs(out) do
		change.member = change.member:gsub("^message%.", "")
	end
	return out
end

--- Lines that have no equal: those about the same message belong together, then those that come in the same order.
local function pair_rest(expected, got, pairs_of)
	local used, changed, by_id = {}, {}, {}
	for _, e in pairs(pairs_of) do
		used[e] = true
	end
	for e, line in ipairs(expected) do
		if not used[e] and line.id then
			by_id[line.id] = by_id[line.id] or e
		end
	end
	for g, line in ipairs(got) do
		local e = not pairs_of[g] and line.id and by_id[line.id]
		if e and not used[e] then
			changed[g], used[e] = e, true
		end
	end
	local fixed = { [#got + 1] = math.huge } -- the next line of the golden file that has its equal: no pair reaches across it
	for g = #got, 1, -1 do
		fixed[g] = pairs_of[g] or fixed[g + 1]
	end
	local e = 1
	for g, line in ipairs(got) do
		if pairs_of[g] then
			e = math.max(e, pairs_of[g] + 1)
		elseif not changed[g] then
			local at = e
			while expected[at] and at < fixed[g] and (used[at] or expected[at].kind ~= line.kind) do
				at = at + 1
			end
			if expected[at] and at < fixed[g] then
				changed[g], used[at], e = at, true, at + 1
			end
		end
	end
	return changed, used
end

--- Compare a golden file with what came out. Blank lines and the order of names do not count.
---@param expected_text string
---@param got_lines string[]
---@return moonweir.Difference[] differences in the order of the golden file
---@return string merged the golden file as it should be; lines that agree stay as they were written
function difference.compare(expected_text, got_lines)
	local expected, got = text_lines(expected_text), {}
	for i, text in ipairs(got_lines) do
		got[i] = read_line(text, i)
	end
	local equal = align(expected, got)
	local changed, used = pair_rest(expected, got, equal)
	local differences, merged = {}, {}
	for g, line in ipairs(got) do
		merged[g] = equal[g] and expected[equal[g]].text or line.text
		if changed[g] then
			local was = expected[changed[g]]
			differences[#differences + 1] = { kind = "changed", line = was.number, about = about(was), changes = changes_of(was, line) }
		elseif not equal[g] then
			differences[#differences + 1] = { kind = "extra", line = line.number, about = about(line), text = line.text }
		end
	end
	for e, line in ipairs(expected) do
		if line.broken then
			differences[#differences + 1] = { kind = "broken", line = line.number, about = "a line that can't be read",
				text = line.text, message = line.broken }
		elseif not used[e] then
			differences[#differences + 1] = { kind = "missing", line = line.number, about = about(line), text = line.text }
		end
	end
	table.sort(differences, function(a, b)
		if a.line ~= b.line then
			return a.line < b.line
		end
		return a.kind < b.kind
	end)
	return differences, #merged > 0 and table.concat(merged, "\n") .. "\n" or ""
end

return difference
