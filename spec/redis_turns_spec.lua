--- Whose turn is it? The script of moonweir.redis.budget in a real redis-server. redis_budget_spec has the engines that ask it.

local budget = require "moonweir.redis.budget"
local budget_script = require "spec.support.budget_script"
local child = require "spec.support.child"
local redis = require "spec.support.redis"

local INTERVAL, AHEAD = 21601, budget_script.AHEAD
local LADEN, OWED = 1, 2

describe("the script of the budget", function()
	local script, red

	setup(function()
		red = redis.start():client()
	end)
	teardown(function()
		red:close()
		redis.clean()
		child.clean()
	end)
	before_each(function()
		script = budget_script.on(red)
		script:set(1.7e15)
		script:ask(INTERVAL, {})
		script:set(1.7e15 + 1e6) -- by now whatever may have been given out is over
	end)

	--- `names` "a b c", each with its flags.
	local function ask(names, flags)
		local accounts = {}
		for name in names:gmatch "%S+" do
			accounts[#accounts + 1] = (flags or 0) .. "a" .. name
		end
		return script:ask(INTERVAL, accounts)
	end

	local function pass(us)
		script:set(script.now + us)
	end

	--- As many accounts as there are slots ahead: whoever comes behind them stands in line.
	local function crowd()
		local names = {}
		for i = 1, math.floor(AHEAD / INTERVAL) + 1 do
			names[i] = "crowd" .. i
		end
		local answer = ask(table.concat(names, " "))
		for i = 1, #names do
			assert.same({ say = "slot", us = (i - 1) * INTERVAL }, answer[i])
		end
	end

	it("gives the next slots to who asks, in the order in which they do", function()
		local answer = ask "a b c"
		assert.same({ { "slot", 0 }, { "slot", INTERVAL }, { "slot", 2 * INTERVAL } },
			{ { answer[1].say, answer[1].us }, { answer[2].say, answer[2].us }, { answer[3].say, answer[3].us } })
	end)

	it("gives an account one slot at a time, whoever asks for it, and a slot to one worker", function()
		pass(INTERVAL)
		assert.same({ say = "slot", us = 0 }, ask("a")[1])
		assert.same({ say = "taken", us = 0 }, ask("a")[1])
		ask "b"
		pass(1)
		assert.same({ say = "slot", us = 2 * INTERVAL - 1 }, ask("a")[1])
		assert.same({ say = "taken", us = 2 * INTERVAL - 1 }, ask("a")[1])
	end)

	it("serves a line, whoever asks meanwhile, and keeps each one's slot for it", function()
		crowd()
		local answer = ask "x y z"
		assert.equal("line", answer[1].say)
		-- When x asks again its slot has been given to it, and some of those behind it have theirs.
		pass(answer[1].us)
		for _ = 1, 10 do
			ask "pusher"
		end
		assert.equal("slot", ask("x")[1].say)
		assert.equal("slot", ask("y")[1].say)
		assert.equal("slot", ask("z")[1].say)
		local order = { ask("x")[1].us, ask("y")[1].us, ask("z")[1].us, ask("pusher")[1].us }
		assert.same({ order[1], order[1] + INTERVAL, order[1] + 2 * INTERVAL, order[1] + 3 * INTERVAL }, order)
	end)

	it("tells who waits to come back when its slot is half as far ahead as it may be", function()
		crowd()
		local names = {}
		for i = 1, 64 do
			names[i] = "w" .. i
		end
		local answer = ask(table.concat(names, " "))
		for i = 1, 64 do
			assert.equal((24 + i - 1) * INTERVAL - AHEAD / 2, answer[i].us)
		end
	end)

	it("gives one slot in eight to who has a full batch, in turn", function()
		crowd()
		for i = 1, 40 do
			ask("n" .. i)
		end
		ask("full1 full2", LADEN)
		local served = {}
		for _ = 1, 30 do
			pass(INTERVAL)
			ask ""
			for _, name in ipairs(red:call("ZRANGE", script.keys[5], "-1", "-1")) do
				served[#served + 1] = name:sub(2)
			end
		end
		assert.equal("n1 n2 n3 n4 n5 n6 n7 full1 n8 n9 n10 n11 n12 n13 n14 full2 n15 n16", table.concat(served, " ", 1, 18))
		assert.equal(0, red:call("ZCARD", script.keys[3]))
	end)

	it("puts who lost a turn before all but others that did", function()
		crowd()
		ask "a b"
		ask("lost1", OWED)
		ask("c")
		ask("b lost2", OWED)
		assert.same({ "alost1", "ab", "alost2", "aa", "ac" }, red:call("ZRANGE", script.keys[2], "0", "-1"))
	end)

	it("forgets whom nobody asks for any more", function()
		crowd()
		for i = 1, 150 do
			ask("dead" .. i)
		end
		ask "alive"
		for _ = 1, 60 do -- the gate is closed: nobody is served
			pass(200000)
			script:ask(INTERVAL, { "0aalive" }, { close = 1000 })
		end
		assert.same({ "aalive" }, red:call("ZRANGE", script.keys[2], "0", "-1"))
		assert.same({ 0, 1 }, { red:call("ZCARD", script.keys[3]), red:call("ZCARD", script.keys[4]) })
	end)

	it("begins behind all that may have been given out, and drops what nobody has fetched", function()
		ask "a"
		red:call("DEL", script.keys[1])
		assert.same({ "line", INTERVAL + AHEAD / 2 }, { ask("a")[1].say, ask("a")[1].us })
		pass(INTERVAL)
		assert.same({ say = "slot", us = AHEAD }, ask("a")[1])
		-- One that is given, and not fetched, is somebody's on the old clock.
		ask("b")
		pass(3 * INTERVAL)
		ask ""
		assert.equal(2, red:call("ZCARD", script.keys[5]))
		script:set(script.now - 5000)
		ask ""
		assert.equal(0, red:call("ZCARD", script.keys[5]))
	end)

	it("does not save up idle time, and gives out nothing too far ahead", function()
		pass(60e6)
		crowd()
		assert.equal("line", ask("late")[1].say)
	end)

	it("closes the gate for all, for five minutes at most, and opens it to nobody early", function()
		local function close(ms)
			return script:ask(INTERVAL, {}, { close = ms }).gate
		end
		assert.equal(4000000, close(4000))
		assert.equal(4000000, close(1000))
		assert.same({ say = "line", us = 4000000 }, ask("a")[1])
		pass(4e6)
		assert.equal("slot", ask("a")[1].say)
		close(300000)
		script:set(script.now - 3600e6)
		assert.equal(300000000, ask("").gate)
	end)

	it("keeps its keys under one tag, and for an hour", function()
		crowd()
		ask("a", LADEN)
		for i, key in ipairs(script.keys) do
			local left = red:call("TTL", key)
			assert.is_true(i == 1 and left == -1 or left > 3000 and left <= 3600, key)
		end
		local tag = function(key)
			return key:match "^[^{]*{([^}]+)}" or key
		end
		for _, name in ipairs { budget.KEY, "plain", "a{tag}b", "x:{y}" } do
			for _, key in ipairs(budget.keys(name)) do
				assert.equal(tag(name), tag(key))
			end
		end
		for _, name in ipairs { "}", "a{}b", "{a" } do
			assert.has_error(function()
				budget.keys(name)
			end)
		end
	end)

	--- The simulations of spec/c run a model of the script; it is as good as what is found here.
	it("does what its model does, whatever it is asked", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		print("budget script: MW_SEED=" .. seed)
		for history = 1, tonumber(os.getenv "MW_HISTORIES") or 30 do
			script = budget_script.on(red)
			local lines, line_number = {}, 0
			local tool = ("%s/test/turns_history %d 150"):format(os.getenv "MW_BUILD" or "build", seed + history)
			for line in io.popen(tool):lines() do
				lines[#lines + 1] = line
			end
			assert.is_true(#lines >= 300, tool)
			while line_number < #lines do
				line_number = line_number + 1
				local words = {}
				for word in lines[line_number]:gmatch "%S+" do
					words[#words + 1] = word
				end
				if words[1] == "restarted" then
					script:restart()
				elseif words[1] == "evicted" then
					red:call("DEL", script.keys[words[2] == "budget" and 1 or 5])
				else
					script:set(tonumber(words[2]))
					local accounts = {}
					for i = 6, #words do
						accounts[i - 5] = words[i]
					end
					local answer = script:ask(tonumber(words[3]), accounts, { close = tonumber(words[4]), anew = words[5] == "1" })
					local told = { "told", ("%.0f"):format(answer.gate) }
					for _, one in ipairs(answer) do
						told[#told + 1] = ({ slot = 0, line = 1, taken = 2 })[one.say]
						told[#told + 1] = ("%.0f"):format(one.us)
					end
					line_number = line_number + 1
					assert.equal(lines[line_number], table.concat(told, " "), ("%s, line %d"):format(tool, line_number))
				end
			end
		end
	end)
end)
