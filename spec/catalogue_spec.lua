--- Segment's Spec as data holds together. That it is what Segment's pages say is spec/acceptance/catalogue.lua's to prove.

local make = require "moonweir.spec.make"
local spec = require "moonweir.spec"

local function each_event(visit)
	for _, category in ipairs(spec.categories) do
		for _, event in ipairs(category.events) do
			visit(event, category)
		end
	end
end

-- Every field there is, the elements of arrays too, with where it stands.
local function each_field(visit)
	local function walk(fields, where)
		spec.each(fields, function(path, field)
			visit(field, where .. " " .. path)
			if field.items then
				visit(field.items, where .. " " .. path .. "[]")
			end
		end)
	end
	each_event(function(event)
		walk(event.properties, event.name)
		walk(event.context or {}, event.name .. " context")
	end)
	for name, call in pairs(spec.calls) do
		walk(call.fields, name)
	end
	walk(spec.common, "common")
	walk(spec.context, "context")
	for _, group in ipairs { spec.reserved.traits, spec.reserved.properties } do
		for call, fields in pairs(group) do
			walk(fields, "reserved " .. call)
		end
	end
	for name, event in pairs(spec.reserved.events) do
		walk(event.properties or {}, name)
		walk(event.context or {}, name .. " context")
	end
end

-- The field at a path like "context.library.name", of any call.
local function field_at(path)
	local first, rest = path:match "^([^.]+)%.?(.*)$"
	local field = first == "context" and { properties = spec.context } or spec.common[first]
	for _, call in pairs(spec.calls) do
		field = field or call.fields[first]
	end
	for name in rest:gmatch "[^.]+" do
		field = field and field.properties and field.properties[name]
	end
	return field
end

local function contains(list, value)
	for _, item in ipairs(list) do
		if item == value then
			return true
		end
	end
	return false
end

