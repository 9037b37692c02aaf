--- core.mapper: bodies through a map whose functions are Lua.
local core = require "moonweir.core"

local function new_map()
	local map = assert(core.map { slug = "shop", version = "1.0.0", library_name = "moonweir", library_version = "0" })
	map:set("event", map:member(map:scope "event", "type"))
	map:set("account", map:member(map:scope "event", "account"))
	map:set("id", map:member(map:scope "event", "id"))
	map:set("user", map:member(map:scope "event", "user"))
	return map
end

--- A mapper whose event "go" is the function `run`.
local function entry(run, change)
	local map = new_map()
	if change then
		change(map)
	end
	map:entry("go", run, "s.lua:1")
	return core.mapper(map)
end

--- A mapper whose event "go" is a track with one property, `x` of the event through the function `run`.
local function apply(run)
	local map = new_map()
	local value = map:apply(map:member(map:scope "event", "x"), run)
	assert(map:call("go", {
		call = "track", name = map:constant "Gone", payload = map:object({ "x" }, { value }), place = "s.lua:7",
	}))
	return core.mapper(map)
end

local GO = '{"type":"go","account":"a1","id":"e1","user":"u1","x":%s}'

local function decoded(messages)
	local list = {}
	for i, m in ipairs(messages) do
		list[i] = assert(core.decode(m.message))
	end
	return list
end

