--- Every rule finds what it is there for, in one wrong message; and right messages have no findings.

local batch = require "moonweir.check.batch"
local calls = require "spec.support.calls"
local core = require "moonweir.core"
local message = require "moonweir.check.message"
local rules = require "moonweir.check.rules"
local spec = require "moonweir.spec"

local null = core.null
local right, context, decoded, find, list = calls.right, calls.context, calls.decoded, calls.find, calls.list

local function without(field)
	local made = right()
	made[field] = nil
	return made
end

local function track(event, properties)
	return right { event = event, properties = properties }
end

local function many(n)
	local made = {}
	for i = 1, n do
		made["p" .. i] = i
	end
	return made
end

-- rule -> { a wrong message, the path that is named }, any number of them
local WRONG = {
	["user-missing"] = { { without "userId", "userId" } },
	["user-anonymous"] = { { (function()
		local m = without "userId"
		m.anonymousId = "ann@example.com"
		return m
	end)(), "userId" } },
	["id-not-text"] = { { right { userId = 17 }, "userId" }, { right { userId = "" }, "userId" },
		{ right { userId = null }, "userId" },
		{ right { anonymousId = { 1 } }, "anonymousId" }, { right { userId = true }, "userId" } },
	["id-ignored"] = { { right { userId = "null" }, "userId" }, { right { userId = "-1" }, "userId" },
		{ right { userId = "0" }, "userId" },
		{ right { userId = "00000000-0000-0000-0000-000000000000" }, "userId" },
			{ right { anonymousId = "anonymous" }, "anonymousId" } },
	["id-placeholder"] = { { right { userId = "undefined" }, "userId" }, { right { userId = "None" }, "userId" } },
	["id-email"] = { { right { userId = "ann@example.com" }, "userId" } },
	["id-of-tool"] = { { right { userId = "c9", context = context { acmeDeskId = "c9" } }, "userId" } },
	["id-maybe-of-tool"] = { { right { userId = "c9", context = context { deskId = "c9" } }, "userId" } },
	["group-id-missing"] = { { right { type = "group" }, "groupId" }, { right { type = "group", groupId = "" }, "groupId" },
		{ right { type = "group", groupId = 42 }, "groupId" } },
	["previous-id-missing"] = { { right { type = "alias" }, "previousId" } },
	["event-missing"] = { { without "event", "event" }, { right { event = "" }, "event" } },
	["event-not-text"] = { { right { event = 5 }, "event" }, { right { event = null }, "event" } },
	["event-renamed"] = { { right { event = "Purchase" }, "event" }, { right { event = "install" }, "event" },
		{ right { event = "order_completed" }, "event" } },
	["event-near"] = { { right { event = "Order Complted" }, "event" }, { right { event = "Link Clicked" }, "event" } },
	["event-deprecated"] = { { right { event = "Viewed Product" }, "event" } },
	["event-reserved"] = { { right { event = "Page Viewed" }, "event" }, { right { event = "Violation Generated" }, "event" } },
	["event-casing"] = { { right { event = "ticket created" }, "event" } },
	["event-dynamic"] = { { right { event = "Ticket 1234567 Created" }, "event" } },
	["name-not-text"] = { { right { type = "page", name = "" }, "name" }, { right { type = "screen", name = 5 }, "name" } },
	["category-not-text"] = { { right { type = "page", category = "" }, "category" },
		{ right { type = "screen", category = null }, "category" } },
	["properties-not-object"] = { { right { properties = core.array {} }, "properties" },
		{ right { properties = "x" }, "properties" },
		{ right { properties = null }, "properties" }, { right { type = "page", properties = core.array {} }, "properties" } },
	["traits-not-object"] = { { right { type = "identify", traits = core.array {} }, "traits" },
		{ right { type = "group", groupId = "g", traits = "x" }, "traits" }, { right { type = "identify", traits = null }, "traits" } },
	["property-renamed"] = {
		{ track("Order Completed", { orderId = "1" }), "properties.orderId" },
		{ track("Order Completed", { order_id = "1", products = { { sku = "s", productId = "p" } } }),
			"properties.products[1].productId" },
		{ track("Order Completed", { order_id = "1", products = { { sku = "s" }, { id = "p", sku = "s" } } }),
			"properties.products[2].id" },
		{ track("Email Opened", { email_id = "1", subject = "Hi" }), "properties.subject" },
	},
	["property-near"] = { { track("Order Completed", { order_id = "1", curency = "EUR" }), "properties.curency" } },
	["property-type"] = {
		{ track("Order Completed", { order_id = "1", total = "12.50" }), "properties.total" },
		{ track("Order Completed", { order_id = "1", products = { { sku = "s", price = "12.50" } } }), "properties.products[1].price" },
		{ track("Order Completed", { order_id = "1", products = { sku = "s" } }), "properties.products" },
		{ track("Order Completed", { order_id = "1", products = {} }), "properties.products" },
		{ track("Order Completed", { order_id = 1 }), "properties.order_id" },
		{ track("Push Notification Received", { campaign = core.array {} }), "properties.campaign" },
		{ track("Video Ad Playing", { session_id = "s", content = { livestream = "yes" } }), "properties.content.livestream" },
	},
	["reserved-type"] = { { track("Ticket Created", { revenue = "12.50" }), "properties.revenue" },
		{ right { type = "page", properties = { keywords = "a, b" } }, "properties.keywords" } },
	["property-value"] = { { track("Video Ad Playing", { session_id = "s", quartile = 5 }), "properties.quartile" },
		{ track("Video Playback Started", { session_id = "s", sound = 101 }), "properties.sound" },
		{ track("Video Playback Started", { session_id = "s", position = 1.5 }), "properties.position" } },
	["property-id-missing"] = { { track("Order Completed", { total = 1 }), "properties.order_id" },
		{ track("Experiment Viewed", {}), "properties.experiment_id" },
		{ track("Order Completed", { order_id = "1", products = { { name = "Tea" } } }), "properties.products[1].product_id" } },
	["property-casing"] = { { track("Ticket Created", { ticketId = "1" }), "properties" } },
	["casing-mixed"] = { { track("Ticket Created", { ticketId = "1", agent_name = "Ann" }), "properties" } },
	["names-alike"] = { { track("Ticket Created", { ticket_id = "1", ticketID = "1" }) },
		{ right { type = "identify", traits = { first_name = "Ann", firstName = "Ann" } } } },
	["trait-type"] = { { right { type = "identify", traits = { age = "41" } }, "traits.age" },
		{ right { type = "identify", traits = { address = "Kyoto" } }, "traits.address" },
		{ right { type = "identify", traits = { address = core.array {} } }, "traits.address" },
		{ right { type = "group", groupId = "g", traits = { name = 5 } }, "traits.name" },
		{ right { type = "identify", traits = { created_at = 1763935080 } }, "traits.created_at" } },
	["date-without-zone"] = { { track("Ticket Created", { due = "2026-01-31 12:00:00" }), "properties.due" },
		{ right { type = "identify", traits = { createdAt = "2026-01-31T12:00:00" } }, "traits.createdAt" },
		{ right { type = "identify", traits = { renewal_date = "2026-01-31 12:00:00" } }, "traits.renewal_date" },
		{ right { timestamp = "2026-01-31T12:00:00.000" }, "timestamp" },
		{ track("Trial Started", { trial_end_date = "2026-01-31T12:00" }), "properties.trial_end_date" } },
	["date-unreadable"] = { { right { timestamp = "yesterday" }, "timestamp" }, { right { timestamp = 1763935080 }, "timestamp" },
		{ track("Trial Started", { trial_end_date = "31/01/2026" }), "properties.trial_end_date" } },
	["reserved-column"] = { { track("Ticket Created", { user_id = "1" }), "properties.user_id" } },
	["too-many-properties"] = { { track("Ticket Created", many(10001)), "properties" } },
	["many-properties"] = { { track("Ticket Created", many(301)), "properties" } },
	["long-text"] = { { track("Ticket Created", { body = ("ü"):rep(513) }), "properties.body" } },
	["call-unknown"] = { { right { type = "click" }, "type" }, { without "type", "type" } },
	["integration-missing"] = { { right { context = {} }, "context.integration" }, { without "context", "context.integration" },
		{ right { context = { integration = "acme" } }, "context.integration" },
		{ right { context = { integration = { name = "acme" } } }, "context.integration.version" } },
	["integration-version"] = { { right { context = { integration = { name = "a", version = "1" } } },
		"context.integration.version" } },
	["integrations-mistaken"] = { { right { integrations = { name = "acme", version = "1.0.0" } }, "integrations" },
		{ right { context = context { integrations = { name = "a", version = "1.0.0" } } }, "context.integrations" } },
	["integrations-shape"] = { { right { integrations = core.array {} }, "integrations" },
		{ right { integrations = { Mixpanel = "yes" } },
		"integrations.Mixpanel" }, { right { integrations = { all = false } }, "integrations.all" } },
	["context-type"] = { { right { context = context { ip = 5 } }, "context.ip" },
		{ right { context = context { page = core.array {} } }, "context.page" } },
	["field-renamed"] = { { right { context = context { user_agent = "x" } }, "context.user_agent" },
		{ right { user_id = "u" }, "user_id" }, { right { sessionId = "x" }, "sessionId" } },
	["context-direct"] = { { right { context = context { direct = true } }, "context.direct" } },
	["context-email-missing"] = { { track("Email Opened", { email_id = "1" }), "context.traits.email" } },
	["external-id"] = { { right { context = context { externalIds = { { id = "1", type = "t", collection = "users" } } } },
		"context.externalIds[1].encoding" } },
	["advertising-id-not-text"] = { { right { context = context { device = { advertisingId = 5 } } },
		"context.device.advertisingId" } },
	["consent-missing"] = { { right { event = "Segment Consent Preference Updated" }, "context.consent.categoryPreferences" } },
	["consent-not-object"] = { { right { context = context { consent = { categoryPreferences = "all" } } },
		"context.consent.categoryPreferences" } },
	["consent-not-boolean"] = { { right { context = context { consent = { categoryPreferences = { Ads = "no" } } } },
		"context.consent.categoryPreferences.Ads" } },
	["consent-version"] = { { right { context = context { consent = { version = "2", categoryPreferences = { Ads = true } } } },
		"context.consent.version" } },
	["consent-empty"] = { { right { context = context { consent = { categoryPreferences = {} } } },
		"context.consent.categoryPreferences" } },
	["message-id-long"] = { { right { messageId = ("x"):rep(100) }, "messageId" } },
	["message-id-missing"] = { { without "messageId", "messageId" } },
}

