--- The tool as a destination of Segment: who may call, what is taken, and what the store knows afterwards.

local child = require "spec.support.child"
local cjson = require "cjson"
local core = require "moonweir.core"
local destination = require "moonweir.receive.destination"
local identities = require "moonweir.identities"

local NOW = 1767225600000 -- 2026-01-01T00:00:00Z
local KEY, SECRET = "canary-key-0001", "secret-1"

local function base64(text)
	local pipe = io.popen(("printf %%s '%s' | base64 -w0"):format(text))
	local encoded = pipe:read "*a"
	pipe:close()
	return encoded
end

local LOGIN = "Basic " .. base64(KEY .. ":")

describe("a destination of Segment's", function()
	local master, store, number = nil, nil, 0

	setup(function()
		master = child.folder() .. "/master-key"
		assert(core.new_master_key(master))
	end)
	before_each(function()
		number = number + 1
		store = assert(identities.open { spool = child.folder() .. "/spool" .. number, master_key_file = master })
	end)
	after_each(function()
		store:close()
	end)
	teardown(child.clean)

	local function config(more)
		local all = { account = "acme", api_key = KEY, identities = store, slug = "acme-mail", now = NOW }
		for name, value in pairs(more or {}) do
			all[name] = value or nil
		end
		return all
	end

	--- A message or a body, with the right key unless headers are given.
	local function send(body, more, headers, method)
		local text = type(body) == "table" and cjson.encode(body) or body
		local status, reply, counts = destination.receive(
			{ method = method or "POST", headers = headers or { authorization = LOGIN }, body = text }, config(more))
		assert.is_string(cjson.decode(reply).message)
		assert.not_matches("canary", reply .. (counts.reason or ""))
		return status, cjson.decode(reply).message, counts
	end

	local function email(address)
		return (store:find("acme", "email", address))
	end

	it("learns who is who from an identify", function()
		local status, _, counts = send {
			type = "identify", userId = "u1", anonymousId = "a1", messageId = "m1", timestamp = "2025-12-01T00:00:00.000Z",
			traits = { email = "Ann@example.com", phone = "+1 555 0100" },
			context = { acmeMailId = 77, crm = "c-1" },
		}
		assert.equal(200, status)
		assert.equal(4, counts.learned)
		assert.equal("u1", email "ann@EXAMPLE.com")
		assert.equal("u1", (store:find("acme", "phone", "+15550100")))
		assert.equal("u1", (store:find("acme", "anonymous_id", "a1")))
		assert.equal("u1", (store:find("acme", "tool_id", "77")))
		assert.is_nil((store:find("acme", "tool_id", "c-1")))
		assert.is_nil((store:find("other", "email", "ann@example.com")))
	end)

	it("finds the tool's id under other names too", function()
		send({ type = "identify", userId = "u1", traits = { crm = "c-1" }, context = { acme_mail_id = "c-2" } },
			{ tool_ids = { "crm" } })
		send({ type = "track", event = "E", userId = "u3", context = { traits = { crm = "c-3" } } }, { tool_ids = { "crm" } })
		assert.equal("u1", (store:find("acme", "tool_id", "c-1")))
		assert.equal("u1", (store:find("acme", "tool_id", "c-2")))
		assert.equal("u3", (store:find("acme", "tool_id", "c-3")))
	end)

	it("learns from every call that carries ids together, and not from a group's traits", function()
		for i, call in ipairs { "track", "page", "screen", "group" } do
			local status = send {
				type = call, userId = "u" .. i, anonymousId = "a" .. i, traits = { email = "company@example.com" },
				context = { traits = { email = call .. "@example.com" } },
			}
			assert.equal(200, status)
			assert.equal("u" .. i, email(call .. "@example.com"))
			assert.equal("u" .. i, (store:find("acme", "anonymous_id", "a" .. i)))
		end
		assert.is_nil(email "company@example.com")
	end)

	it("keeps a userId byte for byte, digits of a number included", function()
		send '{"type":"identify","userId":12345678901234567890,"traits":{"email":"n@example.com"}}'
		assert.equal("12345678901234567890", email "n@example.com")
		send '{"type":"identify","userId":" U\\u00e9\\"1 ","traits":{"email":"b@example.com"}}'
		assert.equal(' Ué"1 ', email "b@example.com")
	end)

	it("keeps an anonymousId until a userId is known", function()
		local body = { type = "identify", anonymousId = "a1", userId = cjson.null, traits = { email = "ann@example.com" } }
		assert.equal(200, (send(body)))
		assert.same({ nil, nil, nil, "a1" }, { store:find("acme", "email", "ann@example.com") })
		send { type = "track", event = "Signed Up", userId = "u1", anonymousId = "a1" }
		assert.equal("u1", email "ann@example.com")
	end)

	it("follows aliases of userIds and anonymousIds", function()
		send { type = "identify", userId = "old", traits = { email = "ann@example.com" } }
		send { type = "alias", previousId = "old", userId = "new" }
		send { type = "alias", previousId = "a9", userId = "new" }
		assert.equal("new", email "ann@example.com")
		assert.equal("new", (store:find("acme", "user_id", "old")))
		assert.equal("new", (store:find("acme", "anonymous_id", "a9")))
		assert.equal(200, (send { type = "alias", previousId = "new", userId = "new" }))
		assert.equal(400, (send { type = "alias", userId = "new" }))
		assert.equal(400, (send { type = "alias", ["Previous ID"] = "a", ["User ID"] = "b", userId = "x" }))
	end)

	it("forgets on delete, whose date is Go's, and says so", function()
		send { type = "identify", userId = "u1", timestamp = "2025-01-01T00:00:00Z", traits = { email = "ann@example.com" } }
		local status, message, counts = send([[{"type":"delete","userId":"u1","messageId":"delete-reg-1","context":null,
			"integrations":null,"originalTimestamp":"2025-06-01 10:00:00.123456789 +0000 UTC m=+0.000012"}]])
		assert.same({ 200, "forgot 1 identities", 1 }, { status, message, counts.forgotten })
		assert.is_nil(email "ann@example.com")
		local _, at = store:show("acme", "u1")
		assert.equal(core.timestamp "2025-06-01T10:00:00.123Z", at)
		send { type = "identify", userId = "u1", timestamp = "2025-05-31T00:00:00Z", traits = { email = "ann@example.com" } }
		assert.is_nil(email "ann@example.com")
		send { type = "identify", userId = "u1", timestamp = "2025-06-02T00:00:00Z", traits = { email = "ann@example.com" } }
		assert.equal("u1", email "ann@example.com")
		assert.equal(400, (send { type = "delete" }))
	end)

	it("takes a date that can't be read, or lies ahead, for now", function()
		send { type = "identify", userId = "future", timestamp = "2199-01-01T00:00:00Z", traits = { email = "ann@example.com" } }
		send({ type = "identify", userId = "garbled", timestamp = "yesterday", traits = { email = "ann@example.com" } },
			{ now = NOW + 1 })
		assert.equal("garbled", email "ann@example.com")
		send({ type = "delete", userId = "garbled", timestamp = "Go knows" }, { now = NOW + 2 })
		assert.is_nil(email "ann@example.com")
	end)

	it("comes out the same whatever the order", function()
		local function at(minute, message)
			message.timestamp = ("2025-01-01T00:%02d:00Z"):format(minute)
			return message
		end
		local messages = {
			at(1, { type = "identify", anonymousId = "a1", traits = { email = "ann@example.com" } }),
			at(2, { type = "identify", userId = "u1", anonymousId = "a1" }),
			at(3, { type = "alias", previousId = "u1", userId = "u2" }),
			at(4, { type = "identify", userId = "u2", traits = { phone = "+1" } }),
		}
		local order = { 1, 2, 3, 4 }
		local function each(n, visit)
			if n == 0 then
				return visit()
			end
			for i = 1, n do
				order[i], order[n] = order[n], order[i]
				each(n - 1, visit)
				order[i], order[n] = order[n], order[i]
			end
		end
		local count = 0
		each(4, function()
			count = count + 1
			local account = "order" .. count
			for _, i in ipairs(order) do
				assert.equal(200, (send(messages[i], { account = account })))
			end
			assert.equal("u2", (store:find(account, "email", "ann@example.com")))
			assert.equal("u2", (store:find(account, "phone", "+1")))
		end)
		assert.equal(24, count)
	end)

	it("leaves alone what the tool itself has sent", function()
		local status, _, counts = send {
			type = "identify", userId = "u1", traits = { email = "ann@example.com" },
			context = { integration = { name = "acme-mail", version = "1" } },
		}
		assert.same({ 200, 1, 0 }, { status, counts.own, counts.learned })
		assert.is_nil(email "ann@example.com")
	end)

	it("lets nobody in without the key, and says no more than that", function()
		local message = { type = "identify", userId = "u1", traits = { email = "ann@example.com" } }
		local wrong = {
			{}, { Authorization = "Basic " }, { Authorization = KEY }, { Authorization = "Bearer " .. KEY },
			{ Authorization = "Basic " .. base64(KEY .. "x:") }, { Authorization = "Basic " .. base64(KEY) },
			{ Authorization = "Basic " .. base64(":" .. KEY) }, { Authorization = "Basic " .. base64(KEY .. ":pw") },
			{ Authorization = { LOGIN, LOGIN } }, { Authorization = "Basic " .. base64 ":" },
		}
		for _, headers in ipairs(wrong) do
			local status, text, counts = send(message, nil, headers)
			assert.same({ 401, "unauthorized" }, { status, text })
			assert.is_string(counts.reason)
		end
		assert.is_nil(email "ann@example.com")
		assert.equal(503, (send(message, { api_key = "" })))
		assert.equal(503, (send(message, { api_key = false })))
		assert.equal(403, (send(message, { forbidden = true })))
		assert.equal(401, (send(message, { forbidden = true }, {})))
		assert.equal(200, (send(message, { api_key = { "new-key", KEY } })))
	end)

	describe("that shares a secret", function()
		local ONE = '{"type":"identify","userId":"u1","traits":{"email":"ann@example.com"},"timestamp":"2026-01-01T00:00:00.000Z"}'
		local SIGNED = "85157fc0747552939fb5aef2f3ebfb18eb6e0372" -- HMAC-SHA1 of ONE

		local function signed(body, signature)
			return (send(body, { api_key = false, shared_secret = SECRET }, { ["x-signature"] = signature or SIGNED }))
		end

		it("takes what is signed with it", function()
			assert.equal(200, signed(ONE))
			assert.equal("u1", email "ann@example.com")
			assert.equal(401, signed(ONE .. " "))
			assert.equal(401, signed(ONE, SIGNED:gsub("^8", "9")))
			assert.equal(401, (send(ONE, { api_key = false, shared_secret = SECRET }, {})))
			assert.equal(401, (send(ONE, { api_key = false, shared_secret = "other" }, { ["x-signature"] = SIGNED })))
		end)

		it("takes a batch whose first message is signed", function()
			assert.equal(200, signed('[' .. ONE .. ',{"type":"identify","userId":"u2","traits":{"email":"bob@example.com"}}]'))
			assert.equal("u2", email "bob@example.com")
			assert.equal(401, signed('[{"type":"identify","userId":"u2"},' .. ONE .. "]"))
			assert.equal(401, signed "[]")
		end)

		it("takes the key as well, where there is one", function()
			assert.equal(200, (send(ONE, { shared_secret = SECRET })))
			assert.equal(200, (send(ONE, { shared_secret = SECRET }, { ["x-signature"] = SIGNED })))
			assert.equal(401, (send(ONE, { shared_secret = SECRET }, { ["x-signature"] = SIGNED:upper() })))
		end)
	end)

	it("answers what is no call with what it is", function()
		local cases = {
			{ 400, "", "not JSON" }, { 400, "{", "not JSON" }, { 400, "5", "neither" }, { 400, '"x"', "neither" },
			{ 400, "{}", "no type" }, { 400, "[5]", "no type" }, { 400, '{"type":5}', "no type" },
			{ 501, '{"type":"teleport","userId":"u"}', "not supported" },
			{ 400, '{"type":"identify"}', "neither userId" }, { 400, '{"type":"track","userId":{}}', "neither userId" },
			{ 400, '{"type":"identify","userId":""}', "neither userId" }, { 200, "[]", "ok" },
			{ 400, ("["):rep(200), "not JSON" }, { 400, '{"type":"identify","userId":"\255"}', "not JSON" },
			{ 200, '{"type":"identify","userId":"u","traits":5,"context":[]}', "ok" },
			{ 200, '{"type":"identify","userId":"u","traits":{"email":{}},"context":{"traits":null,"integration":"x"}}', "ok" },
		}
		for _, case in ipairs(cases) do
			local status, message = send(case[2])
			assert.equal(case[1], status, case[2])
			assert.matches(case[3], message)
		end
		assert.equal(405, (send("{}", nil, nil, "GET")))
		assert.equal(413, (send(("x"):rep(16 * 1024 * 1024))))
	end)

	it("takes what it can of a batch", function()
		local status, _, counts = send {
			{ type = "teleport", userId = "u" }, { type = "identify" },
			{ type = "identify", userId = "u1", traits = { email = "ann@example.com" } },
		}
		assert.same({ 200, 3, 1, 1, 1 }, { status, counts.messages, counts.unsupported, counts.invalid, counts.learned })
		assert.equal("u1", email "ann@example.com")
		assert.equal(400, (send { { type = "teleport", userId = "u" }, { type = "identify" } }))
	end)

	it("asks for another try when the account has its fill", function()
		store:close()
		store = assert(identities.open { spool = child.folder() .. "/spool" .. number, master_key_file = master, records_max = 2 })
		assert.equal(200, (send { type = "identify", userId = "u1", traits = { email = "ann@example.com" } }))
		local status, message, counts = send { type = "identify", userId = "u2", traits = { email = "bob@example.com" } }
		assert.same({ 503, 1 }, { status, counts.full })
		assert.matches("too many", message)
		assert.equal(200, (send { type = "delete", userId = "u1" }))
	end)

	it("has facts of many requests taught at once", function()
		local facts = {}
		for i = 1, 3 do
			local status, _, some = destination.read({
				method = "POST", headers = { Authorization = LOGIN },
				body = cjson.encode { type = "identify", userId = "u" .. i, traits = { email = i .. "@example.com" } },
			}, { account = "acme", api_key = KEY, now = NOW })
			assert.equal(200, status)
			for _, fact in ipairs(some) do
				facts[#facts + 1] = fact
			end
		end
		assert.equal(3, store:teach(facts).learned)
		assert.equal("u2", email "2@example.com")
	end)

	it("blames its host for a wrong call", function()
		for _, options in ipairs { { account = "a" }, { account = "a", now = 1, api_kye = "x" }, { account = 5, now = 1 } } do
			local ok, message = pcall(function()
				local status = destination.receive({ method = "POST", headers = {}, body = "" }, options)
				return status
			end)
			assert.is_false(ok)
			assert.matches("^spec/.*destination: ", message)
		end
	end)
end)
