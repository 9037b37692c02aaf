--- Whatever is wrong with what comes in is told in a clear message with a code, and harms nothing next to it: the good
--- neighbours in the same body arrive. All through the Lua API, against a server on loopback.

local cjson = require "cjson"
local core = require "moonweir.core"
local mw = require "moonweir"
local child = require "spec.support.child"
local process = core.process

local DEADLINE = 120 -- seconds; generous, as machines under test are busy

local SCRIPT = [[
	local source = require "moonweir.source"
	local get = source.get
	return source.define {
		slug = "acme", version = "1.0.0",
		account = get "account", event = get "type", id = get "id", user = source.user { get "user" },
		on = {
			good = source.track "Good" { n = get "n", text = get "text" },
			name = source.track(get "name") {},
			raises = function(event) error("the script says no to " .. event.n) end,
			["raises a table"] = function() error { secret = 1 } end,
			["raises nothing"] = function() error() end,
			loops = function() while true do end end,
			["loops in pcall"] = function() while true do pcall(function() while true do end end) end end,
			recurses = function() local function f() return 1 + f() end return f() end,
			eats = function() local all = {} for i = 1, 1e9 do all[i] = ("x"):rep(10000) .. i end end,
			["eats at once"] = function() local s = "x" for _ = 1, 60 do s = s .. s end end,
			["returns NaN"] = source.track "NaN" { n = get "n":apply(function(n) return n - n + 0 / 0 end) },
			["emits a function"] = function(event, emit) emit(source.track "F" { f = print or tostring }, { user = "u" }) end,
			["emits a cycle"] = function(event, emit) local t = {} t.t = t emit(source.track "C" { t = t }, { user = "u" }) end,
			["emits two, then fails"] = function(event, emit)
				emit(source.track "1" {}, { user = "u" })
				emit(source.track "2" {}, { user = "u" })
				error "too late"
			end,
		},
	}
]]

local server

