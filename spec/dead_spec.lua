--- What can't be delivered is kept whole, and can be sent once more.

local child = require "spec.support.child"
local core = require "moonweir.core"
local mock = require "spec.support.mock"
local mw = require "moonweir"

local KEY = "canary0123456789abcdefghijklk3y4"
local NOWHERE = "http://127.0.0.1:1"

-- Fails where the amount is text; the mended one takes it as it is.
local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "acme", version = "1.2", event = get "type", id = get "id", user = source.user { get "user" },
	EXTRA
	on = {
		paid = source.track "Paid" { amount = AMOUNT },
	},
}
]]

local function source(extra, amount)
	local text = SOURCE:gsub("EXTRA", extra or ""):gsub("AMOUNT", amount or 'get "amount" / 100')
	return child.file("acme.lua", text)
end

local MENDED = 'get "amount"'

describe("dead letters", function()
	local number, server = 0, nil
	local clients = {}

	before_each(function()
		number = number + 1
	end)

	after_each(function()
		for _, client in ipairs(clients) do
			client:close(0)
		end
		clients = {}
		if server then
			server:finish()
			server = nil
		end
	end)
	teardown(child.clean)

	local function spool()
		return child.folder() .. "/spool" .. number
	end

	local function open(options)
		local all = { write_key = KEY, endpoint = NOWHERE, spool = spool(), rate = 0 }
		for name, value in pairs(options or {}) do
			all[name] = value
		end
		all.source = all.source or source()
		local client = assert(mw.open(all))
		clients[#clients + 1] = client
		return client
	end

	local function close(client)
		client:close(0)
		for i = #clients, 1, -1 do
			if clients[i] == client then
				table.remove(clients, i)
			end
		end
	end

	--- The one letter that there is, after what was pushed is on disk.
	local function only_letter(client)
		assert(client:sync())
		local list = assert(client:dead())
		assert.equal(1, #list)
		return list[1]
	end

	it("hold an event that the mapping failed on whole, with the place in the script", function()
		local client = open()
		local pad = ("x"):rep(200000) -- more than a problem keeps
		local event = ('{"type":"paid","id":"e1","user":"u1","amount":"ten","pad":"%s"}'):format(pad)
		local before = math.floor(core.process.wall() * 1000) / 1000
		local queued, message, code = client:push(event, {
			account = "a1",
			tag = 9,
			headers = { ["X-Topic"] = "pay", Authorization = "Bearer " .. KEY, Cookie = "c", ["X-Api-Key"] = "k" },
		})
		assert.is_nil(queued)
		assert.equal("mapping", code)
		local letter = only_letter(client)
		assert.equal("0-0", letter.id)
		assert.equal("a1", letter.account)
		assert.equal("mapping", letter.code)
		assert.matches("^acme.lua:%d+$", letter.place)
		assert.equal(message, letter.place .. ": " .. letter.reason)
		assert.equal("acme 1.2", letter.source)
		assert.equal(event, letter.event)
		assert.equal("json", letter.format)
		assert.equal(9, letter.tag)
		assert.is_nil(letter.message)
		assert.is_nil(letter.status)
		assert.equal(0, letter.count)
		assert.same({ ["X-Topic"] = "pay" }, letter.headers)
		assert.is_true(letter.at >= before and letter.at <= core.process.wall())
	end)

	it("are made for every way in which an event can fail", function()
		local client = open { source = source 'account = get "account",', account = "default" }
		local cases = {
			{ "nonsense", "json" },
			{ '{"type":"other","user":"u"}', "unmatched" },
			{ '{"user":"u"}', "no_event" },
			{ '{"type":"paid","account":"a"}', "no_user" },
			{ '{"type":"paid","account":"a","user":"u","amount":[]}', "mapping" },
			{ ('{"type":"paid","account":"a","user":"%s"}'):format(("u"):rep(40000)), "too_large" },
		}
		for _, case in ipairs(cases) do
			local queued, _, code = client:push(case[1])
			assert.is_nil(queued)
			assert.equal(case[2], code)
		end
		assert(client:sync())
		local list = assert(client:dead())
		assert.equal(#cases, #list)
		for i, letter in ipairs(list) do
			assert.equal(cases[i][2], letter.code)
			assert.equal(cases[i][1], letter.event)
		end
		assert.equal("a", list[5].account)
		assert.equal(0, client:stats().accepted)
	end)

	it("name no account where none is known", function()
		local client = assert(mw.open { source = source(), accounts = { a = KEY }, endpoint = NOWHERE, spool = spool() })
		clients[#clients + 1] = client
		local _, _, code = client:push '{"type":"paid","user":"u","amount":1}'
		assert.equal("no_account", code)
		local letter = only_letter(client)
		assert.is_nil(letter.account)
		assert.same({ letter }, client:dead { account = "" })
	end)

	it("are not made of what the source ignores or only counts", function()
		for _, policy in ipairs { "ignore", "count" } do
			local client = open { source = source(('unmatched = "%s",'):format(policy)) }
			assert.equal(0, client:push '{"type":"other","user":"u"}')
			assert(client:sync())
			assert.same({}, client:dead())
			close(client)
		end
	end)

	it("leave the answer of push as it is without a spool", function()
		local body = '{"type":"paid","user":"u","amount":"x"}\n{"type":"paid","user":"u","amount":100}\n'
		local with = open()
		local without = assert(mw.open { source = source(), write_key = KEY, endpoint = NOWHERE })
		clients[#clients + 1] = without
		local a = { with:push(body, { format = "ndjson" }) }
		local b = { without:push(body, { format = "ndjson" }) }
		assert.same(b, a)
		assert.equal(1, a[1])
		assert.has_error(function()
			without:dead()
		end, "this client keeps no dead letters; open it with spool = a directory")
	end)

	it("hold one line of many, one form, and one event of many with what stands around them", function()
		local client = open()
		client:push('{"type":"paid","user":"u"}\n{"type":"paid","amount":"x","user":"u"}\r\n', { format = "ndjson" })
		client:push("type=paid&user=u&amount=x", { format = "form" })
		close(client)
		client = open { source = source('each = get "events", account = get.body "whose",') }
		client:push '{"whose":"w1","events":[{"type":"paid","user":"u"}, {"type":"paid","user":"u","amount":"x"}],"n":1}'
		assert(client:sync())
		local list = client:dead()
		assert.equal('{"type":"paid","amount":"x","user":"u"}\r', list[1].event)
		assert.equal("json", list[1].format)
		assert.equal("type=paid&user=u&amount=x", list[2].event)
		assert.equal("form", list[2].format)
		assert.equal('{"whose":"w1","events":[{"type":"paid","user":"u","amount":"x"}],"n":1}', list[3].event)
		assert.equal("w1", list[3].account)
		assert.equal(3, #list)
	end)

	it("are replayed by the mended script, with the messageId that the event would have had", function()
		server = mock.start()
		local client = open { endpoint = server.url }
		client:push('{"type":"paid","id":"e1","user":"u1","amount":"ten"}', { account = "default" })
		client:push("type=other&id=e2&user=u2&amount=x", { format = "form" })
		assert(client:sync())
		local died = client:dead()[1].at
		close(client)
		client = open { endpoint = server.url, source = source("", MENDED) }
		local failed = {}
		local counts = assert(client:replay {
			failed = function(letter, message, code)
				failed[#failed + 1] = { letter.id, message, code }
			end,
		})
		assert.same({ replayed = 1, messages = 1, failed = 1 }, counts)
		assert.equal("0-1", failed[1][1])
		assert.equal("unmatched", failed[1][3])
		assert.equal("0-1", only_letter(client).id)
		assert(client:flush(60))
		local arrived = server:messages()
		assert.equal(1, #arrived)
		assert.equal("ten", arrived[1].properties.amount)
		-- As a push of the same event through the same script would have made it.
		local direct = assert(mw.load(source("", MENDED))):map(
			'{"type":"paid","id":"e1","user":"u1","amount":"ten"}',
			{ account = "default", now = math.floor(died * 1000 + 0.5) }
		)
		local cjson = require "cjson"
		local want = cjson.decode(direct[1].message)
		assert.equal(want.messageId, arrived[1].messageId)
		assert.equal(want.timestamp, arrived[1].timestamp)
		assert.same({}, client:dead { code = "json" })
	end)

	it("hold the one message of a hundred that Segment refuses, with its answer; the others are delivered", function()
		server = mock.start()
		server:control('marker "u37"\nbody {"message":"no good: ' .. KEY .. '"}\n')
		local client = open { endpoint = server.url }
		for i = 1, 100 do
			assert(client:push(('{"type":"paid","id":"e%d","user":"u%d","amount":%d}'):format(i, i, i)))
		end
		assert(client:flush(60))
		local letter = only_letter(client)
		assert.equal("refused", letter.code)
		assert.equal(400, letter.status)
		assert.matches("no good", letter.answer)
		assert.matches('"userId":"u37"', letter.message)
		assert.equal("default", letter.account)
		assert.equal(1, letter.count)
		assert.equal(99, #server:messages())
		assert.equal(99, client:stats().delivered)

		-- Sent as it is, though its id is known: it is no repeat of something delivered.
		server:control "reset\n"
		assert.same({ replayed = 1, messages = 1, failed = 0 }, client:replay())
		assert(client:flush(60))
		assert.same({}, client:dead())
		local arrived, seen = server:messages(), {}
		for _, m in ipairs(arrived) do
			assert.is_nil(seen[m.messageId])
			seen[m.messageId] = m.userId
		end
		assert.equal(100, #arrived)
		assert.equal("u37", arrived[100].userId)
		assert.matches(letter.message:match '"messageId":"(.-)"', arrived[100].messageId, 1, true)
		assert.equal(0, client:stats().repeats)
		close(client)
		-- The answer quoted the key; the spool does not.
		local found = os.execute(("grep -rqF %s '%s'"):format(KEY, spool()))
		assert.is_falsy(found == true or found == 0)
	end)

	it("are dropped once the host that waits in a way of its own says that all is on disk", function()
		server = mock.start()
		local client = open { endpoint = server.url }
		client:push('{"type":"paid","id":"e1","user":"u1","amount":"ten"}', { account = "default" })
		assert(client:sync())
		close(client)
		client = open { endpoint = server.url, source = source("", MENDED) }
		local _, message, code = client:replay { sync = function() return nil, "no disk", "io" end }
		assert.same({ "no disk", "io" }, { message, code })
		assert.equal(1, #client:dead())
		local asked = 0
		assert.equal(1, client:replay { sync = function(seconds)
			asked = asked + 1
			return client:sync(seconds)
		end }.replayed)
		assert.equal(1, asked)
		assert.same({}, client:dead())
		close(client)
	end)

	it("are not replayed for ever when Segment refuses them again", function()
		server = mock.start()
		server:control "always 400\n"
		local client = open { endpoint = server.url }
		for i = 1, 5 do
			assert(client:track("default", { userId = "u" .. i, event = "E" }))
		end
		assert(client:flush(60) and client:sync())
		assert.equal(5, #client:dead())
		assert.equal(5, client:replay().replayed)
		assert(client:flush(60))
		-- The letters of the refusals come with a commit of their own.
		local until_ = core.process.monotonic() + 120
		repeat
			assert(core.process.monotonic() < until_)
		until #client:dead() == 5
		for _, letter in ipairs(client:dead()) do
			assert.is_true(tonumber(letter.id:match "%-(%d+)") >= 5)
		end
	end)

	--- Runs Lua code in a process of its own that kills itself; gives nothing.
	local function run_and_die(code)
		local path = child.file("die.lua", code)
		local result = os.execute(("%s '%s' >'%s.out' 2>&1"):format(child.lua, path, path))
		assert.is_falsy(result == true or result == 0)
	end

	it("are sent again with the same messageId, and not lost, if the process is killed before they are dropped", function()
		server = mock.start()
		local client = open { endpoint = server.url, source = source() }
		client:push '{"type":"paid","id":"e1","user":"u1","amount":"ten"}' -- with an id of its own
		client:push '{"type":"paid","user":"u2","amount":"ten"}' -- and without
		assert(client:sync())
		assert.equal(2, #client:dead())
		close(client)
		run_and_die(([[
			local core = require "moonweir.core"
			local mw = require "moonweir"
			local client = assert(mw.open { source = %q, write_key = %q, endpoint = %q, spool = %q, send = false })
			core.dead_drop = function()
				os.execute "kill -9 $PPID"
			end
			client:replay()
		]]):format(source("", MENDED), KEY, server.url, spool()))
		client = open { endpoint = server.url, source = source("", MENDED) }
		assert.equal(2, #client:dead())
		assert.equal(2, client:stats().accepted)
		assert.equal(2, client:replay().replayed)
		assert.same({}, client:dead())
		assert(client:flush(60))
		local ids, users = {}, {}
		for _, m in ipairs(server:messages()) do
			ids[m.messageId] = m.userId
			users[m.userId] = (users[m.userId] or 0) + 1
		end
		local distinct = {}
		for _, user in pairs(ids) do
			distinct[#distinct + 1] = user
		end
		table.sort(distinct)
		assert.same({ "u1", "u2" }, distinct)
		assert.same({ u1 = 1, u2 = 2 }, users) -- a known repeat is not even sent
	end)

	it("stay when what is made of them can't be queued", function()
		local client = open()
		client:push '{"type":"paid","id":"e1","user":"u1","amount":"ten"}'
		assert(client:sync())
		close(client)
		client = open { source = source("", MENDED) }
		local sync = core.Client.sync
		finally(function()
			core.Client.sync = sync
		end)
		core.Client.sync = function()
			return nil, "the disk has failed", "io"
		end
		local counts, message, code, partial = client:replay()
		assert.is_nil(counts)
		assert.equal("the disk has failed", message)
		assert.equal("io", code)
		assert.equal(0, partial.replayed)
		assert.equal(1, #client:dead())
	end)

	it("are found by account, code, source and time, and dropped for good", function()
		local client = open()
		for i = 1, 6 do
			client:push(i % 2 == 0 and '{"type":"paid","user":"u","amount":"x"}' or "nonsense", { account = "a" .. i % 3 })
		end
		assert(client:sync())
		local function ids(filter)
			local list = {}
			for i, letter in ipairs(assert(client:dead(filter))) do
				list[i] = letter.id
			end
			return table.concat(list, " ")
		end
		assert.equal("0-0 0-1 0-2 0-3 0-4 0-5", ids {})
		assert.equal("0-0 0-3", ids { account = "a1" })
		assert.equal("0-1 0-3 0-5", ids { code = "mapping" })
		assert.equal("0-3", ids { code = "mapping", account = "a1" })
		assert.equal("0-0 0-1", ids { limit = 2 })
		assert.equal("0-0 0-1 0-2 0-3 0-4 0-5", ids { source = "acme", since = core.process.wall() - 3600 })
		assert.equal("", ids { source = "other" })
		assert.equal("", ids { until_ = core.process.wall() - 3600 })
		assert.equal("0-4 0-2", ids { ids = { "0-4", "0-99", "0-2" } })
		assert.equal(1, client:drop_dead { ids = { "0-4", "0-99" } })
		assert.equal(1, client:drop_dead { code = "mapping", limit = 1 })
		assert.equal("0-0 0-2 0-3 0-5", ids {})
		assert.equal(2, client:drop_dead { code = "mapping" })
		assert.equal(2, client:drop_dead { all = true })
		assert.equal("", ids {})
	end)

	it("refuse what is a mistake", function()
		local client = open()
		assert.has_error(function()
			client:drop_dead {}
		end, "dead letters: drop which? Name ids or a condition, or all = true")
		assert.error_matches(function()
			client:dead { acount = "a" }
		end, 'no condition "acount".*account')
		assert.error_matches(function()
			client:dead { limit = 0 }
		end, "limit")
		assert.error_matches(function()
			client:dead { ids = { "17" } }
		end, 'named like "0%-17"')
		assert.error_matches(function()
			client:resend "0-1"
		end, "table")
		close(client)
		assert.error_matches(function()
			client:dead()
		end, "closed")
	end)

	it("are kept for a time, and counted when they go", function()
		local client = open { dead_days = 1e-8 }
		local until_ = core.process.monotonic() + 120
		repeat
			client:push "nonsense"
			assert(client:sync())
			assert(core.process.monotonic() < until_)
		until client:stats().dead_dropped > 0
		local stats = client:stats()
		assert.is_true(stats.letters >= 0 and stats.letter_bytes >= 0)
	end)

	it("say so when the spool is not there", function()
		local dead = require "moonweir.dead"
		local list, message, code = dead.list(child.folder() .. "/not/there")
		assert.is_nil(list)
		assert.equal("io", code)
		assert.matches("not/there", message, 1, true)
	end)

	it("never are so large that the spool can't ever hold them", function()
		local client = open { disk_bytes = 4 * 1024 * 1024 }
		local queued, _, code = client:push(("x"):rep(3 * 1024 * 1024))
		assert.is_nil(queued)
		assert.equal("too_large", code)
		client:push(("x"):rep(200 * 1024))
		assert.equal(200 * 1024, #only_letter(client).event)
	end)

	it("of a whole body that holds too many are refused with it, and nothing of it is queued", function()
		local client = open { queue_bytes = 64000 }
		local lines = {}
		for i = 1, 1000 do
			lines[i] = "nonsense"
		end
		lines[1001] = '{"type":"paid","user":"u","amount":1}'
		local queued, _, code = client:push(table.concat(lines, "\n"), { format = "ndjson" })
		assert.is_nil(queued)
		assert.equal("too_large", code)
		assert(client:sync())
		assert.same({}, client:dead())
		assert.equal(0, client:stats().accepted)
	end)
end)