describe("the catalogue", function()
	it("has 92 events with 811 properties in 9 categories", function()
		local events, properties = {}, 0
		each_event(function(event, category)
			events[category.id] = (events[category.id] or 0) + 1
			spec.each(event.properties, function()
				properties = properties + 1
			end)
		end)
		assert.same({
			ab_testing = 1, b2b = 10, copilot = 8, ecommerce = 28, ecommerce_v1 = 5, email = 6, live_chat = 4, mobile = 13, video = 17,
		}, events)
		assert.equal(811, properties)
		assert.equal(91, #spec.events()) -- Order Completed is in two categories
	end)

	it("joins every category that has a file", function()
		local others = { aliases = true, calls = true, drops = true, init = true, limits = true, make = true, reserved = true }
		local pipe = io.popen "ls lua/moonweir/spec"
		for file in pipe:lines() do
			local name = file:gsub("%.lua$", "")
			assert.is_true(others[name] or spec.category(name) ~= nil, file)
		end
		pipe:close()
	end)

	it("knows the type of each field", function()
		each_field(function(field, where)
			assert.is_true(#field.types > 0, where)
			for _, word in ipairs(field.types) do
				assert.is_true(make.types[word], where)
			end
		end)
	end)

	it("says of each field only what goes with its type", function()
		each_field(function(field, where)
			local types = field.types
			assert.is_true(not field.properties or contains(types, "object"), where)
			assert.equal(contains(types, "array"), field.items ~= nil, where)
			assert.is_true(not field.format or contains(types, "date"), where)
			assert.is_true(not field.min or field.min < field.max, where)
			assert.is_true(field.default == nil or contains(types, type(field.default)), where)
			for _, value in ipairs(field.enum or {}) do
				assert.is_true(contains(types, type(value)) or (contains(types, "integer") and value % 1 == 0), where)
			end
		end)
	end)

	it("has no two events that differ only in case", function()
		local seen = {}
		for _, name in ipairs(spec.events()) do
			assert.is_nil(seen[name:lower()], name)
			seen[name:lower()] = name
		end
		for name in pairs(spec.reserved.events) do
			assert.is_nil(seen[name:lower()], name)
		end
	end)

	it("has no two properties of an event that differ only in case", function()
		each_event(function(event)
			local seen = {}
			spec.each(event.properties, function(path)
				assert.is_nil(seen[path:lower()], event.name .. " " .. path)
				seen[path:lower()] = true
			end)
		end)
	end)

	it("has each property that it wants or refers to", function()
		for name, call in pairs(spec.calls) do
			spec.each(call.fields, function(path, field)
				for _, other in ipairs(field.either or {}) do
					assert.is_table(call.fields[other], name .. " " .. path)
				end
			end)
		end
		for _, category in ipairs(spec.categories) do
			local known = {}
			for _, event in ipairs(category.events) do
				for property in pairs(event.properties) do
					known[property] = true
				end
				assert.is_true(not event.replaced_by or spec.event(event.replaced_by) ~= nil, event.name)
				assert.is_true(not event.properties_of or spec.event(event.properties_of) ~= nil, event.name)
				assert.equal(category.deprecated, event.replaced_by and true, event.name)
			end
			for _, list in ipairs { category.identifiers or {}, category.minimum and category.minimum.properties or {} } do
				for _, property in ipairs(list) do
					assert.is_true(known[property], category.id .. " " .. property)
				end
			end
			assert.is_true(not category.superseded_by or spec.category(category.superseded_by) ~= nil, category.id)
		end
	end)

	it("names a page for everything", function()
		local function check(page, where)
			assert.truthy(page:match "%.md$" or page:match "%.html$" or page:match "%.js$", where)
			assert.truthy(spec.url(page):match "^https://[%w.]+/[%w/._-]+$", where)
		end
		for _, category in ipairs(spec.categories) do
			check(category.page, category.id)
		end
		for _, group in ipairs {
			spec.calls, spec.limits, spec.drops.ingest, spec.drops.filtered, spec.drops.unseen, spec.reserved.events,
			spec.aliases.events, spec.aliases.properties, spec.aliases.traits, spec.aliases.fields,
		} do
			for name, entry in pairs(group) do
				check(entry.page, tostring(name))
			end
		end
		each_field(function(field, where)
			check(field.page or spec.common_page, where)
		end)
	end)

	it("makes an address of a page", function()
		assert.equal("https://segment.com/docs/connections/spec/email/", spec.url "src/connections/spec/email.md")
		assert.equal("https://segment.com/docs/connections/spec/ecommerce/", spec.url "src/connections/spec/ecommerce/index.md")
		assert.equal("https://github.com/segmentio/segment-docs/blob/" .. spec.edition.commit .. "/templates/partners/source.md",
			spec.url "templates/partners/source.md")
		assert.equal("https://github.com/a/b/blob/HEAD/c/d.js", spec.url "a/b c/d.js")
	end)
end)

describe("looking up", function()
	it("finds an event by its exact name, the newer of two", function()
		assert.equal("ecommerce", spec.event("Order Completed").category)
		assert.equal("orderId", spec.names(spec.event("Order Completed", "ecommerce_v1").properties)[4])
		assert.is_nil(spec.event "order completed")
		assert.is_nil(spec.event("Order Completed", "email"))
		assert.is_nil(spec.event("Order Completed", "no such"))
	end)

	it("finds properties, with those inside them", function()
		local products = spec.properties("Order Completed").products
		assert.same({ "array" }, products.types)
		assert.same({ "number" }, products.items.properties.price.types)
		assert.is_nil(spec.properties "Made Up")
	end)

	it("knows what another name stands for, and why", function()
		local name, alias = spec.alias "Purchase"
		assert.equal("Order Completed", name)
		assert.equal("rejected", alias.kind)
		assert.is_nil(spec.alias "Order Completed")
	end)

	it("knows what another property stands for, where that could be meant", function()
		local product = spec.properties("Cart Viewed").products.items.properties
		assert.equal("product_id", (spec.property_alias("Cart Viewed", "id", product)))
		assert.equal("order_id", (spec.property_alias("Order Completed", "orderId")))
		assert.equal("coupon_id", (spec.property_alias("Coupon Denied", "coupon")))
		assert.is_nil(spec.property_alias("Order Completed", "coupon")) -- its own
		assert.is_nil(spec.property_alias("Cart Viewed", "id")) -- not inside products
		assert.is_nil(spec.property_alias("Signed Up", "link"))
		assert.is_nil(spec.property_alias("Made Up", "id"))
	end)
end)

describe("the other names", function()
	it("mean an event that is there and not superseded", function()
		for other, alias in pairs(spec.aliases.events) do
			local event = spec.event(alias.name)
			assert.is_true(event and not event.deprecated, other)
			assert.is_true(not spec.event(other) or spec.event(other).deprecated, other)
		end
	end)

	it("mean properties, traits and fields that are there", function()
		for _, alias in ipairs(spec.aliases.properties) do
			local found = false
			each_event(function(event, category)
				local fields = alias.event == event.name or alias.category == category.id
				found = found or (fields and event.properties[alias.to] ~= nil)
			end)
			assert.is_true(found, alias.to)
		end
		for other, alias in pairs(spec.aliases.traits) do
			local address = spec.reserved.traits.identify.address.properties
			assert.is_true((spec.reserved.traits.identify[alias.name] or address[alias.name]) ~= nil, other)
		end
		for _, alias in ipairs(spec.aliases.fields) do
			for _, to in ipairs(type(alias.to) == "table" and alias.to or { alias.to }) do
				assert.is_table(field_at(to), alias.from)
			end
		end
	end)
end)

describe("the limits", function()
	it("that Moonweir keeps to are those of csrc/core/limits.h, and within Segment's", function()
		local file = assert(io.open "csrc/core/limits.h")
		local header = file:read "*a"
		file:close()
		local names = {
			event_bytes = "MESSAGE_MAX", batch_bytes = "BATCH_TARGET", batch_events = "BATCH_MESSAGES",
			message_id_characters = "MESSAGE_ID_MAX", partner_rate = "RATE_DEFAULT",
		}
		for name, limit in pairs(spec.limits) do
			assert.equal(limit.keep ~= nil, names[name] ~= nil, name)
			if limit.keep then
				assert.equal(tonumber(header:match("#define MW_" .. names[name] .. " (%d+)\n")), limit.keep, name)
				assert.is_true(limit.keep <= limit.value, name)
			end
		end
	end)
end)

describe("a mistake in the data", function()
	it("raises when it is loaded", function()
		assert.has_error(function() make.field "strnig" end, '"strnig" is no type')
		assert.has_error(function() make.event "Made Up" { name = "string|txt" } end)
		assert.has_error(function() make.array "string!!" end)
	end)
end)