describe("emit", function()
	it("makes messages, with what the source says where the options don't", function()
		local m = entry(function(event, emit)
			emit({ call = "track", name = "One", payload = { x = event.x } })
			emit({ call = "identify", payload = event.x }, { user = 7, account = "a2", id = "own", time = 1700000000,
				context = { ip = "::1", integration = "mine", library = "mine" }, integrations = { All = false } })
			emit({ call = "page", name = "N", category = "C" }, { anonymous = "anon", time = "2026-11-23T21:58:00Z" })
			emit({ call = "screen", name = "S" })
			emit({ call = "group", group_id = "g" })
			emit({ call = "alias", previous_id = core.decode "12345678901234567890" })
		end)
		local messages, tally, problems = m:map(GO:format '{"deep":[1,2.50]}', { now = 1000, tag = 9 })
		assert.is_nil(problems and problems[1].message)
		assert.same({ events = 1, messages = 6, ignored = 0, unmatched = 0, failed = 0 }, tally)
		local got = decoded(messages)
		assert.matches('"x":{"deep":%[1,2.50%]}', messages[1].message)
		assert.equal("track", got[1].type)
		assert.equal("One", got[1].event)
		assert.equal("u1", got[1].userId)
		assert.equal("shop:a1:e1:0", got[1].messageId)
		assert.equal("1970-01-01T00:00:01.000Z", got[1].timestamp)
		assert.equal("shop", got[1].context.integration.name)
		assert.equal("a1", messages[1].account)
		assert.equal(9, messages[1].tag)
		assert.equal("a2", messages[2].account)
		assert.equal("7", got[2].userId)
		assert.equal("shop:a2:own:1", got[2].messageId)
		assert.equal("2023-11-14T22:13:20.000Z", got[2].timestamp)
		assert.equal("::1", got[2].context.ip)
		assert.equal("shop", got[2].context.integration.name)
		assert.is_false(got[2].integrations.All)
		assert.equal(2, #got[2].traits.deep)
		assert.equal("N C anon", got[3].name .. " " .. got[3].category .. " " .. got[3].anonymousId)
		assert.equal("2026-11-23T21:58:00.000Z", got[3].timestamp)
		assert.equal("S", got[4].name)
		assert.equal("g", got[5].groupId)
		assert.equal("12345678901234567890", got[6].previousId)
	end)

	it("takes a time that stands there as Segment writes it just so, and no other", function()
		for time, sent in pairs {
			["2024-02-28T23:59:59.999Z"] = "2024-02-28T23:59:59.999Z",
			["2024-02-29T23:59:59.999Z"] = "2024-02-29T23:59:59.999Z",
			["2024-02-28T23:59:59.999+01:00"] = "2024-02-28T22:59:59.999Z",
			["2023-02-29T23:59:59.999Z"] = false,
			["2024-02-28T24:00:00.001Z"] = false,
			["2024-02-28T23:59:59;999Z"] = false,
		} do
			local m = entry(function(_, emit)
				emit({ call = "track", name = "One" }, { time = time })
			end)
			local messages, _, problems = m:map(GO:format "1")
			assert.equal(sent, messages[1] and decoded(messages)[1].timestamp or false, time)
			assert.equal(sent == false, problems ~= nil)
		end
	end)

	local function refused(call, options, code)
		local m = entry(function(_, emit)
			emit({ call = "track", name = "Before" })
			emit(call, options)
		end)
		local messages, tally, problems = m:map(GO:format "1")
		assert.equal(0, #messages) -- all or nothing
		assert.equal(1, tally.failed)
		assert.equal(code or "invalid", problems[1].code)
		return problems[1].message
	end

	it("makes ids of a seed, where they would be random, and forgets it afterwards", function()
		local m = entry(function(_, emit)
			emit { call = "track", name = "A" }
			emit { call = "track", name = "B" }
		end)
		local function ids(seed)
			local messages = m:map('{"type":"go","account":"a","user":"u"}', { seed = seed })
			return messages[1].message:match '"messageId":"([^"]*)"' .. " " .. messages[2].message:match '"messageId":"([^"]*)"'
		end
		local first = ids "x"
		local one, two = first:match "^(%S+) (%S+)$"
		assert.not_equal(one, two)
		assert.equal(first, ids "x")
		assert.not_equal(first, ids "y")
		assert.not_equal(ids(nil), ids(nil))
		assert.has_error(function()
			ids(7)
		end, "seed must be a string")
	end)

	it("takes the calls of a script from before the module was loaded again", function()
		local name = "moonweir.call"
		local before = require(name)
		package.loaded[name] = nil
		local after = require(name)
		package.loaded[name] = before
		for _, call in ipairs { before, after } do
			local track = call.constructors({ loading = false }).track
			local messages, _, problems = entry(function(_, emit)
				emit(track "Opened" { a = 1 })
			end):map(GO:format "1")
			assert.is_nil(problems and problems[1].message)
			assert.matches('"event":"Opened","properties":{"a":1}', messages[1].message)
		end
	end)

	it("refuses what is no call, with the script's line", function()
		assert.matches("^[%w_./]*mapper_spec.lua:%d+: emit: expected a call", refused("track"))
		assert.matches("expected a call", refused({ call = "trick" }))
		assert.matches("expected a call", refused({ "Email Opened", { a = 1 } }))
		assert.matches('no option "usr", did you mean "user"', refused({ call = "track", name = "N" }, { usr = 1 }))
		assert.matches("expected named options", refused({ call = "track", name = "N" }, { "u" }))
		assert.matches("expected a table of options", refused({ call = "track", name = "N" }, "u"))
		assert.matches("properties.a: a function", refused({ call = "track", name = "N", payload = { a = print } }))
		assert.matches("traits: must be a table of named", refused({ call = "identify", payload = { 1 } }))
		assert.matches("user: must be a string", refused({ call = "track", name = "N" }, { user = true }))
		assert.matches("time: expected a date", refused({ call = "track", name = "N" }, { time = "soon" }))
		assert.matches("event is missing", refused({ call = "track" }))
		assert.matches("33%d%d%d bytes", refused({ call = "track", name = "N", payload = { a = ("x"):rep(33000) } }, nil,
			"too_large"))
	end)

	it("passes on the code of the mapping's own errors", function()
		local m = entry(function(_, emit)
			emit({ call = "track", name = "N" })
		end)
		local _, _, problems = m:map '{"type":"go","account":"a1"}'
		assert.equal("no_user", problems[1].code)
		assert.equal("a1", problems[1].account)
	end)

	it("may fail and be caught: the others count", function()
		local m = entry(function(_, emit)
			emit({ call = "track", name = "One" })
			pcall(emit, { call = "track" })
			emit({ call = "track", name = "Two" })
		end)
		local messages = m:map(GO:format "1")
		assert.equal(2, #messages)
		m = entry(function(_, emit)
			pcall(emit, { call = "track" })
			error "other"
		end)
		local _, _, problems = m:map(GO:format "1")
		assert.equal("mapping", problems[1].code)
	end)

	it("raises after its entry is over", function()
		local kept
		local m = entry(function(_, emit)
			kept = emit
		end)
		m:map(GO:format "1")
		assert.has_error(function()
			kept({ call = "track", name = "N" })
		end, "emit: its function has returned; it makes no more messages")
		m = nil -- luacheck: ignore
		collectgarbage()
		collectgarbage()
		assert.has_error(function()
			kept({ call = "track", name = "N" })
		end)
	end)

	it("works in a coroutine, also where the source's own expressions call functions", function()
		local m = entry(function(_, emit)
			coroutine.wrap(function()
				emit({ call = "track", name = "N" })
			end)()
		end, function(map)
			map:set("user", map:apply(map:member(map:scope "event", "user"), function(u)
				return u .. "!"
			end))
		end)
		local messages, _, problems = m:map(GO:format "1")
		assert.is_nil(problems and problems[1].message)
		assert.equal("u1!", decoded(messages)[1].userId)
	end)

	it("can't be called from within itself", function()
		local kept
		local m = entry(function(_, emit)
			kept = emit
			emit({ call = "track", name = "N" })
		end, function(map)
			map:set("user", map:apply(map:member(map:scope "event", "user"), function()
				kept({ call = "track", name = "N" })
			end))
		end)
		local _, _, problems = m:map(GO:format "1")
		assert.matches("while another call of emit is under way", problems[1].message)
	end)
end)

describe("apply", function()
	local function result(json, run)
		local messages, _, problems = apply(run):map(GO:format(json))
		assert.is_nil(problems and problems[1].message)
		return messages[1].message:match('"properties":{"x":(.*)},"context"') or
			messages[1].message:match('"properties":({})')
	end

	it("gets plain values and gives them back", function()
		local function same(x)
			return x
		end
		for _, json in ipairs { '"text"', "12", "-1.5", "true", "false", "12345678901234567890", "9007199254740993", '"é\\n"',
			'{"a":[1.50]}', "[1,2]" } do
			assert.equal(json, result(json, same))
		end
	end)

	it("turns nil into an absent field, null into null, tables into JSON", function()
		assert.equal("{}", result("1", function() end))
		assert.equal("null", result("1", function() return core.null end))
		assert.equal('{"a":[1]}', result("1", function(x) return { a = { x } } end))
		assert.equal("3", result("6", function(x) return x / 2 end))
		assert.equal('"2 of 3"', result("[1,5,9]", function(x) return "2 of " .. #x end))
		assert.equal("[5]", result('{"a":[5]}', function(x) return x.a end))
	end)

	it("is not called for what is absent", function()
		assert.equal("{}", result("null", function() return 1 end))
	end)

	it("fails its event with the line of the script, and its neighbours live", function()
		local m = apply(function(x)
			if x == 2 then
				error "no twos"
			end
			return x
		end)
		local messages, tally, problems = m:map("[" .. GO:format "1" .. "," .. GO:format "2" .. "," .. GO:format "3" .. "]")
		assert.equal(2, #messages)
		assert.same({ events = 3, messages = 2, ignored = 0, unmatched = 0, failed = 1 }, tally)
		assert.equal(2, problems[1].index)
		assert.equal("mapping", problems[1].code)
		assert.matches("mapper_spec.lua:%d+: no twos", problems[1].message)
		assert.equal(GO:format "2", problems[1].raw)
	end)

	it("refuses results that JSON has no word for", function()
		local function problem(run)
			local _, _, problems = apply(run):map(GO:format "1")
			return problems[1].message
		end
		assert.matches("NaN", problem(function() return 0 / 0 end))
		assert.matches("not UTF%-8", problem(function() return "\255" end))
		assert.matches("a function", problem(function() return print end))
		assert.matches("x%[1%]: a function", problem(function() return { x = { print } } end))
	end)
end)

describe("m:map", function()
	local plain = function()
		return entry(function(_, emit)
			emit({ call = "track", name = "N" })
		end)
	end

	it("takes the format from the option, else from the Content-Type", function()
		local line = GO:format "1"
		local form = "type=go&account=a1&user=u1"
		for _, case in ipairs {
			{ line .. "\n" .. line, { format = "ndjson" }, 2 },
			{ line .. "\n" .. line, { headers = { ["content-TYPE"] = "application/x-ndjson" } }, 2 },
			{ form, { format = "form" }, 1 },
			{ form, { headers = { ["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8" } }, 1 },
			{ form, { headers = { ["Content-Type"] = { "application/x-www-form-urlencoded", "x" } } }, 1 },
			{ line, { headers = { ["Content-Type"] = "text/plain" } }, 1 },
			{ line, { format = "json", headers = { ["Content-Type"] = "application/x-ndjson" } }, 1 },
		} do
			local messages, _, problems = plain():map(case[1], case[2])
			assert.is_nil(problems and problems[1].message)
			assert.equal(case[3], #messages)
		end
	end)

	it("raises for misuse", function()
		local m = plain()
		for _, options in ipairs {
			{ format = "yaml" }, { accuont = "a" }, { account = "" }, { account = 1 }, { tag = "x" }, { tag = 1.5 },
			{ headers = "x" }, { headers = { a = 1 } }, { headers = { "x" } }, { now = "x" }, { "x" },
		} do
			assert.has_error(function()
				m:map("{}", options)
			end)
		end
		assert.has_error(function()
			m:map({})
		end)
		local ok, message = pcall(m.map, m, "{}", { accuont = "a" })
		assert.is_false(ok)
		assert.matches('no option "accuont", did you mean "account"', message)
	end)

	it("keeps as many problems as it is told to, and counts the rest", function()
		local map = new_map()
		local m = core.mapper(map, { problems_max = 2 })
		local _, tally, problems = m:map "[1,2,3,4,5]"
		assert.equal(5, tally.failed)
		assert.equal(2, #problems)
		assert.equal(3, problems.more)
		assert.equal("1", problems[1].raw)
		assert.is_nil(select(3, m:map "[]"))
	end)

	it("keeps 64 KB of what failed", function()
		local _, _, problems = plain():map('{"type":"' .. ("x"):rep(100000) .. '"}')
		assert.equal(65536, #problems[1].raw)
	end)

	it("can't be used from the script it runs, and works again after that", function()
		local m, inner
		m = entry(function(_, emit)
			inner = { pcall(m.map, m, "{}") }
			emit({ call = "track", name = "N" })
		end)
		assert.equal(1, #m:map(GO:format "1"))
		assert.is_false(inner[1])
		assert.matches("at work already", inner[2])
		assert.equal(1, #m:map(GO:format "1"))
	end)

	it("holds a runaway function up, and its neighbours live", function()
		local function run(event, emit)
			if event.x == 2 then
				while true do end
			end
			emit({ call = "track", name = "N" })
		end
		if jit then
			jit.off(run)
		end
		local messages, tally, problems = entry(run):map("[" .. GO:format "1" .. "," .. GO:format "2" .. "," .. GO:format "3" .. "]")
		assert.equal(2, #messages)
		assert.equal(1, tally.failed)
		assert.equal("mapping", problems[1].code)
	end)

	it("counts what an event holds, and no garbage, though small blocks are kept for the next one", function()
		if os.getenv "MW_SANITIZED" then
			return pending "skipped: with sanitizers it may take longer than the second a function has"
		end
		local function run(event, emit)
			local held = {}
			for i = 1, 150000 do -- some 15 MB
				held[1] = { i, i, i, i }
			end
			for i = 1, event.x do
				held[i] = ("x"):rep(1024 + i):rep(1024)
			end
			emit({ call = "track", name = "N", payload = { held = #held } })
		end
		if jit then
			jit.off(run)
		end
		local m = entry(run)
		for _ = 1, 2 do
			collectgarbage()
			local messages, _, problems = m:map(GO:format "55")
			assert.is_nil(problems and problems[1].message)
			assert.equal(1, #messages)
			messages, _, problems = m:map(GO:format "100")
			assert.equal(0, #messages)
			assert.matches("more than 64 MB of memory", problems[1].message)
		end
	end)

	it("makes little room by what was garbage before: a function holds 96 MB at most, event after event", function()
		if os.getenv "MW_SANITIZED" then
			return pending "skipped: with sanitizers it may take longer than the second a function has"
		end
		local held -- luacheck: no unused
		local function run(event)
			held = {}
			for i = 1, event.x do
				held[i] = ("x"):rep(1024 + i):rep(1024)
			end
		end
		if jit then
			jit.off(run)
		end
		local m = entry(run)
		collectgarbage()
		collectgarbage()
		local base = collectgarbage "count"
		for n, x in ipairs { "1000", "20", "1000", "30", "1000", "50", "1000", "25", "1000" } do
			local _, _, problems = m:map(GO:format(x))
			if x == "1000" then
				assert.matches("more than 64 MB of memory", problems[1].message)
			else
				assert.is_nil(problems and problems[1].message)
			end
			collectgarbage()
			local alive = (collectgarbage "count" - base) / 1024
			assert.is_true(alive < 97, ("event %d left %.1f MB alive"):format(n, alive))
			held = nil
		end
	end)

	it("collects the garbage that a function would begin with when there is much, and else leaves that to Lua", function()
		local ballast = {}
		for i = 1, 40 do
			ballast[i] = ("b"):rep(1024 * 1024 + i)
		end
		local m = entry(function() end)
		local function collects(litter)
			local seen = setmetatable({ {} }, { __mode = "v" })
			local last = {} -- luacheck: no unused
			collectgarbage "stop"
			for i = 1, litter do
				last[1] = ("l"):rep(1024 * 1024 + i)
			end
			for _ = 1, 20 do
				m:map(GO:format "1")
			end
			collectgarbage "restart"
			return seen[1] == nil
		end
		collectgarbage()
		assert.is_true(collects(0)) -- it can't know that all 40 MB are alive
		assert.is_false(collects(20)) -- now it does
		assert.is_true(collects(180))
		assert.equal(40, #ballast)
	end)

	it("names the entry's line where an error names none", function()
		for text, raise in pairs {
			["s.lua:1: plain"] = function() error("plain", 0) end,
			["s.lua:1: raised a table where a text was expected"] = function() error {} end,
			["s.lua:1: raised nil where a text was expected"] = function() error() end,
			["s.lua:9: has one"] = function() error("s.lua:9: has one", 0) end,
		} do
			local _, _, problems = entry(raise):map(GO:format "1")
			assert.equal(text, problems[1].message)
		end
	end)

	it("that is gone refuses to work: finalizers of later garbage may still know it", function()
		local function finalize(object)
			debug.getmetatable(object).__gc(object)
		end
		local m, map = plain(), new_map()
		finalize(m)
		finalize(m)
		assert.has_error(function() m:map(GO:format "1") end, "this mapper is gone: its Lua state is closing")
		assert.has_error(function() m:tally(GO:format "1") end, "this mapper is gone: its Lua state is closing")
		finalize(map)
		finalize(map)
		assert.has_error(function() core.mapper(map) end, "this map is gone: its Lua state is closing")
		assert.has_error(function() map:ignore "x" end, "this map is gone: its Lua state is closing")
	end)

	it("seals its map", function()
		local map = new_map()
		core.mapper(map)
		assert.has_error(function()
			map:ignore "x"
		end)
	end)

	it("tallies without making messages", function()
		local tally, problems = plain():tally(GO:format "1")
		assert.equal(1, tally.messages)
		assert.is_nil(problems)
	end)

	it("leaves nothing behind in the registry", function()
		local function after(n)
			for _ = 1, n do
				plain():map(GO:format "1")
			end
			for _ = 1, 3 do -- finalizers first, then what they held
				collectgarbage()
			end
			return collectgarbage "count"
		end
		if jit then
			jit.off(after, true) -- traces made on the way would count
		end
		after(500)
		local before = after(500)
		local grown = after(2000) - before
		assert.is_true(grown < 500, ("%.0f KB for 2000 mappers"):format(grown)) -- one left behind is over 1 KB
	end)
end)
