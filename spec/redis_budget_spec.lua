--- moonweir.redis.budget: its script alone, in a Redis of a few lines, and processes that share a real one.

local budget = require "moonweir.redis.budget"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local process = require("moonweir.core").process
local busiest_second = require "spec.support.windows"
local redis = require "spec.support.redis"

local INTERVAL, AHEAD = 21601, 500000
local TENANT = "spec/support/tenant.lua"

--- The script with a Redis that has a clock, a run id and one key.
local function stub()
	local self = { now = 1.7e15, run = "a1", key = nil }
	local commands = {}
	function commands.TIME()
		return { ("%.0f"):format(math.floor(self.now / 1e6)), ("%.0f"):format(self.now % 1e6) }
	end
	function commands.INFO()
		return "# Server\r\nredis_version:7\r\nrun_id:" .. self.run .. "\r\n"
	end
	function commands.HMGET(_, ...)
		local values = {}
		for i, field in ipairs { ... } do
			values[i] = self.key and self.key[field] or false
		end
		return values
	end
	function commands.HSET(_, ...)
		local fields = { ... }
		self.key = {}
		for i = 1, #fields, 2 do
			self.key[fields[i]] = fields[i + 1]
		end
	end
	local call = function(name, ...)
		return commands[name](...)
	end
	--- Answers as a table with names.
	function self.ask(want, close, anew)
		local environment = {
			redis = { call = call, pcall = call }, KEYS = { "k" }, tonumber = tonumber, type = type, string = string, math = math,
			ARGV = { tostring(want), tostring(INTERVAL), tostring(AHEAD), tostring(close or 0), anew and "1" or "0" },
		}
		local chunk
		local script = budget.script:gsub("^#![^\n]*", "") -- for Redis
		if setfenv then
			chunk = setfenv(assert(loadstring(script)), environment)
		else
			chunk = assert(load(script, "script", "t", environment))
		end
		local answer = chunk()
		return { now = answer[1], ahead = answer[2], count = answer[3], gate = answer[4], retry = answer[5] }
	end
	return self
end

