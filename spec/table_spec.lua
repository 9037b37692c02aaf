--- Lua tables to JSON, and to messages by way of the six calls.
local core = require "moonweir.core"

local function refusal(value)
	local text, message, code = core.encode(value)
	assert.is_nil(text)
	assert.equal("invalid", code)
	return message
end

describe("core.encode", function()
	it("writes scalars", function()
		assert.equal('"x"', core.encode "x")
		assert.equal("true", core.encode(true))
		assert.equal("null", core.encode(core.null))
		assert.equal("null", core.encode(nil))
		assert.equal('"a\\"b\\\\c\\nd\\u0001ü"', core.encode 'a"b\\c\nd\1ü')
	end)

	it("writes strings of every length with one odd byte at every place", function()
		for len = 1, 80 do
			local plain = ("x"):rep(len)
			assert.equal('"' .. plain .. '"', core.encode(plain))
			for at = 1, len do
				local before, after = plain:sub(1, at - 1), plain:sub(at + 1)
				assert.equal('"' .. before .. '\\"' .. after .. '"', core.encode(before .. '"' .. after))
				assert.equal('{"' .. before .. '\\n' .. after .. '":1}', core.encode { [before .. "\n" .. after] = 1 })
				assert.is_nil((core.encode(before .. "\255" .. after)))
			end
		end
	end)

	it("writes whole numbers without a point on both VMs", function()
		assert.equal("3", core.encode(3))
		assert.equal("3", core.encode(6 / 2))
		assert.equal("-3", core.encode(-3.0))
		assert.equal("0", core.encode(-0.0))
		assert.equal("9007199254740992", core.encode(2 ^ 53))
		assert.equal("1.152921504606847e+18", core.encode(2.0 ^ 60))
		assert.equal("0.1", core.encode(0.1))
		assert.equal("73.29", core.encode(73.29))
	end)

	it("keeps every digit of an integer where Lua has them", function()
		if math.type then
			assert.equal("9223372036854775807", core.encode(math.maxinteger))
			assert.equal("-9223372036854775808", core.encode(math.mininteger))
		end
	end)

	it("tells arrays from objects", function()
		assert.equal("{}", core.encode {})
		assert.equal("[]", core.encode(core.array {}))
		assert.equal("[]", core.encode(core.array()))
		assert.equal("[1,2]", core.encode { 1, 2 })
		assert.equal("[1,2]", core.encode(core.array { 1, 2 }))
		assert.equal('[[],{},[{"a":[null]}]]', core.encode { core.array(), {}, { { a = { core.null } } } })
	end)

	it("finds the order of a list that was filled backwards", function()
		local list = {}
		for i = 40, 1, -1 do
			list[i] = i
		end
		local expected = {}
		for i = 1, 40 do
			expected[i] = i
		end
		assert.equal("[" .. table.concat(expected, ",") .. "]", core.encode(list))
	end)

	it("names the path of what can't be sent", function()
		assert.equal("properties.items[2].x: a function", refusal { properties = { items = { 1, { x = print } } } })
		assert.equal("a: a coroutine", refusal { a = coroutine.create(print) })
		assert.equal("a: a userdata", refusal { a = io.stdout })
		assert.matches("^a: not a number", refusal { a = 0 / 0 })
		assert.matches("^a: infinity", refusal { a = -math.huge })
		assert.equal("a[1]: text that is not UTF-8", refusal { a = { "x\255" } })
		assert.matches("a name that is not UTF%-8$", refusal { a = { ["x\255"] = 1 } })
		assert.equal("a function", refusal(print))
	end)

	it("refuses tables that are neither list nor object", function()
		assert.equal("a: a table with both list and named members", refusal { a = { 1, x = 2 } })
		assert.equal("a: a table with both list and named members", refusal { a = { x = 2, [5] = 1 } })
		assert.equal("a: a list with gaps", refusal { a = { [1] = 1, [3] = 3 } })
		assert.equal("a: a list with gaps", refusal { a = { [2] = 1 } })
		assert.matches("^a: a list with a member that is not at 1, 2, 3", refusal { a = { [0] = 1 } })
		assert.matches("^a: a list with a member", refusal { a = { [1.5] = 1 } })
		assert.matches("^a: a table with a boolean as key", refusal { a = { [true] = 1 } })
		assert.matches("^a: a table with a key that is neither", refusal { a = { [{}] = 1 } })
		assert.equal("a: a list with named members", refusal { a = core.array { x = 1 } })
	end)

	it("refuses a table that holds itself and says where it begins", function()
		local t = {}
		t.self = { t }
		assert.matches("^self%[1%]%.self%[1%]", refusal(t))
	end)

	it("takes 124 levels and refuses more", function()
		local function nested(n)
			local t = {}
			for _ = 2, n do
				t = { t }
			end
			return t
		end
		assert.equal(("["):rep(123) .. "{}" .. ("]"):rep(123), core.encode(nested(124)))
		assert.matches("nested too deep", refusal(nested(125)))
	end)

	it("runs no metamethod", function()
		local function never()
			error "called"
		end
		local t = setmetatable({ a = 1 }, { __index = never, __pairs = never, __len = never, __tostring = never })
		assert.equal('{"a":1}', core.encode(t))
	end)

	it("refuses descriptions, which are no values", function()
		local e = require("moonweir.source").get "id"
		assert.matches("^properties%.id: a description", refusal { properties = { id = e } })
	end)

	it("understands cjson's sentinels", function()
		assert.matches("a userdata", refusal { io.stdout })
		local array_mt, empty_array_mt = {}, {}
		core.sentinels { array_mt = array_mt, empty_array_mt = empty_array_mt }
		assert.equal("[]", core.encode(setmetatable({}, array_mt)))
		assert.equal("[]", core.encode(setmetatable({}, empty_array_mt)))
		assert.equal("[1]", core.encode(setmetatable({ 1 }, empty_array_mt)))
		core.sentinels(nil)
		local found, cjson = pcall(require, "cjson")
		if found then
			core.sentinels(cjson)
			assert.equal('{"a":null}', core.encode { a = cjson.null })
		end
	end)

	it("raises for core.array of a table that has a metatable", function()
		assert.has_error(function()
			core.array(setmetatable({}, {}))
		end)
	end)
end)

