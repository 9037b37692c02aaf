local cjson = require "cjson"
local child = require "spec.support.child"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1",
	event = get "type", id = get "id", user = source.user { get "user" },
	on = {
		opened = source.track "Email Opened" { email_subject = get "subject", n = get "n" },
		sent = source.ignore,
		crash = function() error "broken on purpose" end,
	},
}
]]

describe("moonweir map", function()
	local path
	setup(function()
		path = child.file("tiny.lua", SOURCE)
	end)
	teardown(child.clean)

	it("turns events on standard input into messages on standard output", function()
		local events = child.file("events", '{"type":"opened","id":"1","user":"u1","subject":"Grüße","n":12345678901234567890}\n')
		local code, out, err = child.run({ "map", path }, { stdin = events })
		assert.equal("", err)
		assert.equal(0, code)
		local line = out:match "^([^\n]+)\n$"
		local message = cjson.decode(line)
		assert.equal("track", message.type)
		assert.equal("Email Opened", message.event)
		assert.equal("u1", message.userId)
		assert.equal("Grüße", message.properties.email_subject)
		assert.same({ name = "tiny", version = "1" }, message.context.integration)
		assert.matches('"n":12345678901234567890', line, 1, true)
	end)

	it("tells which event failed and why, and maps its neighbours", function()
		local lines = {
			'{"type":"opened","id":"1","user":"u1"}',
			'{"type":"opened","id":"2"}',
			"{ broken",
			'{"type":"crash","id":"4","user":"u"}',
			'{"type":"sent","id":"5","user":"u"}',
			'{"type":"opened","id":"6","user":"u6"}',
		}
		local code, out, err = child.run { "map", path, child.file("events", table.concat(lines, "\n") .. "\n") }
		assert.equal(1, code)
		assert.matches("event 2: no_user: ", err, 1, true)
		assert.matches("event 3: json: ", err, 1, true)
		assert.matches("event 4: mapping: .*broken on purpose", err)
		assert.not_matches("event [156]:", err)
		local _, count = out:gsub("\n", "\n")
		assert.equal(2, count)
	end)

	it("counts events over all blocks", function()
		local line = '{"type":"opened","id":"1","user":"u1","subject":"' .. ("x"):rep(500) .. '"}\n'
		local events = child.file("events", line:rep(2000) .. '{"type":"opened"}\n')
		local code, out, err = child.run { "map", path, events }
		assert.equal(1, code)
		assert.matches("event 2001: no_user: ", err, 1, true)
		local _, count = out:gsub("\n", "\n")
		assert.equal(2000, count)
	end)

	it("reads one JSON body, pretty-printed", function()
		local events = child.file("events", '[\n {"type":"opened",\n "user":"u1"},\n {"type":"opened","user":"u2"}]\n')
		local code, out = child.run { "map", path, events, "--format", "json" }
		assert.equal(0, code)
		assert.matches('"u1".*\n.*"u2"', out)
	end)

	it("finds no event in an empty body, and none missing from no lines", function()
		local empty = child.file("empty", "")
		for format, says in pairs {
			json = "event 1: json: byte 1: expected a value, but the text ends here",
			form = "event 1: no_event: ",
			xml = "event 1: ",
		} do
			local code, out, err = child.run { "map", path, empty, "--format", format }
			assert.same({ 1, "" }, { code, out })
			assert.matches(says, err, 1, true)
			assert.equal(1, select(2, err:gsub("\n", "")))
		end
		assert.same({ 0, "", "" }, { child.run { "map", path, empty } })
	end)

	it("reads a form", function()
		local code, out = child.run { "map", path, child.file("form", "type=opened&user=u%201&subject=a+b"), "--format=form" }
		assert.equal(0, code)
		local message = cjson.decode(out)
		assert.equal("u 1", message.userId)
		assert.equal("a b", message.properties.email_subject)
	end)

	it("reads XML", function()
		local crm = child.file("crm.lua", (SOURCE:gsub('get "', 'get "event.')))
		local events = child.file("event.xml", "<event>\n<type>opened</type><user>u1</user><subject>S&#xFC;\223\n</subject></event>\n")
		local code, out, err = child.run { "map", crm, events, "--format", "xml" }
		assert.equal(1, code)
		assert.matches("event 1: invalid: XML: line 2, column", err, 1, true)
		assert.equal("", out)
		events = child.file("event.xml", "<event>\n<type>opened</type><user>u1</user><subject>S&#xFC;</subject></event>\n")
		code, out, err = child.run { "map", crm, events, "--format", "xml" }
		assert.same({ 0, "" }, { code, err })
		assert.equal("Sü", cjson.decode(out).properties.email_subject)
	end)

	it("names the account with --wrap", function()
		local events = child.file("events", '{"type":"opened","user":"u1"}\n')
		local _, out = child.run { "map", path, events, "--wrap", "--account", 'a"b' }
		local line = cjson.decode(out)
		assert.equal('a"b', line.account)
		assert.equal("track", line.message.type)
	end)

	it("maps every event of the example", function()
		local code, out, err = child.run {
			"map", "examples/acme-mail/acme-mail.lua", "examples/acme-mail/events.ndjson", "--wrap",
		}
		assert.equal("", err)
		assert.equal(0, code)
		local accounts, calls, ids, count = {}, {}, {}, 0
		for line in out:gmatch "[^\n]+" do
			local wrapped = cjson.decode(line)
			accounts[wrapped.account] = true
			calls[wrapped.message.type] = true
			assert.is_nil(ids[wrapped.message.messageId])
			ids[wrapped.message.messageId] = true
			count = count + 1
		end
		assert.equal(314, count)
		assert.is_true(accounts["müller-söhne"] and accounts["12345678901234567890"])
		for _, call in ipairs { "track", "identify", "page", "screen", "group", "alias" } do
			assert.is_true(calls[call])
		end
	end)

	it("says what is wrong with a script", function()
		local code, out, err = child.run { "map", child.file("bad.lua", "return {\n  x = = 1\n}") }
		assert.equal(1, code)
		assert.equal("", out)
		assert.matches("bad.lua:2:", err, 1, true)
		local _, _, why = child.run { "map", "nowhere.lua" }
		assert.matches("nowhere.lua", why, 1, true)
	end)

	it("says what is wrong with the input file", function()
		local code, _, err = child.run { "map", path, "nowhere.ndjson" }
		assert.equal(1, code)
		assert.matches("nowhere.ndjson: No such file", err, 1, true)
	end)
end)
