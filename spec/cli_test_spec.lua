local cjson = require "cjson"
local child = require "spec.support.child"
local difference = require "moonweir.difference"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1",
	event = get "type", id = get "id", user = source.user { get "user" }, unmatched = "count",
	on = {
		opened = source.track "Email Opened" {
			subject = get "subject", place = { city = get "city" }, lines = get "lines":map { n = get "n" },
		},
		paid = {
			source.track "Order Completed" { total = get "total" },
			source.identify { plan = get "plan" }:with { when = get "plan" },
		},
		sent = source.ignore,
		crash = function() error "broken on purpose" end,
		many = function(event, emit) emit(source.track "Many" { at = event.at }) end,
	},
}
]]

local OPENED = '{"type":"opened","id":"1","user":"u1","subject":"Grüße"}'

describe("moonweir test", function()
	local number, project, script = 0, nil, nil

	local function fixture(name, text)
		return child.file(project .. "/fixtures/" .. name, text)
	end
	local function written(name)
		return child.read(child.folder() .. "/" .. project .. "/fixtures/" .. name)
	end
	local function new(source)
		number = number + 1
		project = "project" .. number
		os.execute(("mkdir -p '%s/%s/fixtures'"):format(child.folder(), project))
		script = child.file(project .. "/tiny.lua", source or SOURCE)
	end
	local function run(...)
		return child.run { "test", script, ... }
	end
	local function run_json(...)
		local code, out = run("--json", ...)
		return code, cjson.decode(out)
	end

	before_each(function()
		new()
	end)
	teardown(child.clean)

	it("writes a golden file with --update, says so, and agrees with it from then on", function()
		fixture("opened.json", OPENED)
		local code, out = run()
		assert.equal(1, code)
		assert.matches("missing  opened.json: there is no opened.expected.ndjson", out, 1, true)
		assert.is_nil(written "opened.expected.ndjson")

		code, out = run "--update"
		assert.equal(0, code)
		assert.matches("written  opened.expected.ndjson: 1 message\n", out, 1, true)
		local line = cjson.decode(written "opened.expected.ndjson")
		assert.equal("default", line.account)
		assert.equal("Grüße", line.message.properties.subject)
		assert.equal("2026-01-01T12:00:00.000Z", line.message.timestamp)
		assert.same({ name = "moonweir", version = "test" }, line.message.context.library)

		local err
		code, out, err = run()
		assert.equal("", err)
		assert.equal(0, code)
		assert.matches("1 fixture: 1 agrees\n", out, 1, true)
		assert.not_matches("written", (select(2, run "--update")))
	end)

	it("tells which member of which message differs, what was expected and what came", function()
		fixture("opened.json", OPENED)
		run "--update"
		fixture("opened.json", '{"type":"opened","id":"1","user":"u1","city":"Kyoto","subject":"Hi\\u001b[31m\\u202e"}')
		local code, out = run()
		assert.equal(1, code)
		assert.matches("differs  opened.json", out, 1, true)
		assert.matches('  line 1: track "Email Opened"\n', out, 1, true)
		assert.matches('    properties.place\n      expected nothing\n      got      {"city":"Kyoto"}\n', out, 1, true)
		assert.matches('    properties.subject\n      expected "Grüße"\n      got      "Hi', out, 1, true)
		assert.not_matches("\27", out, 1, true)
		assert.not_matches("\226\128\174", out, 1, true)
		assert.not_matches("messageId", out, 1, true)

		local result
		code, result = run_json()
		assert.equal(1, code)
		assert.is_false(result.ok)
		local found = result.fixtures[1].differences[1]
		assert.same({ "differs", "changed", 1 }, { result.fixtures[1].status, found.kind, found.line })
		assert.same({ member = "properties.place", got = { city = "Kyoto" } }, found.members[1])
	end)

	it("leaves what agrees as it was written, down to the order of names", function()
		fixture("two.txt", OPENED .. "\n" .. OPENED:gsub('"1"', '"2"') .. "\n")
		run "--update"
		local first, second = written("two.expected.ndjson"):match "^(.-)\n(.-)\n$"
		local account, message = first:match '^{("account":"default"),("message":.*)}$'
		local by_hand = "{ " .. message .. ", " .. account .. " }"
		fixture("two.expected.ndjson", by_hand .. "\n\n" .. second:gsub("Grüße", "old"))
		local code, out = run()
		assert.equal(1, code)
		assert.matches("  line 3: track", out, 1, true)
		assert.not_matches("  line 1: ", out, 1, true)
		run "--update"
		assert.equal(by_hand .. "\n" .. second .. "\n", written "two.expected.ndjson")
	end)

	it("gives the same ids, times and random numbers each time, and on both VMs", function()
		new [[
			local source = require "moonweir.source"
			local get, count = source.get, 0
			return source.define { slug = "tiny", version = "1", event = "x", user = source.user { "u" }, on = { x = function(_, emit)
				count = count + 1
				emit(source.track "T" { now = os.time(), year = os.date "%Y", dice = math.random(1000000), count = count })
			end } }
		]]
		fixture("a.json", "[{},{}]")
		fixture("b.json", "{}")
		assert.equal(0, (run "--update"))
		assert.equal(0, (run()))
		local first, second = written("a.expected.ndjson"):match "^(.-)\n(.-)\n$"
		local other = cjson.decode(written "b.expected.ndjson").message
		first, second = cjson.decode(first).message, cjson.decode(second).message
		assert.same({ now = 1767268800, year = "2026", dice = 329, count = 1 }, first.properties)
		assert.equal(2, second.properties.count)
		assert.equal(1, other.properties.count) -- a fixture knows nothing of the one before it
		assert.not_equal(first.messageId, second.messageId)
		assert.not_equal(first.messageId, other.messageId)
	end)

	it("lives in UTC, wherever it is run", function()
		new [[
			local source = require "moonweir.source"
			return source.define { slug = "tiny", version = "1", event = "x", user = source.user { "u" }, on = { x = function(_, emit)
				local leap = { year = 2024, month = 2, day = 29, hour = 23, min = 59, sec = 59 }
				emit(source.track "T" {
					now = os.date "%Y-%m-%d %H:%M", back = os.time(os.date "*t"), leap = os.time(leap),
					noon = os.time { year = 1970, month = 1, day = 1 }, far = os.time { year = 2100, month = 12, day = 31, hour = 0 },
					over = os.time { year = 2023, month = 14, day = 30, hour = 0 },
				})
			end } }
		]]
		fixture("a.json", "{}")
		assert.equal(0, (child.run({ "test", script, "--update" }, { env = { TZ = "XYZ-9" } })))
		assert.equal(0, (child.run({ "test", script }, { env = { TZ = "ABC+8" } })))
		assert.same({ now = "2026-01-01 12:00", back = 1767268800, leap = 1709251199, noon = 43200, far = 4133894400,
			over = 1709251200 }, cjson.decode(written "a.expected.ndjson").message.properties)
	end)

	it("records events that fail, are ignored or unmatched, without the script's lines", function()
		fixture("odd.json", '[{"type":"sent"},{"type":"opened"},{"type":"crash"},{"type":"new"},' .. OPENED .. "]")
		local code, out = run "--update"
		assert.equal(0, code)
		assert.matches("odd.expected.ndjson: 1 message, 2 failed\n", out, 1, true)
		assert.matches("  event 2 fails: no_user: ", out, 1, true)
		assert.matches("  event 3 fails: mapping: .*broken on purpose", out)
		local lines = {}
		for line in written("odd.expected.ndjson"):gmatch "[^\n]+" do
			lines[#lines + 1] = line
		end
		assert.same({ '{"error":{"event":2,"code":"no_user"}}', '{"error":{"event":3,"code":"mapping"}}', '{"ignored":1}',
			'{"unmatched":1}' }, { lines[2], lines[3], lines[4], lines[5] })
		script = child.file(project .. "/tiny.lua", "\n\n" .. SOURCE)
		assert.equal(0, (run()))
	end)

	it("says which entries, calls and properties no fixture exercises", function()
		fixture("a.txt", table.concat({ OPENED, '{"type":"paid","id":"2","user":"u","total":1}', '{"type":"crash"}',
			'{"type":"opened","id":"3","lines":[{"n":1}]}' }, "\n"))
		local _, out = run "--update"
		assert.matches("entries exercised: 2 of 5\n", out, 1, true)
		assert.matches("  not: crash (tiny.lua:", out, 1, true) -- it came, and failed
		assert.matches("  not: many (tiny.lua:16)\n", out, 1, true)
		assert.matches("  not: sent (tiny.lua:", out, 1, true)
		assert.matches("  never made: paid: identify (tiny.lua:12)\n", out, 1, true)
		assert.matches("properties exercised: 2 of 6\n", out, 1, true)
		assert.matches("  not: opened: Email Opened: place.city (tiny.lua:8)\n", out, 1, true)
		assert.matches("  not: opened: Email Opened: lines (tiny.lua:8)\n", out, 1, true) -- its event names no user
		assert.not_matches("lines[].n", out, 1, true) -- the list it stands in is listed
		assert.not_matches("plan", out, 1, true) -- the call it stands in is listed

		fixture("b.txt", '{"type":"opened","user":"u","city":"K","lines":[{"n":1}]}\n{"type":"paid","user":"u","plan":"p"}\n'
			.. '{"type":"sent"}\n{"type":"many","user":"u"}\n')
		local _, result = run_json "--update"
		local coverage = result.coverage
		assert.same({ declared = 5, exercised = 4, missing = { { event = "crash", line = 15 } } }, coverage.entries)
		assert.same({ declared = 6, exercised = 6, missing = {} }, coverage.properties)
		assert.same({ declared = 3, exercised = 3, missing = {} }, coverage.calls)
		assert.same({ "crash", "many" }, coverage.functions)
	end)

	it("counts only what an event that came through has exercised, and asks each function as if for the first time", function()
		new [[
			local source = require "moonweir.source"
			local get, asked = source.get, false
			return source.define { slug = "tiny", version = "1", event = get "type", user = source.user { "u" }, on = {
				late = source.track "Late" { p = get "p", q = get "q" }:with {
					context = { c = get "c":apply(function() error "late" end) },
				},
				once = function()
					assert(not asked, "asked twice")
					asked = true
				end,
			} }
		]]
		fixture("a.json", '[{"type":"late","p":1,"c":1},{"type":"late","q":1},{"type":"once"}]')
		local code, result = run_json "--update"
		assert.equal(0, code)
		assert.same({ 1, 1 }, { result.fixtures[1].messages, result.fixtures[1].failed })
		assert.same({}, result.coverage.entries.missing)
		assert.equal(1, #result.coverage.properties.missing)
		assert.equal("p", result.coverage.properties.missing[1].property)
	end)

	it("counts what a call was made with for any element, and entries for families of events", function()
		new [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define { slug = "tiny", version = "1", event = get "type", user = source.user { get.query "user" }, on = {
				["mail.*"] = source.ignore, ["mail.x.*"] = source.ignore,
				["mail.sent"] = source.track "Sent" { a = get "a", b = get "b", c = get "c" }:with { each = get "to" },
			} }
		]]
		fixture("a.json", '[{"type":"mail.sent","to":[{"a":1},{"b":1}]},{"type":"mail.other"}]')
		fixture("a.headers", "?user: u 1\n")
		local code, result = run_json "--update"
		assert.same({ 0, 2, 0 }, { code, result.fixtures[1].messages, result.fixtures[1].failed })
		assert.same({ { event = "mail.x.*", line = 4 } }, result.coverage.entries.missing)
		assert.equal(1, #result.coverage.properties.missing)
		assert.equal("c", result.coverage.properties.missing[1].property)
		assert.equal("u 1", cjson.decode(written "a.expected.ndjson":match "[^\n]+").message.userId)
	end)

	it("reads lines, forms and headers", function()
		fixture("form.txt", "type=opened&user=u+1&subject=S%C3%BC%C3%9F\n")
		fixture("lines.txt", OPENED .. "\n" .. OPENED .. "\n")
		fixture("said.txt", " " .. OPENED)
		fixture("said.headers", "content-TYPE: Application/X-WWW-Form-Urlencoded; charset=utf-8\r\n\r\nX-A: b\n")
		local code, result = run_json "--update"
		assert.equal(0, code)
		assert.same({ 1, 2, 0 }, { result.fixtures[1].messages, result.fixtures[2].messages, result.fixtures[3].messages })
		assert.equal("Süß", cjson.decode(written "form.expected.ndjson").message.properties.subject)
		assert.equal(1, result.fixtures[3].failed) -- a form, because the headers say so
	end)

	it("reads XML", function()
		new((SOURCE:gsub('get "', 'get "event.')))
		fixture("one.xml", "<?xml version='1.0'?><event><type>opened</type><user>u</user><subject>S&#xFC;</subject></event>\n")
		fixture("two.txt", "<event><type>opened</type><user>u</user><subject>Su</subject></event>\n")
		fixture("two.headers", "Content-Type: text/xml")
		assert.equal(0, (run "--update"))
		assert.equal("Sü", cjson.decode(written "one.expected.ndjson").message.properties.subject)
		assert.equal("Su", cjson.decode(written "two.expected.ndjson").message.properties.subject)
		assert.equal(0, (run()))
	end)

	it("knows who is named in identities.ndjson, for expressions and for functions", function()
		new [[
			local source = require "moonweir.source"
			local identity = require "moonweir.identity"
			local get = source.get
			return source.define {
				slug = "tiny", version = "1", event = get "type", id = get "id", missing_user = "anonymous",
				user = source.user { email = get "mail", tool_id = get "who" },
				on = {
					opened = source.track "Opened" {},
					asked = function(event, emit)
						emit(source.track "Asked" { known = identity.lookup("email", event.mail) or "nobody" }, { user = "u0" })
					end,
				},
			}
		]]
		fixture("identities.ndjson", table.concat({
			'{"userId":"u1","email":"Ann@example.com","toolId":9007199254740993}', '{"anonymousId":"a1","email":"bob@example.com"}',
			'{"account":"another","userId":"u2","email":"eve@example.com"}',
		}, "\n"))
		fixture("all.txt", table.concat({
			'{"type":"opened","id":"1","mail":"ann@Example.com"}', '{"type":"opened","id":"2","who":9007199254740993}',
			'{"type":"opened","id":"3","who":9007199254740992}', '{"type":"opened","id":"4","mail":"bob@example.com"}',
			'{"type":"opened","id":"5","mail":"eve@example.com"}', '{"type":"asked","id":"6","mail":"ann@example.com"}',
		}, "\n"))
		assert.equal(0, (run "--update"))
		local golden = written "all.expected.ndjson"
		local told = {}
		for line in golden:gmatch "[^\n]+" do
			local decoded = cjson.decode(line)
			local m = decoded.message
			told[#told + 1] = m and (m.userId or "-") .. " " .. (m.anonymousId or "-") .. (m.properties.known or "")
				or ("%s %d"):format(decoded.error.code, decoded.error.event)
		end
		assert.same({ "u1 -", "u1 -", "- a1", "- eve@example.com", "u0 -u1", "no_user 3" }, told)
		assert.equal(0, (run()))
		local _, checked = child.run { "check", script }
		assert.is_nil(checked:find("error ", 1, true), checked)
	end)

	it("says which line of identities.ndjson it can't read", function()
		fixture("opened.json", OPENED)
		fixture("identities.ndjson", '{"userId":"u1","email":"ann@example.com"}\n{"userId":"u1","mail":"ann@example.com"}\n')
		local code, out, err = run "--update"
		assert.equal(1, code)
		assert.matches('identities.ndjson: line 2: unknown field "mail"', out .. err, 1, true)
	end)

	it("refuses what it can't read, says why, and still looks at the rest", function()
		fixture("a.json", OPENED)
		fixture("bad.json", OPENED)
		fixture("bad.headers", "X-A: b\nno header\n")
		fixture("empty.txt", "\n")
		fixture("gone.expected.ndjson", "")
		fixture("twice.json", OPENED)
		fixture("twice.txt", OPENED)
		fixture("notes.yaml", "")
		os.execute(("mkfifo '%s/%s/fixtures/pipe.json'"):format(child.folder(), project))
		local code, out, err = run "--update"
		assert.equal(1, code)
		assert.matches("written  a.expected.ndjson", out, 1, true)
		assert.matches("refused  bad.json: bad.headers: line 2 is no header; expected Name: value\n", out, 1, true)
		assert.matches("gone.expected.ndjson: there is no fixture gone.json", err, 1, true)
		assert.matches("twice.txt: twice.json has the same name", err, 1, true)
		assert.matches("notes.yaml is no fixture", err, 1, true)
		assert.not_matches("pipe", out .. err, 1, true)
	end)

	it("takes broken JSON in a fixture for an event that fails, in a golden file for a difference", function()
		fixture("broken.json", '{"type":')
		local code, out = run "--update"
		assert.equal(0, code)
		assert.matches("  event 1 fails: json: byte 9", out, 1, true)
		assert.equal('{"error":{"event":1,"code":"json"}}\n', written "broken.expected.ndjson")
		fixture("broken.expected.ndjson", '{"error":\n{"error":{"event":1,"code":"json"}}\n')
		code, out = run()
		assert.equal(1, code)
		assert.matches("  line 1: a line that can't be read: ", out, 1, true)
		assert.equal(0, (run "--update"))
		assert.equal('{"error":{"event":1,"code":"json"}}\n', written "broken.expected.ndjson")
	end)

	it("is not steered by the names of files", function()
		fixture("a\27[2J\nb'\"$(touch x)\226\128\174.json", OPENED)
		fixture("-rf.json", OPENED)
		fixture("\255.json", OPENED)
		fixture("%d%s.headers", "")
		local code, out, err = run "--update"
		assert.equal(1, code) -- headers without a fixture
		assert.not_matches("\27", out .. err, 1, true)
		assert.not_matches("\226\128\174", out .. err, 1, true)
		assert.not_matches("\255", out .. err, 1, true)
		assert.matches("3 fixtures: 3 written", out, 1, true)
		local _, result = run_json()
		assert.equal(3, #result.fixtures)
		for _, tested in ipairs(result.fixtures) do
			assert.equal("agrees", tested.status)
		end
	end)

	it("says how to begin where there are no fixtures, and what is wrong with a script", function()
		local code, out, err = run()
		assert.equal(1, code)
		assert.equal("", out)
		assert.matches("there are no fixtures: .*fixtures/ holds none%. Save a request's body as .*/fixtures/NAME%.json", err)
		err = select(3, run("--fixtures", child.folder() .. "/nowhere"))
		assert.matches("nowhere/: No such file or directory", err, 1, true)
		code, out, err = child.run { "test", child.file("bad.lua", "return {\n x = = 1\n}") }
		assert.same({ 1, "" }, { code, out })
		assert.matches("bad.lua:2:", err, 1, true)
		assert.equal(2, (run "--updaet"))
		assert.equal(2, (run("--fixtures", "")))
		assert.equal(2, (child.run { "test" }))
	end)

	it("says that a golden file can't be written", function()
		fixture("a.json", OPENED)
		os.execute(("mkdir '%s/%s/fixtures/a.expected.ndjson'"):format(child.folder(), project))
		local code, out = run "--update"
		assert.equal(1, code)
		assert.matches("refused  a.json: its golden file could not be written: ", out, 1, true)
		assert.is_nil(written "a.expected.ndjson.new")
	end)

	it("teaches with --help", function()
		local code, out = child.run { "test", "--help" }
		assert.equal(0, code)
		assert.matches("NAME.expected.ndjson", out, 1, true)
		assert.matches('"?name: value"', out, 1, true)
		assert.matches("--update", out, 1, true)
	end)

	it("passes on the example, every entry and property of which has a fixture", function()
		local code, out, err = child.run { "test", "examples/acme-mail/acme-mail.lua", "--json" }
		assert.equal("", err)
		assert.equal(0, code)
		local result = cjson.decode(out)
		assert.is_true(result.ok)
		for _, kind in ipairs { "entries", "calls", "properties" } do
			assert.same({}, result.coverage[kind].missing)
			assert.is_true(result.coverage[kind].declared > 10)
		end
	end)
end)

describe("difference.compare", function()
	local function line(id, value)
		return ('{"account":"a","message":{"type":"track","event":"E","messageId":"%s","properties":{"n":%s}}}'):format(id, value)
	end
	local function kinds(expected, got)
		local found = {}
		local differences, merged = difference.compare(table.concat(expected, "\n"), got)
		assert.equal(table.concat(got, "\n") .. (#got > 0 and "\n" or ""), merged)
		for i, d in ipairs(differences) do
			found[i] = d.kind .. " " .. d.line
		end
		return table.concat(found, ", "), differences
	end

	it("finds the one message that came in between", function()
		local a, b, c, d = line("a", 1), line("b", 2), line("c", 3), line("d", 4)
		assert.equal("extra 2", (kinds({ a, c, d }, { a, b, c, d })))
		assert.equal("missing 2", (kinds({ a, b, c, d }, { a, c, d })))
		assert.equal("", (kinds({ a, b, c, d }, { a, b, c, d })))
		assert.equal("missing 1, missing 2", (kinds({ a, b }, {})))
	end)

	it("compares messages of one id with each other, whatever stands between them", function()
		local found, differences = kinds({ line("a", 1), line("b", 2), line("c", 3) }, { line("a", 1), line("c", 4) })
		assert.equal("missing 2, changed 3", found)
		assert.same({ { member = "properties.n", expected = "3", got = "4" } }, differences[2].changes)
	end)

	it("sees the last digit of a number that no double holds", function()
		local _, differences = kinds({ line("a", "12345678901234567890") }, { line("a", "12345678901234567891") })
		assert.same({ { member = "properties.n", expected = "12345678901234567890", got = "12345678901234567891" } },
			differences[1].changes)
	end)

	it("tells null, false, {} and [] from each other and from nothing", function()
		local values = { "null", "false", "{}", "[]", "0", '""' }
		for _, x in ipairs(values) do
			for _, y in ipairs(values) do
				assert.equal(x == y and "" or "changed 1", (kinds({ line("a", x) }, { line("a", y) })))
			end
		end
	end)

	it("stays quick and right with thousands of lines that all differ", function()
		local expected, got = {}, {}
		for i = 1, 5000 do
			expected[i], got[i] = line("m" .. i, i), line("m" .. i, i + 1)
		end
		local _, differences = kinds(expected, got)
		assert.equal(5000, #differences)
		assert.equal("changed", differences[5000].kind)
	end)
end)
