--- `moonweir run --spool`, ended at random by every signal that may end it and started again on the same file: each
--- message arrives, whatever was known by then is not queued twice, and the spool is in order.

local cjson = require "cjson"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local workload = require "support.workload"

local ACCOUNTS = 8
local EVENTS = tonumber(os.getenv "MW_EVENTS") or 12000
local MOODS = { "", "delay 30", "always 503" }
local SIGNALS = { "KILL", "TERM", "INT", "HUP", "KILL", "TERM", "INT", "HUP" }

describe("a run that is ended by signals", function()
	local seed = tonumber(os.getenv "MW_SEED") or os.time()

	teardown(child.clean)

	it(("loses nothing and goes on where it was (MW_SEED=%d)"):format(seed), function()
		local server = mock.start()
		local expected, total = {}, 0
		local events = child.folder() .. "/events.ndjson"
		workload.write(events, EVENTS, ACCOUNTS, seed, function(event)
			for _, message in ipairs(workload.expected(event)) do
				expected[message.messageId] = message
				total = total + 1
			end
		end)
		local spool = child.folder() .. "/spool"
		local source, key = child.file("acme.lua", workload.source), child.file("key", ("k"):rep(32))
		local arguments = {
			"run", source, events, "--endpoint", server.url, "--write-key-file", key, "--spool", spool, "--json",
		}
		local random = workload.random(seed)
		for _, signal in ipairs(SIGNALS) do
			server:control("reset\n" .. MOODS[random(#MOODS) + 1])
			local run = child.start(arguments)
			-- Some moments lie before its first message, some after the first that is stored or sent.
			local files = { spool .. "/p0/data.mdb", server.log }
			local file = files[random(#files + 1) + 1]
			local before = file and child.read(file)
			run:wait("a moment to be ended at", function()
				return not file or child.read(run.base .. ".rc") or child.read(file) ~= before
			end)
			-- The first TERM asks it to finish, and the server may never answer; the second may come before the first is
			-- seen, and both are one then.
			run:wait("its end", function()
				run:signal(signal)
				return child.read(run.base .. ".rc")
			end)
		end
		server:control "reset"
		local code, out, err = child.run(arguments)
		assert.equal(0, code, err)
		assert.equal(0, cjson.decode(out).undelivered)
		local verified, _, complaint = child.run { "verify", "--spool", spool }
		assert.equal(0, verified, complaint)
		local seen, repeats = 0, 0
		for _, message in ipairs(server:messages()) do
			local want = expected[message.messageId]
			assert.truthy(want, message.messageId)
			assert.equal(want.userId, message.userId)
			if want.seen then
				repeats = repeats + 1
				assert.same(want.seen, message)
			else
				seen = seen + 1
				want.seen = message
			end
		end
		server:finish()
		assert.equal(total, seen)
		print(("%d messages, %d of them more than once"):format(seen, repeats))
	end)
end)
