--- exchange -- one pipeline: commands, and who gets the reply to each.
---
---     local x = exchange.new(red)
---     x:add({ "XLEN", "events" }, function(reply, problem) … end)     -- reply nil: problem = { message =, code = }
---     x:run()
---
--- Everything in it may run twice. `interrupted` tells whether something did, or may have: then what a consumer group has
--- handed out may have got lost on the way, and is still to be had as this consumer's pending entries.

local Exchange = {}
Exchange.__index = Exchange

local exchange = {}

function exchange.new(red)
	return setmetatable({ red = red, commands = {}, takers = {} }, Exchange)
end

function Exchange:add(command, taker)
	local n = #self.commands + 1
	self.commands[n], self.takers[n] = command, taker or false
end

--- Runs it; the takers are called in the order of their commands.
---@return {message: string, code: string}|nil problem  the first, if there was any
function Exchange:run()
	if #self.commands == 0 then
		return nil
	end
	local before = self.red:stats().repeats
	local replies, message, code = self.red:pipeline(self.commands, true)
	self.interrupted = self.red:stats().repeats ~= before
	local first
	for i, taker in ipairs(self.takers) do
		local problem = not replies and { message = message, code = code } or replies.errors and replies.errors[i]
		first = first or problem
		if problem and (problem.code == "io" or problem.code == "timeout") then
			self.interrupted = true
		end
		if taker then
			if problem then
				taker(nil, problem)
			else
				taker(replies[i])
			end
		end
	end
	return first
end

return exchange
