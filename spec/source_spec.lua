local core = require "moonweir.core"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local sandbox = require "moonweir.sandbox"
local source = require "moonweir.source"

local HEAD = [[
local source = require "moonweir.source"
local get = source.get
]]

-- A script whose lines are numbered from 3.
local function load_script(text)
	return sandbox.load("acme.lua", HEAD .. text)
end

-- A source of one entry.
local function load_entry(entry, more)
	return load_script(([[
return source.define { slug = "acme", version = "1", event = get "type", %s
  on = { ["a.b"] = %s },
}]]):format(more and more .. "," or "", entry))
end

local function entry_call(entry)
	local made = assert(load_entry(entry))
	return made.entries[1].calls[1]
end

local function property(text)
	return entry_call(('source.track "X" { x = %s }'):format(text)).payload.x
end

local EXAMPLE = [=[
local source = require "moonweir.source"
local get = source.get                                  -- a path into the event: a description, not a value

return source.define {
  slug = "acme-mail", version = "1.0.0",                -- becomes context.integration
  account = get "account_id",                           -- whose event it is
  each    = get "events",                               -- one event per element
  event   = get "type",                                 -- which entry of `on` applies
  id      = get "event_id",
  time    = get "occurred_at",
  user    = source.user { get "contact.external_id", email = get "contact.email" },
  context = { acmeMailId = get "contact.id", traits = { email = get "contact.email" } },

  on = {
    ["message.opened"] = source.track "Email Opened" {
      email_id = get "message.id", email_subject = get "message.subject", campaign_id = get "campaign.id",
    },
    ["contact.updated"] = source.identify { email = get "email", name = get "first" .. " " .. get "last" },
    ["order.paid"] = source.track "Order Completed" {
      order_id = get "order.id", total = get "order.amount" / 100, currency = get "order.currency":upper(),
      products = get "order.lines":map { product_id = get "sku", price = get "price" / 100, quantity = get "qty" },
    },
    ["message.sent"] = source.ignore,
    ["bulk.finished"] = function(event, emit)
      for _, r in ipairs(event.recipients) do
        emit(source.track "Email Delivered" { email_id = r.id }, { user = r.user_id })
      end
    end,
  },
}
]=]

describe("a source", function()
	it("is a description that can be read without running it", function()
		local made = assert(sandbox.load("acme.lua", EXAMPLE))
		assert.is_true(definition.is(made))
		assert.equal("acme-mail", made.slug)
		assert.equal("1.0.0", made.version)
		assert.equal("dead_letter", made.missing_user)
		assert.equal("dead_letter", made.unmatched)
		assert.same({ "events" }, made.each.path)
		assert.same({ "contact", "external_id" }, made.user.ids[1].path)
		assert.same({ "contact", "email" }, made.user.email.path)

		local seen = {}
		for i, entry in ipairs(made.entries) do
			seen[i] = ("%s %s %d"):format(entry.event, entry.kind, entry.line)
		end
		assert.same({
			"bulk.finished function 24",
			"contact.updated calls 18",
			"message.opened calls 15",
			"message.sent ignore 23",
			"order.paid calls 19",
		}, seen)

		local paid = made.entries[5].calls[1]
		assert.equal("track", paid.call)
		assert.equal("Order Completed", paid.name)
		assert.equal("acme.lua", paid.script)
		assert.equal(19, paid.line)
		assert.equal("div", paid.payload.total.op)
		assert.equal(20, paid.payload.total.line)
		assert.same({ "order", "lines" }, paid.payload.products.args[1].path)
	end)

	it("keeps about and examples as they are", function()
		local made = assert(load_entry("source.ignore", 'about = { name = "x" }, examples = { {} }'))
		assert.same({ name = "x" }, made.about)
		assert.same({ {} }, made.examples)
	end)

	it("may be declared by any Lua code, which is then its place", function()
		local made = source.define {
			slug = "here", version = "1", event = source.get "type",
			on = { x = source.track "X" { a = source.get "a" } },
		}
		assert.is_true(definition.is(made))
		assert.matches("source_spec.lua$", made.entries[1].calls[1].script)
	end)

	it("takes numbers as names of events", function()
		local made = assert(load_script [[
return source.define { slug = "a", version = "1", event = get "code", on = { [7] = source.ignore } }]])
		assert.equal("7", made.entries[1].event)
	end)
end)

