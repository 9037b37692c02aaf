--- The parts of a worker that need no Redis: names, entries, letters, the ledger.

local entries = require "moonweir.worker.entry"
local exposition = require "moonweir.worker.exposition"
local ledger = require "moonweir.worker.ledger"
local letters = require "moonweir.worker.letter"
local names = require "moonweir.worker.names"
local parking = require "moonweir.worker.parking"

describe("the keys of a stream", function()
	it("share a hash tag, the stream's own if it has one", function()
		local keys = assert(names.of "events")
		assert.same({ "events", "{events}:dead", "{events}:parked", "{events}:parked:a" },
			{ keys.stream, keys.dead, keys.parked, keys.parked_of "a" })
		keys = assert(names.of "{shop}:events")
		assert.equal("{shop}:events:dead", keys.dead)
		for _, name in ipairs { "", "{}x", "a}b{", "{a" } do
			assert.is_nil(names.of(name))
		end
	end)
end)

describe("an entry", function()
	it("is its body, or itself the event", function()
		local it = entries.read("1-0", { "account", "a", "body", "{}", "content_type", "text/xml" })
		assert.same({ "{}", "a", { ["Content-Type"] = "text/xml" } }, { it.event, it.account, it.headers })
		it = entries.read("1-0", { "account", "a", "type", "x", "moonweir-id", "0-1" })
		assert.same({ { type = "x" }, "a", "0-1" }, { it.event, it.account, it.first_id })
		assert.is_nil(entries.read("1-0", {}).first_id)
	end)

	it("says what is wrong with it", function()
		for _, headers in ipairs { "x", "[", '{"a":1}', "[1]" } do
			assert.truthy(entries.read("1-0", { "body", "{}", "headers", headers }).wrong, headers)
		end
		assert.truthy(entries.read("1-0", { "body", "{}", "account", "" }).wrong)
	end)

	it("is not moved if it is larger than one pipeline may be", function()
		local it = entries.read("1-0", { "body", "{}" })
		assert.is_nil(it.wrong or it.is_wide)
		local fields, mebibyte = { "body", "{}" }, ("x"):rep(1048576)
		for i = 1, 256 do
			fields[2 * i + 1], fields[2 * i + 2] = "more", mebibyte
		end
		it = entries.read("1-0", fields)
		assert.truthy(it.is_wide and it.wrong:find "256 MiB")
		assert.same({ "moonweir-id", "1-0" }, entries.copy(it))
	end)

	it("keeps its first id and all its fields when it is copied, twice over", function()
		local it = entries.read("5-0", { "body", "{}", "x", "1", "x", "2" })
		local copy = entries.copy(it, { "moonweir-code", "json" })
		assert.same({ "moonweir-id", "5-0", "moonweir-code", "json", "body", "{}", "x", "1", "x", "2" }, copy)
		assert.same({ "moonweir-id", "5-0", "body", "{}", "x", "1", "x", "2" },
			entries.copy(entries.read("9-9", entries.copy(it))))
	end)
end)

