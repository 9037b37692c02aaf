--- moonweir.redis.budget: processes and engines that share one. redis_turns_spec has its script.

local budget = require "moonweir.redis.budget"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local process = require("moonweir.core").process
local busiest_second = require "spec.support.windows"
local redis = require "spec.support.redis"

local TENANT = "spec/support/tenant.lua"

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
		assert(admin:call("ACL", "SETUSER", "worker", "on", ">secret", "~{moonweir}:budget*", "-@all", "+evalsha", "+eval",
			"+time", "+info", "+hmget", "+hset", "+ttl", "+expire", "+@sortedset"))
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

	--- The order in which requests arrive says whose turn it was, however slow the machine is.
	it("serve accounts in turn, on however many workers one has lanes", function()
		local clients, leases = {}, {}
		for i = 1, 4 do
			clients[i] = assert(mw.open {
				write_key = "key", endpoint = segment.url, leased = true, linger = 0, batch_messages = 1, check = false,
			})
			leases[i] = assert(budget.lease(clients[i], { url = server.url }))
			for n = 1, 200 do
				assert(clients[i]:track("flood", { userId = "u", event = "Flood", properties = { n = n } }))
			end
		end
		local function arrived()
			local count, before_last = { Flood = 0, Quiet = 0 }, 0
			for _, message in ipairs(segment:messages()) do
				count[message.event] = count[message.event] + 1
				before_last = message.event == "Quiet" and count.Flood or before_last
			end
			return count, before_last
		end
		redis.wait("the flood", function()
			return arrived().Flood >= 10
		end)
		for n = 1, 30 do
			assert(clients[1]:track("quiet", { userId = "u", event = "Quiet", properties = { n = n } }))
		end
		local flood = arrived().Flood -- so far: only what comes beside the quiet account's counts
		redis.wait("the quiet account's", function()
			return arrived().Quiet == 30
		end)
		-- One to one. Were slots the workers', three would be the others', and half of the fourth.
		local _, before_last = arrived()
		assert.is_true(before_last - flood < 3 * 30, ("%d of the flood before 30 others"):format(before_last - flood))
		for i = 1, 4 do
			leases[i]:close()
			clients[i]:close(0)
		end
	end)
end)