describe("a path", function()
	local function path(text)
		return source.get(text).path
	end

	it("is made of names and places", function()
		assert.same({ "a" }, path "a")
		assert.same({ "a", "b", "c d" }, path "a.b.c d")
		assert.same({ "a", 1, "b", -1 }, path "a[1].b[-1]")
		assert.same({ 2, "x" }, path "[2].x")
		assert.same({ 1, 2 }, path "[1][2]")
		assert.same({ "a.b", "c" }, path '["a.b"].c')
		assert.same({ "a", "b.c[1]" }, path "a['b.c[1]']")
		assert.same({ "$message", "data-id" }, path "$message.data-id")
		assert.same({ 3 }, path(3))
		assert.same({}, path ".")
	end)

	it("says what is wrong with it", function()
		for text, why in pairs {
			[""] = 'the item itself is get "."',
			["a."] = "it ends in a dot",
			["a..b"] = "a name is missing at character 3",
			[".a"] = "a name is missing at character 1",
			["a[0]"] = "counting starts at 1",
			["a[x]"] = 'after "%[" comes a number or a quoted name',
			["a[1"] = 'after "%[" comes a number or a quoted name',
			["a[1]b"] = "a dot is missing at character 5",
			["a]"] = "a dot is missing at character 2",
			["a[99999999999]"] = "no array is that long",
		} do
			local ok, message = pcall(source.get, text)
			assert.is_false(ok)
			assert.matches(why, message)
		end
	end)

	it("starts at the item, the event or the body", function()
		assert.equal("item", source.get("a").scope)
		assert.equal("event", source.get.event("a").scope)
		assert.equal("body", source.get.body("a").scope)
		assert.equal("X-Topic", source.get.header("X-Topic").name)
	end)

	it("reads as it was written", function()
		assert.equal('get "a[1].b"', tostring(source.get "a[1].b"))
		assert.equal('get.body "a"', tostring(source.get.body "a"))
	end)
end)

