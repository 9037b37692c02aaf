local core = require "moonweir.core"
local sandbox = require "moonweir.sandbox"
local strings = require "moonweir.strings"

-- Runs `text` as a script; a message of its own making is what it throws.
local function run(text)
	local made, message, code = sandbox.load("acme.lua", text)
	assert.is_true(made == nil)
	assert.equal("mapping", code)
	assert.is_string(message)
	return message
end

-- What an expression is inside the sandbox, as text.
local function inside(expression)
	local message = run(("error('<' .. tostring(%s) .. '>', 0)"):format(expression))
	return message:match("<(.*)>") or message
end

describe("the environment of a script", function()
	it("is exactly this", function()
		local seen = {}
		local function walk(prefix, list)
			for name, value in pairs(list) do
				if type(value) == "table" then
					walk(prefix .. name .. ".", value)
				else
					seen[#seen + 1] = prefix .. name
				end
			end
		end
		walk("", sandbox.environment { loading = true })
		table.sort(seen)
		assert.same({
			"assert", "error", "getmetatable", "ipairs", "math.abs", "math.acos", "math.asin", "math.atan", "math.ceil",
			"math.cos", "math.exp", "math.floor", "math.fmod", "math.huge", "math.log", "math.max", "math.min", "math.modf",
			"math.pi", "math.random", "math.sin", "math.sqrt", "math.tan", "next", "os.date", "os.difftime", "os.time", "pairs",
			"pcall", "rawequal", "rawget", "rawset", "require", "select", "setmetatable", "string.byte", "string.char",
			"string.find", "string.format", "string.gmatch", "string.gsub", "string.len", "string.lower", "string.match",
			"string.rep", "string.reverse", "string.sub", "string.upper", "table.concat", "table.insert", "table.remove",
			"table.sort", "table.unpack", "tonumber", "tostring", "type", "unpack",
		}, seen)
	end)

	it("has none of what would lead out of it", function()
		for _, name in ipairs {
			"_G", "bit", "collectgarbage", "coroutine", "debug", "dofile", "getfenv", "io", "jit", "load", "loadfile",
			"loadstring", "module", "newproxy", "os.execute", "os.exit", "os.getenv", "os.remove", "os.rename", "os.tmpname",
			"package", "print", "rawlen", "setfenv", "string.dump", "string.pack", "utf8", "xpcall",
		} do
			assert.equal("nil", inside(name), name)
		end
	end)

	it("is each script's own", function()
		run "string.rep = 1; table.insert = 2; math.pi = 3; ipairs = 4; leaked = 5; require('moonweir.source').track = 6"
		assert.equal("aa", inside "string.rep('a', 2)")
		assert.equal("aa", inside "('a'):rep(2)")
		assert.equal("nil", inside "leaked")
		assert.equal("function", inside "type(require('moonweir.source').track)")
		assert.is_nil(rawget(_G, "leaked"))
		assert.equal(3, math.floor(math.pi))
	end)

	it("gives modules by a list of names", function()
		assert.equal("true", inside "require 'moonweir.source' == require 'moonweir.source'")
		assert.matches('acme.lua:1: require: "moonweir.sorce" is not for mapping scripts, did you mean "moonweir.source"',
			run "require 'moonweir.sorce'")
		assert.matches("is not for mapping scripts", run "require 'os'")
		assert.matches("is not for mapping scripts", run "require(nil)")
	end)

	it("can't reach the string metatable, nor those of the language", function()
		assert.equal("nil", inside "getmetatable('')")
		assert.equal("moonweir.get", inside "getmetatable(require('moonweir.source').get)")
		assert.equal("moonweir.expression", inside "getmetatable(require('moonweir.source').get 'a')")
		assert.matches("protected metatable", run "setmetatable(require('moonweir.source').get 'a', {})")
		assert.matches("can't be changed", run "rawset(require('moonweir.source').get 'a', 'op', 'x')")
		assert.matches("can't be changed", run "require('moonweir.source').get('a').colour = 1")
		assert.matches("expected a table", run "setmetatable('', {})")
	end)

	it("makes no finalizers", function()
		assert.matches("__gc and __mode are not for mapping scripts", run "setmetatable({}, { __gc = function() end })")
	end)
end)

describe("a script", function()
	it("is text", function()
		assert.matches("^acme.lua: compiled Lua is not taken", run(string.dump(function() end)))
		assert.matches("^acme.lua: compiled Lua is not taken", run "\27Lua")
		assert.matches("acme.lua", run "\0\1\2")
	end)

	it("may start with a byte order mark or a #! line", function()
		assert.matches("^acme.lua:2: here", run "\239\187\191#!/usr/bin/env moonweir\nerror 'here'")
	end)

	it("is no longer than a megabyte", function()
		assert.matches("^acme.lua: longer than", run(("-"):rep(sandbox.SCRIPT_MAX + 1)))
	end)

	it("is named by its file, without folders", function()
		local _, message = sandbox.load("examples/acme/source.lua", "error 'x'")
		assert.equal("source.lua:1: x", message)
	end)

	it("is named in front of errors that name no line", function()
		assert.equal("acme.lua: raised a table where a text was expected", run "error({})")
		assert.equal("acme.lua: no line", run "error('no line', 0)")
		assert.matches("^acme.lua:.*" .. (rawget(_G, "jit") and "too many syntax levels" or "stack overflow"),
			run("return " .. ("{"):rep(1000) .. ("}"):rep(1000)))
		assert.matches("^acme.lua: require: \"io\" is not for mapping scripts", run "return require 'io'")
	end)

	it("that is not there is told", function()
		local made, message, code = sandbox.load "/nowhere/acme.lua"
		assert.is_nil(made)
		assert.matches("/nowhere/acme.lua", message)
		assert.equal("mapping", code)
	end)
end)

-- Each of these must end by itself, with a message, and leave the next script unharmed.
describe("a hostile script", function()
	local hostile = {
		["loops without end"] = "while true do end",
		["loops inside pcall"] = "while true do pcall(function() while true do end end) end",
		["loops in nested pcalls"] = [[
local function nest(n) if n == 0 then while true do end end pcall(nest, n - 1) nest(n - 1) end
nest(20)]],
		["loops in a metamethod"] = "local t = setmetatable({}, { __index = function() while true do end end }); return t.x",
		["recurses without end"] = "local function f() return 1 + f() end f()",
		["recurses and catches that it did"] = "local function f() pcall(f) f() end f()",
		["recurses through metamethods"] = [[
local t = setmetatable({}, {}); getmetatable(t).__index = function(_, k) return t[k] end; return t.x]],
		["tail-calls without end"] = "local function f() return f() end f()",
		["doubles a string"] = "local s = 'xxxxxxxxxxxxxxxx' while true do s = s .. s end",
		["fills a table"] = "local t = {} local i = 0 while true do i = i + 1 t[i] = { i } end",
		["repeats a string"] = "('x'):rep(1e9)",
		["repeats a string by name"] = "string.rep('x', 1e9)",
		["repeats a string as often as a text says"] = "('x'):rep('1e9')",
		["repeats a separator"] = "string.rep('', 1e9, 'x')",
		["repeats nothing"] = "string.rep('', 1e15, '')",
		["repeats nothing by a method"] = "(''):rep(1e12)",
		["turns a long text over and over"] = "local s = ('x'):rep(1e7) while true do s:reverse() end",
		["reads a long number"] = "local s = ('1'):rep(1e7) while true do tonumber(s) end",
		["writes a long text in capitals"] = "local s = ('X'):rep(1e7) while true do s:upper() end",
		["calls itself from gsub"] = "local function f() return (('x'):gsub('x', f)) end f()",
		["calls itself from gsub by a table"] = [[
local t = setmetatable({}, {}) getmetatable(t).__index = function() return (('x'):gsub('x', t)) end return t.x]],
		["backtracks"] = "(('a'):rep(30000)):find(('.-'):rep(6) .. 'b')",
		["backtracks greedily"] = "(('a'):rep(30000)):match(('a*'):rep(6) .. 'b')",
		["backtracks in gsub"] = "(('a'):rep(30000)):gsub(('.-'):rep(6) .. 'b', '')",
		["backtracks in gmatch"] = "for _ in (('a'):rep(30000)):gmatch(('.-'):rep(6) .. 'b') do end",
		["backtracks over options"] = "(('a'):rep(60)):find(('a?'):rep(60) .. ('a'):rep(60) .. 'b')",
		["searches for brackets"] = "(('('):rep(100000)):find('%b()')",
		["searches for odd brackets"] = "(('+'):rep(100000)):find('%b+-')",
		["backtracks over long sets"] = "(('a'):rep(5000)):find('[' .. ('bcdefghi'):rep(110) .. 'a]-z')",
		["compares long captures"] = "(('a'):rep(1e7)):find('^(a-)%1b')",
		["searches plainly"] = "(('a'):rep(1e6)):find(('a'):rep(5e5) .. 'b', 1, true)",
		["grows by gsub"] = "local s = ('x'):rep(1e5) for i = 1, 20 do s = s:gsub('x', 'xxxxxxxxxx') end",
		["grows by gsub with captures"] = "(('x'):rep(1e6)):gsub('.*', ('%0'):rep(100))",
		["grows by gsub with a function"] = "local s = ('x'):rep(1e5) s:gsub('x', function() return s end)",
		["grows by gsub with a table"] = "local s = ('x'):rep(1e5) s:gsub('x', { x = s })",
		["grows by concat"] = "local s, t = ('x'):rep(1e6), {} for i = 1, 1000 do t[i] = s end table.concat(t)",
		["formats wide"] = "string.format('%99999999d', 1)",
		["formats precisely"] = "string.format('%.99999999f', 1)",
		["formats much"] = [[
local s, t = ('x'):rep(1e6), {}
for i = 1, 100 do t[i] = s end
string.format(('%s'):rep(100), table.unpack(t))]],
		["formats a date long"] = "os.date(('%c'):rep(1e6))",
		["sorts without order"] = [[
local t = {}
for i = 1, 1e5 do t[i] = i % 7 end
while true do table.sort(t, function() return true end) end]],
		["sorts for ever"] = "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() while true do end end)",
		["sorts by a function in C"] = "local t = {} for i = 1, 9e5 do t[i] = i end while true do table.sort(t, rawequal) end",
		["tells the time by itself"] = [[
local t = setmetatable({}, {})
getmetatable(t).__index = function() local x = os.time(t) return x end
local x = os.time(t)]],
		["inserts far away"] = "table.insert({}, 2^53, 1)",
		["inserts far before"] = "table.insert({ 1 }, -2^31, 1)",
		["removes far before"] = "table.remove({ 1, 2, 3 }, -2^31)",
		["joins from nowhere"] = "table.concat({ 1 }, '', 0/0, 0/0)",
		["joins at the end of all numbers"] = [[
table.concat(setmetatable({}, { __index = function() return '' end }), '', 2^53, 2^53 + 2)]],
		["requires what has a long name"] = "require(('x'):rep(1e7))",
		["claims a long table"] = "table.insert(setmetatable({}, { __len = function() return 2^52 end }), 1, 'x')",
		["makes a table of holes"] = "local t = {} for i = 52, 0, -1 do t[2^i] = i end table.remove(t, 1); error 'unremarkable'",
		["unpacks much"] = "local t = {} for i = 1, 1e5 do t[i] = i end; local a = { table.unpack(t) }",
		["throws nil"] = "error(nil)",
		["throws a table"] = "error({})",
		["throws a function"] = "error(function() end)",
		["throws a userdata"] = "error(require('moonweir.source').null)",
		["throws what fails to print itself"] = "error(setmetatable({}, { __tostring = function() error 'again' end }))",
		["throws what prints itself for ever"] = "error(setmetatable({}, { __tostring = function() while true do end end }))",
		["throws what prints itself as no text"] = "error(setmetatable({}, { __tostring = function() return {} end }))",
		["nests templates in themselves"] = [[
local source = require 'moonweir.source'
local t = {} t.a = t t.b = t
return source.define { slug = 'a', version = '1', event = source.get 'e', on = { x = source.track 'X' (t) } }]],
		["nests expressions in themselves"] = [[
local source = require 'moonweir.source'
local e = source.get 'a':lower()
e.args[1] = e
return source.define { slug = 'a', version = '1', event = source.get 'e', on = { x = source.track 'X' { e = e } } }]],
		["nests brackets"] = ("return " .. ("("):rep(10000) .. "1" .. (")"):rep(10000)),
	}

	-- Where it matters that the sandbox, and not chance, put an end to it.
	local says = {
		["repeats a string"] = "rep: the result would be longer",
		["repeats a string by name"] = "rep: the result would be longer",
		["repeats a string as often as a text says"] = "rep: the result would be longer",
		["repeats a separator"] = "rep: the result would be longer",
		["backtracks"] = "find: this pattern could take too long",
		["backtracks greedily"] = "match: this pattern could take too long",
		["backtracks in gsub"] = "gsub: this pattern could take too long",
		["backtracks in gmatch"] = "gmatch: this pattern could take too long",
		["backtracks over options"] = "find: this pattern could take too long",
		["backtracks over long sets"] = "find: this pattern could take too long",
		["compares long captures"] = "find: this pattern could take too long",
		["repeats nothing"] = "^acme.lua:1: rep: ",
		["repeats nothing by a method"] = "^acme.lua:1: rep: ",
		["turns a long text over and over"] = "^acme.lua:1: longer than 5000 ms",
		["writes a long text in capitals"] = "^acme.lua:1: longer than 5000 ms",
		["calls itself from gsub"] = "^acme.lua:1: gsub: functions that gsub calls nest too deep",
		["calls itself from gsub by a table"] = "^acme.lua:1: gsub: functions that gsub calls nest too deep",
		["sorts by a function in C"] = "^acme.lua:1: ",
		["tells the time by itself"] = "^acme.lua:%d: .*stack overflow",
		["inserts far away"] = "^acme.lua:1: bad argument #2 to 'insert' %(position out of bounds%)",
		["inserts far before"] = "^acme.lua:1: bad argument #2 to 'insert' %(position out of bounds%)",
		["removes far before"] = "^acme.lua:1: bad argument #2 to 'remove' %(position out of bounds%)",
		["joins from nowhere"] = "^acme.lua:1: concat: that is not a list",
		["joins at the end of all numbers"] = "^acme.lua:1: concat: that is not a list",
		["requires what has a long name"] = "^acme.lua:1: require: \"x+…\" is not for mapping scripts",
		["searches for brackets"] = "find: this pattern could take too long",
		["searches for odd brackets"] = "find: this pattern could take too long",
		["searches plainly"] = "find: the texts are too long",
		["grows by gsub"] = "gsub: the result could be too long",
		["grows by gsub with captures"] = "gsub: the result could be too long",
		["grows by gsub with a function"] = "gsub: the result is too long",
		["grows by gsub with a table"] = "gsub: the result is too long",
		["grows by concat"] = "concat: the result would be too long",
		["formats wide"] = "format: a width has two digits",
		["formats much"] = "format: the result could be too long",
		["formats a date long"] = "os.date: expected a format of up to 200",
		["claims a long table"] = "table.insert: the table has a metatable",
		["unpacks much"] = "unpack: that is not a list of up to 200",
		["nests templates in themselves"] = "nested too deep",
		["nests expressions in themselves"] = "nested too deep",
	}

	for what, text in pairs(hostile) do
		it("that " .. what .. " is stopped, and the next one runs", function()
			local message = run(text)
			assert.is_true(#message > 0 and #message < 1000)
			if says[what] then
				assert.matches(says[what], message)
			end
			assert.equal("3", inside "1 + 2")
			assert.equal("aa", ("a"):rep(2))
		end)
	end

	it("is named with its own line when a limit is met inside one of the sandbox's functions", function()
		local made = assert(sandbox.load("acme.lua", [[
local source = require "moonweir.source"
return source.define { slug = "a", version = "1", event = source.get "e", on = { x = function()
	while true do ("x"):rep(2):find("y") end
end } }]]))
		for instructions = 20000, 40000, 1000 do
			local ok, message = core.guard_call(made.entries[1].run, { instructions = instructions, time_ms = 60000 })
			assert.is_false(ok)
			assert.matches("^acme.lua:3: more than %d+ instructions", message)
		end
	end)

	it("removes the last of a list, also of an empty one", function()
		assert.equal("1nil", inside [[(function()
			local t = { 1 }
			local last, none = table.remove(t, #t), table.remove(t, #t)
			return tostring(last) .. tostring(none)
		end)()]])
	end)

	it("inserts into a list, and not far away from it", function()
		assert.equal("123", inside [[(function()
			local t = { 2 } table.insert(t, 1, 1) table.insert(t, '3', 3) return table.concat(t)
		end)()]])
		for _, at in ipairs { "0", "-2e9", "'-2e9'", "3", "1e300", "0/0" } do
			assert.matches("^acme.lua:1: bad argument #2 to 'insert' %(position out of bounds%)",
				run(("table.insert({ 1 }, %s, 'x')"):format(at)))
		end
	end)

	it("that closes over a loop does not stop the host", function()
		local made = assert(sandbox.load("acme.lua", [[
local source = require "moonweir.source"
return source.define { slug = "a", version = "1", event = source.get "e", on = { x = function() while true do end end } }]]))
		local ok, message = core.guard_call(made.entries[1].run, "event")
		assert.is_false(ok)
		assert.is_string(message)
	end)
end)

describe("a script's strings", function()
	it("are those of Lua within their bounds", function()
		for call, expected in pairs {
			["('a,b'):find(',')"] = "2", ["('a.b'):find('.', 1, true)"] = "2", ["('  x '):match('^%s*(.-)%s*$')"] = "x",
			["('aXb'):gsub('%u', '-')"] = "a-b", ["('ab'):gsub('(a)(b)', '%2%1')"] = "ba",
			["('abc'):gsub('%w', { a = '1', b = false })"] = "1bc",
			["('abc'):gsub('%w', function(c) return c .. c end, 2)"] = "aabbc",
			["('x'):rep(3, '-')"] = "x-x-x", ["('x'):rep(-1)"] = "", ["('5%%1000'):format()"] = "5%1000",
			["('%5.2f|%-4s|%q'):format(1.5, 'a', 'b')"] = ' 1.50|a   |"b"',
			["#('abc')"] = "3", ["('abc'):len()"] = "3", ["('abc'):sub(-2)"] = "bc", ["('abc'):byte(2)"] = "98",
			["table.concat({ 1, 'b' }, '-')"] = "1-b", ["select('#', table.unpack({ 1, nil, 3 }, 1, 3))"] = "3",
			["(function() local t = {} for w in ('a b c'):gmatch('%a') do t[#t + 1] = w end return table.concat(t) end)()"] = "abc",
			["(function() local t = { 3, 1, 2 } table.sort(t) return table.concat(t) end)()"] = "123",
			["('[x]'):match('[]x]+')"] = "x]", ["('f(a(b)c)d'):match('%b()')"] = "(a(b)c)", ["('THE (q)'):find('%f[%a]%a+%f[%A]')"] = "1",
		} do
			assert.equal(expected, inside(("(%s)"):format(call)), call)
		end
	end)

	it("errors have the script's line", function()
		assert.matches("^acme.lua:2: rep: ", run "\n('x'):rep(1e9)")
		assert.matches("^acme.lua:2: find: this pattern could take too long", run("\n(('a'):rep(30000)):find(('.-'):rep(6) .. 'b')"))
		assert.matches("^acme.lua:1: .*malformed pattern", run "local x = ('x'):find('[')")
		assert.matches("^acme.lua:1: bad argument #1 to 'find'", run "string.find(nil, 'x')")
		assert.matches("^acme.lua:1: bad argument #2 to '[string.]*format'", run "local x = string.format('%d', 'x')")
		for _, name in ipairs { "type", "next", "pcall", "setmetatable", "string.rep" } do
			assert.matches("^acme.lua:2: ", run("\nlocal x = " .. name .. "()"))
			assert.matches("^acme.lua:2: ", run("\nlocal function f() return " .. name .. "() end local x = f()"))
		end
		assert.equal("acme.lua:1: bad argument #1 to 'type' (value expected)", run "local x = type()")
		assert.equal("nil", inside "type(nil)")
		assert.equal("acme.lua:1: mine", inside "select(2, pcall(function() error 'mine' end))")
		assert.equal("true4", inside "(function(ok, _, v) return tostring(ok) .. v end)(pcall(select, 1, nil, 4))")
		assert.matches("^acme.lua:2: mine", run "('x'):gsub('x',\nfunction() error 'mine' end)")
		assert.matches("^acme.lua:1: wrong number of arguments to 'insert'", run "table.insert({}, 1, 2, 3)")
		assert.matches("^acme.lua:1: concat: expected a list, got a nil", run "table.concat(nil)")
		assert.matches("^acme.lua:1: .*malformed pattern", run "local x = ('x'):match('%')")
		assert.matches("^acme.lua:1: bad argument #3 to '[string.]*match'", run "local x = ('x'):match('x', {})")
		assert.matches("^acme.lua:1: .*compare", run "table.sort { 1, 'a' }")
		assert.matches("^acme.lua:2: .*compare", run "table.sort({ 1, 2 },\nfunction(a) return a < {} end)")
		assert.matches("^acme.lua:1: next: expected a table, got nil", run "local x = next(nil)")
		assert.matches("^acme.lua:1: bad argument #1 to 'rawset'", run "rawset(1, 2, 3)")
		assert.matches("^acme.lua:1: bad argument #2 to '[string.]*tonumber'", run "local x = tonumber('1', 99)")
		assert.matches("^acme.lua:1: unpack: .* 200 values", run "local x = table.unpack({}, 1, 1e300)")
		-- Where the call took its caller's place, the script's next line that is still there; nowhere the sandbox's own.
		assert.matches("^acme.lua:1: rep: ", run "('x'):gsub('x', function()\nreturn ('x'):rep(1e9)\nend)")
		assert.matches("^acme.lua:[12]: rep: ", run "local function f() return ('x'):rep(1e9) end\nlocal x = f()")
		assert.matches("^acme.lua:%d: .*stack overflow", run [[
local t = setmetatable({}, {})
getmetatable(t).__tostring = function() return string.format('%s', t) end
local x = string.format('%s', t)]])
	end)

	it("take the patterns that people write on long texts", function()
		local text = ("Lorem ipsum dolor, sit amet. "):rep(3000)
		assert.equal(text:match("^%s*(.-)%s*$"), strings.match(text, "^%s*(.-)%s*$"))
		assert.equal(text, strings.match(text, "^(.*)$"))
		assert.equal(text:match("dolor.+"), strings.match(text, "dolor.+"))
		assert.equal((text:gsub("%s+", " ")), (strings.gsub(text, "%s+", " ")))
		assert.equal("example.com", strings.match(text .. "someone@example.com", "@([%w.-]+)$"))
		local html = ("<p>some <b>text</b></p>\n"):rep(300)
		assert.equal((html:gsub("<[^>]+>", "")), (strings.gsub(html, "<[^>]+>", "")))
	end)
end)
