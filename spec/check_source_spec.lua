--- What can be seen of a source without running it, and where in the script it is said to be.

local golden = require "moonweir.golden"
local rules = require "moonweir.check.rules"
local source = require "moonweir.check.source"

local HEAD = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "acme-shop", version = "1.0.0",
	event = get "type", id = get "id", time = get "at",
]]

local USER = [[
	user = source.user { get "customer.external_id" },
	context = { acmeShopId = get "customer.id" },
]]

-- The lines of `body` are counted from 1.
local function check(body, settings)
	local head = HEAD .. (settings or USER) .. "\ton = {\n"
	local text = head .. body .. "\n\t},\n}\n"
	local report = source.check(assert(golden.load("acme.lua", text)), text)
	local offset = select(2, head:gsub("\n", ""))
	local lines = {}
	for i, f in ipairs(report.findings) do
		assert.is_table(rules.by_name[f.rule])
		assert.equal("acme.lua", f.script)
		lines[i] = ("%s %s%s %s"):format(f.rule, f.entry and f.entry .. ":" or "", f.line and f.line - offset or "?", f.path)
	end
	return table.concat(lines, "\n"), report
end

describe("a source as it is declared", function()
	it("has no findings if nothing is wrong", function()
		local found, report = check [[
			paid = source.track "Order Completed" {
				order_id = get "id":string(), total = get "cents":money(get "currency"),
				products = get "lines":map { product_id = get "sku":string(), price = get "cents" / 100, quantity = get "n" },
			},
			changed = source.identify { email = get "email", created_at = get "since":time(), first_name = get "first" },
			joined = source.group(get "company") { name = get "name", employees = get "n" },
			seen = source.page("Shop", get "title") { url = get "url" },
			known = source.ignore]]
		assert.equal("", found)
		assert.equal(4, report.calls)
		assert.same({}, report.functions)
	end)

	it("may leave it to the identity store alone who the user is", function()
		assert.equal("", (check([[ paid = source.track "Order Completed" { order_id = get "id":string() } ]], [[
			user = source.user { phone = get "from" },
			context = { acmeShopId = get "customer.id" },
		]])))
	end)

	it("is found wrong where it is wrong: names, properties and types, nested ones too", function()
		local found = check [[
			a = source.track "Purchase" {},
			b = source.track "Order Completed" {
				orderId = get "id",
				total = get "cents":string(),
				products = get "lines":map {
					product_id = get "sku",
					prce = get "cents",
					quantity = get "n":string(),
				},
			},
			c = source.track "Email Opened" { email_id = get "m",
				campaign_id = 7,
			}]]
		for _, line in ipairs {
			"event-renamed a:1 event", "property-renamed b:3 properties.orderId", "property-type b:4 properties.total",
			"property-near b:7 properties.products[].prce", "property-type b:8 properties.products[].quantity",
			"property-type c:12 properties.campaign_id", "context-email-missing -1 context.traits.email",
			"property-id-missing b:2 properties.order_id",
		} do
			assert.matches(line, found, 1, true)
		end
	end)

	it("is told nothing of what is not known before an event comes", function()
		assert.equal("", (check [[
			a = source.track "Order Completed" {
				order_id = get "id", total = get "total", currency = get "c":default "EUR", coupon = source.any(get "a", get "b"),
				products = get "lines", tax = get "tax":apply(function(v) return v end), discount = get "lines":first(),
			}]]))
	end)

	it("says which entries are functions, and in which :apply makes a value", function()
		local _, report = check [[
			a = function(event, emit) emit(source.track "Purchase" {}) end,
			b = source.track "Ticket Created" { n = get "n":apply(function(v) return v end) },
			c = source.track "Ticket Closed" { n = { m = source.array { get "n":apply(function(v) return v end):string() } } }]]
		assert.same({ "a" }, report.functions)
		assert.same({ "b", "c" }, report.applies)
	end)

	it("has its event names out of a table looked at one by one; out of the event they can't be", function()
		local found = check [[
			a = source.track(get "kind":lookup { x = "Purchase", y = "Ticket Created" }) {},
			b = source.track(get "kind":lookup { x = "Ticket Closed" }:default "order completed") {},
			c = source.track("Ticket " .. get "kind") {}]]
		assert.equal("event-renamed a:1 event\nevent-renamed b:2 event\nevent-dynamic c:3 event", found)
	end)

	it("has one user, the customer's", function()
		local body = [[ a = source.track "Ticket Created" {} ]]
		local context = [[ context = { acmeShopId = get "contact.id":string() }, user = source.user { ]]
		assert.equal("user-missing 1 userId", (check(body, [[ context = { acmeShopId = get "x" }, ]]):gsub(" %-%d+", " 1")))
		assert.equal("", (check(body, context .. [[ tool_id = get "contact.id" }, ]]))) -- the identity store knows
		assert.matches("id%-of%-tool", (check(body, context .. [[ get "contact.id" }, ]])))
		assert.matches("id%-of%-tool", (check(body, context .. [[ source.any(get "user_id", get "contact.id":string()) }, ]])))
		assert.matches("id%-email", (check(body, context .. [[ get "contact.email" }, ]])))
		assert.matches("id%-email", (check(body, context .. [[ get "contact.Email-Address":lower() }, ]])))
		assert.matches("id%-maybe%-of%-tool", (check(body, context .. [[ get "lead.id" }, ]])))
		assert.matches("id%-maybe%-of%-tool", (check(body, context .. [[ get "data.object.customer" }, ]])))
		assert.matches("id%-maybe%-of%-tool", (check(body, context .. [[ get "subscriber_id" }, ]])))
		assert.equal("id-ignored -1 userId", (check(body, "\n" .. context .. [[ "null" },
]])))
		local _, report = check(body, [[ context = { acmeShopId = get "x" }, ]])
		assert.matches('user = source.user { get "', report.findings[1].fix, 1, true)
		for _, good in ipairs { "user_id", "contact.external_id", "data.identifiers.id", "metadata.id", "customer_id", "uid" } do
			assert.equal("", (check(body, context .. ([[ get %q, email = get "email" }, ]]):format(good))), good)
		end
		assert.matches("id%-email a:1", (check([[ a = source.track "Ticket Created" {}:with { user = get "email" } ]])))
	end)

	it("says when it was, has a stable id, and the tool's own id in context", function()
		local text = [[
local source = require "moonweir.source"
local get = source.get
return source.define { slug = "acme-shop", version = "1", event = get "type", user = source.user { get "user_id" },
	missing_user = "anonymous",
	context = { direct = true, user_agent = get "ua",
		ip = 5 },
	integrations = { name = "acme-shop", version = "1.0.0" },
	on = { a = source.track "Ticket Created" {}, b = source.track "Ticket Closed" {} } }
]]
		local found = {}
		for _, f in ipairs(source.check(assert(golden.load("acme.lua", text)), text).findings) do
			assert.is_nil(found[f.rule], f.rule .. " is there twice")
			found[f.rule] = f
		end
		for _, rule in ipairs { "time-missing", "message-id-missing", "tool-id-missing", "user-anonymous", "integration-version",
			"integrations-mistaken", "context-direct", "field-renamed", "context-type" } do
			assert.is_table(found[rule], rule)
			assert.is_nil(found[rule].entry, rule)
		end
		assert.equal(5, found["context-direct"].line)
		assert.equal(6, found["context-type"].line)
		assert.equal(7, found["integrations-mistaken"].line)
		assert.equal("context.acmeShopId", found["tool-id-missing"].path)
	end)

	it("leaves context.integration to Moonweir, which would write over it", function()
		local found = check([[
			a = source.track "Ticket Created" {},
			b = source.track "Ticket Closed" {}:with {
				context = { library = { name = "mine" } } },]],
			[[ user = source.user { get "u" }, context = { acmeShopId = get "id", integration = { name = "other" } }, ]])
		assert.equal("integration-replaced 0 context.integration\nintegration-replaced b:3 context.library", found)
	end)

	it("writes all names in one way, over all its calls", function()
		local found = check [[
			a = source.track "Ticket Created" { ticket_id = get "id" },
			b = source.track "ticket created" { ticketId = get "id" },
			c = source.identify { firstName = get "f", last_name = get "l" }]]
		assert.matches("names-alike b:2 event", found, 1, true)
		assert.matches("names-alike b:2 properties", found, 1, true)
		assert.matches("casing-mixed b:2 properties", found, 1, true)
		assert.matches("casing-mixed c:3 traits", found, 1, true)
	end)

	it("has a plain value from elsewhere told at the call, not at the next value of that name", function()
		local found = check([[
			a = source.track "Order Completed" (source.null and { order_id = "1", ["to" .. "tal"] = "x" }),
			b = source.track "Order Completed" {
				order_id = "2",
				total = 5,
			}]])
		assert.equal("property-type a:1 properties.total", found)
	end)

	it("may put an empty list where an object belongs, or the other way round", function()
		local found = check [[ a = source.track "Push Notification Received" { campaign = source.array {} } ]]
		assert.equal("property-type a:1 properties.campaign", found)
		local report
		found, report = check [[ a = source.track "Cart Viewed" { cart_id = "1", products = {} } ]]
		assert.equal("property-type a:1 properties.products", found)
		assert.equal("send source.array {}, which is []: in Lua an empty table is {}", report.findings[1].fix)
		assert.equal("", (check [[ a = source.track "Cart Viewed" { cart_id = "1", products = source.array {} } ]]))
	end)

	it("has names that one call mixes told once, and those of two calls as well", function()
		assert.equal("casing-mixed a:1 properties", (check [[ a = source.track "Ticket Created" { some_one = 1, someThing = 2 } ]]))
		assert.equal("property-casing a:1 properties\nnames-alike a:1 properties.ticket_no",
			(check [[ a = source.track "Ticket Created" { ticket_no = 1, Ticket_no = 2 } ]]))
		local found = check [[
			a = source.track "Ticket Created" { some_one = 1 },
			b = source.track "Ticket Closed" { someThing = 2, Some_one = 1 },]]
		assert.matches("casing-mixed b:2 properties", found, 1, true)
		assert.matches("names-alike b:2 properties", found, 1, true)
	end)
end)
