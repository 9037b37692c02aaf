local core = require "moonweir.core"
local golden = require "moonweir.golden"
local random_source = require "spec.support.random_source"
local shape = require "moonweir.shape"
local source = require "moonweir.source"
local spec = require "moonweir.spec"

local get = source.get

local function described(value)
	return shape.describe(shape.of(value))
end

local function complete(known, field, seen)
	local notes = {}
	local made = shape.complete(shape.of(known), field, seen and shape.of_json(core.decode(seen)) or nil, "", function(path, why)
		notes[#notes + 1] = path .. ": " .. why
	end)
	return made, notes
end

describe("the shape of a declared value", function()
	it("is what its operation gives, and not known where the event decides", function()
		for words, values in pairs {
			["any"] = { get "a", get "a":json "b", get "a":apply(tostring), get "a":first(), get "a":default "x", source.any(get "a", 1) },
			["string"] = { "x", get "a":lower(), get "a":string(), get "a" .. "x", get "a":hash "sha256", get.header "X-A",
				get "a":lookup { a = "b" }, get "a":string():default "x", get "l":map(get "id":string()):first(),
				source.any(get "a":time(), "never"), get.query "a", get "a":before ".", get "a":after ".",
				get "a":lower():when(get "b"), get "a":string():except "0" },
			["number"] = { get "a":sum(get "n"), 1, get "a" / 100, get "a":money "USD", get "a":number(), -get "a" },
			["boolean"] = { true, get "a":boolean(), get "a":is "x", get "a":is("x", "y"), source.all(get "a"), source.none(get "a"),
				get "a":contains "x" },
			["date"] = { get "a":time() },
			["null"] = { core.null },
			["string or number"] = { get "a":lookup { a = "b", c = 1 } },
			["string or null"] = { get "a":lookup { a = "b", c = core.null } },
			["object"] = { { a = 1 }, {}, get "a":snake_case(), get "a":without { "b" } },
			["array"] = { get "a":map(get "."), get "a":filter(get "ok"), source.array { get "a" },
				source.any(get "a":filter(get "ok"), get "b":map { c = 1 }), get "b":map { c = 1 }:default(get "a":filter(get "ok")) },
			["array of strings"] = { get "a":map(get "id":string()), source.array { get "a":lower(), "x" }, { "a", "b" },
				get "a":map(get "id":string()):default(source.array {}) },
			["array of objects"] = { get "a":map { id = get "id" } },
		} do
			for i, value in ipairs(values) do
				assert.equal(words, described(value), words .. " " .. i)
			end
		end
	end)

	it("is always there only if no event can be without it", function()
		for _, value in ipairs { "x", core.null, get "a":default "x", source.any(get "a", 1), source.array { get "a" }, { a = 1 } } do
			assert.is_true(shape.of(value).always)
		end
		for _, value in ipairs { get "a", get "a":default(get "b"), get "a":lower(), { a = get "a" }, {}, get "a":map { b = 1 },
			get "a":is "x", get "a":lookup { a = "b" } } do
			assert.is_false(shape.of(value).always)
		end
	end)

	it("knows all values there are, where there are no others", function()
		assert.same({ "hard", "soft" }, shape.of(get "a":lookup { ["4"] = "soft", ["5"] = "hard" }).enum)
		assert.same({ "hard", "soft", "none" }, shape.of(get "a":lookup { ["4"] = "soft", ["5"] = "hard" }:default "none").enum)
		assert.is_nil(shape.of(get "a":default "none").enum)
	end)
end)

describe("a shape completed", function()
	local order = { types = { "object" }, properties = spec.properties "Order Completed" }

	it("prefers the script, then the Spec, then golden files", function()
		local made, notes = complete({ total = get "t":money "USD", coupon = get "c", mine = get "m", other = get "o" }, order,
			'{"total":1,"coupon":"A","mine":[1,2]}')
		assert.same({}, notes)
		local p = made.properties
		assert.same({ "number", "script" }, { shape.describe(p.total), p.total.from })
		assert.same({ "string", "spec" }, { shape.describe(p.coupon), p.coupon.from })
		assert.same({ "array of numbers", "fixtures" }, { shape.describe(p.mine), p.mine.from })
		assert.same({ "any" }, { shape.describe(p.other), p.other.from })
	end)

	it("takes what golden files show against the Spec, and says so", function()
		local made, notes = complete({ products = get "l":map { price = get "p", sku = get "s" } }, order,
			'{"products":[{"price":"free","sku":"a"},{"price":1.5,"sku":null}]}')
		local item = made.properties.products.items
		assert.equal("string or number", shape.describe(item.properties.price))
		assert.equal("string or null", shape.describe(item.properties.sku))
		assert.same({ "products[].price: golden files show string, Segment's Spec has number" }, notes)
	end)

	it("takes a date that the Spec wants for a text, where golden files show another text", function()
		local traits = { types = { "object" }, properties = spec.reserved.traits.identify }
		local made, notes = complete({ created_at = get "c" }, traits, '{"created_at":"2026-01-31T12:00:00Z"}')
		assert.same({ "date", 0 }, { shape.describe(made.properties.created_at), #notes })
		made, notes = complete({ created_at = get "c" }, traits, '{"created_at":"2026-01-31"}')
		assert.equal("string", shape.describe(made.properties.created_at))
		assert.same({ "created_at: golden files show string, Segment's Spec has date" }, notes)
		made = complete({ mine = get "m" }, traits, '{"mine":"2026-01-31T12:00:00Z"}')
		assert.equal("string", shape.describe(made.properties.mine)) -- it may be chance
	end)

	it("lists what a copied object had in golden files, and no more", function()
		local made = complete({ address = get "a" }, { types = { "object" }, properties = spec.reserved.traits.identify },
			'{"address":{"postal_code":"1","planet":"Mars"}}')
		local names = {}
		shape.each(made, function(path, inner)
			names[#names + 1] = path .. " " .. tostring(inner.from)
		end)
		assert.same({ "address spec", "address.planet fixtures", "address.postal_code spec" }, names)
	end)

	it("calls nothing always sent that a golden message is without", function()
		local made = complete({ a = "x", b = "y" }, nil, '{"a":"x"}')
		assert.is_true(made.properties.a.always)
		assert.is_false(made.properties.b.always)
	end)
end)

-- Random expressions over random events: whatever comes out, the shape that was read without running it takes.

local function fits(known, value, where)
	local word = shape.of_json(value)
	local kind = next(word.types)
	local types = known.types
	if not types then
		return true
	end
	local takes = types[kind] or kind == "integer" and types.number or kind == "date" and types.string
	if takes and known.enum then
		takes = false
		for _, one in ipairs(known.enum) do
			takes = takes or one == value
		end
	end
	if not takes then
		return false, where
	end
	for name, inner in pairs(kind == "object" and known.properties or {}) do
		if value[name] ~= nil then
			local ok, why = fits(inner, value[name], where .. "." .. name)
			if not ok then
				return false, why
			end
		elseif inner.always then
			return false, where .. "." .. name .. " is absent"
		end
	end
	for _, item in ipairs(kind == "array" and known.items and value or {}) do
		local ok, why = fits(known.items, item, where .. "[]")
		if not ok then
			return false, why
		end
	end
	return true
end

describe("the shape of random expressions", function()
	local random = random_source(tonumber(os.getenv "MW_SEED") or os.time())

	it("takes what comes out", function()
		local there = 0
		for round = 1, tonumber(os.getenv "MW_TRIALS") or 1500 do
			local payload = random.template(3)
			local made = source.define { slug = "random", version = "1", event = "x", user = source.user { "u" },
				on = { x = source.track "X"(payload) } }
			local known = shape.of(payload)
			local events = core.array {}
			for i = 1, 8 do
				events[i] = random.event()
			end
			local messages = golden.map(made, { name = "random", kind = "json" }, core.encode(events))
			for _, m in ipairs(messages or {}) do
				there = there + 1
				local properties = core.decode(m.message).properties or {}
				local ok, where = fits(known, properties, "properties")
				assert.is_true(ok, ("seed %d, round %d: %s: %s"):format(random.seed, round, tostring(where), m.message))
			end
		end
		assert.is_true(there > 1000, "seed " .. random.seed)
	end)
end)