describe("a letter", function()
	it("has the first reason and counts the rest", function()
		local it = letters.add(nil, "json", "at byte 3")
		it = letters.refused(it, { status = 400, answer = "no", message = "{}" })
		assert.same({ "moonweir-group", "g", "moonweir-code", "json", "moonweir-reason", "at byte 3", "moonweir-failed", "2" },
			letters.fields(it, "g"))
		it = letters.refused(nil, { status = 400, answer = ("n"):rep(5000), message = "{}" })
		local fields = letters.fields(it, "g")
		assert.truthy(#fields[6] < 1100)
		assert.equal("{}", fields[10])
	end)
end)

describe("the ledger", function()
	local book
	before_each(function()
		book = ledger.new()
	end)

	local function add(id, messages)
		local entry = entries.read(id, { "body", "{}" })
		book:add(entry, 0)
		book:start(entry, messages)
		return entry
	end

	it("counts an entry's messages down, and it is over with the last", function()
		local one, none = add("1-0", 3), add("2-0", 0)
		assert.same({ none }, book.over)
		assert.same({ 2, 3 }, { book.count, book.messages })
		book:settle_all({ one.tag, one.tag }, {})
		assert.equal(1, #book.over)
		book:settle_all({}, { { outcome = "dead", tag = one.tag, status = 400, message = "{}" } })
		assert.equal(one, book.over[2])
		assert.equal("refused", one.letter.code)
		book:settle_all({ one.tag, 999 }, {}) -- more than there were, and a stranger's
		assert.same({ 2, 0, 2 }, { book.count, book.messages, #book.over })
		book:forget(one)
		book:forget(one)
		assert.equal(1, book.count)
		assert.is_false(book:has "1-0")
	end)

	it("marks what was withdrawn, with the account that is parked", function()
		local one = add("1-0", 2)
		book:settle_all({ one.tag }, { { outcome = "parked", account = "a" },
			{ outcome = "withdrawn", tag = one.tag, account = "a" } })
		assert.same({ true, "a", 1 }, { one.is_withdrawn, one.account, #book.over })
	end)

	it("knows which claims are old", function()
		add("1-0", 1)
		assert.same({ "1-0" }, book:stale(10, 5))
		assert.same({}, book:stale(12, 5))
	end)
end)

describe("the exposition", function()
	it("leaves out what is not known, and never leaves half a file", function()
		local stats = { read = 5, acknowledged = 4, dead = 1, parked = 0, returned = 0, claimed = 0, in_flight = 0, connects = 1,
			group = { pending = 0, consumers = 1, length = 5, dead = 1, parked = 0 } }
		local text = exposition.text(stats, { delivered = 4, queued = 0, in_flight = 0, requests = 1 })
		assert.truthy(text:find("\nmoonweir_worker_entries_dead_total 1\n", 1, true))
		assert.is_nil(text:find "group_lag")
		assert.is_nil((exposition.write("/nowhere/at/all", stats, { delivered = 0, queued = 0, in_flight = 0, requests = 0 })))
	end)
end)

describe("a worker beside Redis", function()
	local child = require "spec.support.child"
	local servers = require "spec.support.redis"
	local workers = require "moonweir.worker"
	lazy_teardown(function()
		servers.clean()
		child.clean()
	end)

	--- A client that has delivered at once whatever it was given.
	local function instant()
		local client = { pushed = {}, done = {} }
		function client:push(event, options)
			self.pushed[#self.pushed + 1] = event
			self.done[#self.done + 1] = options.tag
			return 1
		end
		function client:settled()
			local done = self.done
			self.done = {}
			return done, {}
		end
		function client.stats()
			return { reports_lost = 0, queued = 0, in_flight = 0 }
		end
		function client.flush()
			return true
		end
		return client
	end

	--- A connection that runs what it is given and then may lose the answer.
	local function lossy(red)
		local link = { loses = 0 }
		function link.stats()
			return { repeats = 0, connects = 1 }
		end
		function link.call_again(_, ...)
			return red:call_again(...)
		end
		function link.pipeline(_, commands, again)
			local replies, message, code = red:pipeline(commands, again)
			if link.loses > 0 then
				link.loses = link.loses - 1
				return nil, "gone", "io"
			end
			return replies, message, code
		end
		return link
	end

	it("reads again what was handed out and got lost as the connection was cut, and acknowledges it once", function()
		local red = servers.start():client()
		for i = 1, 10 do
			red:call("XADD", "s", "*", "body", "first" .. i)
		end
		local client, link = instant(), lossy(red)
		local worker = assert(workers.open { client = client, red = link, stream = "s", group = "g", consumer = "c", slug = "x" })
		assert(worker:ensure())
		worker:round() -- own pending entries: none
		for round = 1, 3 do -- an answer lost while reading, then one while acknowledging, then both
			link.loses = round == 3 and 2 or 1
			worker:round()
			assert.equal("io", worker.trouble.code)
			servers.wait("all of it", function()
				worker:round()
				return #client.pushed == 10 * round and red:call("XPENDING", "s", "g")[1] == 0 and worker.ledger.count == 0
			end)
			for i = 1, 10 do
				red:call("XADD", "s", "*", "body", "more" .. i)
			end
			if round == 1 then
				worker:round() -- read in good order; what is lost next is the acknowledgement
			end
		end
	end)

	it("looks for what is missing when reports of the engine got lost", function()
		local red = servers.start():client()
		red:call("XADD", "s", "*", "body", "once")
		local client = instant()
		local reports_lost = 0
		function client.stats()
			return { reports_lost = reports_lost, queued = 0, in_flight = 0 }
		end
		local worker = assert(workers.open { client = client, red = lossy(red), stream = "s", group = "g", consumer = "c", slug = "x" })
		assert(worker:ensure())
		servers.wait("the push", function()
			worker:round()
			return #client.pushed == 1
		end)
		client.done, reports_lost = {}, 1 -- nobody will say what came of it
		servers.wait("the second push, and the end", function()
			worker:round()
			return #client.pushed == 2 and worker.ledger.count == 0
		end)
		assert.equal(0, red:call("XPENDING", "s", "g")[1])
	end)

	it("makes a group that began with what comes from now on anew where that was", function()
		local red = servers.start():client()
		red:call("XADD", "s", "*", "body", "old")
		local client = instant()
		local worker = assert(workers.open { client = client, red = lossy(red), stream = "s", group = "g", consumer = "c", slug = "x",
			start = "$" })
		assert(worker:ensure())
		red:call("XADD", "s", "*", "body", "first")
		servers.wait("the first", function()
			worker:round()
			return #client.pushed == 1 and worker.ledger.count == 0
		end)
		red:call("XADD", "s", "*", "body", "unread")
		red:call("XGROUP", "DESTROY", "s", "g")
		servers.wait("what nobody had read, and the first again", function()
			worker:round()
			return #client.pushed == 3 and worker.ledger.count == 0
		end)
		assert.same({ "first", "first", "unread" }, client.pushed)
	end)

	it("lets all accounts that are parked try when it starts, however many they are", function()
		local red = servers.start():client()
		for i = 1, 70 do
			red:call("XADD", "{s}:parked:a" .. i, "*", "account", "a" .. i, "body", "b")
			red:call("ZADD", "{s}:parked", 1e15, "a" .. i) -- another worker has just tried
		end
		local client = instant()
		function client.lane()
			return nil
		end
		function client.withdraw() end
		local worker = assert(workers.open { client = client, red = lossy(red), stream = "s", group = "g", consumer = "c", slug = "x" })
		assert(worker:ensure())
		servers.wait("all of them", function()
			worker:round()
			return #client.pushed == 70
		end)
		assert.equal(0, red:call("EXISTS", "{s}:parked"))
	end)

	it("moves large entries a few at a time: a pipeline has an end", function()
		local red = servers.start():client()
		local large = ("x"):rep(10 * 1048576)
		for _ = 1, 10 do
			red:call("XADD", "s", "*", "body", large)
		end
		local client, link, most = instant(), lossy(red), 0
		function client.push()
			return nil, "no JSON", "json"
		end
		local pipeline = link.pipeline
		function link.pipeline(self, commands, again)
			local bytes = 0
			for _, command in ipairs(commands) do
				for _, argument in ipairs(command) do
					bytes = bytes + (type(argument) == "string" and #argument or 0)
				end
			end
			most = math.max(most, bytes)
			return pipeline(self, commands, again)
		end
		local worker = assert(workers.open { client = client, red = link, stream = "s", group = "g", consumer = "c", slug = "x" })
		assert(worker:ensure())
		servers.wait("all letters", function()
			worker:round()
			return worker.finished.dead == 10
		end)
		assert.truthy(most < 70 * 1048576, most)
	end)

	it("puts back the letter of an entry that had fields named like ours", function()
		local red = servers.start():client()
		local keys = assert(names.of "s")
		local it = entries.read("1-0", { "body", "b", "moonweir-group", "another" })
		red:call("XADD", keys.dead, "*", (table.unpack or unpack)(entries.copy(it, letters.fields(letters.add(nil, "json", ""), "g")))) -- luacheck: ignore
		assert.equal(1, require("moonweir.redis").replay(red, "s", "g"))
	end)
end)

describe("parked accounts", function()
	local NOW = 1000
	local lanes = {}
	local client = { lane = function(_, account) return lanes[account] end }

	local function chosen(it)
		local list = {}
		for _, choice in ipairs(it:choose(client)) do
			list[#list + 1] = choice.account
		end
		return list
	end

	it("go back when their key is good, also where Redis was asked before their entries got there", function()
		local it = parking.new({}, nil, function() return NOW end)
		it:refresh {}
		it:note "acme"
		it:refresh {} -- asked before
		it:refresh { acme = NOW + 900000 }
		lanes.acme = { state = "parked", in_flight = 0 }
		assert.same({}, chosen(it))
		lanes.acme = { state = "empty", in_flight = 0 }
		assert.same({ "acme" }, chosen(it))
	end)

	it("are forgotten once they are gone, and left to others if another worker parked them", function()
		local it = parking.new({}, nil, function() return NOW end)
		it:refresh {}
		it:note "acme"
		for _ = 1, 5 do
			it:refresh { acme = NOW + 900000 }
		end
		assert.same({ "acme" }, chosen(it))
		for _ = 1, 5 do
			it:refresh {}
		end
		assert.is_nil(next(it.mine))
		it:refresh { acme = NOW + 900000 }
		assert.same({}, chosen(it))
		it:refresh { acme = NOW }
		assert.same({ "acme" }, chosen(it))
	end)
end)
