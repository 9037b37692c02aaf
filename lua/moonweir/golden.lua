--- golden -- what a source makes of a fixture, as lines that are the same each time, and how two such texts differ.
---
---     {"account":"blue-bottle","message":{"type":"track",…}}       a message, as `moonweir map --wrap` prints it
---     {"error":{"event":2,"code":"no_user"}}                       an event that failed: its number (in lines: its line), why
---     {"ignored":1}  {"unmatched":1}                               events and calls not sent, events without an entry
---
--- The clock stands at golden.NOW, ids that would be random are made of the fixture's name, and context.library says no
--- version, so that neither a day nor an update of Moonweir changes a golden file. An error's sentence is not in it:
--- it names a line of the script. No I/O here; the files are the command's (cli/test.lua).

local core = require "moonweir.core"
local compile = require "moonweir.compile"
local sandbox = require "moonweir.sandbox"

local golden = {
	NOW = 1767268800000, -- 2026-01-01T12:00:00Z
	ACCOUNT = "default", -- whose events are those that name nobody
}

local LIBRARY = { name = "moonweir", version = "test" }

--- Lines compared with each other at most; beyond that, what differs is told line by line.
local CELLS_MAX = 1e6

-- Fixtures ------------------------------------------------------------------------------------------

local KINDS = { json = true, txt = true, xml = true }

---@class moonweir.Fixture
---@field name string
---@field file string its body
---@field kind "json"|"txt"|"xml"
---@field headers? string a file
---@field expected? string a file; nil: there is none yet
---@field expected_name string what it is called, or is to be called

