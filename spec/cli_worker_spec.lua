--- moonweir worker, as a process of its own, between a redis-server and a mock of Segment, both of the test's own.

local cjson = require "cjson"
local child = require "spec.support.child"
local hiredis = require "moonweir.hiredis"
local mock = require "spec.support.mock"
local redis = require "spec.support.redis"

local KEY = "canary0123456789abcdefghijklk3y4"

-- `account` of the event is optional; ids come from the entry.
local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1", account = get "account", event = get "type", user = source.user { get "user" },
	on = {
		opened = source.track "Email Opened" { n = get "n", topic = get.header "X-Topic" },
		twice = { source.track "One" { n = get "n" }, source.track "Two" { n = get "n" } },
		bad = source.track "Bad" { x = get "type":apply(function() error "on purpose" end) },
		sent = source.ignore,
	},
}
]]

describe("moonweir worker", function()
	local path, key_file, server, red, segment
	local number = 0
	local stream

	lazy_setup(function()
		path = child.file("tiny.lua", SOURCE)
		key_file = child.file("key", KEY .. "\n")
		server = redis.start()
	end)
	lazy_teardown(function()
		redis.clean()
		child.clean()
	end)
	before_each(function()
		number = number + 1
		stream = "events" .. number
		segment = mock.start()
		red = server:client()
	end)
	after_each(function()
		segment:finish()
	end)

	local function event(n, more)
		return ('{"type":"opened","user":"u%d","n":%d%s}'):format(n, n, more or "")
	end

	local function add(from, to, more, at)
		local commands = {}
		for n = from, to do
			commands[#commands + 1] = { "XADD", stream, "*", "body", event(n, more) }
		end
		local replies = assert((at or red):pipeline(commands))
		assert.is_nil(replies.errors)
	end

	local function arguments(more, url)
		local list = { "worker", path, "--redis", url or server.url, "--stream", stream, "--group", "g", "--endpoint", segment.url,
			"--json", "--rate", "0" }
		local names_key = false
		for _, argument in ipairs(more or {}) do
			list[#list + 1] = argument
			names_key = names_key or argument == "--accounts" or argument == "--state"
		end
		if not names_key then
			list[#list + 1], list[#list + 2] = "--write-key-file", key_file
		end
		return list
	end

	--- Until the group has nothing left: exit code, summary, stderr.
	local function run(more, options)
		local list = arguments(more)
		list[#list + 1] = "--until-empty"
		local code, out, err = child.run(list, options)
		return code, out:find "^{" and cjson.decode(out) or {}, err
	end

	local function fields_of(list)
		local fields = {}
		for i = 1, #list, 2 do
			fields[list[i]] = list[i + 1]
		end
		return fields
	end

	--- What stands in a stream: { id, fields by name }.
	local function entries_of(key)
		local list = red:call("XRANGE", key, "-", "+")
		for i, entry in ipairs(list) do
			list[i] = { id = entry[1], fields = fields_of(entry[2]) }
		end
		return list
	end

	local function dead()
		return entries_of("{" .. stream .. "}:dead")
	end

	--- nil: there is no group yet.
	local function pending(at)
		return ((at or red):call("XPENDING", stream, "g") or {})[1]
	end

	--- Each n from `from` to `to` came, and every repeat of one under the same messageId.
	local function assert_delivered(from, to)
		local ids, count = {}, 0
		for _, message in ipairs(segment:messages()) do
			local n = message.properties.n
			if not ids[n] then
				ids[n], count = message.messageId, count + 1
			end
			assert.equal(ids[n], message.messageId)
		end
		for n = from, to do
			assert.truthy(ids[n], "event " .. n .. " did not come")
		end
		assert.equal(to - from + 1, count)
	end

	it("makes the group, delivers every entry and acknowledges it", function()
		add(1, 3000)
		local code, summary, err = run()
		assert.equal("", err)
		assert.equal(0, code)
		assert.equal(3000, summary.acknowledged)
		assert.equal(3000, summary.delivered)
		assert.equal(0, summary.lag + summary.pending + summary.dead)
		assert_delivered(1, 3000)
		assert.equal(0, pending())
		-- A consumer whose name nobody gave does not come back: the group has forgotten it.
		assert.same({}, red:call("XINFO", "CONSUMERS", stream, "g"))
	end)

	it("waits for a stream that is not there yet, and stops on SIGTERM in good order", function()
		local worker = child.start(arguments { "--consumer", "c1" })
		redis.wait("the group", function()
			return red:call("EXISTS", stream) == 1
		end)
		add(1, 10)
		redis.wait("ten messages", function()
			return #segment:messages() == 10 and pending() == 0
		end)
		worker:signal "TERM"
		local code, out, err = worker:finish()
		assert.equal("", err)
		assert.equal(0, code)
		assert.equal(10, cjson.decode(out).acknowledged)
		assert.equal("c1", fields_of(red:call("XINFO", "CONSUMERS", stream, "g")[1]).name)
	end)

	it("reads fields: account, content_type, headers, and entries without a body", function()
		local accounts = child.file("accounts.json", ('{"a":"%s","b":"%s"}'):format(KEY, KEY))
		red:call("XADD", stream, "*", "account", "a", "body", "type=opened&user=f&n=1", "content_type",
			"application/x-www-form-urlencoded", "headers", '{"X-Topic":"news"}')
		red:call("XADD", stream, "*", "type", "opened", "user", "plain", "n", "2", "account", "b")
		red:call("XADD", stream, "*", "body", event(3, ',"account":"a"'), "account", "b")
		red:call("XADD", stream, "*", "body", event(4), "account", "a", "headers", "[1")
		red:call("XADD", stream, "*", "body", event(5), "account", ("x"):rep(256))
		local code, summary = run { "--accounts", accounts }
		assert.equal(1, code)
		assert.equal(3, summary.delivered)
		local by_user = {}
		for _, message in ipairs(segment:messages()) do
			by_user[message.userId] = message
		end
		assert.equal("news", by_user.f.properties.topic)
		assert.equal("2", by_user.plain.properties.n)
		local letters = dead()
		assert.equal(2, #letters)
		assert.equal("invalid", letters[1].fields["moonweir-code"])
		assert.truthy(letters[1].fields["moonweir-reason"]:find "headers")
		assert.truthy(letters[2].fields["moonweir-reason"]:find "account")
		assert.equal(event(4), letters[1].fields.body)
	end)

	it("acknowledges an entry when the last of its messages is there", function()
		red:call("XADD", stream, "*", "body", '[' .. event(1) .. ',{"type":"twice","user":"u","n":2},{"type":"sent"}]')
		local code, summary = run()
		assert.equal(0, code)
		assert.equal(1, summary.acknowledged)
		assert.equal(3, summary.delivered)
	end)

	it("makes messageIds of entry ids: a second group sends the same ones", function()
		add(1, 20)
		run()
		red:call("XGROUP", "DESTROY", stream, "g")
		run()
		assert.equal(40, #segment:messages())
		assert_delivered(1, 20)
	end)

	it("buries what can't be delivered, with its reason and all fields, and delivers its neighbours", function()
		red:call("XADD", stream, "*", "body", '{"type":"bad","user":"u"}', "extra", "kept")
		red:call("XADD", stream, "*", "body", '{"type":"opened"}')
		red:call("XADD", stream, "*", "body", "not json")
		red:call("XADD", stream, "*", "body", "[" .. event(1) .. ',{"type":"unheard-of","user":"u"}]')
		local refused = red:call("XADD", stream, "*", "body", event(2, ',"user":"POISON"'))
		add(3, 4)
		segment:control "marker POISON"
		local code, summary, err = run()
		assert.equal(1, code)
		assert.equal(5, summary.dead)
		assert.equal(2, summary.acknowledged)
		assert.truthy(err:find "status 400")
		local letters = {}
		for _, letter in ipairs(dead()) do
			letters[letter.fields["moonweir-code"]] = letter.fields
			assert.equal("g", letter.fields["moonweir-group"])
		end
		assert.truthy(letters.mapping["moonweir-reason"]:find("tiny.lua:8: Bad: x", 1, true), letters.mapping["moonweir-reason"])
		assert.equal("kept", letters.mapping.extra)
		assert.truthy(letters.no_user and letters.json and letters.unmatched and letters.refused)
		assert.equal("not json", letters.json.body)
		assert.equal(refused, letters.refused["moonweir-id"])
		assert.equal("POISON", cjson.decode(letters.refused["moonweir-message"]).userId)
	end)

	it("buries an entry of too many fields without them, and leaves it in the stream", function()
		local command = { "XADD", stream, "*" }
		for i = 1, 10000 do
			command[#command + 1], command[#command + 2] = "f" .. i, "x"
		end
		local id = assert(red:pipeline { command })[1]
		add(1, 2)
		assert.equal(1, (run { "--delete" }))
		local letters = dead()
		assert.same({ 1, id, "invalid" }, { #letters, letters[1].fields["moonweir-id"], letters[1].fields["moonweir-code"] })
		assert.is_nil(letters[1].fields.f1)
		assert.equal(1, red:call("XLEN", stream))
		assert_delivered(1, 2)
	end)

	it("puts dead entries back when the source is mended, and they keep their messageIds", function()
		add(1, 2)
		red:call("XADD", stream, "*", "body", "[" .. event(3) .. ',{"type":"later","user":"u4","n":4}]')
		assert.equal(1, (run()))
		local mended = child.file("mended.lua", (SOURCE:gsub('sent = source.ignore', 'later = source.track "Later" { n = get "n" }')))
		local list = arguments { "--replay-dead", "--until-empty" }
		list[2] = mended
		local code, out, err = child.run(list)
		assert.equal(0, code, err)
		assert.truthy(err:find "1 dead entries are back")
		assert.equal(1, cjson.decode(out).acknowledged)
		assert.same({}, dead())
		assert_delivered(1, 4)
	end)

	it("goes on with its own entries when it comes back under its name, killed in the middle", function()
		segment:control "stall"
		add(1, 500)
		local worker = child.start(arguments { "--consumer", "c1" })
		redis.wait("entries under way", function()
			return pending() == 500
		end)
		worker:signal "KILL"
		worker:finish()
		segment:control "reset"
		add(501, 600)
		local code, summary = run { "--consumer", "c1", "--idle", "3600" }
		assert.equal(0, code)
		assert.equal(600, summary.acknowledged)
		assert.equal(0, summary.claimed)
		assert_delivered(1, 600)
	end)

	it("takes over what a dead worker left, once that is silent for --idle, and never from a living one", function()
		add(1, 300)
		segment:control "stall"
		local slow = child.start(arguments { "--consumer", "slow", "--idle", "4" })
		redis.wait("entries under way", function()
			return pending() == 300
		end)
		-- A second worker looks for the dead every second. A living one renews its claim three times in --idle.
		local other = child.start(arguments { "--consumer", "other", "--idle", "4" })
		local core = require "moonweir.core"
		local until_ = core.process.monotonic() + 6
		redis.wait("six seconds", function()
			for _, one in ipairs(red:call("XPENDING", stream, "g")[4]) do
				assert.equal("slow", one[1])
			end
			return core.process.monotonic() > until_
		end)
		slow:signal "KILL"
		slow:finish()
		segment:control "reset"
		redis.wait("all of it", function()
			return pending() == 0
		end)
		other:signal "TERM"
		local _, out = other:finish()
		assert.equal(300, cjson.decode(out).claimed)
		assert_delivered(1, 300)
	end)

	it("renews its claim on what is under way, so that it is not taken for dead", function()
		add(1, 3)
		segment:control "stall"
		local worker = child.start(arguments { "--consumer", "c1", "--idle", "6" })
		local before = 0
		redis.wait("the claim to be new again", function()
			local one = (red:call("XPENDING", stream, "g", "-", "+", 1) or {})[1]
			local idle = one and one[3] or 0
			local is_renewed = idle < before
			before = idle
			return is_renewed
		end)
		-- Whoever takes an entry over counts as delivering it once more; renewing does not.
		assert.equal(1, red:call("XPENDING", stream, "g", "-", "+", 1)[1][4])
		worker:signal "KILL"
		worker:finish()
	end)

	it("leaves pending what it could not deliver in time, and says so", function()
		segment:control "always 503"
		add(1, 50)
		local worker = child.start(arguments { "--consumer", "c1", "--drain", "0.2" })
		redis.wait("entries under way", function()
			return pending() == 50
		end)
		worker:signal "TERM"
		local code, out, err = worker:finish()
		assert.equal(1, code)
		assert.equal(50, cjson.decode(out).left_pending)
		assert.truthy(err:find "50 entries stay pending")
		assert.equal(50, pending())
		segment:control "reset"
		assert.equal(0, (run { "--consumer", "c1" }))
		assert_delivered(1, 50)
	end)

	it("parks the entries of an account whose key was refused, delivers the others, and brings them back", function()
		local revoked, good = ("r"):rep(32), ("g"):rep(32)
		local accounts = child.file("accounts.json", ('{"bad":"%s","good":"%s"}'):format(revoked, KEY))
		segment:control(("key %s 401"):format(revoked))
		-- More of the bad one than may be in flight at once: they must not stop the good one.
		add(1, 900, ',"account":"bad"')
		add(901, 1000, ',"account":"good"')
		local worker = child.start(arguments { "--accounts", accounts, "--in-flight", "300", "--batch", "100" })
		local parked = "{" .. stream .. "}:parked"
		redis.wait("the good account's events", function()
			return #segment:messages() == 100
		end)
		redis.wait("the parked ones", function()
			return red:call("XLEN", parked .. ":bad") == 900 and pending() == 0
		end)
		assert.same({ "bad" }, red:call("ZRANGE", parked, 0, -1))
		worker:wait_for "account bad is parked"
		child.file("accounts.json", ('{"bad":"%s","good":"%s"}'):format(good, KEY))
		worker:signal "HUP"
		redis.wait("their return", function()
			return red:call("EXISTS", parked) == 0 and #segment:messages() == 1000 and pending() == 0
		end)
		worker:signal "TERM"
		local code, out = worker:finish()
		assert.equal(0, code)
		local summary = cjson.decode(out)
		assert.truthy(summary.parked >= 900 and summary.returned >= 900)
		assert_delivered(1, 1000)
	end)

	it("lets parked accounts try when a worker starts, which may have other keys", function()
		local revoked = ("r"):rep(32)
		local accounts = child.file("accounts.json", ('{"bad":"%s"}'):format(revoked))
		segment:control(("key %s 401"):format(revoked))
		add(1, 20, ',"account":"bad"')
		local worker = child.start(arguments { "--accounts", accounts })
		redis.wait("the parked ones", function()
			return red:call("XLEN", "{" .. stream .. "}:parked:bad") == 20 and pending() == 0
		end)
		worker:signal "TERM"
		worker:finish()
		child.file("accounts.json", ('{"bad":"%s"}'):format(KEY))
		worker = child.start(arguments { "--accounts", accounts })
		redis.wait("their return", function()
			return #segment:messages() == 20 and pending() == 0
		end)
		worker:signal "TERM"
		assert.equal(0, (worker:finish()))
		assert_delivered(1, 20)
	end)

	it("reads large entries a few at a time", function()
		local pad = (',"pad":"%s"'):format(("x"):rep(2000000))
		for n = 1, 60 do
			add(n, n, pad)
		end
		local worker = child.start(arguments { "--consumer", "c1" })
		redis.wait("all of it", function()
			return #segment:messages() == 60 and pending() == 0
		end)
		local peak = tonumber(child.read("/proc/" .. worker.pid .. "/status"):match "VmHWM:%s+(%d+) kB")
		assert.truthy(peak < 300000, peak .. " kB") -- 120 MB of entries, some copies of a few of them at a time
		worker:signal "TERM"
		assert.equal(0, (worker:finish()))
		assert_delivered(1, 60)
	end)

	it("deletes what is finished, if told to, and not what is not", function()
		add(1, 100)
		red:call("XADD", stream, "*", "body", "not json")
		local code = run { "--delete" }
		assert.equal(1, code)
		assert.equal(0, red:call("XLEN", stream))
		assert.equal(1, #dead())
		assert_delivered(1, 100)
	end)

	it("passes over entries that were deleted while they were pending", function()
		add(1, 5)
		red:call("XGROUP", "CREATE", stream, "g", "0")
		red:call("XREADGROUP", "GROUP", "g", "c1", "STREAMS", stream, ">")
		red:call("XTRIM", stream, "MAXLEN", 2)
		local code, summary = run { "--consumer", "c1" }
		assert.equal(0, code)
		assert.equal(3, summary.vanished)
		assert.equal(2, summary.delivered)
		assert.equal(0, pending())
	end)

	it("writes metrics, with lag and pending", function()
		add(1, 10)
		local metrics = child.folder() .. "/metrics.prom"
		run { "--metrics", metrics }
		local text = child.read(metrics)
		assert.truthy(text:find("\nmoonweir_worker_entries_acknowledged_total 10\n", 1, true))
		assert.truthy(text:find("\nmoonweir_worker_group_lag 0\n", 1, true))
		assert.truthy(text:find("\nmoonweir_worker_group_pending 0\n", 1, true))
	end)

	it("takes no empty text, which is what an unset variable leaves, for a name", function()
		for _, option in ipairs { "--stream", "--group", "--consumer" } do
			local code, _, err = child.run(arguments { option, "" })
			assert.equal(2, code, option)
			assert.equal(("moonweir: error: %s takes a name, not an empty text\n"):format(option), err)
		end
		assert.equal(0, red:call("EXISTS", stream))
	end)

	describe("in trouble with Redis", function()
		local function start(other, more)
			local worker = child.start(arguments(more or { "--consumer", "c1" }, other.url))
			return worker
		end

		local function stop(worker)
			worker:signal "TERM"
			local code, out = worker:finish()
			return code, cjson.decode(out)
		end

		it("loses nothing when Redis is killed and comes back with its append-only file", function()
			local other = redis.start { appendonly = "yes", appendfsync = "always" }
			local client = other:client()
			add(1, 2000, nil, client)
			segment:control "delay 20"
			local worker = start(other)
			redis.wait("some messages", function()
				return #segment:messages() > 0
			end)
			other:restart "KILL"
			client = other:client()
			add(2001, 2500, nil, client)
			segment:control "reset"
			redis.wait("all of it", function()
				return pending(client) == 0 and #segment:messages() >= 2500
			end)
			assert.equal(0, (stop(worker)))
			assert_delivered(1, 2500)
		end)

		it("waits for a Redis that is not there yet, saying so once", function()
			local port = redis.free_port()
			local worker = child.start(arguments(nil, "redis://127.0.0.1:" .. port))
			worker:wait_for "Connection refused; trying again"
			local other = redis.start { port = port }
			add(1, 5, nil, other:client())
			redis.wait("five messages", function()
				return #segment:messages() == 5
			end)
			local err = worker:err()
			assert.equal(1, select(2, err:gsub("Connection refused", "")))
			assert.equal(0, (stop(worker)))
		end)

		it("says what a user may not do, and ends: it is not let in", function()
			local other = redis.start()
			other:client():call("ACL", "SETUSER", "weak", "on", ">pass-word", "~*", "+@read", "+ping")
			local url = other.url:gsub("unix://", "unix://weak:pass-word@")
			local code, _, err = child.run(arguments(nil, url))
			assert.equal(1, code)
			assert.truthy(err:find "NOPERM" and err:find "ACL SETUSER", err)
			code, _, err = child.run(arguments(nil, (url:gsub("pass%-word", "wrong-word"))))
			assert.equal(1, code)
			assert.truthy(err:find "WRONGPASS", err)
			assert.is_nil(err:find "wrong%-word")
			code, _, err = child.run(arguments(nil, "http://x:hush@y"))
			assert.equal(2, code)
			assert.is_nil(err:find "hush")
		end)

		it("needs no more rights than the README says", function()
			local readme = child.read "README.md"
			local rights, keys = readme:match "The user needs `(.-)` on `(.-)`"
			local other = redis.start()
			local admin = other:client()
			local command = { "ACL", "SETUSER", "w", "on", ">pw", "~" .. stream, "~{" .. stream .. "}:*" }
			assert.equal("events", keys)
			for right in rights:gmatch "%S+" do
				command[#command + 1] = right
			end
			assert.equal("OK", admin:call((table.unpack or unpack)(command))) -- luacheck: ignore
			add(1, 5, ',"account":"a"', admin)
			admin:call("XADD", stream, "*", "body", "not json")
			admin:call("XADD", stream, "*", "body", event(6, ',"account":"keyless"'))
			admin:call("XADD", "{" .. stream .. "}:parked:old", "*", "body", event(7, ',"account":"a"'))
			admin:call("ZADD", "{" .. stream .. "}:parked", 0, "old")
			local accounts = child.file("accounts.json", ('{"a":"%s"}'):format(KEY))
			local worker = child.start(arguments({ "--accounts", accounts, "--delete" }, "unix://w:pw@" .. other.url:sub(8)))
			redis.wait("all of it", function()
				return #segment:messages() == 6 and admin:call("XLEN", stream) == 0 and pending(admin) == 0
			end)
			assert.equal(1, admin:call("XLEN", "{" .. stream .. "}:dead"))
			assert.equal(1, admin:call("XLEN", "{" .. stream .. "}:parked:keyless"))
			assert.equal(1, (stop(worker)))
			assert.is_nil(worker:err():find "NOPERM")
		end)

		it("never shows the password to other users of the machine", function()
			local other = redis.start { requirepass = "very-secret" }
			local file = child.file("redis.url", (other.url:gsub("unix://", "unix://:very-secret@")))
			for _, list in ipairs {
				arguments({ "--redis-file", file, "--consumer", "c" }, "-"),
				arguments({ "--consumer", "c" }, (other.url:gsub("unix://", "unix://:very-secret@"))),
			} do
				if list[4] == "-" then
					table.remove(list, 3)
					table.remove(list, 3)
				end
				local worker = child.start(list)
				local admin = assert(hiredis.new { file = file, patience = 5 })
				redis.wait("the consumer", function()
					return (admin:call("XINFO", "CONSUMERS", stream, "g") or {})[1]
				end)
				local seen = child.read("/proc/" .. worker.pid .. "/cmdline")
				assert.is_nil(seen:find("very-secret", 1, true))
				worker:signal "TERM"
				assert.equal(0, (worker:finish()))
				admin:call("DEL", stream)
			end
		end)

		it("goes on when Redis is full: what is to be buried waits, and stays pending", function()
			local other = redis.start { ["maxmemory-policy"] = "noeviction" }
			local client = other:client()
			local worker = start(other)
			redis.wait("the consumer", function()
				return (client:call("XINFO", "CONSUMERS", stream, "g") or {})[1]
			end)
			-- Full as soon as they are there, whatever an empty Redis takes.
			local commands = { { "MULTI" } }
			for n = 1, 10 do
				commands[#commands + 1] = { "XADD", stream, "*", "body", event(n) }
			end
			commands[#commands + 1] = { "XADD", stream, "*", "body", "not json" }
			commands[#commands + 1] = { "CONFIG", "SET", "maxmemory", "1" }
			commands[#commands + 1] = { "EXEC" }
			assert.is_nil(assert(client:pipeline(commands)).errors)
			worker:wait_for "OOM"
			redis.wait("the good ones", function()
				return #segment:messages() == 10 and pending(client) == 1
			end)
			client:call("CONFIG", "SET", "maxmemory", "0")
			redis.wait("the letter", function()
				return client:call("XLEN", "{" .. stream .. "}:dead") == 1
			end)
			worker:wait_for "Redis answers again"
			assert.equal(1, (stop(worker)))
		end)

		it("begins where Redis is full, if its group is there: what it delivers makes room", function()
			local other = redis.start { ["maxmemory-policy"] = "noeviction" }
			local client = other:client()
			add(1, 10, nil, client)
			client:call("XGROUP", "CREATE", stream, "g", "0")
			client:call("CONFIG", "SET", "maxmemory", "1")
			assert.equal("oom", select(3, client:call("SET", "more", "x")))
			local worker = start(other, { "--consumer", "c1", "--delete" })
			redis.wait("ten messages", function()
				return #segment:messages() == 10 and client:call("XLEN", stream) == 0
			end)
			assert.equal(0, (stop(worker)))
		end)

		it("waits while its Redis is a replica", function()
			local master, other = redis.start { port = true }, redis.start()
			master:client()
			local client = other:client()
			add(1, 10, nil, client)
			client:call("XGROUP", "CREATE", stream, "g", "0")
			client:call("REPLICAOF", "127.0.0.1", master.port)
			local worker = start(other)
			worker:wait_for "READONLY"
			client:call("REPLICAOF", "NO", "ONE")
			client:call "FLUSHALL" -- what replicating left
			add(1, 10, nil, client)
			redis.wait("ten messages", function()
				return #segment:messages() == 10
			end)
			assert.equal(0, (stop(worker)))
		end)

		it("waits, also at the start, while its Redis takes no writes for want of replicas", function()
			local other = redis.start { ["min-replicas-to-write"] = 1 }
			local client = other:client()
			local worker = start(other)
			worker:wait_for "NOREPLICAS"
			client:call("CONFIG", "SET", "min-replicas-to-write", 0)
			add(1, 10, nil, client)
			redis.wait("ten messages", function()
				return #segment:messages() == 10
			end)
			assert.equal(0, (stop(worker)))
		end)

		it("finds its stream in a cluster, wherever that begins, and writes dead and parked ones there", function()
			local nodes = redis.cluster()
			local client = assert(hiredis.new { url = nodes[1].url, patience = 5 })
			local accounts = child.file("accounts.json", ('{"a":"%s"}'):format(KEY))
			for i = 1, 3 do -- as good as surely not all three on the first node
				stream = ("cluster%d-%d"):format(number, i)
				add(100 * i + 1, 100 * i + 10, ',"account":"a"', client)
				client:call("XADD", stream, "*", "body", "not json")
				client:call("XADD", stream, "*", "body", event(0, ',"account":"keyless"'))
				local worker = child.start(arguments({ "--accounts", accounts, "--consumer", "c1" }, nodes[1].url))
				redis.wait("all of it", function()
					return #segment:messages() == 10 * i and pending(client) == 0
						and client:call("XLEN", "{" .. stream .. "}:parked:keyless") == 1
				end)
				assert.equal(1, client:call("XLEN", "{" .. stream .. "}:dead"))
				stop(worker)
				assert.equal("", (worker:err():gsub("moonweir: warning: account keyless[^\n]*\n", "")))
			end
		end)

		it("makes the group anew when somebody deletes the stream", function()
			local worker = child.start(arguments { "--consumer", "c1" })
			redis.wait("the group", function()
				return red:call("EXISTS", stream) == 1
			end)
			red:call("DEL", stream)
			worker:wait_for "NOGROUP"
			add(1, 10)
			redis.wait("ten messages", function()
				return #segment:messages() == 10
			end)
			assert.equal(0, (stop(worker)))
		end)
	end)

	it("has a demo that works", function()
		local pipe = io.popen(("MOONWEIR='%s' LUA=%s sh examples/redis/demo.sh 2>&1; echo rc=$?"):format(os.getenv "MW_COMMAND",
			child.lua))
		local out = pipe:read "*a"
		pipe:close()
		assert.truthy(out:find "\nrc=0\n", out)
		assert.truthy(out:find "unmatched", out)
	end)

	it("explains itself, and refuses what makes no sense", function()
		local code, out = child.run { "worker", "--help" }
		assert.equal(0, code)
		assert.truthy(out:find "XADD events" and out:find "SIGTERM")
		local _, err
		code, _, err = child.run { "worker", path, "--redis", server.url, "--write-key-file", key_file }
		assert.equal(2, code)
		assert.truthy(err:find "--stream NAME")
		code, _, err = child.run { "worker", path, "--stream", "s", "--group", "g", "--write-key-file", key_file }
		assert.equal(2, code)
		assert.truthy(err:find "MOONWEIR_REDIS")
		stream = "no{tag"
		code, _, err = child.run(arguments())
		assert.equal(2, code)
		assert.truthy(err:find "hash tag")
	end)
end)
