--- The desk with requests that are made up: what is kept of each, and what becomes of faults.

local desk = require "moonweir.debugger.desk"

describe("the desk", function()
	local d, told, said

	local function exchange(method, path, body, headers)
		local x = { method = method, path = path, query = "", body = body or "" }
		headers = headers or { Authorization = "Basic a2V5LTAwMDEtazN5NDo=" }
		headers.Host = headers.Host or "localhost"
		function x.header(_, name)
			return headers[name]
		end
		function x:answer(...)
			self.got = { ... }
		end
		function x:cut()
			self.got = "cut"
		end
		return x
	end

	local function take(...)
		local x = exchange(...)
		return x, d:take(x)
	end

	local function entries()
		local list = {}
		for entry in d.ring:after(0) do
			list[#list + 1] = entry
		end
		return list
	end

	before_each(function()
		told, said = {}, 0
		d = desk.new { token = ("t"):rep(16), on_message = function(m)
			told[#told + 1] = m.type
		end, on_request = function(r)
			told[#told + 1] = r.status
		end, before_answer = function()
			said = said + 1
		end }
	end)

	it("keeps and tells what came, before it answers", function()
		local x, is_tracking = take("POST", "/v1/page", '{"userId":"u"}')
		assert.is_true(is_tracking)
		assert.same({ { "page", 200 }, 1, 200 }, { told, said, x.got[1] })
		local entry = entries()[1]
		assert.same({ "message", "…k3y4", "basic", 1, false },
			{ entry.kind, entry.account, entry.request.authorization, entry.request.messages, entry.is_batch })
		take("POST", "/v1/import", '{"batch":[]}')
		assert.same({ "request", true, "empty_batch" },
			{ entries()[2].kind, entries()[2].request.is_batch, entries()[2].fault })
	end)

	it("keeps requests that are none of the Tracking API's, if they are told", function()
		d.debugger.handle = function(self)
			self.on_request { number = 1, path = "/token", status = 200, bytes = 9, answer = "", messages = 0 }
			return 200, {}, "secret"
		end
		local x, is_tracking = take("POST", "/token", "form")
		assert.is_false(is_tracking)
		assert.same({ 200, {}, "secret" }, x.got)
		local entry = entries()[1]
		assert.equal("ok", (require("moonweir.debugger.verdict").of(entry)))
		assert.is_nil(require("moonweir.debugger.feed").encode(entry):find("secret", 1, true))
	end)

	it("strikes with faults, whoever's request it is only when asked to", function()
		assert(d.faults:add { kind = "429", account = "…0000" })
		assert(d.faults:add { kind = "500", times = 1 })
		assert.equal(500, take("POST", "/v1/page", '{"userId":"u"}').got[1])
		assert.equal(200, take("POST", "/v1/page", '{"userId":"u"}').got[1])
		assert.equal(429, take("POST", "/v1/page", '{"userId":"u","writeKey":"other0000"}', {}).got[1])
		assert.equal(404, take("POST", "/v2/page").got[1])
		assert.same({ 500, "page", 200, 429 }, told)
		assert.equal(3, d.debugger.requests)
	end)

	it("holds what stalls until its time is over, and no more than it can", function()
		assert(d.faults:add { kind = "stall", seconds = 3600 })
		local held = {}
		for i = 1, 65 do
			held[i] = take("POST", "/v1/page", '{"userId":"u' .. i .. '"}')
		end
		assert.same({ nil, "cut" }, { held[64].got, held[65].got })
		local now = require("moonweir.core").process.monotonic()
		d:tick(now + 3599 - 60)
		assert.is_nil(held[1].got)
		d:tick(now + 3601)
		assert.equal(200, held[1].got[1])
		assert.equal(200, held[64].got[1])
		assert.equal(0, #d.stalled)
		assert.equal(0, d:release())
	end)

	it("takes all and says nothing when the answer gets lost", function()
		assert(d.faults:add { kind = "lost", times = 1 })
		assert.equal("cut", take("POST", "/v1/page", '{"userId":"u"}').got)
		assert.same({ "lost", 1 }, { entries()[1].request.injected, d.debugger.messages })
	end)

	it("answers no foreign name", function()
		local x = take("POST", "/v1/page", '{"userId":"u"}', { Host = "evil.example" })
		assert.equal(403, x.got[1])
		assert.same({}, told)
	end)
end)