-- What no single message shows: the settings of a source (check_source_spec), its examples (cli_check_spec), a batch (below).
local ELSEWHERE = { ["too-large"] = true, ["tool-id-missing"] = true, ["time-missing"] = true, ["event-custom"] = true,
	["event-failed"] = true, ["integration-replaced"] = true,
	["batch-empty"] = true, ["batch-invalid"] = true, ["batch-part-invalid"] = true, ["batch-too-long"] = true,
		["message-id-repeated"] = true }

-- A value that the Spec asks for.
local function sample(field)
	local kind = field.types[1]
	if field.enum and kind ~= "array" then
		return field.enum[1]
	elseif kind == "string" then
		return "some text"
	elseif kind == "number" then
		return 1.5
	elseif kind == "integer" then
		return field.min or 1
	elseif kind == "boolean" then
		return true
	elseif kind == "date" then
		return "2026-01-31T12:00:00Z"
	elseif kind == "array" then
		return core.array { sample(field.items) }
	end
	local made = {}
	for inner, its in pairs(field.properties or {}) do
		made[inner] = sample(its)
	end
	return made
end

local function sample_message(event)
	local made = track(event.name, {})
	for field_name, field in pairs(event.properties) do
		made.properties[field_name] = sample(field)
	end
	for field_name, field in pairs(event.context or {}) do
		made.context[field.canonical or field_name] = sample(field)
	end
	return decoded(made)
