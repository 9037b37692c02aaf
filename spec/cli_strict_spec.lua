--- What breaks Segment's Spec, with real processes: told once, and with --strict kept as a dead letter until the script is
--- mended.

local cjson = require "cjson"
local child = require "spec.support.child"
local mock = require "spec.support.mock"

local KEY = "canary0123456789abcdefghijklk3y4"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1.0.0",
	event = get "type", id = get "id", user = source.user { get "user" },
	on = {
		paid = source.track "%s" { order_id = get "order" },
		updated = source.identify { email = get "email" },
	},
}
]]

local WRONG = '"Purchase" is "Order Completed" in the Spec (event-renamed): call it "Order Completed"'

describe("moonweir", function()
	local number = 0
	local server, spool, key_file, wrong, mended

	before_each(function()
		number = number + 1
		server = mock.start()
		spool = child.folder() .. "/spool" .. number
		key_file = child.file("key", KEY .. "\n")
		wrong = child.file("wrong.lua", SOURCE:format "Purchase")
		mended = child.file("mended.lua", SOURCE:format "Order Completed")
	end)
	after_each(function()
		server:finish()
	end)
	teardown(child.clean)

	local function events(n)
		local lines = {}
		for i = 1, n do
			lines[i] = ('{"type":"%s","id":"e%d","user":"u%d","order":"o%d","email":"ann@example.com"}\n'):format(
				i % 10 == 0 and "paid" or "updated", i, i, i)
		end
		return child.file("events", table.concat(lines))
	end

	local function call(name, source, ...)
		return child.run({ name, source, ... }, { env = { MOONWEIR_SPOOL = spool } })
	end

	local function run(source, ...)
		return call("run", source, events(500), "--endpoint", server.url, "--write-key-file", key_file, "--rate", "0", "--json", ...)
	end

	local function letters()
		local _, out = child.run({ "dead", "list", "--json" }, { env = { MOONWEIR_SPOOL = spool } })
		local list = {}
		for line in out:gmatch "[^\n]+" do
			list[#list + 1] = cjson.decode(line)
		end
		return list
	end

	it("run sends what breaks the Spec, and says so once", function()
		local code, out, err = run(wrong)
		assert.equal(0, code)
		assert.equal(500, cjson.decode(out).delivered)
		local lines = select(2, err:gsub("\n", ""))
		assert.is_true(err:find('moonweir: warning: track "Purchase": event: ' .. WRONG, 1, true) ~= nil, err)
		assert.is_true(lines == 1, err)
	end)

	it("run --strict keeps it as dead letters; a mended script sends them", function()
		local code, out, err = run(wrong, "--strict")
		assert.equal(1, code)
		local summary = cjson.decode(out)
		assert.equal(450, summary.delivered)
		assert.equal(50, summary.failed)
		assert.is_true(err:find("event 10: spec: wrong.lua:7: Purchase: event: " .. WRONG, 1, true) ~= nil, err)

		local list = letters()
		assert.equal(50, #list)
		assert.equal("spec", list[1].code)
		assert.equal("wrong.lua:7", list[1].place)
		assert.equal("Purchase: event: " .. WRONG, list[1].reason)
		assert.matches('"id":"e10"', list[1].event)

		code = child.run({ "dead", "replay", wrong, "--strict", "--endpoint", server.url, "--write-key-file", key_file },
			{ env = { MOONWEIR_SPOOL = spool } })
		assert.equal(1, code)
		assert.equal(50, #letters())
		code, out, err = child.run(
			{ "dead", "replay", mended, "--code", "spec", "--strict", "--endpoint", server.url, "--write-key-file", key_file },
			{ env = { MOONWEIR_SPOOL = spool } })
		assert.equal(0, code, out .. err)
		assert.equal(0, #letters())
	end)

	it("map says it, and with --strict fails such an event", function()
		local code, out, err = call("map", wrong, events(20))
		assert.equal(0, code)
		assert.equal(20, select(2, out:gsub("\n", "")))
		assert.equal('moonweir: warning: track "Purchase": event: ' .. WRONG .. " [2 messages so far]\n", err)
		code, out, err = call("map", wrong, events(20), "--strict")
		assert.equal(1, code)
		assert.equal(18, select(2, out:gsub("\n", "")))
		assert.matches("event 20: spec: wrong.lua:7: ", err)
	end)

	it("send --strict refuses such a call and says why", function()
		local arguments = {
			"send", "--write-key", "key", "--host", server.url, "--source", mended, "--type", "track", "--userId", "u1",
			"--event", "Purchase", "--properties", '{"order_id":"o1"}',
		}
		assert.equal(0, (child.run(arguments)))
		arguments[#arguments + 1] = "--strict"
		local code, out = child.run(arguments)
		assert.equal(1, code)
		assert.equal("event 1: spec: event: " .. WRONG, cjson.decode(out).error)
	end)
end)
