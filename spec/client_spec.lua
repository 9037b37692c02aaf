--- The client called from where nobody expects it: by the function that a push of its own is running, and by finalizers.

local child = require "spec.support.child"
local litter = require "spec.support.litter"
local mw = require "moonweir"
local source = require "moonweir.source"
local get = source.get

-- Nothing listens there; what is pushed stays in the queue.
local NOWHERE = "http://127.0.0.1:1"

local function open(on)
	return assert(mw.open {
		endpoint = NOWHERE, write_key = "key", account = "a1",
		source = source.define {
			slug = "acme", version = "1.0.0", event = get "type", user = source.user { get "user" }, on = on,
		},
	})
end

describe("a push from a function that a push is running", function()
	it("is refused, and leaves the event under way as it was", function()
		local client, inner, text
		client = open {
			outer = function(event)
				inner = { pcall(client.push, client, { type = "outer", pad = ("z"):rep(200000) }) }
				collectgarbage()
				text = event.text
			end,
		}
		local long = ("t"):rep(3000)
		assert.equal(0, client:push { type = "outer", user = "u1", text = long })
		assert.equal(long, text)
		assert.is_false(inner[1])
		assert.matches("another push of this client is under way", inner[2])
		assert.equal(0, client:push { type = "outer", text = "again" })
		client:close(0)
	end)

	it("is only of pushes: the six calls work there", function()
		local client
		client = open {
			outer = function()
				assert(client:track("a1", { userId = "u1", event = "Inner" }))
			end,
		}
		assert.equal(0, client:push { type = "outer" })
		assert.equal(1, client:stats().accepted)
		client:close(0)
	end)
end)

describe("client:lane", function()
	it("tells of one account what lanes() tells of all, and nothing of one that had no event", function()
		local client = open {}
		assert.is_nil((client:lane "a1"))
		assert(client:track("a1", { userId = "u1", event = "Signed Up" }))
		assert(client:track("a2", { userId = "u1", event = "Signed Up" }))
		local until_ = require("moonweir.core").process.monotonic() + 120
		repeat
			local lane = client:lane "a2"
		until lane and lane.accepted == 1 or require("moonweir.core").process.monotonic() > until_
		local lane = client:lane "a2"
		assert.same({ "a2", 1 }, { lane.account, lane.accepted })
		assert.is_nil(lane.delivered_ago)
		assert.is_nil((client:lane "a"))
		assert.has_error(function() client:lane() end)
		client:close(0)
		assert.has_no_error(function() client:lane "a2" end)
	end)
end)

