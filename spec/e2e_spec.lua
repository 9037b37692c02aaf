--- The main job from end to end, with real processes on loopback: what arrives is exactly what the mapping says, in full
--- requests and never more than fifty of them in a second.

local busiest_second = require "spec.support.windows"
local cjson = require "cjson"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local workload = require "support.workload"

local ACCOUNTS = 50
local EVENTS = tonumber(os.getenv "MW_EVENTS") or 100000

local function key_of(account)
	return ("key%s0123456789abcdef0123"):format(account:gsub("%W", ""))
end

local function accounts_file()
	local keys = {}
	for n = 0, ACCOUNTS - 1 do
		local account = ("acct-%02d"):format(n)
		keys[account] = key_of(account)
	end
	return child.file("accounts.json", cjson.encode(keys))
end

--- Tables and scalars alike; numbers as numbers, whatever their Lua type.
local function equal(a, b)
	if type(a) ~= "table" or type(b) ~= "table" then
		return a == b
	end
	for k, v in pairs(a) do
		if not equal(v, b[k]) then
			return false
		end
	end
	for k in pairs(b) do
		if a[k] == nil then
			return false
		end
	end
	return true
end

--- Runs the workload against `url`; gives the summary and what was expected, by messageId.
local function run(url, count, seed)
	local expected, total = {}, 0
	local events = child.folder() .. "/events.ndjson"
	workload.write(events, count, ACCOUNTS, seed, function(event)
		for _, message in ipairs(workload.expected(event)) do
			expected[message.messageId] = message
			total = total + 1
		end
	end)
	local code, out, err = child.run {
		"run", child.file("acme.lua", workload.source), events, "--endpoint", url, "--accounts", accounts_file(), "--json",
	}
	assert.equal(0, code, err)
	return cjson.decode(out), expected, total
end

describe("end to end", function()
	local seed = tonumber(os.getenv "MW_SEED") or os.time()

	teardown(child.clean)

	it(("delivers exactly what the mapping says: %d events over %d accounts (MW_SEED=%d)"):format(EVENTS, ACCOUNTS, seed), function()
		local debugger, url = child.debugger { "--json", "--accounts", accounts_file() }
		local summary, expected, total = run(url, EVENTS, seed)
		debugger:signal "TERM"
		local _, out = debugger:finish()
		local arrived, wrong = 0, 0
		for line in out:gmatch "[^\n]+" do
			local m = cjson.decode(line)
			if m.message then
				arrived = arrived + 1
				local want = expected[m.message.messageId]
				expected[m.message.messageId] = nil
				if not want or not equal(m.message, want) or m.fault or m.account ~= want.messageId:match ":(.-):" then
					wrong = wrong + 1
					if wrong == 1 then
						print("\nfirst difference: " .. line .. "\nexpected: " .. (want and cjson.encode(want) or "nothing"))
					end
				end
			end
		end
		assert.equal(0, wrong)
		assert.is_nil(next(expected))
		assert.equal(total, arrived)
		assert.equal(total, summary.delivered)
		assert.equal(EVENTS, summary.events)
	end)

	it("stays inside fifty requests in any second, hidden re-sends included", function()
		local server = mock.start()
		server:control "drop-reused\n"
		local summary = run(server.url, 20000, seed)
		local requests = server:finish()
		local stamps, dropped = {}, 0
		for i, r in ipairs(requests) do
			stamps[i] = tonumber(r[1])
			if r[8] == "0" then
				dropped = dropped + 1
			end
		end
		assert.is_true(dropped > 0) -- else nothing was proved
		assert.is_true(#requests > 50)
		assert.is_true(#requests <= summary.requests)
		local most = busiest_second(stamps)
		assert.is_true(most <= 50, ("%d requests in one second"):format(most))
	end)

	it("fills requests when there is a backlog, and passes no limit", function()
		local server = mock.start()
		local events = child.folder() .. "/single.ndjson"
		local file = assert(io.open(events, "w"))
		for i = 1, 20000 do
			file:write(('{"id":%d,"type":"a","user":"u%d","text":"%s"}\n'):format(i, i, ("x"):rep(i % 700)))
		end
		file:close()
		local source = child.file("single.lua", [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define { slug = "single", version = "1.0.0", event = get "type", id = get "id",
				user = source.user { get "user" }, on = { a = source.track "A" { text = get "text" } } }
		]])
		local code, _, err = child.run {
			"run", source, events, "--endpoint", server.url, "--write-key-file", child.file("key", key_of "single"),
		}
		assert.equal("", err)
		assert.equal(0, code)
		local bytes, most, count, messages = 0, 0, 0, 0
		local requests = server:finish()
		for i, r in ipairs(requests) do
			most = math.max(most, tonumber(r[4]))
			messages = math.max(messages, tonumber(r[5]))
			if i < #requests then -- the last one holds what was left
				bytes, count = bytes + tonumber(r[4]), count + 1
			end
		end
		assert.is_true(count > 5)
		assert.is_true(most <= 475000 + 1024 and messages <= 2500)
		assert.is_true(bytes / count >= 0.95 * 475000, ("%.0f bytes a request"):format(bytes / count))
	end)
end)