describe("an expression", function()
	it("knows its operation and operands", function()
		for text, op in pairs {
			['get "a" .. "x"'] = "concat", ['"x" .. get "a"'] = "concat", ['get "a" + 1'] = "add", ['1 - get "a"'] = "sub",
			['get "a" * get "b"'] = "mul", ['get "a" / 100'] = "div", ['-get "a"'] = "mul", ['get "a":lower()'] = "lower",
			['get "a":upper()'] = "upper", ['get "a":trim()'] = "trim", ['get "a":first()'] = "first",
			['get "a":last()'] = "last", ['get "a":time()'] = "time", ['get "a":string()'] = "string",
			['get "a":number()'] = "number", ['get "a":boolean()'] = "boolean", ['get "a":default(0)'] = "default",
			['get "a":map { b = get "b" }'] = "map", ['get "a":map(get "b":lower())'] = "map",
			['get "a":filter(get "b":is(1))'] = "filter", ['get "a":is "x"'] = "is", ['get "a":lookup { x = 1 }'] = "lookup",
			['get "a":money "USD"'] = "money", ['get "a":money(get "currency")'] = "money", ['get "a":money()'] = "money",
			['get "a":hash "sha256"'] = "hash", ['get "a":apply(function(v) return v end)'] = "apply",
			['get "a":is("x", 1)'] = "is", ['get "a":before "."'] = "before", ['get "a":after "."'] = "after",
			['get "a":json "b"'] = "json", ['get "a":json()'] = "json", ['get "a":without { "b" }'] = "without",
			['get "a":snake_case()'] = "snake_case",
			['get "a":contains "b"'] = "contains", ['get "a":when(get "b")'] = "when", ['get "a":except("0", 1)'] = "except",
			['get "a":sum(1)'] = "sum", ['get "a":above(0)'] = "above", ['get "a":below(get "b")'] = "below",
			['source.all(get "a")'] = "all", ['source.none(get "a", get "b")'] = "none", ['get.query "a"'] = "query",
			['source.any(get "a", get "b", "c")'] = "any", ['source.array { get "a", 2 }'] = "array",
		} do
			local made = property(text)
			assert.is_true(expression.is(made), text)
			assert.equal(op, made.op, text)
			assert.equal(4, made.line, text)
		end
	end)

	it("keeps operands in their order", function()
		local made = property '1 - get "a"'
		assert.equal(1, made.args[1])
		assert.same({ "a" }, made.args[2].path)
		assert.equal(-1, property '-get "a"'.args[2])
	end)

	it("says what its words take", function()
		for text, why in pairs {
			['get "a":is()'] = ":is%(value%): expected a string, number, boolean or expression, got a nil",
			['get "a":is("x", {})'] = "expected a string, number, boolean or expression, got a table",
			['get "a":before ""'] = ':before: expected a text, as in :before "%."',
			['get "a":after(get "b")'] = ":after: expected a text",
			['get "a":above "1"'] = ":above: expected a number or an expression",
			['get "a":json "b."'] = 'get "b%.": it ends in a dot',
			['get "a":without {}'] = ":without: expected a list of names",
			['get "a":without { b = true }'] = ":without: expected a list of names",
			['get "a":when(true)'] = ":when: expected an expression",
			['get "a":except()'] = ":except%(value%): expected a string, number, boolean or expression, got a nil",
			['get "a":contains(1)'] = ":contains: expected a text",
			['get "a":sum()'] = ":sum: expected an expression",
			['get "a":snake_case(1)'] = ":snake_case%(%) takes no argument",
			['get.query ""'] = "get.query: expected the name of a parameter",
			['get "a" > get "b"'] = "use :above%(0%), :below%(0%)",
			["source.all()"] = "source.all: give it at least one expression",
			['source.none(get "a", nil)'] = "source.none: argument 2 is nil",
		} do
			local made, message = load_entry(('source.track "X" { x = %s }'):format(text))
			assert.is_nil(made, text)
			assert.matches(why, message)
		end
	end)

	it("reads at most 16 parameters of the URL, each of which is told to whoever passes them on", function()
		local parts = {}
		for i = 1, 16 do
			parts[i] = ('get.query "p%d"'):format(i)
		end
		local made = assert(load_entry(('source.track "X" { x = { %s, get.query "p1" } }'):format(table.concat(parts, ", "))))
		assert.equal(16, #made.query)
		local _, message = load_entry(('source.track "X" { x = { %s, get.query "q" } }'):format(table.concat(parts, ", ")))
		assert.matches("a source reads at most 16 parameters", message)
	end)

	it("can't be forged by a table that looks like it", function()
		assert.is_false(expression.is { op = "path", path = {} })
	end)
end)

describe("a call", function()
	it("is one of the six", function()
		local track = entry_call 'source.track "X" { a = 1 }'
		assert.same({ "track", "X", { a = 1 } }, { track.call, track.name, track.payload })
		assert.equal("identify", entry_call "source.identify { a = 1 }".call)

		local page = entry_call 'source.page "Home" { a = 1 }'
		assert.same({ "page", "Home", { a = 1 } }, { page.call, page.name, page.payload })
		page = entry_call 'source.page("Docs", "Home") { a = 1 }'
		assert.same({ "page", "Docs", "Home", { a = 1 } }, { page.call, page.category, page.name, page.payload })
		page = entry_call "source.page { a = 1 }"
		assert.is_nil(page.name)
		assert.same({ a = 1 }, page.payload)

		local screen = entry_call 'source.screen("Tabs", get "name") { a = 1 }'
		assert.same({ "screen", "Tabs", { "name" } }, { screen.call, screen.category, screen.name.path })

		local group = entry_call 'source.group(get "company.id") { a = 1 }'
		assert.same({ "group", { "company", "id" }, { a = 1 } }, { group.call, group.group_id.path, group.payload })

		local alias = entry_call 'source.alias(get "old_id")'
		assert.same({ "alias", { "old_id" } }, { alias.call, alias.previous_id.path })
	end)

	it("needs no properties", function()
		assert.is_nil(entry_call 'source.track "X"'.payload)
		assert.is_nil(entry_call 'source.group(get "id")'.payload)
	end)

	it("takes its name from the event if told so", function()
		assert.same({ "name" }, entry_call 'source.track(get "name") {}'.name.path)
	end)

	it("may be one of several", function()
		local made = assert(load_entry '{ source.identify { a = get "a" }, source.track "X" {} }')
		assert.equal(2, #made.entries[1].calls)
		assert.equal("identify", made.entries[1].calls[1].call)
	end)

	it("is refined without changing the one it came from", function()
		local made = assert(load_script [[
local opened = source.track "Opened" { a = get "a" }
return source.define { slug = "a", version = "1", event = get "type", on = {
  a = opened,
  b = opened:with { user = get "u", when = get "w" }:with { time = get "t", context = { x = 1 } },
} }]])
		assert.is_nil(made.entries[1].calls[1].refined)
		local refined = made.entries[2].calls[1].refined
		assert.same({ "u" }, refined.user.ids[1].path)
		assert.same({ "w" }, refined.when.path)
		assert.same({ "t" }, refined.time.path)
		assert.same({ x = 1 }, refined.context)
	end)
end)

describe("a mistake in a script", function()
	local mistakes = {
		-- values
		{ 'source.track "X" { total = function() end }', "acme.lua:4: a.b: X: total: a function can't be a value" },
		{ 'source.track "X" { a = { b = function() end } }', "acme.lua:4: a.b: X: a.b: a function" },
		{ 'source.track "X" { a = { 1, nil, 3 } }', "element 2 is nil; is a name misspelt" },
		{ 'source.track "X" { a = { 1, b = 2 } }', 'it mixes numbered values with the field "b"' },
		{ 'source.track "X" { a = { [true] = 2 } }', "a key is a boolean" },
		{ 'source.track "X" { a = 0/0 }', "JSON has no NaN or infinity" },
		{ 'source.track "X" { a = source.identify {} }', "X: a: a call can't be a value here" },
		{ 'source.track "X" { a = source.ignore }', "X: a: a table can't be a value here" },
		{ 'source.track "X" { get "a" }', "source.track: number 1 of its properties is no table" },
		-- calls
		{ "source.track { a = 1 }", "acme.lua:4: source.track: the event's name must be a text or an expression, not a table" },
		{ 'source.track ""', "must be a text or an expression, not an empty text" },
		{ 'source.track "X" "Y"', "source.track: properties are a table, not a string" },
		{ 'source.track "X" (get "a")', "properties are a table like { name = … }, not an expression" },
		{ 'source.track "X" {} {}', "source.track: it has its properties already" },
		{ 'source.alias(get "a") {}', "source.alias: it has no traits" },
		{ "source.group {}", "source.group: the group's id must be" },
		{ 'source.identify "x"', "source.identify: traits are a table, not a string" },
		{ 'source.track "X":wiht {}', 'source.track: a call has no method "wiht"; there is :with' },
		{ 'source.track "X" {}:with { usr = get "a" }', ':with: unknown field "usr", did you mean "user"?' },
		{ 'source.track "X" {}:with { when = get "a" == "b" }', "a.b: X: with.when: expected an expression" },
		{ 'source.trakc "X" {}', 'there is no source.trakc, did you mean "track"?' },
		-- entries
		{ '"Email Opened"', "acme.lua:4: a.b: expected a call like source.track" },
		{ 'get "a"', "acme.lua:4: a.b: expected a call like source.track .*, got an expression" },
		{ "source.track", "source.track is not called yet" },
		{ "{}", "a.b: expected a call like" },
		{ '{ source.track "X" {}, source.ignore }', "number 2 of the list is a table" },
		-- expressions
		{ 'source.track "X" { a = get "a":uper() }', 'acme.lua:4: an expression has no method "uper", did you mean "upper"?' },
		{ 'source.track "X" { a = get "a".upper() }', "upper belongs behind an expression and a colon" },
		{ 'source.track "X" { a = get "a":lower("x") }', ":lower%(%) takes no argument" },
		{ 'source.track "X" { a = get.evnt "a" }', "there is no get.evnt" },
		{ 'source.track "X" { a = get "a" .. nil }', "acme.lua:4: concat: can't combine an expression with" },
		{ 'source.track "X" { a = get "a" + "1" }', "add: can't combine an expression with a string" },
		{ 'source.track "X" { a = get "a" < get "b" }', "an expression is not a value yet, so comparing does not work" },
		{ 'source.track "X" { a = get "a" % 2 }', "so %% does not work" },
		{ 'source.track "X" { a = get "a" "b" }', "calling it does not work" },
		{ 'source.track "X" { a = get "a":map "x" }', ":map: expected a table or an expression" },
		{ 'source.track "X" { a = get "a":filter "x" }', ":filter: expected an expression" },
		{ 'source.track "X" { a = get "a":lookup "x" }', ":lookup: expected a table of values" },
		{ 'source.track "X" { a = get "a":lookup {} }', ":lookup: the table is empty" },
		{ 'source.track "X" { a = get "a":lookup { a = {} } }', ':lookup: the value of "a" must be a plain value' },
		{ 'source.track "X" { a = get "a":money "dollars" }', ":money: expected a currency" },
		{ 'source.track "X" { a = get "a":hash "md5" }', ':hash: the only one there is is "sha256"' },
		{ 'source.track "X" { a = get "a":apply "f" }', ":apply: expected a function" },
		{ 'source.track "X" { a = get "a":default() }', ":default%(value%): expected a value" },
		{ 'source.track "X" { a = source.any() }', "source.any: give it at least one expression" },
		{ 'source.track "X" { a = source.any(get "a", nil, 1) }', "source.any: argument 2 is nil" },
		{ 'source.track "X" { a = get(nil) }', "get: expected a path" },
		{ 'source.track "X" { a = get.header "a b" }', "get.header: expected the name of a header" },
	}

	it("is told with script, line, field and what to write instead", function()
		for _, mistake in ipairs(mistakes) do
			local entry, expected = mistake[1], mistake[2]
			local made, message, code = load_entry(entry)
			assert.is_true(made == nil, entry)
			assert.equal("mapping", code)
			assert.matches(expected, message)
			assert.matches("^acme.lua:4: ", message)
		end
	end)

	it("in define names the field and its line", function()
		for text, expected in pairs {
			['slug = "Bad Slug", version = "1",\non = {}'] = '^acme.lua:3: slug: expected lower%-case letters',
			['version = "1",\non = {}'] = "source.define: slug is missing",
			['slug = "a", on = {}'] = "source.define: version is missing",
			['slug = "a", version = "1"'] = "source.define: on is missing",
			['slug = "a",\nversion = 1,\non = {}'] = "^acme.lua:4: version: expected a text like",
			['slug = "a", version = "",\non = {}'] = "^acme.lua:3: version: expected a text .*, got an empty one",
			['slug = "a", version = "1",\nacount = get "a",\non = {}'] =
				'^acme.lua:4: source.define: unknown field "acount", did you mean "account"?',
			['slug = "a", version = "1", on = {}, 5'] = "^acme.lua.*source.define: value number 1",
			['slug = "a", version = "1",\nid = "x",\non = {}'] =
				'^acme.lua:4: id: expected an expression like get "event_id", got a string',
			['slug = "a", version = "1",\neach = true,\non = {}'] = "^acme.lua:4: each: expected an expression",
			['slug = "a", version = "1",\nuser = {},\non = {}'] = "^acme.lua:4: user: expected source.user",
			['slug = "a", version = "1",\nuser = source.user {},\non = {}'] =
				"^acme.lua:4: source.user: there is no expression for the user id",
			['slug = "a", version = "1",\nuser = source.user { get "a", mail = get "e" },\non = {}'] =
				'^acme.lua:4: source.user: unknown field "mail"',
			['slug = "a", version = "1",\ncontext = { 1 },\non = {}'] = "^acme.lua:4: context: expected named fields",
			['slug = "a", version = "1",\ncontext = {\na = {\nb = function() end } },\non = {}'] =
				"^acme.lua:6: context.a.b: a function",
			['slug = "a", version = "1",\nmissing_user = "dead",\non = {}'] =
				'^acme.lua:4: missing_user: expected "dead_letter" or "drop" or "anonymous", got "dead"',
			['slug = "a", version = "1",\nunmatched = true,\non = {}'] = "^acme.lua:4: unmatched: expected",
			['slug = "a", version = "1",\non = 5'] = "^acme.lua:4: on: expected a table",
			['slug = "a", version = "1", event = get "e",\non = { source.ignore, ["1"] = source.ignore }'] = '"1" is there twice',
			['slug = "a", version = "1",\non = { x = source.ignore }'] = "source.define: event is missing",
			['slug = "a", version = "1", event = get "e",\non = { ["a.*.b"] = source.ignore }'] =
				'^acme.lua:4: a.%*.b: a star stands for the end of a name alone, as in %["order.%*"%]',
		} do
			local made, message, code = load_script("return source.define {" .. text .. "}")
			assert.is_true(made == nil, text)
			assert.equal("mapping", code)
			assert.matches(expected, message)
		end
	end)

	it("of returning something else is told", function()
		local made, message = load_script "return {}"
		assert.is_nil(made)
		assert.matches("^acme.lua: the script must end with: return source.define", message)
		made, message = load_script "local x = 1"
		assert.is_nil(made)
		assert.matches("must end with", message)
	end)

	it("of syntax is told with its line", function()
		local made, message, code = load_script "\nreturn source.define {"
		assert.is_nil(made)
		assert.equal("mapping", code)
		assert.matches("^acme.lua:4: ", message)
	end)
end)

describe("in a function entry", function()
	-- What an entry emits for an event that is a plain table.
	local function run(body, event)
		local made = assert(load_entry("function(event, emit) " .. body .. " end"))
		local calls = {}
		made.entries[1].run(event or {}, function(call, fields)
			calls[#calls + 1] = { call = call, fields = fields }
		end)
		return calls
	end

	local function failure(body)
		return select(2, pcall(run, body))
	end

	it("calls are made of plain values, and hold what emit reads", function()
		local calls = run([[
emit(source.track "X" { a = event.a }, { user = event.u })
emit(source.track("Y" .. event.a) {})
emit(source.identify { b = true })
emit(source.page("C", "N") {})
emit(source.group(event.a) {})
emit(source.alias "old")
emit(source.track "X")]], { a = 5, u = "u1" })
		local first = calls[1].call
		assert.same({ "track", "X", { a = 5 } }, { first.call, first.name, first.payload })
		assert.equal('source.track "X"', tostring(first))
		assert.is_nil(rawget(first, "line"))
		assert.equal("u1", calls[1].fields.user)
		assert.equal("Y5", calls[2].call.name)
		assert.same({ b = true }, rawget(calls[3].call, "payload"))
		assert.equal("C", rawget(calls[4].call, "category"))
		assert.equal("N", rawget(calls[4].call, "name"))
		assert.equal(5, rawget(calls[5].call, "group_id"))
		assert.equal("old", rawget(calls[6].call, "previous_id"))
		assert.is_nil(rawget(calls[7].call, "payload"))
	end)

	it("a call takes its properties once", function()
		assert.matches("source.track: it has its properties already", failure 'emit(source.track "X" { a = 1 } { b = 2 })')
	end)

	it("a call says what it is, and that it can't be changed", function()
		assert.matches('source.track: a call has no method "name_it"', failure 'emit(source.track "X" { a = 1 }:name_it "Y")')
		assert.matches('source.track: a call has no method "3"', failure 'emit((source.track "X" { a = 1 })[3])')
		assert.matches("a call can't be changed", failure 'source.track "X" { a = 1 }.name = "Y"')
	end)

	it("a name's constructor is made once", function()
		local calls = run 'emit(source.track "X"); emit(source.track "X")'
		assert.is_true(rawequal(calls[1].call, calls[2].call))
	end)

	it("made-up names do not pile up", function()
		local calls = run 'for i = 1, 3000 do emit(source.track("X" .. i) { i = i }) end'
		assert.equal("X3000", calls[3000].call.name)
	end)

	it("get and :with say that they belong to declarations", function()
		assert.matches("^acme.lua:4: get describes a path while the script loads; in a function read the event itself",
			failure 'emit(source.track "X" { a = get "a" })')
		assert.matches(":with is for declared calls; in a function it is emit's second argument",
			failure 'emit(source.track "X" {}:with { user = 1 })')
	end)

	it("mistakes have their line", function()
		assert.matches("^acme.lua:4: source.track: the event's name", failure "emit(source.track {})")
	end)
end)

it("source.null is the null that is written", function()
	assert.equal(core.null, source.null)
end)

describe("a script with several mistakes", function()
	it("has the same mistake told each time, the first by name, when there are several", function()
		local function told(body)
			return select(2, sandbox.load("acme.lua", ([[
				local source = require "moonweir.source"
				return source.define { slug = "a", version = "1", event = "x", on = { %s } }]]):format(body)))
		end
		local fields, entries = {}, {}
		for i = 1, 26 do
			local letter = ("zyxwvutsrqponmlkjihgfedcba"):sub(i, i)
			fields[i], entries[i] = letter .. " = 0/0", letter .. " = 7"
		end
		local nan = told('e = source.track "Thing Done" {' .. table.concat(fields, ", ") .. "}")
		assert.matches("e: Thing Done: a: JSON has no NaN", nan, 1, true)
		assert.matches("acme.lua:2: a: expected a call", told(table.concat(entries, ", ")), 1, true)
	end)
end)