describe("core.decode", function()
	local function again(text)
		return core.encode(assert(core.decode(text)))
	end

	it("gives back what it read", function()
		for _, text in ipairs {
			'{"a":[1,"x",null,true,false,{}]}', "[]", "[[],[{}]]", '"é"', "12345678901234567890", "-12345678901234567890",
			"9007199254740993", "1e400", "0.5", "null", "1.5e-7",
		} do
			assert.equal(text, again(text))
		end
	end)

	it("makes numbers that Lua does not hold print, join and compare as they are", function()
		local n = core.decode "12345678901234567890"
		assert.equal("12345678901234567890", tostring(n))
		assert.equal("id 12345678901234567890!", "id " .. n .. "!")
		assert.equal("12345678901234567890-1", n .. "-" .. 1)
		assert.is_true(n == core.decode "12345678901234567890")
		assert.is_false(n == core.decode "12345678901234567891")
		assert.has_error(function()
			return n .. {}
		end)
	end)

	it("says what is wrong", function()
		local value, message, code = core.decode "[1,]"
		assert.is_nil(value)
		assert.is_string(message)
		assert.equal("json", code)
	end)

	it("takes the last of two members with one name", function()
		assert.equal(2, core.decode('{"a":1,"\\u0061":2}').a)
	end)
end)

-- Nothing listens at the endpoint, and nothing is sent: the message is checked before it is queued.
describe("the six calls", function()
	local client

	setup(function()
		client = assert(require("moonweir").open { write_key = "k", endpoint = "http://127.0.0.1:9", rate = 0.001 })
	end)

	teardown(function()
		client:close(0)
	end)

	local function fails(call, fields)
		local ok, message, code = client[call](client, "a", fields)
		assert.is_nil(ok)
		return message, code
	end

	it("take Segment's own fields", function()
		assert.is_true(client:track("a", { userId = "u", event = "E", properties = { a = 1 }, context = { ip = "::1" },
			integrations = { All = false }, messageId = "m", timestamp = "2026-11-23T21:58:00Z", anonymousId = "x" }))
		assert.is_true(client:identify("a", { userId = 7, traits = { a = 1 }, timestamp = 1700000000 }))
		assert.is_true(client:page("a", { userId = "u", name = "Home", category = "c", properties = {} }))
		assert.is_true(client:group("a", { userId = "u", groupId = "g", traits = {} }))
		assert.is_true(client:alias("a", { userId = "u", previousId = core.decode "12345678901234567890" }))
		assert.is_true(client:track("a", { userId = "u", event = "E", properties = core.null, messageId = core.null }))
	end)

	it("refuse fields that they don't have, and suggest", function()
		assert.equal('track: no field "userID", did you mean "userId"?', (fails("track", { userID = "u", event = "E" })))
		assert.equal('track: no field "user_id", did you mean "userId"?', (fails("track", { user_id = "u", event = "E" })))
		assert.equal('track: no field "traits"', (fails("track", { userId = "u", event = "E", traits = {} })))
		assert.equal('identify: no field "xyzzy"', (fails("identify", { userId = "u", xyzzy = 1 })))
		local message, code = fails("track", { "u" })
		assert.equal('track: expected named fields, as in { userId = "u1" }', message)
		assert.equal("invalid", code)
	end)

	it("name the field and the path of what is wrong", function()
		assert.equal("userId: must be a string", (fails("track", { userId = {}, event = "E" })))
		for _, number in ipairs { 1.5, 2 ^ 60, 0 / 0, 1 / 0 } do
			assert.equal("userId: must be a string; a number that is not whole, or too large to be exact, is none",
				(fails("track", { userId = number, event = "E" })))
		end
		assert.equal("userId: text that is not UTF-8", (fails("track", { userId = "\255", event = "E" })))
		assert.equal("properties.a[1]: a function", (fails("track", { userId = "u", event = "E", properties = { a = { print } } })))
		assert.equal("properties: must be a table of named members",
			(fails("track", { userId = "u", event = "E", properties = { 1 } })))
		assert.equal("context: must be a table of named members", (fails("track", { userId = "u", event = "E", context = "x" })))
		assert.matches("^timestamp: expected a date", (fails("track", { userId = "u", event = "E", timestamp = "soon" })))
	end)
end)
