--- A script's functions under limits. LuaJIT's compiler is off for the functions under test, as the sandbox has it.
local core = require "moonweir.core"

local function guarded(limits, f, ...)
	if jit then
		jit.off(f, true)
	end
	return core.guard_call(f, limits, ...)
end

local FEW = { instructions = 100000, time_ms = 60000 }

describe("guard_call", function()
	it("hands over arguments and results", function()
		local function count(...)
			return select("#", ...), ...
		end
		local got = { guarded("event", count, 1, nil, "x", nil) }
		assert.is_true(got[1])
		assert.equal(4, got[2])
		assert.equal("x", got[5])
		local many = { guarded("event", function()
			local t = {}
			for i = 1, 200 do
				t[i] = i
			end
			return (table.unpack or unpack)(t)
		end) }
		assert.equal(201, #many)
	end)

	it("ends an endless loop, and says where it was", function()
		local ok, message = guarded(FEW, function()
			while true do end
		end)
		assert.is_false(ok)
		assert.matches("guard_spec.lua:%d+: more than 100000 instructions", message)
	end)

	it("can't be held up by pcall", function()
		local swallowed = 0
		local ok, message = guarded(FEW, function()
			while true do
				pcall(function()
					while true do end
				end)
				swallowed = swallowed + 1
			end
		end)
		assert.is_false(ok)
		assert.matches("instructions", message)
		assert.is_true(swallowed <= 1)
	end)

	it("fails even if the script catches the error in its very last instruction", function()
		local ok = guarded(FEW, function()
			return pcall(function()
				while true do end
			end)
		end)
		assert.is_false(ok)
	end)

	it("ends an endless recursion", function()
		local function deeper(n)
			return 1 + deeper(n)
		end
		local ok, message = guarded({ time_ms = 60000 }, deeper, 1)
		assert.is_false(ok)
		assert.matches("stack overflow", message)
	end)

	it("ends what takes too long", function()
		local ok, message = guarded({ time_ms = 1, instructions = 1e12 }, function()
			while true do end
		end)
		assert.is_false(ok)
		assert.matches("longer than 1 ms of CPU time", message)
	end)

	it("does not count the time that others have the CPU", function()
		local ok, message = guarded({ time_ms = 100, instructions = 1e12 }, function()
			local function look() -- a thousand instructions make the guard look at its clock
				for _ = 1, 2000 do end
			end
			look()
			os.execute "sleep 0.2" -- what it is to wait for a CPU
			look()
		end)
		assert.is_nil(message)
		assert.is_true(ok)
	end)

	it("ends what takes too much memory, in small pieces or in one", function()
		local limits = { memory = 4 * 1024 * 1024, time_ms = 60000 }
		collectgarbage() -- or what other tests left would be freed, and outweigh what this one takes
		collectgarbage()
		local ok, message = guarded(limits, function()
			local t = {} -- luacheck: ignore
			for i = 1, 1e7 do
				t[i] = { i }
			end
		end)
		assert.is_false(ok)
		assert.matches("more than 4 MB of memory", message)
		ok, message = guarded(limits, function()
			return ("x"):rep(5 * 1024 * 1024)
		end)
		assert.is_false(ok)
		assert.matches("more than 4 MB of memory", message)
		collectgarbage()
		assert.equal(8 * 1024 * 1024, #("x"):rep(8 * 1024 * 1024)) -- the host is free of the limit
	end)

	it("keeps the place that was put in front of a lack of memory, and says what the limit is", function()
		local function make()
			local _, why = pcall(string.rep, "x", 1e8)
			error("acme.lua:7: " .. why, 0)
		end
		local ok, message = core.guard_call(make, { memory = 4 * 1024 * 1024 })
		assert.is_false(ok)
		assert.equal("acme.lua:7: more than 4 MB of memory", message)
	end)

	it("does not count garbage that can be collected", function()
		local ballast = {}
		for i = 1, 200000 do
			ballast[i] = { i }
		end
		local ok, message = guarded({ memory = 32 * 1024 * 1024, time_ms = 60000 }, function()
			local length = 0
			for i = 1, 8000 do
				length = length + #(("x"):rep(20000) .. i)
			end
			return length
		end)
		assert.is_true(ok, message)
		assert.equal(200000, #ballast)
	end)

	-- What was alive at the end of each of ten calls that hold as much as they may, in MB: the allocator's own count.
	local function most(limit, piece)
		local held, base, all -- luacheck: no unused
		local function hold()
			local i = 0
			held = {}
			while true do
				i = i + 1
				held[i] = piece(i)
			end
		end
		all = {}
		collectgarbage()
		collectgarbage()
		base = collectgarbage "count"
		for n = 1, 10 do
			local ok, message = guarded({ memory = limit, instructions = 1e9, time_ms = 60000 }, hold)
			assert.is_false(ok)
			assert.matches("MB of memory", message)
			collectgarbage()
			all[n] = (collectgarbage "count" - base) / 1024
			held = nil -- luacheck: ignore
			collectgarbage("step", n * 7) -- so that each begins at another place of the collector's round
		end
		return all
	end

	it("makes no room for more by what was garbage before", function()
		for what, piece in pairs {
			texts = function(i)
				return ("x"):rep(10000) .. i
			end,
			tables = function(i)
				return { i }
			end,
			["texts and as much garbage"] = function(i)
				return #(("y"):rep(10000) .. i) > 0 and ("x"):rep(10000) .. i
			end,
		} do
			for n, held in ipairs(most(8 * 1024 * 1024, piece)) do
				assert.is_true(held > 3.5 and held < 12.2, ("%s, call %d: held %.1f of 8 MB"):format(what, n, held))
			end
		end
	end)

	it("leaves the limit to what is held, whatever garbage was there before and comes by", function()
		local function hold()
			local held = {} -- luacheck: no unused
			for i = 1, 700 do -- 7 of 8 MB
				held[i] = ("x"):rep(10000) .. i
				for _ = 1, 3 do
					held[0] = ("y"):rep(10000) .. i
				end
			end
		end
		for _ = 1, 10 do
			local ok, message = guarded({ memory = 8 * 1024 * 1024, time_ms = 60000 }, hold)
			assert.is_true(ok, message)
		end
	end)

	it("makes a text of whatever was raised, without asking it", function()
		local function raised(value)
			return select(2, guarded("event", function()
				error(value, 0)
			end))
		end
		assert.equal("plain", raised "plain")
		assert.equal("42", raised(42))
		assert.matches("nil", raised(nil))
		assert.equal("raised a table where a text was expected", raised {})
		assert.equal("raised a userdata where a text was expected", raised(io.stdout))
		assert.equal("raised a table where a text was expected", raised(setmetatable({}, { __tostring = function()
			error "called"
		end })))
		assert.matches("boolean", raised(false))
	end)

	it("gives every call a budget of its own", function()
		for _ = 1, 5 do
			assert.is_true((guarded(FEW, function()
				for _ = 1, 20000 do end
			end)))
		end
	end)

	it("nests: the inner limit ends the inner call only", function()
		local ok, inner, message = guarded("event", function()
			return core.guard_call(function()
				while true do end
			end, FEW)
		end)
		assert.is_true(ok)
		assert.is_false(inner)
		assert.matches("instructions", message)
	end)

	it("nests: inner calls count for the outer one", function()
		local ok, message = guarded({ instructions = 300000, time_ms = 60000 }, function()
			while true do
				core.guard_call(function()
					for _ = 1, 20000 do end
				end, FEW)
			end
		end)
		assert.is_false(ok)
		assert.matches("more than 300000", message)
	end)

	it("leaves the host's hook as it was", function()
		local seen, hook, mask, count = 0, debug.gethook()
		local function mine()
			seen = seen + 1
		end
		debug.sethook(mine, "", 100)
		guarded("event", function() end)
		local after, _, every = debug.gethook()
		debug.sethook(hook, mask, count)
		assert.equal(mine, after)
		assert.equal(100, every)
	end)

	it("reaches into coroutines, and leaves no hook in those that outlive it", function()
		local ok, message = guarded(FEW, function()
			return coroutine.wrap(function()
				while true do end
			end)()
		end)
		assert.is_false(ok)
		assert.matches("instructions", message)
		local _, kept = guarded("event", function()
			return coroutine.create(function()
				local sum = 0
				for i = 1, 1e6 do
					sum = sum + i
				end
				return sum
			end)
		end)
		assert.same({ true, 500000500000 }, { coroutine.resume(kept) })
	end)

	it("raises for what is not a function or not a limit", function()
		assert.has_error(function() core.guard_call("x", "event") end)
		assert.has_error(function() core.guard_call(print, "never") end)
		assert.has_error(function() core.guard_call(print, { memory = "much" }) end)
	end)
end)

describe("guard_strings", function()
	local methods = getmetatable("").__index
	local library = setmetatable({ shout = function(s) return s .. "!" end }, { __index = methods })

	setup(function()
		core.guard_strings(library)
	end)

	teardown(function()
		core.guard_strings(require("moonweir.strings").library()) -- as the sandbox has it
	end)

	it("gives scripts their own string methods, and the host its own back", function()
		local function shout()
			return ("a"):shout()
		end
		assert.same({ true, "a!" }, { guarded("event", shout) })
		assert.equal(methods, getmetatable("").__index)
		assert.is_false((pcall(shout)))
	end)

	it("does so after errors and in nested calls, too", function()
		guarded("event", function()
			error "x"
		end)
		assert.equal(methods, getmetatable("").__index)
		local ok, first, second = guarded("event", function()
			core.guard_call(error, "event", "x")
			return ("a"):shout(), select(2, core.guard_call(function()
				return ("b"):shout()
			end, "event"))
		end)
		assert.same({ true, "a!", "b!" }, { ok, first, second })
		assert.equal(methods, getmetatable("").__index)
	end)
end)