--- Which of a folder's files belong together.
---@param files string[] names
---@return moonweir.Fixture[] fixtures by name
---@return {file: string, message: string}[] wrong files that belong to no fixture, or to two
---@return string[] others what is no fixture at all
function golden.fixtures(files)
	local fixtures, wrong, others = {}, {}, {}
	local by_name, golden_files, headers = {}, {}, {}
	table.sort(files)
	for _, file in ipairs(files) do
		local kind = file:match "%.(%w+)$"
		local name = file:match "^(.+)%.expected%.ndjson$"
		local is_hidden = file:find "^%." -- an editor's own
		if name and not is_hidden then
			golden_files[name] = file
		elseif kind == "headers" and not is_hidden then
			headers[file:sub(1, -9)] = file
		elseif not KINDS[kind] and not is_hidden then
			others[#others + 1] = file
		elseif not is_hidden then
			name = file:sub(1, -2 - #kind)
			local same = by_name[name]
			if same then
				wrong[#wrong + 1] = { file = file, message = ("%s has the same name, and both would have one golden file; rename one")
					:format(same.file) }
			else
				by_name[name] = { name = name, file = file, kind = kind, expected_name = name .. ".expected.ndjson" }
				fixtures[#fixtures + 1] = by_name[name]
			end
		end
	end
	for _, list in ipairs { { "expected", golden_files }, { "headers", headers } } do
		local names = {}
		for name in pairs(list[2]) do
			names[#names + 1] = name
		end
		table.sort(names)
		for _, name in ipairs(names) do
			if by_name[name] then
				by_name[name][list[1]] = list[2][name]
			else
				wrong[#wrong + 1] = { file = list[2][name],
					message = ("there is no fixture %s.json or %s.txt; delete it, or put the fixture beside it"):format(name, name) }
			end
		end
	end
	table.sort(fixtures, function(a, b)
		return a.name < b.name
	end)
	return fixtures, wrong, others
end

--- `Name: value`, one a line. Of a name that comes twice the first counts, as in a request.
---@param text string
---@return table<string, string>|nil headers
---@return string? message
function golden.headers(text)
	local headers, seen, number, count = {}, {}, 0, 0
	for line in (text .. "\n"):gmatch "([^\n]*)\n" do
		number = number + 1
		line = line:gsub("\r$", "")
		local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):%s*(.-)%s*$"
		if name and not seen[name:lower()] then
			seen[name:lower()] = true
			headers[name] = value
			count = count + 1
		elseif not name and line:find "%S" then
			return nil, ("line %d is no header; expected Name: value"):format(number)
		end
	end
	if count > 128 then
		return nil, ("it has %d headers; at most 128 are read"):format(count)
	end
	return headers
end

-- How a body is read: .json is one event or an array of them. For .txt a Content-Type decides; without one it is lines of
-- JSON if it begins like JSON, else a form. The newline that an editor leaves at the end is no part of a form.
local function format_of(fixture, body, headers)
	if fixture.kind == "json" then
		return "json", body
	end
	local content_type
	for name, value in pairs(headers or {}) do
		if name:lower() == "content-type" then
			content_type = value:lower()
		end
	end
	local is_form = not body:find "^%s*[{%[]"
	if content_type then
		is_form = content_type:find("x-www-form-urlencoded", 1, true) ~= nil
	end
	if is_form then
		body = body:gsub("[\r\n]+$", "")
	end
	return not content_type and (is_form and "form" or "ndjson") or nil, body
end

-- Mapping -------------------------------------------------------------------------------------------

-- os.time and os.date as in UTC, wherever the test is run. The real one says what is wrong with a table.
local function utc_time(t)
	if t == nil then
		return math.floor(golden.NOW / 1000)
	end
	local year, month, day, hour, minute, second = t.year, t.month, t.day, t.hour or 12, t.min or 0, t.sec or 0
	os.time(t)
	year, month = year + math.floor((month - 3) / 12), (month - 3) % 12 -- years that begin in March end in their leap day
	local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
		+ math.floor((153 * month + 2) / 5) + day - 719469
	return ((days * 24 + hour) * 60 + minute) * 60 + second
end

local sub = string.sub -- the plain one: methods of texts are the sandbox's while a script runs

local function utc_date(form, time)
	return os.date(sub(form, 1, 1) == "!" and form or "!" .. form, time)
end

-- Park and Miller's generator: the same numbers on both VMs.
local function world()
	local state = 42
	local function random(m, n)
		state = state * 16807 % 2147483647
		local part = state / 2147483647
		if m == nil then
			return part
		end
		local low, high = n and m or 1, n or m
		if type(low) ~= "number" or type(high) ~= "number" or low > high then
			error("math.random: the interval is empty", 2)
		end
		return math.floor(low) + math.floor(part * (math.floor(high) - math.floor(low) + 1))
	end
	return { random = random, time = utc_time, date = utc_date }
end

--- A script's definition as it is at its first event: whatever it remembers is new, its clock stands.
---@param path string
---@param text string
---@return moonweir.Definition|nil definition
---@return string? message
function golden.load(path, text)
	return sandbox.load(path, text, world())
end

--- Map one fixture.
---@param definition moonweir.Definition from golden.load
---@param fixture moonweir.Fixture
---@param body string
---@param headers? table<string, string>
---@return table[]|nil messages
---@return table|string tally or why the definition does not compile
---@return table[]? problems
function golden.map(definition, fixture, body, headers)
	local map, message = compile(definition, LIBRARY)
	if not map then
		return nil, message
	end
	local format
	format, body = format_of(fixture, body, headers)
	return core.mapper(map, { problems_max = 1e6 }):map(body, {
		format = format, headers = headers, account = golden.ACCOUNT, now = golden.NOW, seed = fixture.name,
	})
end

--- What came of a fixture, as the lines of its golden file.
---@return string[]
function golden.lines(messages, tally, problems)
	local lines = {}
	local function add(text, ...)
		lines[#lines + 1] = text:format(...)
	end
	for _, m in ipairs(messages) do
		add('{"account":%s,"message":%s}', core.encode(m.account) or '"?"', m.message)
	end
	local unmatched = tally.unmatched
	for _, problem in ipairs(problems or {}) do
		add('{"error":{"event":%.0f,"code":"%s"}}', problem.index, problem.code)
		unmatched = problem.code == "unmatched" and unmatched - 1 or unmatched
	end
	if problems and problems.more then
		add('{"error":{"more":%.0f}}', problems.more)
	end
	if tally.ignored > 0 then
		add('{"ignored":%.0f}', tally.ignored)
	end
	if unmatched > 0 then
		add('{"unmatched":%.0f}', unmatched)
	end
	return lines
end

-- Comparing -----------------------------------------------------------------------------------------

local function is_array(value)
	return type(value) == "table" and getmetatable(value) ~= nil
end

local function sorted_names(...)
	local names, seen = {}, {}
	for _, object in ipairs { ... } do
		for name in pairs(object) do
			if not seen[name] then
				seen[name] = true
				names[#names + 1] = name
			end
		end
	end
	table.sort(names)
	return names
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
	for i, name in ipairs(sorted_names(value)) do
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
		for _, name in ipairs(sorted_names(expected, got)) do
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
function golden.compare(expected_text, got_lines)
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

return golden
