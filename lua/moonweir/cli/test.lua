--- moonweir test -- golden files: does the source still make of its fixtures what it is known to make?

local coverage = require "moonweir.coverage"
local difference = require "moonweir.difference"
local golden = require "moonweir.golden"
local files = require "moonweir.cli.fixtures"
local json = require "moonweir.cli.json"
local output = require "moonweir.cli.output"
local terminal = require "moonweir.cli.terminal"

local test = {
	summary = "Compare what a source makes of its fixtures with what it is known to make.",
	example = [[
Example:
  $ mkdir fixtures
  $ head -n 1 events.ndjson > fixtures/opened.json
  $ moonweir test acme-mail.lua --update    # writes fixtures/opened.expected.ndjson: read it
  $ moonweir test acme-mail.lua             # from now on: compares

Beside the script, in fixtures/:
  NAME.json             a request's body: one event, or an array of them
  NAME.txt              the same as lines of JSON if it begins with { or [, else as a form;
                        a Content-Type in NAME.headers decides otherwise
  NAME.xml              XML, which is mapped as the JSON that the README shows
  identities.ndjson     who is known while all of them are mapped, as "moonweir identities export"
                        writes it: {"email":"ann@example.com","userId":"u1"}; may be missing
  NAME.headers          its headers, one "Name: value" a line, and "?name: value" for a parameter
                        of the URL; may be missing
  NAME.expected.ndjson  the golden file, a line each: {"account":…,"message":…}; of what fails
                        {"error":{"event":2,"code":"no_user"}}; {"ignored":1}, {"unmatched":1}

The clock stands at 2026-01-01T12:00:00Z, random ids are the same each time, and context.library has
the version "test". The order of names in an object does not count. At the end it says which entries
and declared properties no fixture exercises.

The exit code is 0 if all agree, 1 if something differs, is missing or can't be read, 2 if the
command line is wrong.]],
}

function test.define(parser)
	files.define(parser)
	parser:flag("--update", "Write the golden files that are missing or differ, and say which.")
	parser:flag("--json", "Print the result as JSON.")
end

local SHOWN_MAX = 20 -- differences a fixture; --json has all of them
local VALUE_MAX = 300 -- bytes of a value

local function shown(name)
	return terminal.safe(name, 200)
end

-- One fixture ---------------------------------------------------------------------------------------

---@class moonweir.cli.Tested
---@field fixture moonweir.Fixture
---@field status "agrees"|"differs"|"missing"|"written"|"refused"
---@field message? string why it is refused
---@field messages integer
---@field failed integer
---@field problems? table[] of the events that failed
---@field differences moonweir.Difference[]

local function refuse(tested, message)
	tested.status, tested.message = "refused", message
	return tested
end

local function settle(tested, dir, lines, update)
	local fixture = tested.fixture
	local text = ""
	if fixture.expected then
		local known, message = files.read_file(dir .. fixture.expected, 4 * files.BODY_MAX)
		if not known then
			return refuse(tested, message)
		end
		text = known
	end
	local differences, merged = difference.compare(text, lines)
	tested.differences = fixture.expected and differences or {}
	tested.status = not fixture.expected and "missing" or #differences > 0 and "differs" or "agrees"
	if update and tested.status ~= "agrees" then
		local ok, why = output.write(dir .. fixture.expected_name, merged)
		if not ok then
			return refuse(tested, "its golden file could not be written: " .. tostring(why))
		end
		tested.status = "written"
	end
	return tested
end

--- Each fixture has the script to itself, as just loaded: what the script remembers of one event must not reach the next.
---@return moonweir.cli.Tested
local function try(script, dir, fixture, covered, update)
	local tested = { fixture = fixture, messages = 0, failed = 0, differences = {} }
	local body, headers = files.read(dir, fixture)
	if not body then
		return refuse(tested, headers)
	end
	local definition, message = golden.load(script.path, script.text)
	if not definition then
		return refuse(tested, message)
	end
	local messages, tally, problems = golden.map(definition, fixture, body, headers)
	if not messages then
		return refuse(tested, tally)
	elseif tally.events == 0 then
		return refuse(tested, "there is no event in it")
	end
	tested.messages, tested.failed, tested.problems = tally.messages, tally.failed, problems
	local again = golden.load(script.path, script.text)
	if again then
		local probed, why = golden.map(covered:probe(again), fixture, body, headers)
		tested.unmeasured = not probed and why or nil
	end
	return settle(tested, dir, golden.lines(messages, tally, problems), update)
end

-- For people ----------------------------------------------------------------------------------------

local COLOURS = { agrees = "green", written = "yellow" }

local function value(text)
	return text and terminal.safe(text, VALUE_MAX) or "nothing"
end

local function print_difference(d)
	local where = ("  line %d: %s"):format(d.line, terminal.safe(d.about, VALUE_MAX))
	if d.kind == "missing" then
		terminal.print(where .. " is missing")
		terminal.print("    expected " .. terminal.paint(1, "red", value(d.text)))
	elseif d.kind == "extra" then
		terminal.print(where .. " is not expected")
		terminal.print("    got      " .. terminal.paint(1, "green", value(d.text)))
	elseif d.kind == "broken" then
		terminal.print(where .. ": " .. terminal.safe(d.message, VALUE_MAX))
		terminal.print("    expected " .. terminal.paint(1, "red", value(d.text)))
	else
		terminal.print(where)
		for _, change in ipairs(d.changes) do
			terminal.print("    " .. terminal.paint(1, "bold", terminal.safe(change.member, VALUE_MAX)))
			terminal.print("      expected " .. terminal.paint(1, "red", value(change.expected)))
			terminal.print("      got      " .. terminal.paint(1, "green", value(change.got)))
		end
	end
end

local function print_problems(tested)
	for i, problem in ipairs(tested.problems or {}) do
		if i > SHOWN_MAX then
			terminal.print(("  … and %s more"):format(terminal.count(#tested.problems - SHOWN_MAX)))
			break
		end
		terminal.print(("  event %.0f fails: %s: %s"):format(problem.index, problem.code, terminal.safe(problem.message, VALUE_MAX)))
	end
end

local function print_fixture(tested)
	local name = shown(tested.fixture.file)
	local counts = ("%s message%s%s"):format(terminal.count(tested.messages), tested.messages == 1 and "" or "s",
		tested.failed > 0 and (", %s failed"):format(terminal.count(tested.failed)) or "")
	local status = terminal.paint(1, COLOURS[tested.status] or "red", ("%-7s"):format(tested.status))
	if tested.status == "refused" then
		terminal.print(("%s  %s: %s"):format(status, name, terminal.safe(tested.message, 400)))
		return
	elseif tested.status == "written" then
		terminal.print(("%s  %s: %s"):format(status, shown(tested.fixture.expected_name), counts))
	elseif tested.status == "missing" then
		terminal.print(("%s  %s: there is no %s; moonweir test --update writes it"):format(status, name,
			shown(tested.fixture.expected_name)))
	else
		terminal.print(("%s  %s: %s"):format(status, name, counts))
	end
	if tested.status ~= "agrees" then
		print_problems(tested)
	end
	for i, found in ipairs(tested.status == "differs" and tested.differences or {}) do
		if i > SHOWN_MAX then
			terminal.print(("  … and %s more"):format(terminal.count(#tested.differences - SHOWN_MAX)))
			break
		end
		print_difference(found)
	end
end

local function declared_name(it, script)
	local parts = { it.event, it.call, it.property }
	return terminal.safe(table.concat(parts, ": "), VALUE_MAX) .. (it.line and (" (%s:%d)"):format(shown(script), it.line) or "")
end

local function print_coverage(covered, script)
	local missing, declared = covered:missing()
	for _, kind in ipairs { "entries", "calls", "properties" } do
		local lacks = #missing[kind]
		if kind ~= "calls" then
			terminal.print(("%s exercised: %s of %s"):format(kind, terminal.count(declared[kind] - lacks),
				terminal.count(declared[kind])))
		end
		for _, it in ipairs(missing[kind]) do
			if kind == "entries" or covered:is_reached(it) then -- what stands in something that is listed goes without saying
				terminal.print(("  %s %s"):format(kind == "calls" and "never made:" or "not:", declared_name(it, script)))
			end
		end
	end
	if #covered.functions > 0 then
		terminal.print("  what functions send is not declared and not counted: "
			.. terminal.safe(table.concat(covered.functions, ", "), VALUE_MAX))
	end
end

-- For programs --------------------------------------------------------------------------------------

local text, list, object, count = json.text, json.list, json.object, json.count

local function difference_json(d)
	return object("line", count(d.line), "kind", text(d.kind), "about", text(d.about), "members", d.changes and list(d.changes,
		function(change)
			return object("member", text(change.member), "expected", change.expected, "got", change.got)
		end), "text", d.text and text(d.text), "message", d.message and text(d.message))
end

local function print_json(result)
	local missing, declared = result.covered:missing()
	local function part(kind)
		return object("declared", count(declared[kind]), "exercised", count(declared[kind] - #missing[kind]), "missing",
			list(missing[kind], function(it)
				return object("event", text(it.event), "call", it.call and text(it.call), "property", it.property and text(it.property),
					"line", it.line and count(it.line))
			end))
	end
	terminal.print(object(
		"ok", tostring(result.ok),
		"fixtures", list(result.tested, function(t)
			return object("name", text(t.fixture.name), "file", text(t.fixture.file), "golden", text(t.fixture.expected_name),
				"status", text(t.status), "message", t.message and text(t.message), "messages", count(t.messages),
				"failed", count(t.failed), "problems", list(t.problems or {}, function(p)
					return object("event", count(p.index), "code", text(p.code), "message", text(p.message))
				end), "differences", list(t.differences, difference_json))
		end),
		"wrong", list(result.wrong, function(w)
			return object("file", text(w.file), "message", text(w.message))
		end),
		"coverage", object("entries", part "entries", "calls", part "calls", "properties", part "properties",
			"functions", list(result.covered.functions, text))
	))
end

-- The command ---------------------------------------------------------------------------------------

--- How many fixtures ended how, as a sentence: "15 fixtures: 14 agree, 1 differs".
local function summary(result)
	local counts, parts = {}, {}
	for _, t in ipairs(result.tested) do
		counts[t.status] = (counts[t.status] or 0) + 1
	end
	for _, status in ipairs { "agrees", "differs", "missing", "refused", "written" } do
		local n = counts[status]
		if n then
			local plural = n ~= 1 and { agrees = "agree", differs = "differ" } or {}
			parts[#parts + 1] = terminal.count(n) .. " " .. (plural[status] or status)
		end
	end
	return ("%s fixture%s: %s"):format(terminal.count(#result.tested), #result.tested == 1 and "" or "s", table.concat(parts, ", "))
end

function test.run(args)
	local script, message = files.load(args.source)
	if not script then
		terminal.say("error", terminal.safe(message, 1000))
		return 1
	end
	local dir = files.dir(args)
	local fixtures, wrong, others
	fixtures, wrong, others, message = files.list(dir)
	for _, other in ipairs(others) do
		if not other:find "%.md$" then
			terminal.say("warning", ("%s is no fixture: those end in .json, .txt or .xml"):format(shown(other)))
		end
	end
	if #fixtures == 0 and #wrong == 0 then
		terminal.say("error", ("there are no fixtures: %s. Save a request's body as %sNAME.json, then: "
			.. "moonweir test %s --update"):format(shown(message or dir .. " holds none"), shown(dir), shown(args.source)))
		return 1
	end

	local result = { ok = #wrong == 0, tested = {}, wrong = wrong, covered = coverage.new(script.definition) }
	for i, fixture in ipairs(fixtures) do
		local tested = try(script, dir, fixture, result.covered, args.update)
		result.tested[i] = tested
		result.ok = result.ok and (tested.status == "agrees" or tested.status == "written")
		if tested.unmeasured then
			terminal.say("warning", ("%s: what it exercises is not known: %s"):format(shown(fixture.file),
				terminal.safe(tested.unmeasured, 400)))
		end
		if not args.json then
			print_fixture(tested)
		end
	end
	for _, w in ipairs(wrong) do
		terminal.say("error", ("%s: %s"):format(shown(w.file), terminal.safe(w.message, 400)))
	end
	if args.json then
		print_json(result)
	else
		terminal.print(summary(result))
		print_coverage(result.covered, args.source:match "[^/]+$" or args.source)
	end
	return result.ok and 0 or 1
end

return test