setup(function()
	local messages = child.folder() .. "/messages"
	local pipe = io.popen(("echo $$; exec %s --messages '%s'"):format(os.getenv "MW_MOCKSERVER", messages))
	local pid = tonumber(pipe:read "*l")
	local port = tonumber(pipe:read "*l":match "%d+")
	server = {
		url = "http://127.0.0.1:" .. port,
		control = function(script)
			assert.equal(200, (child.http(port, "POST", "/control", {}, script)))
		end,
		--- What has arrived so far, decoded, and forgotten.
		arrived = function()
			local list = {}
			for line in (child.read(messages) or ""):gmatch "[^\n]+" do
				list[#list + 1] = cjson.decode(line)
			end
			io.open(messages, "w"):close()
			return list
		end,
		finish = function()
			os.execute(("kill -TERM %d"):format(pid))
			pipe:close()
		end,
	}
end)

teardown(function()
	server.finish()
	child.clean()
end)

local function open(options)
	options = options or {}
	options.endpoint = options.endpoint or server.url
	options.rate = options.rate or 0
	options.linger = options.linger or 0.001
	options.write_key = options.write_key or "key"
	return assert(mw.open(options))
end

local path
local function open_script(options)
	path = path or child.file("acme.lua", SCRIPT)
	options = options or {}
	options.source = path
	return open(options)
end

local function good(n)
	return ('{"type":"good","user":"u1","account":"a1","id":"%s","n":%s}'):format(n, n)
end

--- Pushes `bad` as a line between two good ones, and gives the one problem; the good ones must arrive.
local function problem_of(bad, client)
	local own = not client
	client = client or open_script()
	local body = good(1) .. "\n" .. bad .. "\n" .. good(2)
	local queued, message, code, problems, tally = client:push(body, { format = "ndjson" })
	assert.equal(2, queued, message)
	assert.equal(1, #problems)
	assert.equal(problems[1].message, message)
	assert.equal(problems[1].code, code)
	assert.equal(2, problems[1].index)
	assert.equal(1, tally.failed)
	assert.is_true(client:flush(DEADLINE))
	local list = server.arrived()
	assert.equal(2, #list)
	assert.same({ 1, 2 }, { list[1].properties.n, list[2].properties.n })
	assert.equal(2, client:stats().delivered)
	if own then
		assert.is_true(client:close(DEADLINE))
	end
	return problems[1]
end

--- The same error must come of the event alone.
local function alone(body, opts)
	local client = open_script()
	local queued, message, code = client:push(body, opts)
	assert.is_nil(queued)
	assert.is_string(message)
	assert.equal(0, client:stats().accepted)
	assert.is_true(client:close(0)) -- nothing was left
	return message, code
end

describe("an event that is not JSON", function()
	for what, case in pairs {
		malformed = { '{"type":"good",}', "byte 16: " },
		truncated = { '{"type":"good","user":"u1","te', "byte 31: .*ends here" },
		["followed by more"] = { '{}x', "byte 3: " },
		["a word"] = { "nothing", "byte 1: " },
		["cut in a character"] = { '{"type":"go\\u00', "byte 12: " },
		["no UTF-8"] = { '{"type":"good","user":"\255\254"}', "UTF%-8" },
		["half a surrogate pair"] = { '{"type":"good","user":"\\ud800"}', "surrogate" },
		["overlong UTF-8"] = { '{"type":"good","user":"\192\175"}', "UTF%-8" },
		["with a NUL"] = { '{"type":"good","user":"a\0b"}', "byte 25: " },
	} do
		it("is told with its place, " .. what, function()
			local problem = problem_of(case[1])
			assert.equal("json", problem.code)
			assert.matches(case[2], problem.message)
			assert.equal(case[1], problem.raw)
			local _, code = alone(case[1])
			assert.equal("json", code)
		end)
	end

	it("is told if it nests 100,000 deep, in arrays or in objects", function()
		for _, deep in ipairs { ("["):rep(1e5) .. ("]"):rep(1e5), ('{"a":'):rep(1e5) .. "1" .. ("}"):rep(1e5), ("["):rep(1e5) } do
			local problem = problem_of(deep)
			assert.equal("too_large", problem.code)
			assert.matches("^byte %d+: nested deeper than 128 levels", problem.message)
		end
	end)

	it("is told if it is 100 MB, without a copy of it", function()
		local event = '{"type":"good","user":"u1","text":"' .. ("x"):rep(100 * 1000 * 1000) .. '"}'
		local message, code = alone(event)
		assert.equal("too_large", code)
		assert.matches("16", message)
		local client = open_script()
		local queued, _, _, problems = client:push(good(1) .. "\n" .. event .. "\n" .. good(2), { format = "ndjson" })
		-- Lines are events of their own, each with the limit of one.
		assert.equal(2, queued)
		assert.equal("too_large", problems[1].code)
		assert.is_true(#problems[1].raw <= 64 * 1024)
		assert.is_true(client:close(DEADLINE))
		assert.equal(2, #server.arrived())
	end)
end)

describe("an event that lacks something", function()
	for what, case in pairs {
		["a type"] = { '{"user":"u1","account":"a1"}', "no_event" },
		["a type that is text"] = { '{"type":{},"user":"u1","account":"a1"}', "mapping" },
		["a user"] = { '{"type":"good","account":"a1"}', "no_user" },
		["a user that is not empty"] = { '{"type":"good","user":"","account":"a1"}', "no_user" },
		["an entry"] = { '{"type":"never heard of","user":"u1","account":"a1"}', "unmatched" },
		["an event name"] = { '{"type":"name","user":"u1","account":"a1","name":""}', "invalid" },
	} do
		it("is told by what it lacks: " .. what, function()
			local problem = problem_of(case[1])
			assert.equal(case[2], problem.code)
			assert.is_true(#problem.message > 10)
		end)
	end

	it("is told by what it lacks: an account", function()
		local client = assert(mw.open {
			source = child.file("acme.lua", SCRIPT), endpoint = server.url, linger = 0.001, accounts = { a1 = "key" },
		})
		assert.equal("no_account", problem_of('{"type":"good","user":"u1"}', client).code)
		assert.equal("no_account", select(3, client:push '{"type":"good","user":"u1","account":""}'))
		local ok, _, code = mw.open { endpoint = server.url }:track(nil, { userId = "u", event = "E" })
		assert.is_nil(ok)
		assert.equal("no_account", code)
		assert.is_true(client:close(DEADLINE))
	end)

	it("keeps its secrets: a stranger's account waits without a key, and the others go on", function()
		local client = assert(mw.open { source = path, endpoint = server.url, linger = 0.001, accounts = { a1 = "key" } })
		assert.equal(1, client:push '{"type":"good","user":"u1","account":"stranger","n":9}')
		assert.equal(1, client:push(good(1)))
		local ok, message, code = client:flush(DEADLINE)
		assert.same({ code = "parked" }, { ok = ok, code = code })
		assert.is_string(message)
		assert.equal(1, #server.arrived())
		ok, message, code = client:close(0)
		assert.is_nil(ok)
		assert.equal("parked", code)
		assert.matches("1 message was left undelivered", message)
	end)
end)

describe("a message over 32,000 bytes", function()
	it("is refused at the first byte too many, from a mapping", function()
		local function event(length)
			return ('{"type":"good","user":"u1","account":"a1","id":"big","n":1,"text":"%s"}'):format(("x"):rep(length))
		end
		local map = assert(mw.load(path))
		local room = 32000 - #map:map(event(0))[1].message
		assert.equal(32000, #map:map(event(room))[1].message)
		local problem = problem_of(event(room + 1))
		assert.equal("too_large", problem.code)
		assert.matches("32001", (problem.message:gsub("[,.]", "")))
		local client = open_script()
		assert.equal(1, client:push(event(room)))
		assert.is_true(client:close(DEADLINE))
		assert.equal(room, #server.arrived()[1].properties.text)
	end)

	it("is refused at the first byte too many, from a table", function()
		local client = open()
		local function track(length)
			return client:track("a1", { userId = "u", event = "E", messageId = "m", timestamp = 1700000000,
				properties = { text = ("x"):rep(length) } })
		end
		local _, message = track(40000)
		local room = 40000 + 32000 - tonumber((message:gsub("[,.]", "")):match "(4%d%d%d%d)")
		assert.is_true(track(room))
		local ok, _, code = track(room + 1)
		assert.is_nil(ok)
		assert.equal("too_large", code)
		assert.is_true(client:close(DEADLINE))
		assert.equal(room, #server.arrived()[1].properties.text)
	end)
end)

describe("a Lua table that is no JSON", function()
	local cycle = {}
	cycle.list = { { cycle } }
	local deep = {}
	do
		local at = deep
		for _ = 1, 1e5 do
			at.x = {}
			at = at.x
		end
	end
	for what, case in pairs {
		["that holds itself"] = { cycle, "does a table hold itself" },
		["100,000 deep"] = { deep, "nested too deep" },
		["list and names mixed"] = { { 1, 2, x = 3 }, "both list and named" },
		["with gaps"] = { { [1] = 1, [3] = 3 }, "gaps" },
		["with a fraction as key"] = { { [1.5] = 1 }, "1, 2, 3" },
		["with a boolean as key"] = { { [true] = 1 }, "key" },
		["with a function"] = { { f = print }, "function" },
		["with a coroutine"] = { { c = coroutine.create(print) }, "coroutine" },
		["with a file"] = { { f = io.stdout }, "userdata" },
		["with NaN"] = { { n = 0 / 0 }, "NaN" },
		["with infinity"] = { { n = -math.huge }, "infinity" },
		["with text that is not UTF-8"] = { { s = "\255" }, "UTF%-8" },
		["with a key that is not UTF-8"] = { { ["\255"] = 1 }, "UTF%-8" },
	} do
		it("is told with its path: " .. what, function()
			local client = open_script()
			assert.is_true(client:track("a1", { userId = "u", event = "Before" }))
			local ok, message, code = client:track("a1", { userId = "u", event = "E", properties = { deep = { case[1] } } })
			assert.is_nil(ok)
			assert.equal("invalid", code)
			assert.matches("^properties.deep%[1%]", message)
			assert.matches(case[2], message)
			ok, message, code = client:push { type = "good", user = "u1", account = "a1", text = case[1] }
			assert.is_nil(ok)
			assert.equal("invalid", code)
			assert.matches("^text", message)
			assert.is_true(client:track("a1", { userId = "u", event = "After" }))
			assert.is_true(client:close(DEADLINE))
			local list = server.arrived()
			assert.same({ "Before", "After" }, { list[1].event, list[2].event })
			assert.is_nil(list[3])
		end)
	end

	it("runs none of its metamethods", function()
		local client = open()
		local function never() error "a metamethod ran" end
		local hostile = setmetatable({ x = 1 }, { __index = never, __pairs = never, __len = never, __tostring = never, __call = never })
		assert.is_true(client:track("a1", { userId = "u", event = "E", properties = hostile }))
		assert.is_true(client:close(DEADLINE))
		assert.same({ x = 1 }, server.arrived()[1].properties)
	end)
end)

--- Whether one of several patterns is there; which limit a script meets first depends on the machine.
local function says(message, patterns)
	for either in patterns:gmatch "[^|]+" do
		if message:find(either) then
			return true
		end
	end
	return false
end

describe("a mapping script", function()
	for what, case in pairs {
		["with a syntax error"] = { "return {\n\n= }", "bad.lua:3:" },
		["that raises"] = { "error 'not today'", "bad.lua:1: not today" },
		["that loops"] = { "local x\nwhile true do x = 1 end", "bad.lua:2: more than %d+ instructions|bad.lua:2: longer than" },
		["that recurses"] = { "local function f() return 1 + f() end f()", "overflow|memory|longer than" },
		["that eats memory"] = { "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(10000) .. i end", "memory|longer than" },
		["that returns nothing"] = { "", "bad.lua" },
		["that is bytecode"] = { string.dump(function() end), "bad.lua" },
		["that asks for more than it gets"] = { "os.execute 'true'", "bad.lua:1:" },
	} do
		it("is not opened, and says where it fails: " .. what, function()
			local before = collectgarbage "count"
			local client, message, code = mw.open { source = child.file("bad.lua", case[1]), endpoint = server.url, write_key = "key" }
			assert.is_nil(client)
			assert.equal("mapping", code)
			assert.is_true(says(message, case[2]), message)
			collectgarbage()
			assert.is_true(collectgarbage "count" < before + 32 * 1024)
		end)
	end

	for what, pattern in pairs {
		raises = "acme.lua:%d+: the script says no to 7",
		["raises a table"] = "table",
		["raises nothing"] = "nil",
		loops = "acme.lua:%d+: more than %d+ instructions|acme.lua:%d+: longer than",
		["loops in pcall"] = "acme.lua:%d+: more than %d+ instructions|acme.lua:%d+: longer than",
		recurses = "overflow|memory|longer than", -- whichever comes first
		eats = "memory|longer than",
		["eats at once"] = "memory|longer than",
		["emits two, then fails"] = "too late",
	} do
		it("fails on one event only, and says where: one that " .. what, function()
			local problem = problem_of(('{"type":"%s","user":"u1","account":"a1","n":7}'):format(what))
			assert.equal("mapping", problem.code)
			assert.is_true(says(problem.message, pattern), problem.message)
		end)
	end

	for what, pattern in pairs {
		["returns NaN"] = "NaN", ["emits a function"] = "function", ["emits a cycle"] = "hold itself",
	} do
		it("fails on one event only: one that " .. what, function()
			local problem = problem_of(('{"type":"%s","user":"u1","account":"a1","n":7}'):format(what))
			assert.is_true(problem.code == "mapping" or problem.code == "invalid")
			assert.matches(pattern, problem.message)
			assert.matches("acme.lua:%d+", problem.message)
		end)
	end
end)

describe("a wrong write key", function()
	for what, key in pairs {
		empty = "", ["with a line end"] = "s3cretKey\n", ["with a carriage return"] = "s3cretKey\rX-Evil: 1",
		["with a colon"] = "s3cret:Key", ["with blanks"] = " s3cret Key ", ["with a NUL"] = "s3cret\0Key",
		["with a letter that is not ASCII"] = "s3cretKéy", ["129 characters long"] = ("s3cretKey"):rep(15):sub(1, 129),
	} do
		it("is refused, and never quoted: " .. what, function()
			local function check(result, message, code)
				assert.is_nil(result)
				assert.equal("bad_key", code)
				assert.matches("write key", message)
				assert.is_nil(message:find("s3cret", 1, true))
			end
			check(mw.open { endpoint = server.url, write_key = key })
			check(mw.open { endpoint = server.url, accounts = { a1 = key } })
			local client = open()
			check(client:set_account("a1", { write_key = key }))
			-- The key that was there is still in use.
			assert.is_true(client:track("a1", { userId = "u", event = "E" }))
			assert.is_true(client:close(DEADLINE))
			assert.equal(1, #server.arrived())
		end)
	end

	it("of 128 characters is a key", function()
		local client = open { write_key = ("k"):rep(128) }
		assert.is_true(client:track("a1", { userId = "u", event = "E" }))
		assert.is_true(client:close(DEADLINE))
		assert.equal(1, #server.arrived())
	end)

	it("of the wrong type raises, and is not quoted", function()
		for _, options in ipairs {
			{ write_key = 53170 }, { write_key = { "s3cret" } }, { accounts = { a1 = 53170 } }, { accounts = { a1 = {} } },
			{ writekey = "s3cret" }, { accounts = { "s3cret" } },
		} do
			local ok, message = pcall(mw.open, options)
			assert.is_false(ok)
			assert.is_nil(message:find "s3cret")
			assert.is_nil(message:find "53170")
		end
	end)

	it("that the server refuses parks its account alone, until a new one is set", function()
		server.control "key revoked 401\n"
		local client = assert(mw.open { endpoint = server.url, linger = 0.001, accounts = { a1 = "revoked", a2 = "key" } })
		assert.is_true(client:track("a1", { userId = "u", event = "One" }))
		assert.is_true(client:track("a2", { userId = "u", event = "Two" }))
		local _, _, code = client:flush(DEADLINE)
		assert.equal("parked", code)
		assert.equal("Two", server.arrived()[1].event)
		local reports = client:poll()
		assert.same({ "a1", "parked", 401 }, { reports[1].account, reports[1].outcome, reports[1].status })
		for _, lane in ipairs(client:lanes()) do
			assert.is_nil((lane.last_error or ""):find "revoked")
		end
		assert.is_true(client:set_account("a1", { write_key = "fresh" }))
		assert.is_true(client:close(DEADLINE))
		assert.equal("One", server.arrived()[1].event)
		server.control "reset\n"
	end)
end)

describe("a wrong endpoint", function()
	for what, case in pairs {
		["no URL"] = { "segment", "https" },
		["plain HTTP to another machine"] = { "http://api.segment.io", "https://" },
		["with a password"] = { "https://me:s3cret@api.segment.io", "password" },
		["with a line end"] = { "https://a.b/\r\nX: 1", "byte" },
		["with a query"] = { "https://a.b/?x=s3cret", "query" }, ["another protocol"] = { "ftp://a.b", "https" },
		["a port that is none"] = { "https://a.b:99999", "port" },
		["with a NUL"] = { "https://a.b\0.example", "byte" },
	} do
		it("is refused: " .. what, function()
			for _, options in ipairs {
				{ endpoint = case[1], write_key = "key" },
				{ endpoint = server.url, accounts = { a1 = { write_key = "key", endpoint = case[1] } } },
			} do
				local client, message, code = mw.open(options)
				assert.is_nil(client)
				assert.equal("bad_endpoint", code)
				assert.is_true(says(message, case[2]), message)
				assert.is_nil(message:find "s3cret")
			end
		end)
	end

	it("that nobody answers at keeps every message, and says so", function()
		local client = open { endpoint = "http://127.0.0.1:1" }
		for i = 1, 3 do
			assert.is_true(client:track("a1", { userId = "u", event = "E" .. i }))
		end
		local until_ = process.monotonic() + DEADLINE
		local lane
		repeat
			process.wait(0.005)
			lane = client:lanes()[1]
		until lane and lane.last_error or process.monotonic() > until_
		assert.matches("connection refused by 127.0.0.1:1", lane.last_error)
		local ok, message, code = client:close(0.01)
		assert.is_nil(ok)
		assert.equal("timeout", code)
		assert.matches("3 messages were left undelivered", message)
		local stats = client:stats()
		assert.equal(3, stats.accepted)
		assert.equal(3, stats.queued + stats.in_flight)
		assert.equal(0, stats.dead + stats.delivered)
	end)
end)

describe("a full queue", function()
	it("takes a body whole or not at all, tells the caller, and recovers", function()
		server.control "stall\n"
		local client = open_script { queue_bytes = 64000 }
		local taken, n = 0, 0 -- a body is 3 messages of 5 KB
		local text = ("x"):rep(5000)
		local function body(count)
			local lines = {}
			for i = 1, count do
				n = n + 1
				lines[i] = ('{"type":"good","user":"u1","account":"a1","id":"%d","n":%d,"text":"%s"}'):format(n, n, text)
			end
			return table.concat(lines, "\n")
		end
		local queued, message, code
		for _ = 1, 100 do
			queued, message, code = client:push(body(3), { format = "ndjson" })
			if not queued then
				break
			end
			taken = taken + queued
		end
		assert.is_nil(queued)
		assert.equal("full", code)
		assert.matches("full", message)
		assert.equal(taken, client:stats().accepted) -- of the last body nothing
		assert.equal("full", select(3, client:push(body(3), { format = "ndjson", wait = 0.001 })))
		-- What would never fit is told as that.
		assert.equal("too_large", select(3, client:push(body(20), { format = "ndjson" })))
		-- Something smaller may still fit, and the six calls share the bound.
		local small = 0
		while client:track("a1", { userId = "u", event = "E" }) do
			small = small + 1
			assert.is_true(small < 1000)
		end
		assert.equal(taken + small, client:stats().accepted)
		local stats = client:stats()
		assert.is_true(stats.queued_bytes <= 64000)
		assert.is_nil((client:close(0.01)))

		server.control "reset\n"
		server.arrived()
		client = open_script { queue_bytes = 64000 }
		local last = 0
		for _ = 1, 30 do -- six times the queue
			queued = client:push(body(3), { format = "ndjson", wait = DEADLINE })
			assert.equal(3, queued)
			last = last + queued
		end
		assert.is_true(client:close(DEADLINE))
		assert.equal(last, #server.arrived())
	end)
end)

describe("a client that is closed", function()
	it("raises whatever it is asked to do, and still tells what became of its messages", function()
		local client = open_script()
		assert.equal(1, client:push(good(1)))
		assert.is_true(client:close(DEADLINE))
		assert.is_true(client:close()) -- once more is no mistake
		for _, call in ipairs {
			function() client:push(good(2)) end,
			function() client:track("a1", { userId = "u", event = "E" }) end,
			function() client:identify("a1", { userId = "u" }) end,
			function() client:flush() end,
			function() client:sync() end,
			function() client:set_account("a1", { write_key = "k" }) end,
		} do
			local ok, message = pcall(call)
			assert.is_false(ok)
			assert.matches("closed", message)
		end
		assert.equal(1, client:stats().delivered)
		assert.equal(1, client:lanes()[1].delivered)
		assert.same({}, client:poll())
		assert.matches("closed", tostring(client))
		server.arrived()
	end)
end)

describe("options", function()
	it("that no clock or memory can bear are refused", function()
		for name, value in pairs {
			linger = 1e300, timeout = 1e300, queue_bytes = 1e300, rate = -1, retries = 0.5, batch_messages = 1e9,
		} do
			local ok, message = pcall(mw.open, { write_key = "key", [name] = value })
			assert.is_false(ok)
			assert.matches(name, message)
		end
	end)

	it("of a call are told by their names, and alike on both Luas", function()
		local client = open_script()
		local nan = 0 / 0
		for name, wrong in pairs {
			wait = { nan, 1 / 0, -1, "1", true }, sync = { nan, -1, "1", {} }, now = { nan, 1 / 0, 0.5, "1" }, tag = { nan, "x" },
		} do
			for _, value in ipairs(wrong) do
				local ok, message = pcall(client.push, client, good(1), { [name] = value })
				assert.is_false(ok)
				assert.matches("^" .. name .. " must be ", message)
				if name ~= "now" then
					ok, message = pcall(client.track, client, "a1", { userId = "u", event = "E" }, { [name] = value })
					assert.is_false(ok)
					assert.matches("^" .. name .. " must be ", message)
				end
			end
		end
		for method, values in pairs {
			flush = { nan, -1, "1" }, sync = { nan, -1 }, close = { nan, -1 }, poll = { nan, 0.5, -1 }, is_safe = { nan, 0.5, -1 },
		} do
			for _, value in ipairs(values) do
				assert.has_error(function() client[method](client, value) end)
			end
		end
		assert.is_true(client:close(DEADLINE))
		assert.same({}, server.arrived())
	end)

	it("that name no file, no source and no account are refused where they are given", function()
		for name, value in pairs {
			spool = "/tmp/mw\0x", state = "/tmp/mw\0x", source = "a\0b", ca_file = "/etc\0x", account = ("a"):rep(256),
		} do
			assert.error_matches(function() mw.open { write_key = "key", [name] = value } end,
				"^moonweir.open: " .. name .. " must be ")
		end
		assert.is_nil(io.open "/tmp/mw")
		for _, source in ipairs { {}, 5, "", "a\0b" } do
			assert.error_matches(function() mw.load(source) end, "^load: the source must be ")
		end
		local client = open_script()
		assert.error_matches(function() client:reload {} end, "^reload: the source must be ")
		assert.is_true(client:close(DEADLINE))
	end)

	it("of an account that nobody knows are refused: its key would go to another region", function()
		local entry = { write_key = "canary01", endpont = "eu" }
		local ok, message = pcall(mw.open, { accounts = { acme = entry } })
		assert.is_false(ok)
		assert.matches('account "acme": no member "endpont", did you mean "endpoint"?', message, 1, true)
		for _, other in ipairs { { write_key = "canary01", endpoint = true }, { "canary01" } } do
			ok, message = pcall(mw.open, { accounts = { acme = other } })
			assert.is_false(ok)
			assert.not_matches("canary", message)
		end
		local client = open_script()
		assert.error_matches(function() client:set_account("acme", entry) end, 'no option "endpont"')
		assert.is_true(client:close(DEADLINE))
	end)
end)

-- Only LuaJIT can fork by itself; spec/c/engine_life_test.c does the same from C for both.
local ffi = rawget(_G, "jit") and not os.getenv "MW_TSAN" and require "ffi"
if ffi then
	ffi.cdef [[
		int fork(void);
		int waitpid(int pid, int *status, int options);
		void _exit(int code);
	]]
	describe("a client in a child process", function()
		it("refuses to work, and the parent's goes on", function()
			local client = open_script()
			assert.equal(1, client:push(good(1)))
			local pid = ffi.C.fork()
			if pid == 0 then
				local wrong = 0
				local function check(bit, result, message, code)
					if result ~= nil or code ~= "forked" or not message:find "fork" then
						wrong = wrong + bit
					end
				end
				local fine = pcall(function()
					check(1, client:push(good(2)))
					check(2, client:track("a1", { userId = "u", event = "E" }))
					check(4, client:stats())
					check(8, client:lanes())
					check(16, client:poll())
					check(32, client:sync())
					check(64, client:flush(DEADLINE))
					check(128, client:close(DEADLINE))
					client = nil
					collectgarbage()
				end)
				ffi.C._exit(fine and wrong or 255)
			end
			local status = ffi.new "int[1]"
			assert.equal(pid, ffi.C.waitpid(pid, status, 0))
			assert.equal(0, status[0])
			assert.equal(1, client:push(good(3)))
			assert.is_true(client:close(DEADLINE))
			assert.equal(2, #server.arrived())
		end)

		it("can open one of its own", function()
			local parent = open_script()
			local pid = ffi.C.fork()
			if pid == 0 then
				local fine, delivered = pcall(function()
					local client = open()
					assert(client:track("a1", { userId = "u", event = "Child" }))
					return client:close(DEADLINE)
				end)
				ffi.C._exit(fine and delivered and 0 or 1)
			end
			local status = ffi.new "int[1]"
			ffi.C.waitpid(pid, status, 0)
			assert.equal(0, status[0])
			assert.is_true(parent:close(DEADLINE))
			assert.equal("Child", server.arrived()[1].event)
		end)
	end)
end
