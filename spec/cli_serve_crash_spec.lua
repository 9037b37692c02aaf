--- The daemon, killed in the middle of its work: an event that was answered 200 arrives all the same.

local child = require "spec.support.child"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"
local workload = require "support.workload"

local TRIALS = tonumber(os.getenv "MW_SERVE_TRIALS") or 15 -- on each Lua
local MOODS = { "", "", "delay 20", "always 503" }

local function lines(path)
	local list = {}
	for line in (child.read(path) or ""):gmatch "[^\n]+" do
		list[#list + 1] = line
	end
	return list
end

describe("a daemon that is killed while webhooks come in", function()
	local seed = tonumber(os.getenv "MW_SEED") or os.time()
	local segment
	teardown(function()
		if segment then
			segment:finish()
		end
		child.clean()
	end)

	it(("keeps its promises, %d times (MW_SEED=%d)"):format(TRIALS, seed), function()
		segment = mock.start()
		local random = workload.random(seed)
		local config = daemon.config { delivery = { endpoint = segment.url, rate = 0 } }
		local promised = child.folder() .. "/promised"
		for trial = 1, TRIALS do
			segment:control("reset\n" .. MOODS[random(#MOODS) + 1])
			local serve = daemon.start(config)
			local before, more = #lines(promised), random(400)
			os.execute(("%s %d %s t%d 16 >/dev/null 2>&1 &"):format(os.getenv "MW_POSTER", serve.port, promised, trial))
			serve:wait("a moment to be killed at", function()
				return #lines(promised) - before >= more
			end)
			serve:signal "KILL"
			serve:finish()
		end
		segment:control "reset"
		local serve = daemon.start(config)
		local list = lines(promised)
		local seen, missing = {}, nil
		serve:wait("all that was promised", function()
			for _, message in ipairs(segment:messages()) do
				seen[message.properties.id] = message
			end
			missing = nil
			for _, id in ipairs(list) do
				missing = missing or not seen[id] and id or nil
			end
			return not missing
		end)
		assert.is_nil(missing)
		assert.is_true(#list > 0)
		serve:signal "TERM"
		assert.equal(0, (serve:finish()))
		print(("%d events were promised"):format(#list))
	end)
end)
