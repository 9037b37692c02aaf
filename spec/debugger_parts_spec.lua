--- The debugger's parts that know no sockets: ring, meter, faults, guard, mask, body, verdict.

local body = require "moonweir.debugger.body"
local core = require "moonweir.core"
local faults = require "moonweir.debugger.faults"
local guard = require "moonweir.debugger.guard"
local mask = require "moonweir.debugger.mask"
local meter = require "moonweir.debugger.meter"
local ring = require "moonweir.debugger.ring"
local verdict = require "moonweir.debugger.verdict"

local function headers(list)
	return function(name)
		return list[name]
	end
end

describe("the ring", function()
	local function numbers(r, after)
		local list = {}
		for entry in r:after(after) do
			list[#list + 1] = entry.number
		end
		return list
	end

	it("keeps the last 500, in order, under numbers that go on", function()
		local r = ring.new()
		assert.same({}, numbers(r, 0))
		for i = 1, 1700 do
			r:push { raw = tostring(i) }
		end
		local list = numbers(r, 0)
		assert.same({ 500, 1201, 1700 }, { #list, list[1], list[500] })
		assert.same({ 1699, 1700 }, numbers(r, 1698))
		assert.same({}, numbers(r, 1700))
		assert.same({}, numbers(r, 99999))
		assert.equal(500, r:count())
		r:clear()
		assert.same({ 0, {} }, { r:count(), numbers(r, 0) })
		r:push { raw = "" }
		assert.same({ 1701 }, numbers(r, 0))
	end)

	it("is bounded in bytes, but for the newest", function()
		local r = ring.new()
		local half = ("x"):rep(ring.BYTES / 2)
		for _ = 1, 3 do
			r:push { raw = half }
		end
		assert.same({ 2, 3 }, numbers(r, 0))
		r:push { raw = half .. half .. "x" }
		assert.same({ 4 }, numbers(r, 0))
		r:push { raw = "" }
		assert.same({ 5 }, numbers(r, 0))
	end)

	it("holds no more after a million messages than after a thousand", function()
		local r = ring.new()
		local function fill(n)
			for _ = 1, n do
				r:push { raw = "{}" }
			end
			collectgarbage()
			collectgarbage()
			return collectgarbage "count"
		end
		local before = fill(1000)
		assert.is_true(fill(1000000) < before + 100)
	end)
end)

describe("the meter", function()
	it("counts seconds, and forgets them after a minute", function()
		local m = meter.new()
		m:add(100.1, 10, 1)
		m:add(100.9, 30, 2)
		m:add(101.0, 5, 0)
		local v = m:view(101.5)
		assert.same({ 60, 2, 1 }, { #v.requests, v.requests[59], v.requests[60] })
		assert.same({ 3, 40, 30 }, { v.messages[59], v.bytes[59], v.largest[59] })
		v = m:view(159.9)
		assert.same({ 2, 1, 0 }, { v.requests[1], v.requests[2], v.requests[3] })
		v = m:view(160)
		assert.same({ 1, 0 }, { v.requests[1], v.requests[2] })
		m:add(161, 1, 1)
		assert.equal(1, m:view(161).requests[60])
		assert.equal(0, m:view(161).requests[1])
	end)
end)

describe("faults", function()
	it("strike as often as was said, the oldest first", function()
		local f = faults.new()
		assert(f:add { kind = "429", times = 2 })
		assert(f:add { kind = "cut" })
		local kinds = {}
		for i = 1, 4 do
			kinds[i] = f:next().kind
		end
		assert.same({ "429", "429", "cut", "cut" }, kinds)
		assert.is_true(f:remove(2))
		assert.is_nil(f:next())
		assert.is_false(f:remove(2))
	end)

	it("strike one account alone", function()
		local f = faults.new()
		assert.is_false(f:ask_for_account())
		assert(f:add { kind = "401", account = "…k3y4" })
		assert.is_true(f:ask_for_account())
		assert.is_nil(f:next "…0000")
		assert.is_nil(f:next(nil))
		assert.equal("401", f:next("…k3y4").kind)
	end)

	it("answer as Segment does when there is too much", function()
		local status, h, text = faults.answer(assert(faults.new():add { kind = "429", retry_after = 9 }))
		assert.same({ 429, "9", "9" }, { status, h["Retry-After"], h["X-RateLimit-Reset"] })
		assert.equal(false, core.decode(text).success)
		assert.equal(2, faults.new():add({ kind = "429" }).retry_after)
		assert.equal(500, (faults.answer { kind = "500" }))
	end)

	for name, wish in pairs {
		["nothing"] = false, ["a list"] = {}, ["another kind"] = { kind = "418" }, ["a number as kind"] = { kind = 429 },
		["no times"] = { kind = "429", times = 0 }, ["half of one"] = { kind = "429", times = 0.5 },
		["a wait of a day"] = { kind = "429", retry_after = 86400 }, ["endless"] = { kind = "stall", seconds = math.huge },
		["not a number"] = { kind = "stall", seconds = 0 / 0 }, ["text"] = { kind = "429", times = "1" },
		["an account that is none"] = { kind = "401", account = 1 },
	} do
		it("refuse " .. name, function()
			local f = faults.new()
			local fault, message = f:add(wish)
			assert.is_nil(fault)
			assert.is_string(message)
			assert.same({}, f:list())
		end)
	end

	it("are not without end", function()
		local f = faults.new()
		local added = 0
		while f:add { kind = "500" } do
			added = added + 1
		end
		assert.equal(20, added)
	end)
end)

describe("the guard", function()
	local TOKEN = "0123456789abcdef"

	local function status(method, list)
		return (guard.refusal({ method = method, header = headers(list) }, TOKEN))
	end

	it("lets in who has the token, from its own page or from none", function()
		assert.is_nil(status("GET", { ["X-Moonweir-Token"] = TOKEN }))
		assert.is_nil(status("GET", { ["X-Moonweir-Token"] = TOKEN, ["Sec-Fetch-Site"] = "same-origin" }))
		local post = { ["X-Moonweir-Token"] = TOKEN, Host = "127.0.0.1:4400", Origin = "http://127.0.0.1:4400",
			["Content-Type"] = "application/json; charset=utf-8" }
		assert.is_nil(status("POST", post))
	end)

	it("lets in nobody else", function()
		assert.equal(401, status("GET", {}))
		assert.equal(401, status("GET", { ["X-Moonweir-Token"] = TOKEN:sub(1, -2) }))
		assert.equal(401, status("GET", { ["X-Moonweir-Token"] = TOKEN:upper() }))
		for _, site in ipairs { "cross-site", "same-site", "none" } do
			assert.equal(403, status("GET", { ["X-Moonweir-Token"] = TOKEN, ["Sec-Fetch-Site"] = site }))
		end
		for _, origin in ipairs { "null", "http://127.0.0.1:4401", "https://127.0.0.1:4400", "http://evil.example" } do
			assert.equal(403, status("GET", { ["X-Moonweir-Token"] = TOKEN, Host = "127.0.0.1:4400", Origin = origin }))
		end
		for _, kind in ipairs { "", "text/plain", "application/jsonx", "application/x-www-form-urlencoded" } do
			assert.equal(415, status("POST", { ["X-Moonweir-Token"] = TOKEN, ["Content-Type"] = kind }))
		end
	end)

	it("knows its own names", function()
		for _, host in ipairs { "localhost", "LOCALHOST:1", "127.0.0.1:4400", "[::1]:4400" } do
			assert.is_false(guard.is_foreign(host, guard.LOOPBACK))
		end
		for _, host in ipairs { "", "evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.1:4400:1", "[::1", "0.0.0.0" } do
			assert.is_true(guard.is_foreign(host, guard.LOOPBACK))
		end
		assert.is_true(guard.is_foreign(nil, guard.LOOPBACK))
	end)

	it("knows what belongs to this machine alone", function()
		assert.is_true(guard.is_loopback "127.0.0.1" and guard.is_loopback "127.8.8.8" and guard.is_loopback "::1")
		for _, address in ipairs { "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil", "1127.0.0.1", "" } do
			assert.is_false(guard.is_loopback(address))
		end
	end)

	it("makes a new token each time", function()
		local a, b = guard.random_token(), guard.random_token()
		assert.matches("^%x+$", a)
		assert.equal(32, #a)
		assert.not_equal(a, b)
	end)
end)

describe("the mask", function()
	it("leaves four characters of a key, in the text too", function()
		assert.equal("k3y4", mask.tail "abcdk3y4")
		assert.equal("", mask.tail "k3y4")
		assert.equal('{"writeKey":"…k3y4"}', mask.text('{"writeKey":"ab%d-k3y4"}', "ab%d-k3y4"))
		assert.equal("acme…k3y4", mask.account("abcdk3y4", { abcdk3y4 = "acme" }))
		assert.is_nil(mask.account("", {}))
	end)

	it("makes no bytes that are not UTF-8 of what somebody calls a key", function()
		assert.equal("????", mask.tail "x\255\254\128\129")
		assert.equal("é", mask.text("é", "\195"))
	end)
end)

describe("a body", function()
	it("is itself without Content-Encoding", function()
		assert.equal("{}", body.plain { body = "{}", header = headers {} })
		assert.equal("{}", body.plain { body = "{}", header = headers { ["Content-Encoding"] = " Identity " } })
	end)

	it("is refused in an encoding that nobody knows", function()
		local bytes, status, code = body.plain { body = "x", header = headers { ["Content-Encoding"] = "br" } }
		assert.same({ nil, 415, "unsupported_encoding" }, { bytes, status, code })
	end)

	it("is undone by moonweir.inflate, or refused without it", function()
		local pipe = io.popen "printf '{}' | gzip -c"
		local zipped = pipe:read "*a"
		pipe:close()
		local there = pcall(require, "moonweir.inflate")
		local bytes, status = body.plain { body = zipped, header = headers { ["Content-Encoding"] = "gzip" } }
		assert.equal(there and "{}" or nil, bytes)
		assert.equal(not there and 415 or nil, status)
		status = select(2, body.plain { body = "no gzip", header = headers { ["Content-Encoding"] = "gzip" } })
		assert.equal(there and 400 or 415, status)
	end)
end)

describe("a verdict", function()
	local function of(raw, more)
		local entry = { kind = "message", raw = raw, type = "track", is_batch = true,
			request = { authorization = "basic", content_type = "application/json" } }
		for key, value in pairs(more or {}) do
			entry[key] = value
		end
		local word, found, call = verdict.of(entry)
		local rules = {}
		for _, finding in ipairs(found) do
			rules[finding.rule] = finding
		end
		return word, rules, call
	end

	local STAMP = '"messageId":"m","timestamp":"2026-01-31T12:00:00Z","context":{"integration":{"name":"a","version":"1.0.0"}}'
	local RIGHT = '{"type":"track","userId":"u-1","event":"Ticket Created","properties":{},' .. STAMP .. "}"

	it("is ok for what is right", function()
		local word, rules = of(RIGHT)
		assert.same({ "ok", {} }, { word, rules })
	end)

	it("is the worst of the findings", function()
		assert.equal("warning", (of((RIGHT:gsub("u%-1", "ann@example.com")))))
		assert.equal("error", (of((RIGHT:gsub("Ticket Created", "order completed")))))
	end)

	it("is dropped for what Segment drops, with a finding that says why", function()
		local word, rules = of(RIGHT, { fault = "duplicate_message_id", reason = "this messageId was sent before" })
		assert.equal("dropped", word)
		assert.equal("this messageId was sent before", rules.duplicate_message_id.what)
		assert.is_string(rules.duplicate_message_id.fix)
	end)

	it("says each thing once", function()
		local word, rules = of((RIGHT:gsub('"u%-1"', "17")), { fault = "id_not_string", reason = "…" })
		assert.equal("dropped", word)
		assert.is_nil(rules.id_not_string)
		assert.equal("id_not_string", rules["id-not-text"].code)
	end)

	it("takes what stands beside the batch for the message's own", function()
		local bare = RIGHT:gsub(',"context".*$', "}")
		assert.is_table(select(2, of(bare))["integration-missing"])
		local envelope = { context = '{"integration":{"name":"a","version":"1.0.0"}}' }
		assert.equal("ok", (of(bare, { envelope = envelope })))
	end)

	it("knows the type of a single call by its route", function()
		local untyped = RIGHT:gsub('"type":"track",', "")
		assert.equal("ok", (of(untyped, { is_batch = false })))
		assert.is_table(select(2, of(untyped))["call-unknown"])
	end)

	it("sees where the key is and what the request says it holds", function()
		local _, rules = of(RIGHT, { request = { authorization = "body", content_type = "text/plain" } })
		assert.equal("R8", rules["key-in-body"].partner)
		assert.is_table(rules["content-type"])
	end)

	it("bears anything", function()
		for _, raw in ipairs { "", "1", '"x"', "[]", "null", "{", '{"context":1}', '{"type":"track","event":{}}' } do
			of(raw)
			of(raw, { is_batch = false, envelope = { context = "[]", integrations = "1" } })
		end
	end)
end)
