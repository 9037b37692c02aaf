--- golden -- what a source makes of a fixture, as lines that are the same each time.
---
---     {"account":"blue-bottle","message":{"type":"track",…}}       a message, as `moonweir map --wrap` prints it
---     {"error":{"event":2,"code":"no_user"}}                       an event that failed: its number (in lines: its line), why
---     {"ignored":1}  {"unmatched":1}                               events and calls not sent, events without an entry
---
--- The clock stands at golden.NOW, ids that would be random are made of the fixture's name, and context.library says no
--- version, so that neither a day nor an update of Moonweir changes a golden file. An error's sentence is not in it:
--- it names a line of the script. No I/O here; the files are the command's (cli/test.lua), comparing is difference.lua's.

local core = require "moonweir.core"
local compile = require "moonweir.compile"
local sandbox = require "moonweir.sandbox"

local golden = {
	NOW = 1767268800000, -- 2026-01-01T12:00:00Z
	ACCOUNT = "default", -- whose events are those that name nobody
	IDENTITIES = "identities.ndjson", -- beside the fixtures: who is known, as `moonweir identities export` writes it
}

local LIBRARY = { name = "moonweir", version = "test" }

-- Fixtures ------------------------------------------------------------------------------------------

local KINDS = { json = true, txt = true, xml = true }

---@class moonweir.Fixture
---@field name string
---@field file string its body
---@field kind "json"|"txt"|"xml"
---@field headers? string a file
---@field expected? string a file; nil: there is none yet
---@field identities? string a file: who is known while the folder's fixtures are mapped
---@field known? userdata the same, read (core.roll)
---@field expected_name string what it is called, or is to be called

--- Which of a folder's files belong together.
---@param files string[] names
---@return moonweir.Fixture[] fixtures by name
---@return {file: string, message: string}[] wrong files that belong to no fixture, or to two
---@return string[] others what is no fixture at all
function golden.fixtures(files)
	local fixtures, wrong, others = {}, {}, {}
	local by_name, golden_files, headers, identities = {}, {}, {}, nil
	table.sort(files)
	for _, file in ipairs(files) do
		local kind = file:match "%.(%w+)$"
		local name = file:match "^(.+)%.expected%.ndjson$"
		local is_hidden = file:find "^%." -- an editor's own
		if name and not is_hidden then
			golden_files[name] = file
		elseif kind == "headers" and not is_hidden then
			headers[file:sub(1, -9)] = file
		elseif file == golden.IDENTITIES then
			identities = file
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
					message = ("there is no fixture %s.json, .txt or .xml; delete it, or put the fixture beside it"):format(name) }
			end
		end
	end
	for _, fixture in ipairs(fixtures) do
		fixture.identities = identities
	end
	table.sort(fixtures, function(a, b)
		return a.name < b.name
	end)
	return fixtures, wrong, others
end

--- `Name: value`, one a line. Of a name that comes twice the first counts, as in a request. `?name: value` is a parameter of
--- the URL, as get.query reads it.
---@param text string
---@return table<string, string>|nil headers
---@return string? message
function golden.headers(text)
	local headers, seen, number, count = {}, {}, 0, 0
	for line in (text .. "\n"):gmatch "([^\n]*)\n" do
		number = number + 1
		line = line:gsub("\r$", "")
		local name, value = line:match "^(%??[%w!#$%%&'*+.^_`|~-]+):%s*(.-)%s*$"
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

-- How a body is read: .json is one event or an array of them, .xml is XML. For .txt a Content-Type decides; without one it
-- is lines of JSON if it begins like JSON, else a form. The newline that an editor leaves at the end is no part of a form.
local function format_of(fixture, body, headers)
	if fixture.kind ~= "txt" then
		return fixture.kind, body
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
	return core.mapper(map, { problems_max = 1e6, identities = fixture.known }):map(body, {
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

return golden
