local cjson = require "cjson"
local child = require "spec.support.child"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "acme-shop", version = "1.0.0",
	event = get "type", id = get "id", time = get "at", unmatched = "count",
	user = source.user { get "user" },
	context = { acmeShopId = get "shop_id" },
	on = {
		paid = source.track "Order Completed" {
			order_id = get "order", total = get "total", products = get "lines":map { sku = get "sku", price = get "price" },
		},
		listed = { source.track "Ticket Created" {}, source.track "Ticket Closed" { n = get "n" }:with { when = get "n" } },
		sent = source.ignore,
		many = function(event, emit)
			for i, name in ipairs(event.names) do
				emit(source.track(name) { order_id = "1", total = event.total }, { user = event.users[i] })
			end
		end,
		broken = function() error "broken on purpose" end,
	},
}
]]

describe("moonweir check", function()
	local number, project, script = 0, nil, nil

	local function fixture(name, text)
		return child.file(project .. "/fixtures/" .. name, text)
	end
	local function new(source)
		number = number + 1
		project = "checked" .. number
		os.execute(("mkdir -p '%s/%s/fixtures'"):format(child.folder(), project))
		script = child.file(project .. "/acme.lua", source or SOURCE)
	end
	local function run(...)
		return child.run { "check", script, ... }
	end
	local function run_json(...)
		local code, out, err = run("--json", ...)
		return code, cjson.decode(out), err
	end
	local function find(result, rule)
		for _, finding in ipairs(result.findings) do
			if finding.rule == rule then
				return finding
			end
		end
	end

	before_each(function()
		new()
	end)
	teardown(child.clean)

	it("passes the example, with notes at most", function()
		local code, out, err = child.run { "check", "examples/acme-mail/acme-mail.lua" }
		assert.equal("", err)
		assert.equal(0, code)
		assert.matches("14 calls declared and 17 messages of 14 examples looked at: 0 errors, 0 warnings, %d notes", out)
		assert.equal(0, (child.run { "check", "examples/acme-mail/acme-mail.lua", "--strict" }))
	end)

	it("reads declarations without running a function of the script", function()
		new(SOURCE:gsub('get "total"', 'get "total":apply(function() error "it ran" end)'):gsub("on = {", [[on = {
		bought = source.track "Purchase" {},]]))
		local code, out = run()
		assert.equal(1, code)
		assert.not_matches("it ran", out)
		assert.matches('error    acme.lua:9  bought: "Purchase" is "Order Completed" in the Spec. Fix: call it "Order Completed". ',
			out, 1, true)
		assert.matches("(R3, https://segment.com/docs/", out, 1, true)
	end)

	it("says what it could not look at, and never that all is well then", function()
		local code, out = run()
		assert.equal(0, code)
		assert.matches("No example of:", out, 1, true)
		assert.matches("  many (acme.lua:14): a function, so nothing is known of what it sends", out, 1, true)
		assert.matches("  paid (acme.lua:9): looked at as it is declared, and no more", out, 1, true)
		assert.matches("2 entries could not be looked at, so this is no clean bill", out, 1, true)
		assert.not_matches("sent", out:match "No example of:.*")

		local _, result = run_json()
		assert.same({ "broken", "listed", "listed", "many", "paid" }, (function()
			local names = {}
			for i, it in ipairs(result.no_example) do
				names[i] = it.entry
			end
			table.sort(names)
			return names
		end)())
	end)

	it("checks what the examples become, and tells which entry made it", function()
		fixture("paid.json", '{"type":"paid","id":"1","at":1763935080,"user":"u1","order":"o","total":"12.50",'
			.. '"lines":[{"sku":"a","price":1},{"price":2}]}')
		fixture("many.json", '{"type":"many","id":"2","user":"u1","names":["Purchase","Order Completed","Order Completed"],'
			.. '"total":"9","users":["u1","null","null"]}')
		local code, result = run_json()
		assert.equal(1, code)
		assert.is_false(result.ok)
		local renamed, ignored, typed = find(result, "event-renamed"), find(result, "id-ignored"), find(result, "property-type")
		assert.same({ "many", "many.json", "acme.lua", 14 }, { renamed.entry, renamed.example, renamed.script, renamed.line })
		assert.same({ "many", 2 }, { ignored.entry, ignored.times })
		assert.is_truthy(typed.entry)
		local about = {}
		for _, finding in ipairs(result.findings) do
			if finding.entry == "paid" then
				about[#about + 1] = finding.rule .. " " .. finding.path
			end
		end
		table.sort(about)
		assert.same({ "property-id-missing properties.products[2].product_id", "property-type properties.total" }, about)
		assert.equal(4, result.looked_at.messages)
		local unseen = cjson.encode(result.no_example)
		assert.not_matches('"many"', unseen)
		assert.not_matches('"paid"', unseen)
		assert.not_matches("12.50", cjson.encode(result.findings), 1, true)
	end)

	it("tells a call of a list apart from its neighbours", function()
		fixture("listed.json", '{"type":"listed","id":"1","user":"u1"}')
		local _, result = run_json()
		local listed = {}
		for _, it in ipairs(result.no_example) do
			if it.entry == "listed" then
				listed[#listed + 1] = it.call
			end
		end
		assert.same({ 2 }, listed) -- its `when` did not hold
	end)

	it("does not tell twice what the declarations show already", function()
		new((SOURCE:gsub('"Order Completed"', '"Purchase"')))
		fixture("paid.json", '[{"type":"paid","id":"1","at":1,"user":"u1"},{"type":"paid","id":"2","at":1,"user":"u2"}]')
		local _, out = run()
		assert.equal(1, select(2, out:gsub('"Purchase" is', "")))
	end)

	it("finds two spellings of a name, one of which a function makes", function()
		fixture("many.json", '{"type":"many","id":"2","names":["Ticket created","Ticket Closed"],"users":["u1","u2"]}')
		local _, result = run_json()
		assert.same({ "many", '"Ticket Created" and "Ticket created" differ in their writing alone' },
			{ find(result, "names-alike").entry, find(result, "names-alike").what })
	end)

	it("says of which entries :apply makes a value that no example shows", function()
		new((SOURCE:gsub('get "total"', 'get "total":apply(function(v) return v end)')))
		assert.matches("paid (acme.lua:9): looked at as it is declared; what :apply makes is not known", (select(2, run())), 1, true)
	end)

	it("counts warnings with --strict", function()
		new((SOURCE:gsub('"Ticket Created"', '"ticket created"')))
		assert.equal(0, (run()))
		local code, result = run_json "--strict"
		assert.equal(1, code)
		assert.same({ 0, 1 }, { result.errors, result.warnings })
	end)

	it("tells of examples that fail, and of those that can't be read", function()
		fixture("broken.json", '{"type":"broken","id":"1","user":"u1"}')
		fixture("nobody.json", '{"type":"paid","id":"1"}')
		local code, result = run_json()
		assert.equal(0, code)
		local severities = {}
		for _, finding in ipairs(result.findings) do
			if finding.rule == "event-failed" then
				severities[finding.example] = finding.severity
			end
		end
		assert.same({ ["broken.json"] = "warning", ["nobody.json"] = "note" }, severities)

		fixture("half.json", '{"type":"paid"')
		local _, out, err
		code, out, err = run()
		assert.equal(1, code)
		assert.matches("half.json", err .. out)
		assert.matches("no clean bill", out)
		_, result = run_json()
		assert.is_false(result.ok)
	end)

	it("counts as an error what Moonweir refuses because Segment would", function()
		new((SOURCE:gsub("broken = function%(%).-end,",
			'broken = function(_, emit) emit(source.track "Ticket Created" (source.array {}), { user = "u" }) end,')))
		fixture("broken.json", '{"type":"broken","id":"1","user":"u1"}')
		local code, result = run_json()
		assert.equal(1, code)
		local finding = find(result, "event-failed")
		assert.equal("error", finding.severity)
		assert.matches("(invalid)", finding.what, 1, true)
	end)

	it("lists custom events, of which Segment wants to hear first", function()
		local _, result = run_json()
		assert.matches('"Ticket Closed", "Ticket Created"', find(result, "event-custom").what, 1, true)
		assert.equal("R4", find(result, "event-custom").partner)
	end)

	it("writes nothing that steers a terminal, and no colour into a pipe", function()
		new((SOURCE:gsub('"Ticket Created"', '"Ticket\\27[31m \\226\\128\\174Created"')))
		local _, out = run()
		assert.not_matches("\27", out, 1, true)
		assert.not_matches("\226\128\174", out, 1, true)
		local _, result = run_json()
		assert.is_table(result)
	end)

	it("lists its rules and those of partners, with what it can't see", function()
		local code, out = child.run { "check", "--rules" }
		assert.equal(0, code)
		for number_of_rule = 1, 12 do
			assert.matches(("\n  R%d "):format(number_of_rule), out)
		end
		for _, word in ipairs { "event-renamed", "id-ignored", "code event_not_defined", "R9   the customer can save",
			"source_disabled" } do
			assert.matches(word, out, 1, true)
		end
	end)

	it("refuses a wrong command line with 2, and a script that does not load with 1", function()
		assert.equal(2, (child.run { "check" }))
		assert.equal(2, (run "--nonsense"))
		assert.equal(2, (run("--fixtures", "")))
		local code, _, err = run("--fixtures", "/nowhere/at/all")
		assert.equal(1, code)
		assert.matches("nowhere", err)
		script = child.file("torn.lua", "return source.define {")
		code, _, err = run()
		assert.equal(1, code)
		assert.matches("torn.lua", err)
	end)
end)