end

describe("a message", function()
	it("has no findings if nothing is wrong with it", function()
		assert.equal("", list(message.check(decoded(right()))))
		assert.equal("", list(message.check(decoded(right { type = "identify", traits = { email = "ann@example.com", createdAt =
			"2026-01-31T12:00:00Z", address = { postalCode = "1" }, plan = "pro" } }))))
		assert.equal("", list(message.check(decoded(right { type = "page", name = "Home", category = "Shop",
			properties = { url = "u" } }))))
		assert.equal("", list(message.check(decoded(right { type = "screen", name = "Home" }))))
		assert.equal("", list(message.check(decoded(right { type = "group", groupId = "g", traits = { employees = 5 } }))))
		assert.equal("", list(message.check(decoded(right { type = "alias", previousId = "p" }))))
		assert.equal("", list(message.check(decoded(right { integrations = { All = true, Salesforce = false, Slack = { x = 1 } } }))))
	end)

	it("passes for each of the Spec's events when it is sent right", function()
		local count = 0
		for _, category in ipairs(spec.categories) do
			for _, event in ipairs(category.events) do
				if spec.event(event.name) == event then
					count = count + 1
					local found = message.check(sample_message(event))
					if event.deprecated then
						assert.equal("event-deprecated", found[1].rule)
						table.remove(found, 1)
					end
					assert.equal("", list(found), event.name)
				end
			end
		end
		print(("events of the Spec that pass when sent right: %d of %d names"):format(count, #spec.events()))
		assert.equal(#spec.events(), count)

		-- Two versions have an Order Completed. Sent as the newer it is right; of the older, old names of properties are told.
		for _, finding in ipairs(message.check(sample_message(spec.event("Order Completed", "ecommerce_v1")))) do
			assert.is_true(finding.rule == "property-renamed" or finding.rule == "property-id-missing", list { finding })
		end
	end)

	it("is found wrong by every rule, at its place, with what, why and how to mend it", function()
		for _, rule in ipairs(rules.order) do
			local cases = WRONG[rule]
			assert.is_true(cases ~= nil or ELSEWHERE[rule] == true, "no wrong message for " .. rule)
			for _, case in ipairs(cases or {}) do
				local found = message.check(decoded(case[1]))
				local finding = find(found, rule)
				assert.is_table(finding, ("%s is not found, but\n%s"):format(rule, list(found)))
				assert.equal(case[2] or finding.path, finding.path)
				for _, part in ipairs { "what", "why", "fix" } do
					assert.is_true(#finding[part] > 3, part)
				end
				assert.is_true(finding.source == nil and not rules.by_name[rule].page or finding.source:find "^https://" == 1, rule)
				assert.equal(rules.by_name[rule].code, finding.code)
			end
		end
		for rule in pairs(WRONG) do
			assert.is_table(rules.by_name[rule], "there is no rule " .. rule)
		end
	end)

	it("may be a Message Sent that has nothing to do with AI assistants: then nothing is an error", function()
		local found = message.check(decoded(track("Message Sent", { message_id = 5, message_body = 1 })))
		assert.is_table(find(found, "property-renamed"))
		for _, finding in ipairs(found) do
			assert.equal("warning", finding.severity)
		end
	end)

	it("is told once of a name that stands beside the right one", function()
		local found = list(message.check(decoded(track("Order Completed", { order_id = "1", orderId = "1" }))))
		assert.matches("names%-alike", found)
		assert.not_matches("property%-renamed", found)
	end)

	it("may have a user who is also named in a field of Segment's", function()
		assert.equal("", list(message.check(decoded(right { context = context { groupId = "user-17", traits = { id = "user-17" } } }))))
	end)

	it("is not blamed for a property of its own, or for both spellings of a trait", function()
		assert.equal("", list(message.check(decoded(right { event = "Email Bounced",
			properties = { email_id = "1", bounce_type = "hard" },
			context = context { traits = { email = "a@b.c" } } }))))
		assert.equal("", list(message.check(decoded(right { type = "identify", traits = { first_name = "Ann" } }))))
		assert.equal("", list(message.check(decoded(right { type = "identify", traits = { firstName = "Ann" } }))))
	end)

	it("keeps what people's values are out of what is said about them", function()
		for _, cases in pairs(WRONG) do
			for _, case in ipairs(cases) do
				for _, finding in ipairs(message.check(decoded(case[1]))) do
					assert.not_matches("ann@example.com", finding.what .. finding.fix, 1, true)
					assert.not_matches("12.50", finding.what .. finding.fix, 1, true)
					assert.not_matches("1234567", finding.what .. finding.fix, 1, true)
				end
			end
		end
	end)

	it("is not changed, and gives the same findings each time", function()
		local m = decoded(WRONG["property-renamed"][2][1])
		local before = core.encode(m)
		local first = list(message.check(m))
		assert.equal(first, list(message.check(m)))
		assert.equal(#before, #core.encode(m))
	end)

	it("may come from another decoder, where an empty table may be either", function()
		local cjson = require "cjson"
		local m = cjson.decode(core.encode(right { type = "identify", traits = core.array {},
			context = context { page = core.array {} } }))
		assert.equal("", list(message.check(m)))
		assert.equal("id-not-text", message.check(cjson.decode '{"type":"track","userId":null,"event":"Ticket Created"}')[2].rule)
	end)

	it("is too long when whoever has its bytes says so", function()
		assert.is_table(find(message.check(right(), { bytes = 32001 }), "too-large"))
		assert.equal("", list(message.check(decoded(right()), { bytes = 32000 })))
	end)

	it("never makes the check raise, whatever it is", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		math.randomseed(seed)
		local names = { "type", "userId", "event", "properties", "traits", "context", "integrations", "products", "name",
			"integration", "device",
			"consent", "categoryPreferences", "externalIds", "version", "library", "messageId", "timestamp", "groupId", "previousId", "x" }
		local events = spec.events()
		local function value(depth)
			local roll = math.random(1, depth > 4 and 7 or 10)
			if roll == 1 then
				return null
			elseif roll == 2 then
				return math.random(0, 1) == 1
			elseif roll == 3 then
				return math.random(-5, 5)
			elseif roll == 4 then
				return core.decode "123456789012345678901234567890"
			elseif roll == 5 then
				return ({ "track", "identify", "page", "group", "alias", "", "\255\0", "2026-01-31T12:00:00" })[math.random(1, 8)]
			elseif roll <= 7 then
				return events[math.random(1, #events)]
			end
			local made, is_list = {}, roll == 8
			for i = 1, math.random(0, 6) do
				if is_list then
					made[i] = value(depth + 1)
				else
					made[names[math.random(1, #names)]] = value(depth + 1)
				end
			end
			return is_list and core.array(made) or made
		end
		for i = 1, 2000 do
			local m = value(1)
			local ok, why = pcall(message.check, m)
			assert.is_true(ok, ("MW_SEED=%d, number %d: %s"):format(seed, i, tostring(why)))
			assert.is_true((pcall(batch.check, { batch = m })), ("MW_SEED=%d, number %d"):format(seed, i))
		end
	end)
end)

describe("what is asked of partners", function()
	it("has a rule each, if it says that it is checked", function()
		local asked = {}
		for i, one in ipairs(require "moonweir.check.partner") do
			assert.equal("R" .. i, one.id)
			asked[one.id] = one
		end
		local ruled = {}
		for _, rule in pairs(rules.by_name) do
			assert.is_true(rule.partner == nil or asked[rule.partner] ~= nil)
			ruled[rule.partner or ""] = true
		end
		for id, one in pairs(asked) do
			assert.is_true(one.by ~= "checked" or ruled[id] == true, id)
		end
	end)
end)
