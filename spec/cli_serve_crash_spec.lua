--- The daemon, killed in the middle of its work: an event that was answered 200 arrives all the same.

local child = require "spec.support.child"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"
local workload = require "support.workload"

local TRIALS = tonumber(os.getenv "MW_SERVE_TRIALS") or 15 -- on each Lua
local MOODS = { "", "", "delay 20", "always 503" }

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
		local promises = 0
		local open_ids = {} -- promised, and not arrived
		for trial = 1, TRIALS do
			segment:control("reset\n" .. MOODS[random(#MOODS) + 1])
			local serve = daemon.start(config)
			local promised, more = ("%s/promised%d"):format(child.folder(), trial), random(400)
			os.execute(("%s %d %s t%d 16 >/dev/null 2>&1 &"):format(os.getenv "MW_POSTER", serve.port, promised, trial))
			serve:wait("a moment to be killed at", function()
				return #child.lines(promised) >= more
			end)
			serve:signal "KILL"
			serve:finish()
			for _, id in ipairs(child.lines(promised)) do
				open_ids[id] = true
				promises = promises + 1
			end
		end
		segment:control "reset"
		local serve = daemon.start(config)
		local rest, arrived = "", assert(io.open(segment.arrived)) -- it grows, and is read on from where it was
		serve:wait("all that was promised", function()
			rest = rest .. arrived:read "*a"
			for line in rest:gmatch "([^\n]*)\n" do
				open_ids[line:match '"id":"([^"]+)"' or ""] = nil
			end
			rest = rest:match "[^\n]*$"
			return next(open_ids) == nil
		end)
		arrived:close()
		assert.is_true(promises > 0)
		serve:signal "TERM"
		assert.equal(0, (serve:finish()))
		print(("%d events were promised"):format(promises))
	end)
end)