describe("finalizers that call the client", function()
	it("disturb no call under way", function()
		local client = open { a = source.track "A" { text = get "text" } }
		local many = {}
		for i = 1, 300 do
			many[i] = ('{"type":"unknown","n":%d}'):format(i)
		end
		local bad = ('{"type":"something else"}\n'):rep(900)
		litter.among(function(n)
			assert(client:track("a1", { userId = "f", event = "F", properties = { x = ("q"):rep(n * 37 % 9000) } }))
			pcall(client.push, client, bad, { format = "ndjson" })
			pcall(client.push, client, { type = "a", user = "f", text = ("r"):rep(n * 91 % 20000) })
		end, function(drop, round)
			drop()
			assert(client:track("a1", { userId = round, event = "E", properties = { n = round + 0.5, list = mw.array { round } } }))
			drop()
			local queued, _, code, problems = client:push(table.concat(many, "\n"), { format = "ndjson" })
			assert.is_nil(queued)
			assert.equal("unmatched", code)
			assert.equal(300, #problems)
			assert.equal(many[300], problems[300].raw)
		end)
		client:close(0)
	end)
end)

describe("finalizers that map with the same source", function()
	it("are refused while its answer is being made", function()
		local mapped = assert(mw.load(source.define {
			slug = "acme", version = "1.0.0", event = get "type", user = source.user { get "user" },
			on = { a = source.track "A" { text = get "text" } },
		}))
		local lines, bad = {}, ('{"type":"something else"}\n'):rep(900)
		for i = 1, 300 do
			lines[i] = ('{"type":"%s","user":"u","text":"%d"}'):format(i % 2 == 0 and "a" or "unknown", i)
		end
		local body, options = table.concat(lines, "\n"), { format = "ndjson", account = "a1" }
		litter.among(function()
			pcall(mapped.map, mapped, bad, options)
		end, function(drop)
			drop()
			local messages, tally, problems = mapped:map(body, options)
			assert.equal(150, #messages)
			assert.matches('"text":"300"', messages[150].message, 1, true)
			assert.equal(300, tally.events)
			assert.equal(lines[299], problems[150].raw)
		end)
	end)
end)

describe("finalizers that map with another source", function()
	it("leave the texts that a function reads as they are", function()
		local function mapped(on)
			return assert(mw.load(source.define {
				slug = "acme", version = "1.0.0", event = get "type", user = source.user { get "user" }, on = { a = on },
			}))
		end
		local read = {}
		local one = mapped(function(event)
			for i = 1, #event.texts do
				read[i] = event.texts[i]
			end
		end)
		local two = mapped(function(event)
			return #event.text
		end)
		local texts, expected = {}, {}
		for i = 1, 300 do
			texts[i], expected[i] = ('"text\\n%d"'):format(i), ("text\n%d"):format(i)
		end
		local body = ('{"type":"a","user":"u","texts":[%s]}'):format(table.concat(texts, ","))
		litter.among(function(n)
			two:map(('{"type":"a","user":"u","text":"%s\\n"}'):format(("z"):rep(n * 91 % 20000)), { account = "a1" })
		end, function(drop)
			drop()
			one:map(body, { account = "a1" })
			assert.same(expected, read)
		end)
	end)
end)

describe("a proxy that libcurl would not take", function()
	for _, url in ipairs { "gopher://u:canary@h", "http://u:canary@", "http://u:canary@h:99999", "not a url", 7 } do
		it(("is refused without being quoted: %s"):format(url), function()
			local ok, message = pcall(mw.open, { endpoint = NOWHERE, write_key = "key", proxy = url })
			assert.is_false(ok)
			assert.matches("proxy must be http://host:port", message, 1, true)
			assert.not_matches("canary", message)
		end)
	end
end)

describe("a client with a spool", function()
	teardown(child.clean)

	it("is pushed to with sync, and answers when the event is on disk", function()
		local client = assert(mw.open {
			endpoint = NOWHERE, write_key = "key", account = "a1", spool = child.folder() .. "/synced",
			source = source.define {
				slug = "acme", version = "1.0.0", event = get "type", user = source.user { get "user" },
				on = { opened = source.track "Opened" {} },
			},
		})
		for i, sync in ipairs { true, 30 } do
			assert.equal(1, client:push({ type = "opened", user = "u1" }, { sync = sync }))
			assert.is_true(client:stats().commits >= i)
		end
		assert.equal(1, client:push({ type = "opened", user = "u1" }, { sync = false }))
		assert.has_error(function()
			client:push({ type = "opened", user = "u1" }, { sync = "yes" })
		end)
		client:close(0)
	end)
end)

describe("options of a call", function()
	it("are those that there are, and of their types", function()
		local client = assert(mw.open {
			endpoint = NOWHERE, write_key = "key", account = "a1",
			source = source.define { slug = "acme", version = "1.0.0", event = get "type", on = {} },
		})
		local function raised(method, argument, ...)
			local ok, message = pcall(client[method], client, ...)
			assert.is_false(ok)
			assert.matches(argument, message, 1, true)
		end
		local fields = { userId = "u1", event = "Opened" }
		assert.is_true(client:track("a1", fields, { tag = 7, wait = 0, sync = true }))
		raised("track", 'no option "wiat", did you mean "wait"?', "a1", fields, { wiat = 5 })
		raised("track", "options are named", "a1", fields, { 5 })
		raised("track", "tag must be an integer", "a1", fields, { tag = 1.5 })
		raised("track", "tag must be an integer", "a1", fields, { tag = "1" })
		raised("push", "headers must be strings by name", "{}", { headers = 5 })
		assert.equal(1, client:stats().accepted)
		client:close(0)
	end)
end)

describe("a spool whose database is damaged", function()
	teardown(child.clean)

	it("is refused as corrupt, with what to do", function()
		local spool = child.folder() .. "/damaged"
		local options = { endpoint = NOWHERE, write_key = "key", account = "a1", spool = spool }
		assert(assert(mw.open(options)):close(0))
		local file = assert(io.open(spool .. "/p0/data.mdb", "r+b"))
		assert(file:write(("\255"):rep(8192)))
		file:close()
		local client, message, code = mw.open(options)
		assert.is_nil(client)
		assert.equal("corrupt", code)
		assert.matches("damaged/p0: damaged %(.*%); `moonweir verify` tells what to do", message)
	end)
end)

describe("a push that waits for the disk", function()
	teardown(child.clean)

	it("tells a message that was taken from one that was refused, when the disk's budget is spent", function()
		local spool = child.folder() .. "/full"
		local client = assert(mw.open { endpoint = NOWHERE, spool = spool, disk_bytes = 4 * 1024 * 1024 })
		local call = { userId = "u1", event = "Large", properties = { text = ("x"):rep(30000) } }
		local taken, codes = 0, {}
		for i = 1, 400 do
			-- The first find room, however slow the disk is.
			local ok, _, code = client:track("a1", call, { sync = i <= 25 and 60 or 0.05 })
			if ok or code == "timeout" then
				taken = taken + 1
			end
			codes[code or "ok"] = (codes[code or "ok"] or 0) + 1
			if (codes.full or 0) > 3 then
				break
			end
		end
		assert.is_true(codes.ok > 20 and codes.timeout >= 1 and codes.full > 3)
		assert.equal(taken, client:stats().accepted)
		client:close(0)
	end)
end)

describe("a client that is not to send", function()
	it("has a spool: without one nothing it is given would ever arrive", function()
		local ok, message = pcall(mw.open, { endpoint = NOWHERE, write_key = "key", account = "a1", send = false })
		assert.is_false(ok)
		assert.matches("send = false needs a spool", message)
	end)
end)

describe("what became of messages", function()
	local mock = require "spec.support.mock"
	local server
	before_each(function()
		server = mock.start()
	end)
	after_each(function()
		server:finish()
	end)
	teardown(child.clean)

	local function open_at(url, more)
		local options = { endpoint = url, report = "all", linger = 0, source = source.define {
			slug = "acme", version = "1", account = get "account", event = get "type", user = source.user { get "user" },
			on = { t = { source.track "One" {}, source.track "Two" {} } },
		} }
		for name, value in pairs(more or {}) do
			options[name] = value
		end
		return assert(mw.open(options))
	end

	it("is told by tags alone where it was delivered, and in full where not", function()
		server:control "marker poison"
		local client = open_at(server.url, { write_key = "key" })
		client:push({ type = "t", user = "u" }, { tag = 5 })
		assert.truthy(client:flush(30))
		client:push({ type = "t", user = "poison" }, { tag = 6 })
		assert.truthy(client:flush(30))
		local tags, others = client:settled()
		assert.same({ 5, 5 }, tags)
		assert.same({ "dead", "dead" }, { others[1].outcome, others[2].outcome })
		assert.equal(6, others[1].tag)
		tags, others = client:settled()
		assert.same({ {}, {} }, { tags, others })
		client:close(0)
	end)

	it("has a seed make ids that would be random, the same each time and no other way", function()
		local client = open_at(server.url, { write_key = "key" })
		for _, seed in ipairs { "a", "b", "a" } do
			client:push({ type = "t", user = "u" }, { seed = seed, now = 1700000000000 })
		end
		client:push { type = "t", user = "u" }
		assert.truthy(client:flush(30))
		client:close(0)
		local ids, times = {}, {}
		for i, message in ipairs(server:messages()) do
			ids[i], times[i] = message.messageId, message.timestamp
		end
		assert.same({ ids[1], ids[2] }, { ids[5], ids[6] })
		local different = {}
		for _, id in ipairs(ids) do
			different[id] = true
		end
		local count = 0
		for _ in pairs(different) do
			count = count + 1
		end
		assert.equal(6, count)
		assert.equal("2023-11-14T22:13:20.000Z", times[1])
	end)

	it("can be taken back while an account is parked, and is as if it had never been", function()
		local client = open_at(server.url, { accounts = { good = "key" } })
		client:push({ type = "t", user = "u", account = "bad" }, { tag = 1 })
		client:push({ type = "t", user = "u", account = "good" }, { tag = 2 })
		client:flush(30)
		assert.equal(2, client:withdraw())
		assert.equal(0, client:withdraw())
		local tags, others = client:settled()
		assert.same({ 2, 2 }, tags)
		local outcomes = {}
		for i, report in ipairs(others) do
			outcomes[i] = report.outcome .. report.tag
		end
		assert.same({ "parked0", "withdrawn1", "withdrawn1" }, outcomes)
		local stats = client:stats()
		assert.same({ 2, 2, 0 }, { stats.accepted, stats.delivered, stats.queued })
		client:close(0)
	end)

	it("uses a directory's accounts and budget without keeping messages there", function()
		local dir = child.folder() .. "/state"
		local first = open_at(server.url, { spool = dir, write_key = "key" })
		first:close(0)
		local client = open_at(server.url, { state = dir, write_key = "key" })
		client:push({ type = "t", user = "u", account = "a" }, { tag = 1 })
		assert.truthy(client:flush(30))
		assert.equal(2, client:stats().delivered)
		client:close(0)
		assert.has_error(function()
			mw.open { state = dir, spool = dir, write_key = "key" }
		end)
	end)
end)
