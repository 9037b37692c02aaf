local cjson = require "cjson"
local child = require "spec.support.child"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1",
	event = get "type", id = get "id", user = source.user { get "user" },
	on = {
		opened = source.track "Email Opened" { email_subject = get "subject" },
		bulk = function(event, emit)
			for _ = 1, event.count do
				emit(source.track "Email Delivered" { email_id = event.id })
			end
		end,
		sent = source.ignore,
		never = source.track "Email Bounced" {},
	},
}
]]

local EVENTS = [[
{"type":"opened","id":"1","user":"u1","subject":"Hello"}
{"type":"sent","id":"2","user":"u1"}
{"type":"bulk","id":"3","user":"u2","count":3}

{"type":"opened","id":"4","user":"u1","subject":"Hello"}
]]

describe("moonweir bench", function()
	local path, events
	setup(function()
		path, events = child.file("tiny.lua", SOURCE), child.file("events", EVENTS)
	end)
	teardown(child.clean)

	local function bench(...)
		return child.run { "bench", "--seconds", "0.05", ... }
	end
	local function by_entry(report)
		local found = {}
		for _, entry in ipairs(report.entries) do
			found[entry.entry == cjson.null and "" or entry.entry] = entry
		end
		return found
	end

	it("tells what each entry takes, and the whole", function()
		local code, out, err = bench("--json", path, events)
		assert.equal("", err)
		assert.equal(0, code)
		local report = cjson.decode(out)
		assert.equal("tiny", report.source)
		assert.same({ 4, 5, 0 }, { report.events, report.messages, report.failed })
		local found, share = by_entry(report), 0
		assert.same({ "declaration", 2, 2 }, { found.opened.by, found.opened.events, found.opened.messages })
		assert.same({ "function", 1, 3 }, { found.bulk.by, found.bulk.events, found.bulk.messages })
		assert.same({ "ignore", 1, 0 }, { found.sent.by, found.sent.events, found.sent.messages })
		assert.is_nil(found.never)
		for i, entry in ipairs(report.entries) do
			assert.is_true(entry.ns > 0)
			assert.is_true(i == 1 or entry.share <= report.entries[i - 1].share)
			share = share + entry.share
		end
		assert.near(1, share, 0.001)
		assert.is_true(report.ns_least <= report.ns and report.ns <= report.ns_most)
		assert.near(1e9 / report.ns, report.events_per_second, report.events_per_second / 100)
	end)

	it("counts what can be sent by full requests, of messages as they are made", function()
		local _, out = bench("--json", path, events)
		local _, mapped = child.run { "map", path, events }
		local bytes = 0
		for message in mapped:gmatch "[^\n]+" do
			bytes = bytes + #message / 5
		end
		local report = cjson.decode(out)
		assert.near(bytes, report.message_bytes, 0.051)
		assert.equal(50 * math.floor(475000 / (bytes + 1)) * 4 / 5, report.sendable_per_second)
		_, out = bench("--json", "--rate", "10", path, events)
		assert.equal(report.sendable_per_second / 5, cjson.decode(out).sendable_per_second)
		_, out = bench("--json", "--rate", "0", path, events)
		assert.is_nil(cjson.decode(out).sendable_per_second)
	end)

	it("prints a table for people, the names of entries made safe", function()
		local odd = child.file("odd.lua", (SOURCE:gsub("sent = ", '["se\\27nt"] = ')))
		local code, out = bench(odd, child.file("odd", '{"type":"se\\u001bnt","id":"1","user":"u"}\n'))
		assert.equal(0, code)
		assert.matches("tiny: 1 event of 41 bytes become 0 messages\n", out, 1, true)
		assert.matches("entry +events +messages +ns an event +of the time +made by\n", out)
		assert.matches("\nse%?nt +1 +0 +[%d,]+ +100 %% +ignore\n", out)
		assert.matches("\nOne core maps [%d,]+ of them a second%.\n", out)
		assert.is_nil(out:find "can be sent")
	end)

	it("measures events that fail, too, and tells of each once", function()
		local code, out, err = bench("--json", path, child.file("some", EVENTS .. '{"type":"opened","id":"5"}\n{"type":"what"}\n{'))
		assert.equal(1, code)
		assert.matches("^event 5: no_user: [^\n]+\nevent 6: unmatched: [^\n]+\nevent 7: json: [^\n]+\n$", err)
		local report = cjson.decode(out)
		assert.same({ 7, 3 }, { report.events, report.failed })
		assert.equal(3, by_entry(report)[""].events)
	end)

	it("takes a body that is no lines", function()
		local array = child.file("array", "[" .. EVENTS:gsub("\n+", ","):sub(1, -2) .. "]")
		local code, out = bench("--json", "--format", "json", path, array)
		assert.equal(0, code)
		local report = cjson.decode(out)
		assert.same({ 4, 5 }, { report.events, report.messages })
		assert.same({ "bulk, opened, sent" }, { report.entries[1].entry })
	end)

	it("says what it can't measure", function()
		local code, _, err = bench(path, child.file("empty", "\n \n"))
		assert.equal(1, code)
		assert.equal("moonweir: error: there is no event in the input\n", err)
		code, _, err = bench(path, child.folder() .. "/nowhere")
		assert.equal(1, code)
		assert.matches("nowhere: No such file", err, 1, true)
		code, _, err = bench(child.file("broken.lua", "return 1"), events)
		assert.equal(1, code)
		assert.matches("broken.lua", err, 1, true)
		code, _, err = child.run { "bench", path, events, "--seconds", "soon" }
		assert.equal(2, code)
		assert.matches("--seconds takes a number from 0 up, not 'soon'", err, 1, true)
	end)
end)
