--- random_source -- templates of random expressions, and random events for them: the same for the same seed.
--
--     local random = random_source(os.time())
--     random.template(3)      -- { b = get "list":map(get "a"):default("x"), … }
--     random.event()          -- { a = 7, list = { … }, … }

local core = require "moonweir.core"
local source = require "moonweir.source"

local get = source.get

return function(seed)
	local state = seed % 2147483646 + 1 -- 0 would stay 0

	local function random(n)
		state = state * 16807 % 2147483647
		return state % n + 1
	end
	local function one_of(list)
		return list[random(#list)]
	end

	local CONSTANTS = { "x", "", 1, -2.5, true, false, core.null, "2026-01-31T12:00:00Z" }
	local expression

	local function template(depth, names)
		local made = {}
		for _ = 1, random(3) do
			made[one_of(names or { "a", "b", "c" })] = random(3) == 1 and one_of(CONSTANTS) or expression(depth - 1)
		end
		return made
	end

	local function lookup()
		local made = {}
		for _ = 1, random(3) do
			made[one_of { "x", "y", "1", "true" }] = one_of(CONSTANTS)
		end
		return made
	end

	function expression(depth)
		if depth <= 0 then
			return get(one_of { "a", "b", "c", "d", "none", "list", "objects", "objects[1].a", "." })
		end
		local e = expression(depth - 1)
		local method = one_of { "lower", "upper", "trim", "first", "last", "time", "string", "number", "boolean", "hash", "default",
			"map", "filter", "is", "lookup", "money", "apply", "concat", "add", "div", "any", "array" }
		if method == "hash" then
			return e:hash "sha256"
		elseif method == "default" then
			return e:default(random(2) == 1 and one_of(CONSTANTS) or expression(depth - 1))
		elseif method == "map" then
			return e:map(random(2) == 1 and template(depth) or expression(depth - 1))
		elseif method == "filter" then
			return e:filter(expression(depth - 1):boolean())
		elseif method == "is" then
			return e:is "x"
		elseif method == "lookup" then
			return e:lookup(lookup())
		elseif method == "money" then
			return random(2) == 1 and e:money() or e:money "EUR"
		elseif method == "apply" then
			return e:apply(function(value)
				return value
			end)
		elseif method == "concat" then
			return e .. "x"
		elseif method == "add" then
			return e + 1
		elseif method == "div" then
			return e / 3
		elseif method == "any" then
			return source.any(e, random(2) == 1 and expression(depth - 1) or one_of(CONSTANTS))
		elseif method == "array" then
			return source.array { e, one_of(CONSTANTS) }
		end
		return e[method](e)
	end

	local function value(depth)
		local kind = random(depth > 0 and 9 or 7)
		if kind == 8 then
			return core.array { value(depth - 1), value(depth - 1) }
		elseif kind == 9 then
			return { a = value(depth - 1), b = value(depth - 1) }
		end
		return one_of { "x", " Y ", 7, 2.5, true, core.null, "1", "2026-01-31T12:00:00Z", 1763935080 }
	end

	local function event()
		local made = { list = core.array { value(0), value(0) }, objects = core.array { { a = value(0), b = value(1) } } }
		for _, name in ipairs { "a", "b", "c", "d" } do
			made[name] = random(4) > 1 and value(1) or nil
		end
		return made
	end

	return { seed = seed, template = template, event = event, one_of = one_of }
end
