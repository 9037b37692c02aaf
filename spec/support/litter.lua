--- litter -- finalizers that come in the middle of whatever is at work, on either Lua.
---
---     litter.among(function() core.decode(other) end, function(drop)
---         drop()                                  -- one more thing whose finalizer is that function
---         assert.same(expected, core.decode(text))
---     end)

local litter = {}

local ENOUGH, ROUNDS = 50, 5000

local function drop_one(f)
	local newproxy = rawget(_G, "newproxy")
	if newproxy then
		getmetatable(newproxy(true)).__gc = f
	else
		setmetatable({}, { __gc = f })
	end
end

--- Calls `step` again and again, until `finalize` has run often enough; what is left of it afterwards does nothing.
function litter.among(finalize, step)
	local finalized, over = 0, false
	local function once()
		if not over then
			finalized = finalized + 1
			finalize(finalized)
		end
	end
	local function drop()
		drop_one(once)
	end
	local pause, multiplier = collectgarbage("setpause", 10), collectgarbage("setstepmul", 1000)
	local round = 0
	while finalized < ENOUGH and round < ROUNDS do
		round = round + 1
		step(drop, round)
	end
	over = true
	collectgarbage("setpause", pause)
	collectgarbage("setstepmul", multiplier)
	assert(finalized >= ENOUGH, "nothing was proved")
end

return litter
