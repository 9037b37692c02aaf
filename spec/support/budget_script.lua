--- budget_script -- the script of moonweir.redis.budget in a real redis-server, on a clock that a test sets.
---
---     local script = budget_script.on(red)
---     script:set(1700000000000000)             its clock, us
---     local answer = script:ask(21601, { "0aacme", "1azeta" }, { close = ms, anew = true })
---     answer.now, answer.gate                  us
---     answer[1].say, answer[1].us              of the first: "slot", "line", "taken"

local budget = require "moonweir.redis.budget"

local budget_script = { AHEAD = 500000 }
local Script = {}
Script.__index = Script

local SAY = { [0] = "slot", [1] = "line", [2] = "taken" }
local CLOCK = "{moonweir}:clock"

--- All numbers are integers, and none has more than 16 digits.
local function number(n)
	return ("%.0f"):format(n)
end

function budget_script.on(red)
	local text, count = budget.script:gsub('redis%.call%("TIME"%)', ('redis.call("LRANGE", %q, 0, 1)'):format(CLOCK))
	assert(count == 1)
	local self = setmetatable({ red = red, keys = budget.keys(budget.KEY), text = text }, Script)
	red:call "FLUSHALL"
	return self
end

function Script:set(now)
	self.now = now
	self.red:call("DEL", CLOCK)
	assert(self.red:call("RPUSH", CLOCK, number(math.floor(now / 1e6)), number(now % 1e6)))
end

--- Another Redis has it now, or the same was started again.
function Script:restart()
	if self.red:call("EXISTS", self.keys[1]) == 1 then
		self.red:call("HSET", self.keys[1], "run", "another")
	end
end

function Script:ask(interval, accounts, options)
	options = options or {}
	local words = { "EVAL", self.text, "5" }
	for _, key in ipairs(self.keys) do
		words[#words + 1] = key
	end
	local settings = { number(interval), number(budget_script.AHEAD), number(options.close or 0), options.anew and "1" or "0" }
	for _, word in ipairs(settings) do
		words[#words + 1] = word
	end
	for _, account in ipairs(accounts) do
		words[#words + 1] = account
	end
	local reply = assert(self.red:call((table.unpack or unpack)(words))) -- luacheck: ignore
	local answer = { now = reply[1], gate = reply[2] }
	for i = 1, #accounts do
		answer[i] = { say = SAY[reply[2 * i + 1]], us = reply[2 * i + 2] }
	end
	return answer
end

return budget_script