describe("the script of the budget", function()
	it("begins behind all that may have been handed out, and goes on from there", function()
		local server = stub()
		local answer = server.ask(3)
		assert.equal(0, answer.count)
		assert.equal(INTERVAL, answer.retry)
		server.now = server.now + answer.retry
		answer = server.ask(3)
		assert.equal(1, answer.count)
		assert.equal(AHEAD, answer.ahead)
		server.now = server.now + 10 * INTERVAL
		answer = server.ask(3)
		assert.equal(3, answer.count)
		assert.equal(AHEAD - 9 * INTERVAL, answer.ahead)
	end)

	it("does not save up idle time, and hands out nothing too far ahead", function()
		local server = stub()
		server.ask(1)
		server.now = server.now + 60e6
		local answer = server.ask(1000)
		assert.equal(0, answer.ahead)
		assert.equal(math.floor(AHEAD / INTERVAL) + 1, answer.count)
		assert.equal(0, server.ask(1).count)
	end)

	it("closes the gate for all, for five minutes at most, and opens it to nobody early", function()
		local server = stub()
		server.ask(1)
		server.now = server.now + 2e6
		assert.equal(4000000, server.ask(0, 4000).gate)
		assert.equal(4000000, server.ask(0, 1000).gate)
		local answer = server.ask(5)
		assert.same({ 0, 4000000 }, { answer.count, answer.retry })
		server.now = server.now + 4e6
		assert.equal(5, server.ask(5).count)
		server.ask(0, 300000)
		server.now = server.now - 3600e6
		assert.equal(300000000, server.ask(0).gate)
	end)

	--- Slots in real time, whatever the clock and the memory of Redis do; `real` and its clock are apart.
	it("keeps slots an interval apart through restarts, losses, evictions and a clock that is set back", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		print("budget script: MW_SEED=" .. seed)
		for history = 1, 300 do
			local state = (seed + history) % 2147483646 + 1
			local function random(low, high)
				state = state * 16807 % 2147483647
				return low + state % (high - low + 1)
			end
			local server, real, slots, saved = stub(), 0, {}, nil
			for _ = 1, 200 do
				local step = random(1, 100) <= 5 and random(0, 2000000) or random(0, 30000)
				real, server.now = real + step, server.now + step
				local chance = random(1, 100)
				if chance == 1 then
					server.run, server.key = "run" .. real, random(1, 2) == 1 and saved or nil
				elseif chance == 2 then
					server.key = nil
				elseif chance == 3 then
					server.now = server.now - random(0, 5000000)
				elseif chance == 4 then
					server.run, server.now = "host" .. real, server.now + random(0, 5000000)
				elseif chance == 5 then
					server.now = server.now + random(0, 5000000)
					server.ask(0, 0, true) -- whoever noticed says so
				elseif chance <= 10 then
					saved = server.key
				end
				local answer = server.ask(random(0, 8))
				for i = 0, answer.count - 1 do
					slots[#slots + 1] = real + answer.ahead + i * INTERVAL
				end
			end
			table.sort(slots)
			for i = 2, #slots do
				-- The clock of the stub is a double: 1.7e15 us, to a quarter of one.
				assert.is_true(slots[i] - slots[i - 1] >= INTERVAL - 1,
					("seed %d, history %d: %.0f us apart"):format(seed, history, slots[i] - slots[i - 1]))
			end
		end
	end)
end)

describe("processes that share a budget in Redis", function()
	local server, segment

	before_each(function()
		server, segment = redis.start { port = true }, mock.start()
		server:client():close()
	end)
	after_each(function()
		segment:finish()
		redis.clean()
		child.clean()
	end)

	local function tenant(name, count)
		return child.start({ server.url, segment.url, name, tostring(count) }, { program = TENANT })
	end

	it("send at most 50 requests in any second, and use most of them", function()
		local tenants = {}
		for i = 1, 4 do
			tenants[i] = tenant("t" .. i, 60)
		end
		for i = 1, 4 do
			local code, out, err = tenants[i]:finish()
			assert.equal(0, code, err)
			assert.truthy(out:find "sent 60 of 60", out)
		end
		local requests = segment:finish()
		assert.equal(240, #requests)
		assert.is_true(busiest_second(requests) <= 50, busiest_second(requests))
		assert.is_true(busiest_second(requests) >= 30, busiest_second(requests))
	end)

	it("stay below it when one is killed and Redis loses what it knew", function()
		local tenants = {}
		for i = 1, 4 do
			tenants[i] = tenant("t" .. i, 60)
		end
		local function arrived(count)
			redis.wait(count .. " requests", function()
				return #segment:messages() >= count
			end)
		end
		arrived(40)
		os.execute("kill -KILL " .. tenants[1].pid)
		arrived(80)
		server:restart "KILL"
		arrived(120)
		server:client():call "FLUSHALL"
		server:client():call("SCRIPT", "FLUSH")
		for i = 2, 4 do
			local code, out, err = tenants[i]:finish()
			assert.equal(0, code, err)
			assert.truthy(out:find "sent 60 of 60", out)
		end
		assert.is_true(busiest_second(segment:finish()) <= 50)
	end)

	it("send nothing while there is no Redis, say why, and go on with it", function()
		server:kill "KILL"
		local client = assert(mw.open { write_key = "key", endpoint = segment.url, leased = true, linger = 0, check = false })
		local lease = assert(budget.lease(client, { url = server.url }))
		assert(client:track("a", { userId = "u", event = "E" }))
		redis.wait("a reason", function()
			return client:stats().permit_trouble
		end)
		local stats = client:stats()
		assert.truthy(stats.permit_trouble:find("Redis", 1, true), stats.permit_trouble)
		assert.is_true(stats.unpermitted_for > 0)
		assert.same({ 0, 1 }, { #segment:messages(), stats.queued })
		server:launch()
		redis.wait("the message", function()
			return #segment:messages() == 1
		end)
		assert.is_true(client:flush(30))
		assert.is_nil(client:stats().permit_trouble)
		lease:close()
		client:close(1)
	end)

	it("go on where Redis is out of memory, with no more rights than the budget needs", function()
		local admin = server:client()
		assert(admin:call("SET", "ballast", ("x"):rep(1000)))
		assert(admin:call("CONFIG", "SET", "maxmemory", "1"))
		assert.equal("oom", select(3, admin:call("SET", "more", "x")))
		assert(admin:call("ACL", "SETUSER", "worker", "on", ">secret", "~{moonweir}:budget", "-@all", "+evalsha", "+eval",
			"+time", "+info", "+hmget", "+hset"))
		local url = server.url:gsub("//", "//worker:secret@")
		local client = assert(mw.open { write_key = "key", endpoint = segment.url, leased = true, linger = 0, check = false })
		local lease = assert(budget.lease(client, { url = url }))
		assert(client:track("a", { userId = "u", event = "E" }))
		assert.is_true(client:flush(30))
		assert(admin:call("ACL", "SETUSER", "worker", "-info"))
		assert(client:track("a", { userId = "u", event = "E" }))
		redis.wait("a reason", function()
			return client:stats().permit_trouble
		end)
		local trouble = client:stats().permit_trouble
		assert.truthy(trouble:find("may not run INFO", 1, true), trouble)
		assert.is_nil(trouble:find("secret", 1, true))
		assert(admin:call("ACL", "SETUSER", "worker", "+info"))
		assert.is_true(client:flush(30))
		lease:close()
		client:close(0)
	end)

	it("close the gate for each other", function()
		local clients, leases = {}, {}
		for i = 1, 2 do
			clients[i] = assert(mw.open { write_key = "key", endpoint = segment.url, leased = true, linger = 0, check = false })
			leases[i] = assert(budget.lease(clients[i], { url = server.url }))
		end
		assert(clients[1]:track("warm", { userId = "u", event = "E" }))
		assert.is_true(clients[1]:flush(30))
		segment:control "header Retry-After: 20\nstatus 429 429 429"
		for _, account in ipairs { "a", "b", "c" } do
			assert(clients[1]:track(account, { userId = "u", event = "E" }))
		end
		redis.wait("three refusals", function()
			return clients[1]:stats().throttled >= 3
		end)
		redis.wait("the gate in Redis", function()
			return tonumber(server:client():call("HGET", budget.KEY, "gate")) > 0
		end)
		assert(clients[2]:track("d", { userId = "u", event = "E" }))
		redis.wait("the gate at the other", function()
			return clients[2]:stats().gate_closed_for > 10
		end)
		assert.equal(1, #segment:messages())
		for i = 1, 2 do
			leases[i]:close()
			clients[i]:close(0)
		end
	end)

	it("ends with its client, in whatever order", function()
		local client = assert(mw.open { write_key = "key", endpoint = segment.url, leased = true, check = false })
		local lease = assert(budget.lease(client, { url = server.url }))
		client:track("a", { userId = "u", event = "E" })
		client:close(0)
		lease:close()
		lease:close()
		client = assert(mw.open { write_key = "key", endpoint = segment.url, leased = true, check = false })
		assert(budget.lease(client, { url = server.url }))
		client = nil -- luacheck: ignore
		collectgarbage()
		collectgarbage()
		assert.is_true(process.monotonic() > 0)
	end)

	it("refuses a client that has a budget of its own", function()
		local client = assert(mw.open { write_key = "key", endpoint = segment.url, check = false })
		assert.has_error(function()
			budget.lease(client, { url = server.url })
		end)
		client:close(0)
	end)
end)
