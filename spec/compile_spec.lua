local cjson = require "cjson"
local compile = require "moonweir.compile"
local core = require "moonweir.core"
local sandbox = require "moonweir.sandbox"

local function mapper(text)
	return core.mapper(assert(compile(assert(sandbox.load("acme.lua", text)), { name = "moonweir", version = "9.9" })))
end

local HEAD = [[
local source = require "moonweir.source"
local get = source.get
]]

-- A source of one entry, which stands on line 4 when there is nothing `more` to say.
local function one(entry, more)
	return mapper(HEAD .. ([[
return source.define { slug = "acme", version = "1.0", event = get "type", user = get "user", id = get "id", %s
  on = { ["e"] = %s } }]]):format(more and more .. "," or "", entry))
end

-- An event of that entry, with `fields` beside what every event has.
local function event(fields)
	return '{"type":"e","user":"u1","id":"ev1"' .. (fields and "," .. fields or "") .. "}"
end

local OPTIONS = { account = "4711", now = 1795471080123 }

-- The one message that comes of it, decoded; and its text.
local function message(m, body, options)
	local messages, tally, problems = m:map(body, options or OPTIONS)
	assert.is_nil(problems, problems and problems[1].message)
	assert.equal(1, #messages)
	assert.equal(1, tally.messages)
	return cjson.decode(messages[1].message), messages[1].message, messages[1].account
end

-- The problem that comes of it.
local function problem(m, body, options)
	local messages, tally, problems = m:map(body, options or OPTIONS)
	assert.equal(0, #messages)
	assert.equal(1, tally.failed)
	return problems[1].message, problems[1].code, problems[1]
end

-- The text of property x for an event with these fields; "" if it is left out.
local function value(expression, fields, options)
	local _, text = message(one(('source.track "X" { x = %s }'):format(expression)), event(fields), options)
	local properties = text:match '"properties":(%b{})'
	return properties == "{}" and "" or properties:match '^{"x":(.*)}$'
end

describe("a compiled expression", function()
	local cases = {
		-- expression, fields of the event, JSON of what it yields
		{ 'get "a"', '"a":1', "1" },
		{ 'get "a"', '"a":"t"', '"t"' },
		{ 'get "a"', '"a":null', "" },
		{ 'get "a"', nil, "" },
		{ 'get "a"', '"a":12345678901234567890', "12345678901234567890" },
		{ 'get "a"', '"a":9007199254740993', "9007199254740993" },
		{ 'get "a"', '"a":1.0', "1.0" },
		{ 'get "a"', '"a":{"b":[1,{"c":"\\u00e9"}]}', '{"b":[1,{"c":"\\u00e9"}]}' },
		{ 'get "a.b"', '"a":{"b":true}', "true" },
		{ 'get "a[1]"', '"a":[5,6,7]', "5" },
		{ 'get "a[-1]"', '"a":[5,6,7]', "7" },
		{ 'get "a[4]"', '"a":[5,6,7]', "" },
		{ 'get "a[2].b"', '"a":[{},{"b":1}]', "1" },
		{ 'get \'["a.b"]\'', '"a.b":1', "1" },
		{ 'get.body "a"', '"a":1', "1" },
		{ 'get.event "a"', '"a":1', "1" },
		{ '5', nil, "5" },
		{ '"text \\n \\"q\\""', nil, '"text \\n \\"q\\""' },
		{ "true", nil, "true" },
		{ "1.5", nil, "1.5" },
		{ "100", nil, "100" },
		{ "source.null", nil, "null" },
		{ "{ a = get 'a', b = { c = get 'c' } }", '"a":1', '{"a":1}' },
		{ "{ get 'a', get 'b', 3 }", '"b":2', "[2,3]" },
		{ 'get "a" .. " " .. get "b"', '"a":"x","b":"y"', '"x y"' },
		{ 'get "a" .. "-" .. 5', '"a":7', '"7-5"' },
		{ 'get "a" .. get "b"', '"a":"x"', "" },
		{ 'get "a" + 1', '"a":1', "2" },
		{ 'get "a" - get "b"', '"a":1,"b":3', "-2" },
		{ '10 - get "a"', '"a":1', "9" },
		{ 'get "a" * 3', '"a":"4"', "12" },
		{ 'get "a" / 100', '"a":1999', "19.99" },
		{ '-get "a"', '"a":5', "-5" },
		{ 'get "a":default "none"', nil, '"none"' },
		{ 'get "a":default(get "b")', '"b":2', "2" },
		{ 'get "a":default "none"', '"a":1', "1" },
		{ 'get "a":lower()', '"a":"ABC"', '"abc"' },
		{ 'get "a":upper()', '"a":"abc"', '"ABC"' },
		{ 'get "a":trim()', '"a":"  x y "', '"x y"' },
		{ 'get "a":trim()', '"a":"  "', "" },
		{ 'get "a":first()', '"a":[1,2]', "1" },
		{ 'get "a":first()', '"a":"one"', '"one"' },
		{ 'get "a":map(get ".":upper())', '"a":"one"', '["ONE"]' },
		{ 'get "a":last()', '"a":[1,2]', "2" },
		{ 'get "a":map { s = get "sku", p = get "p" / 100 }', '"a":[{"sku":"x","p":150},{"sku":"y"}]',
			'[{"p":1.5,"s":"x"},{"s":"y"}]' },
		{ 'get "a":map(get ".":upper())', '"a":["x","y"]', '["X","Y"]' },
		{ 'get "a":map { id = get "id", of = get.event "n" }', '"n":7,"a":[{"id":1}]', '[{"id":1,"of":7}]' },
		{ 'get "a":filter(get "k":is "x")', '"a":[{"k":"x","v":1},{"k":"y"}]', '[{"k":"x","v":1}]' },
		{ 'get "a":filter(get "k":is "x"):map { v = get "v" }', '"a":[{"k":"x","v":1},{"k":"y"}]', '[{"v":1}]' },
		{ 'get "a":filter(get "k":is "x"):first()', '"a":[{"k":"y"},{"k":"x","v":2}]', '{"k":"x","v":2}' },
		{ 'get "a":is "x"', '"a":"x"', "true" },
		{ 'get "a":is(5)', '"a":6', "false" },
		{ 'get "a":is("x", 5, get "b")', '"a":"5"', "true" },
		{ 'get "a":is("x", 5, get "b")', '"a":"y","b":"y"', "true" },
		{ 'get "a":is("x", 5, get "b")', '"a":"y"', "false" },
		{ 'get "a":is("x", "y")', nil, "" },
		{ 'get "a":above(0)', '"a":"0.5"', "true" },
		{ 'get "a":above(get "b")', '"a":9007199254740993,"b":9007199254740992', "true" },
		{ 'get "a":above(1)', '"a":1', "false" },
		{ 'get "a":below(1)', '"a":0.5', "true" },
		{ 'get "a":below(1)', '"a":2', "false" },
		{ 'get "a":below(1)', nil, "" },
		{ 'source.all(get "a", get "b":is "x")', '"a":1,"b":"x"', "true" },
		{ 'source.all(get "a", get "b":is "x")', '"b":"x"', "false" },
		{ 'source.all(get "a", get "b":is "x")', '"a":false,"b":"x"', "false" },
		{ 'source.none(get "a":is "x")', nil, "true" },
		{ 'source.none(get "a":is "x", get "b")', '"a":"x"', "false" },
		{ 'get "a":before "."', '"a":"abc.def.ghi"', '"abc"' },
		{ 'get "a":before "."', '"a":"abc"', '"abc"' },
		{ 'get "a":before "."', '"a":".abc"', "" },
		{ 'get "a":after "."', '"a":"abc.d\\u0065f.ghi"', '"def.ghi"' },
		{ 'get "a":after "::"', '"a":"abc:def"', '"abc:def"' },
		{ 'get "a":after "c"', '"a":"abc"', "" },
		{ 'get "a":after "ö":before "ü"', '"a":"aöbüc"', '"b"' },
		{ 'get "a":contains "bc"', '"a":"abcd"', "true" },
		{ 'get "a":contains "bc"', '"a":"acbd"', "false" },
		{ 'get "a":contains "bc"', nil, "" },
		{ 'get "a":when(get "b":is "x")', '"a":[1],"b":"x"', "[1]" },
		{ 'get "a":when(get "b":is "x")', '"a":1,"b":"y"', "" },
		{ 'get "a":when(get "b")', '"a":1', "" },
		{ 'get "a":when(get "b"):default "none"', '"a":1,"b":false', '"none"' },
		{ 'source.any(get "a":when(get "b"), get "c")', '"a":1,"c":2', "2" },
		{ 'get "a":map { n = get "n":when(get "ok") }', '"a":[{"n":1,"ok":true},{"n":2,"ok":false,"n2":1}]', '[{"n":1}]' },
		{ 'get "a":except "0"', '"a":"0"', "" },
		{ 'get "a":except("0", "-")', '"a":"-"', "" },
		{ 'get "a":except("0", "-")', '"a":"7"', '"7"' },
		{ 'get "a":except "0"', nil, "" },
		{ 'get "a":json "b[2].c"', [["a":"{\"b\":[1,{\"c\":\"x\\ny\"}]}"]], [["x\ny"]] },
		{ 'get "a":json "b[-1]"', [["a":"{\"b\":[1,9007199254740993]}"]], "9007199254740993" },
		{ 'get "a":json()', [["a":"{ \"b\": {\n\"c\":null}}"]], '{"b":{"c":null}}' },
		{ 'get "a":json "b.c"', [["a":"{\"b\":{\"c\":null}}"]], "" },
		{ 'get "a":json "x"', [["a":"[1]"]], "" },
		{ 'get "a":json "x"', [["a":" "]], "" },
		{ 'get "a":json "user":lower() .. "!"', [["a":"{\"user\":\"ANN\"}"]], '"ann!"' },
		{ 'get "a":without { "b", "e" }', '"a":{"b":1,"c":[ 2 ],"d":{"b":3},"c":4}', '{"d":{"b":3},"c":4}' },
		{ 'get "a":without { "b" }', '"a":{"b":1}', "" },
		{ 'get "a":snake_case()', '"a":{"userId":1,"HTTPServer":{"My Key":[{"aB":2}]},"Model__c":3,"-":4,"user_id":5,"x2Y":6}',
			'{"http_server":{"my_key":[{"a_b":2}]},"model_c":3,"-":4,"user_id":5,"x2_y":6}' },
		{ 'get ".":without { "type", "user", "id" }:snake_case()', '"aB":1', '{"a_b":1}' },
		{ 'get "a":json():snake_case()', [["a":"{\"aB\":1}"]], '{"a_b":1}' },
		{ 'get "a":sum(get "n")', '"a":[{"n":"0.10"},{"n":"0.20"},{},{"n":3}]', "3.3" },
		{ 'get "a":sum(get "n")', '"a":[{"n":9007199254740993},{"n":1}]', "9007199254740994" },
		{ 'get "a":sum(get "n" * get.event "m")', '"m":2,"a":[{"n":1},{"n":2}]', "6" },
		{ 'get "a":filter(get "n"):sum(1)', '"a":[{"n":1},{},{"n":2}]', "2" },
		{ 'get "a":sum(1)', '"a":[]', "0" },
		{ 'get "a":sum(1)', nil, "" },
		{ 'get "a":lookup { gold = "Gold", ["2"] = "Two" }', '"a":"gold"', '"Gold"' },
		{ 'get "a":lookup { "one", "two" }', '"a":2', '"two"' },
		{ 'get "a":lookup { gold = 1 }', '"a":"silver"', "" },
		{ 'get "a":money "USD"', '"a":1999', "19.99" },
		{ 'get "a":money "JPY"', '"a":1999', "1999" },
		{ 'get "a":money(get "c")', '"a":1999,"c":"KWD"', "1.999" },
		{ 'get "a":money()', '"a":1999', "19.99" },
		{ 'get "a":time()', '"a":1795471080', '"2026-11-23T21:58:00.000Z"' },
		{ 'get "a":string()', '"a":5', '"5"' },
		{ 'get "a":number()', '"a":"5"', "5" },
		{ 'get "a":boolean()', '"a":"yes"', "true" },
		{ 'get "a":hash "sha256"', '"a":"abc"', '"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"' },
		{ 'get "a":apply(function(v) return v .. "!" end)', '"a":"x"', '"x!"' },
		{ 'get "a":apply(function(v) return v + 1 end)', '"a":5', "6" },
		{ 'get "a":apply(function(v) return nil end)', '"a":5', "" },
		{ 'get "a":apply(function(v) return #v end)', '"a":[1,2,3]', "3" },
		{ 'get "a":lower():apply(function(v) return v:upper() end)', '"a":"X"', '"X"' },
		{ 'source.any(get "a", get "b", "c")', '"b":2', "2" },
		{ 'source.any(get "a", "c")', nil, '"c"' },
		{ 'source.array { get "a", get "b" }', '"b":2', "[2]" },
	}

	it("yields what it says", function()
		for _, case in ipairs(cases) do
			assert.equal(case[3], value(case[1], case[2]), case[1] .. " of " .. tostring(case[2]))
		end
	end)

	it("reads headers", function()
		assert.equal('"orders"', value('get.header "X-Topic"', nil,
			{ account = "a", headers = { ["x-topic"] = "orders" } }))
		assert.equal("", value('get.header "X-Topic"', nil))
	end)

	it("reads parameters of the URL, which come as headers that no request can have", function()
		assert.equal('"u 1"', value('get.query "user_id"', nil, { account = "a", headers = { ["?user_id"] = "u 1" } }))
		assert.equal("", value('get.query "user_id"', nil, { account = "a", headers = { user_id = "u1" } }))
	end)

	it("that fails says where", function()
		for expression, expected in pairs {
			['get "a":above(0)'] = 'acme.lua:4: X: x: can\'t compare a string ("word"): not a number',
			['get "list":before "."'] = "acme.lua:4: X: x: can't cut an array",
			['get "a":json "x"'] = 'acme.lua:4: X: x: can\'t read a string ("word") as JSON',
			['get "list":json "x"'] = "acme.lua:4: X: x: can't read an array as JSON",
			['get "list":snake_case()'] = "acme.lua:4: X: x: can't rename the members of an array",
			['get "a":without { "b" }'] = 'acme.lua:4: X: x: can\'t leave members out of a string ("word")',
			['get "list":sum(get "q")'] = 'acme.lua:4: X: x: can\'t add up a string ("word")',
			['source.all(get "a":is(get "list"))'] = "acme.lua:4: X: x: can't compare an array",
			['get "a" + 1'] = "acme.lua:4: X: x",
			['{ deep = { er = get "a" * 2 } }'] = "acme.lua:4: X: x.deep.er",
			['get "list":map { p = get "q" / 100 }'] = "acme.lua:4: X: x.p",
			['get "a":apply(function(v) error "mine" end)'] = "acme.lua:4: mine",
			['get "a":apply(function(v) return v.x.y end)'] = "acme.lua:4: ",
		} do
			local text, code = problem(one(('source.track "X" { x = %s }'):format(expression)),
				event '"a":"word","list":[{"q":"word"}]')
			assert.equal("mapping", code)
			assert.matches(expected, text, 1, true)
		end
	end)
end)

describe("a compiled call", function()
	it("is a message with everything that Segment and its partner rules want", function()
		local got = message(one 'source.track "Email Opened" { email_id = get "m.id" }', event '"m":{"id":"m1"}')
		assert.equal("string", type(got.messageId))
		assert.equal("string", type(got.timestamp))
		got.messageId, got.timestamp = nil, nil
		assert.same({
			type = "track", event = "Email Opened", userId = "u1",
			properties = { email_id = "m1" },
			context = { integration = { name = "acme", version = "1.0" }, library = { name = "moonweir", version = "9.9" } },
		}, got)
	end)

	it("may be each of the six", function()
		local function got(entry, fields)
			return message(one(entry), event(fields))
		end
		assert.same({ a = 1 }, got 'source.identify { a = 1 }'.traits)
		local page = got 'source.page("Docs", "Home") { a = 1 }'
		assert.same({ "page", "Docs", "Home", 1 }, { page.type, page.category, page.name, page.properties.a })
		assert.same({ "page", "Home" }, { got 'source.page "Home" {}'.type, got 'source.page "Home" {}'.name })
		assert.equal(1, got "source.page { a = 1 }".properties.a)
		local screen = got('source.screen(get "n") {}', '"n":"Start"')
		assert.same({ "screen", "Start" }, { screen.type, screen.name })
		local group = got('source.group(get "g") { a = 1 }', '"g":"g1"')
		assert.same({ "group", "g1", 1 }, { group.type, group.groupId, group.traits.a })
		local alias = got('source.alias(get "old")', '"old":"o1"')
		assert.same({ "alias", "o1", "u1" }, { alias.type, alias.previousId, alias.userId })
		local named = got('source.track(get "n" .. "ed") {}', '"n":"Open"')
		assert.equal("Opened", named.event)
	end)

	it("may put tables of properties together, which others share", function()
		local got = message(one [[(function()
			local base = { a = get "a", b = get "b" }
			local more = { base, b = "B", c = "c" }
			return { source.track "X" { base, more, d = get "d" } }
		end)()]], event '"a":1,"b":2,"d":4')
		assert.same({ a = 1, b = "B", c = "c", d = 4 }, got.properties)
		assert.same({ a = 1 }, message(one 'source.identify { { a = get "a" } }', event '"a":1').traits)
		local made, why = sandbox.load("acme.lua", HEAD .. [[
return source.define { slug = "a", version = "1", event = get "e", on = { x = source.track "X" { "y", a = 1 } } }]])
		assert.is_nil(made)
		assert.matches("source.track: number 1 of its properties is no table", why, 1, true)
	end)

	it("is refined by with", function()
		local m = one [[source.track "X" {} :with { user = source.user { get "other" }, time = get "t",
			context = { ip = get "ip" }, integrations = { All = false }, account = get "acc", when = get "go" }]]
		local got, _, account = message(m, event '"other":"u2","t":1795471080,"ip":"::1","acc":"a9","go":true')
		assert.equal("u2", got.userId)
		assert.equal("2026-11-23T21:58:00.000Z", got.timestamp)
		assert.equal("::1", got.context.ip)
		assert.is_false(got.integrations.All)
		assert.equal("a9", account)
		local messages, tally = m:map(event '"other":"u2","acc":"a9","go":false', OPTIONS)
		assert.equal(0, #messages)
		assert.equal(1, tally.ignored)
	end)

	it("is made for each element of a list, and starts there; what the source says is the event's", function()
		local m = one([[source.track(get "kind") { n = get "n", of = get.event "n", tags = get "tags":map(get ".") } :with {
			each = get "to", user = get "user", context = { ip = get "ip" }, when = get "go" }]],
			'context = { n = get "n" }, time = get "at"')
		local messages, tally = m:map(event [["n":9,"at":1795471080,"to":[
			{"kind":"A","n":1,"user":"u1","tags":["x"],"ip":"::1","go":true,"at":1},{"n":2,"user":"u2","go":false},
			{"kind":"C","n":3,"user":"u3","go":true}]
		]], OPTIONS)
		assert.same({ 2, 1, 0 }, { tally.messages, tally.ignored, tally.failed })
		local first, second = cjson.decode(messages[1].message), cjson.decode(messages[2].message)
		assert.same({ "A", "u1", { n = 1, of = 9, tags = { "x" } } }, { first.event, first.userId, first.properties })
		assert.same({ "C", "u3", { n = 3, of = 9 } }, { second.event, second.userId, second.properties })
		assert.same({ "::1", 9, 9 }, { first.context.ip, first.context.n, second.context.n })
		assert.same({ "2026-11-23T21:58:00.000Z", "2026-11-23T21:58:00.000Z" }, { first.timestamp, second.timestamp })
		assert.not_equal(first.messageId, second.messageId)
	end)

	it("may be one of several entries of its event, some of them made for each element", function()
		local m = one [[{ source.track "One" { n = get "n" }, source.track "Each" { id = get "." } :with { each = get "ids" },
			source.track "Last" { n = get "n" } }]]
		local messages = m:map(event '"n":7,"ids":["a","b"]', OPTIONS)
		local seen = {}
		for i, it in ipairs(messages) do
			local decoded = cjson.decode(it.message)
			seen[i] = decoded.event .. (decoded.properties.id or ("%d"):format(decoded.properties.n))
		end
		assert.same({ "One7", "Eacha", "Eachb", "Last7" }, seen)
	end)

	it("is not made for a list that is absent or empty, and fails for what is no list", function()
		local m = one 'source.track "X" {} :with { each = get "to" }'
		for _, fields in ipairs { '"to":[]', '"to":null', '"x":1' } do
			local messages, tally = m:map(event(fields), OPTIONS)
			assert.same({ 0, 1, 0 }, { #messages, tally.ignored, tally.failed })
		end
		assert.equal("acme.lua:4: X: each: must be an array of the event", (problem(m, event '"to":5')))
		local text = problem(one 'source.track "X" {} :with { each = get "to", user = get "u" }', event '"to":[{"u":"a"},{}]')
		assert.matches("names no user", text, 1, true)
	end)

	it("is one of several, in their order, with ids of their own", function()
		local messages = one '{ source.identify { a = 1 }, source.track "X" {} }':map(event(), OPTIONS)
		local first, second = cjson.decode(messages[1].message), cjson.decode(messages[2].message)
		assert.equal("identify", first.type)
		assert.equal("track", second.type)
		assert.not_equal(first.messageId, second.messageId)
	end)

	it("has a messageId that is the same for the same event", function()
		local m = one 'source.track "X" {}'
		assert.equal(message(m, event()).messageId, message(m, event()).messageId)
		assert.matches("^acme:4711:ev1:", message(m, event()).messageId)
	end)
end)

describe("a compiled source", function()
	it("takes the user from the first expression that is present", function()
		local m = one('source.track "X" {}', 'user = source.user { get "u.id", get "u.ref", email = get "u.mail" }')
		assert.equal("7", message(m, '{"type":"e","u":{"id":7}}').userId)
		assert.equal("r", message(m, '{"type":"e","u":{"ref":"r","id":null}}').userId)
		local text, code = problem(m, '{"type":"e","u":{"mail":"a@b.c"}}')
		assert.equal("no_user", code)
		assert.is_string(text)
	end)

	it("may let events without a user go, or send them anonymously", function()
		local _, tally, problems = one('source.track "X" {}', 'missing_user = "drop"'):map('{"type":"e"}', OPTIONS)
		assert.is_nil(problems)
		assert.same({ 0, 1 }, { tally.messages, tally.ignored })
		local m = one('source.track "X" {}', 'missing_user = "anonymous", user = source.user { get "u", email = get "mail" }')
		local got = message(m, '{"type":"e","mail":"a@b.c"}')
		assert.equal("a@b.c", got.anonymousId)
		assert.is_nil(got.userId)
	end)

	it("has a policy for events it does not know", function()
		local _, code = problem(one "source.ignore", '{"type":"other","user":"u"}')
		assert.equal("unmatched", code)
		for _, policy in ipairs { "count", "ignore" } do
			local _, tally, problems = one("source.ignore", ("unmatched = %q"):format(policy)):map('{"type":"other"}', OPTIONS)
			assert.is_nil(problems)
			assert.same({ 1, 0 }, { tally.unmatched, tally.failed })
		end
	end)

	it("ignores what it knows and does not send", function()
		local _, tally, problems = one "source.ignore":map(event(), OPTIONS)
		assert.is_nil(problems)
		assert.equal(1, tally.ignored)
	end)

	it("takes an entry with a star for all events that begin like it and have no nearer one", function()
		local m = mapper(HEAD .. [[
return source.define { slug = "a", version = "1", event = get "e", user = source.user { "u" }, on = {
  ["a.*"] = source.track "A" {}, ["a.b.*"] = source.track "AB" {}, ["a.b.c"] = source.track "ABC" {}, ["a.x"] = source.ignore,
  ["q*"] = source.track "Q" {} } }]])
		for name, expected in pairs { ["a.z"] = "A", ["a."] = "A", ["a.b.d"] = "AB", ["a.b."] = "AB", ["a.b"] = "A", ["a.b.c"] = "ABC",
			["a.b.cd"] = "AB", q = "Q", quit = "Q", ["a.*"] = "A" } do
			assert.equal(expected, message(m, ('{"e":%q}'):format(name)).event, name)
		end
		for _, name in ipairs { "a", "b.x", "p" } do
			assert.equal("unmatched", select(2, problem(m, ('{"e":%q}'):format(name))))
		end
		local _, tally = m:map('{"e":"a.x"}', OPTIONS)
		assert.equal(1, tally.ignored)
		m = mapper(HEAD .. [[
return source.define { slug = "a", version = "1", event = get "e", user = source.user { "u" },
  on = { ["*"] = source.track "All" {} } }]])
		assert.equal("All", message(m, '{"e":"x"}').event)
	end)

	it("splits what each names, and reads around it with get.body", function()
		local m = one('source.track "X" { n = get "n", batch = get.body "batch" }', 'each = get "events"')
		local messages, tally = m:map('{"batch":"b1","events":[{"type":"e","user":"u","n":1},{"type":"e","user":"u","n":2}]}', OPTIONS)
		assert.equal(2, tally.events)
		assert.same({ n = 2, batch = "b1" }, cjson.decode(messages[2].message).properties)
	end)

	it("names the account, or takes the caller's", function()
		local m = one('source.track "X" {}', 'account = get "acc"')
		local _, _, account = message(m, event '"acc":"a1"')
		assert.equal("a1", account)
		_, _, account = message(one 'source.track "X" {}', event())
		assert.equal("4711", account)
	end)

	it("gives every message its context, time and integrations", function()
		local m = one('source.track "X" {}',
			'time = get "at", context = { traits = { email = get "mail" } }, integrations = { ["Google Analytics"] = false }')
		local got = message(m, event '"at":"2026-01-02T03:04:05Z","mail":"a@b.c"')
		assert.equal("2026-01-02T03:04:05.000Z", got.timestamp)
		assert.equal("a@b.c", got.context.traits.email)
		assert.equal("acme", got.context.integration.name)
		assert.is_false(got.integrations["Google Analytics"])
	end)

	it("matches numbers as names of events", function()
		local m = mapper(HEAD .. [[
return source.define { slug = "a", version = "1", event = get "code", user = get "u", on = { [7] = source.track "Seven" {} } }]])
		assert.equal("Seven", message(m, '{"code":7,"u":"u"}').event)
	end)

	it("takes form bodies", function()
		local got = message(one 'source.track "X" { a = get "a" }', "type=e&user=u1&a=x+y",
			{ account = "a", format = "form" })
		assert.same({ a = "x y" }, got.properties)
	end)
end)

describe("a function entry", function()
	it("sends any number of calls for whom it says", function()
		local m = one [[function(event, emit)
			for _, r in ipairs(event.recipients) do
				emit(source.track "Email Delivered" { email_id = r.id, n = #event.recipients }, { user = r.user_id })
			end
		end]]
		local messages, tally = m:map(event '"recipients":[{"id":"m1","user_id":"u7"},{"id":"m2","user_id":"u8"}]', OPTIONS)
		assert.equal(2, tally.messages)
		local second = cjson.decode(messages[2].message)
		assert.same({ "Email Delivered", "u8", { email_id = "m2", n = 2 } }, { second.event, second.userId, second.properties })
		assert.not_equal(cjson.decode(messages[1].message).messageId, second.messageId)
	end)

	it("takes the source's user where it says nothing", function()
		assert.equal("u1", message(one 'function(event, emit) emit(source.identify { a = event.a }) end', event '"a":1').userId)
	end)

	it("sees the event as a table", function()
		local m = one [[function(event, emit)
			local names, kinds = {}, {}
			for name, value in pairs(event.o) do names[#names + 1] = name; kinds[#kinds + 1] = type(value) end
			table.sort(names); table.sort(kinds)
			local first = next(event.o)
			emit(source.track "X" { names = table.concat(names, ","), kinds = table.concat(kinds, ","), first = first,
				joined = table.concat(event.l, "+"), n = #event.l, kind = type(event.l), none = type(event.nothing),
				last = select(-1, table.unpack(event.l)) })
		end]]
		local got = message(m, event '"o":{"a":1,"b":"x","c":[true]},"l":[1,2,3]')
		assert.same({ names = "a,b,c", kinds = "number,string,table", first = "a", joined = "1+2+3", n = 3, kind = "table",
			none = "nil", last = 3 }, got.properties)
	end)

	it("that fails costs its own event only", function()
		local m = one [[function(event, emit)
			emit(source.track "X" { n = event.n })
			if event.n == 2 then error "two" end
		end]]
		local messages, tally, problems = m:map("[" .. event '"n":1' .. "," .. event '"n":2' .. "," .. event '"n":3' .. "]", OPTIONS)
		assert.equal(2, #messages)
		assert.same({ 3, 1 }, { tally.events, tally.failed })
		assert.equal("mapping", problems[1].code)
		assert.matches("acme.lua:6: two", problems[1].message, 1, true)
	end)

	it("that never ends costs its own event only", function()
		local m = one 'function(event, emit) while event.n == 2 do end emit(source.track "X" {}) end'
		local messages, _, problems = m:map("[" .. event '"n":1' .. "," .. event '"n":2' .. "," .. event '"n":3' .. "]", OPTIONS)
		assert.equal(2, #messages)
		assert.equal(1, #problems)
	end)
end)

describe("compiling", function()
	local function failure(text)
		local map, why, code = compile(assert(sandbox.load("acme.lua", HEAD .. text)))
		assert.is_true(map == nil)
		assert.equal("mapping", code)
		return why
	end

	it("says where a limit of the program is passed", function()
		if os.getenv "MW_SANITIZED" then
			return pending "skipped: with sanitizers it may take longer than the five seconds a script has"
		end
		assert.matches("^acme.lua:4: X: p%d+: .*too many expressions", failure [[
local t = {} for i = 1, 70000 do t["p" .. i] = i end
return source.define { slug = "a", version = "1", event = get "e", on = { x = source.track "X" (t) } }]])
	end)

	it("refuses text that is not UTF-8", function()
		assert.matches("^acme.lua:4: X: x", failure [[

return source.define { slug = "a", version = "1", event = get "e", on = { x = source.track "X" { x = "\255" } } }]])
	end)

	it("survives a description that its script changed afterwards", function()
		assert.is_string(failure [[
local made = source.define { slug = "a", version = "1", event = get "e", on = { x = source.ignore } }
made.entries = setmetatable({}, { __index = function() while true do end end })
return made]])
		assert.is_string(failure [[
local e = get "a":lower()
local made = source.define { slug = "a", version = "1", event = get "e", on = { x = source.track "X" { e = e } } }
e.args[1] = e
return made]])
		assert.is_string(failure [[
local t = {}
local made = source.define { slug = "a", version = "1", event = get "e", on = { x = source.track "X" (t) } }
t.a = t t.b = t
return made]])
	end)

	it("takes nothing but a definition", function()
		assert.has_error(function() compile {} end)
	end)

	it("gives the same program for the same script", function()
		local m = one 'source.track "X" { c = 1, a = 2, b = { z = 1, y = 2 } }'
		local _, text = message(m, event())
		assert.matches('"properties":{"a":2,"b":{"y":2,"z":1},"c":1}', text, 1, true)
	end)
end)
