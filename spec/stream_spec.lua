local child = require "spec.support.child"
local core = require "moonweir.core"
local fixtures = require "moonweir.cli.fixtures"
local goldens = require "moonweir.cli.goldens"
local declared = require "moonweir.declared"
local shape = require "moonweir.shape"
local source = require "moonweir.source"
local stream = require "moonweir.stream"

local get = source.get

local function define(on, more)
	local fields = { slug = "tiny", version = "1", event = get "type", user = source.user { get "user" }, on = on }
	for name, value in pairs(more or {}) do
		fields[name] = value
	end
	return source.define(fields)
end

local function names(list)
	local made = {}
	for i, event in ipairs(list) do
		made[i] = event.call == event.key and event.call or event.call .. " " .. event.key
	end
	return made
end

local function decoded(...)
	local messages = {}
	for i, text in ipairs { ... } do
		messages[i] = core.decode(text)
	end
	return messages
end

describe("declarations", function()
	it("are read with their calls, names, fields and lines", function()
		local entries = declared.read(define {
			b = { source.track "B" { z = 1, a = { c = get "c" }, l = get "l":map { s = get "s" } }, source.identify { e = get "e" } },
			a = source.ignore,
			c = function() end,
			d = source.track(get "kind":lookup { x = "X", y = "Y" }) {},
			e = source.track(get "name") {},
		})
		local seen = {}
		for i, entry in ipairs(entries) do
			seen[i] = entry.event .. " " .. entry.kind
		end
		assert.same({ "a ignore", "b calls", "c function", "d calls", "e calls" }, seen)
		local call = entries[2].calls[1]
		assert.same({ "track", "B", { "B" } }, { call.call, call.label, call.names })
		local paths = {}
		for i, field in ipairs(call.fields) do
			paths[i] = field.path
			assert.is_number(field.line)
		end
		assert.same({ "a.c", "l", "l[].s", "z" }, paths)
		assert.equal("identify", entries[2].calls[2].label)
		assert.same({ "X", "Y" }, entries[4].calls[1].names)
		assert.same({}, entries[5].calls[1].names)
	end)
end)

describe("what a source sends", function()
	it("is one event a name, whichever entries send it, in a fixed order", function()
		local it = stream.read(define {
			z = source.identify { a = get "a" }, a = source.track "Order Completed" { total = 1, extra = "x" },
			b = source.track "Order Completed" { total = 2 }, c = source.page("Docs", get "title") {}, d = source.screen "Home" {},
			e = source.track "App Rated" {}, f = source.ignore, g = source.screen "About" {}, h = source.group(get "g") {},
			i = source.alias(get "old"),
		})
		assert.same({ "track App Rated", "track Order Completed", "identify", "group", "page", "screen", "alias" }, names(it.events))
		local order = it.events[2]
		assert.same({ "a", "b" }, order.entries)
		assert.is_true(order.shape.properties.total.always)
		assert.is_false(order.shape.properties.extra.always)
		assert.equal("ecommerce", order.spec.category)
		assert.is_nil(it.events[1].spec)
		assert.same({ "About", "Home" }, it.events[6].names)
		assert.same({ "f" }, it.ignored)
		assert.same({}, it.notes)
	end)

	it("is known from golden files where a function sends it", function()
		local it = stream.read(define { a = source.track "A" { x = "1" }, f = function() end }, decoded(
			'{"type":"track","event":"B","properties":{"n":1,"l":[{"k":true}]}}',
			'{"type":"track","event":"A","properties":{}}', '{"type":"error"}', '{"type":"track","event":7}'))
		assert.same({ "track A", "track B" }, names(it.events))
		assert.is_false(it.events[1].shape.properties.x.always)
		assert.is_false(it.events[2].is_declared)
		assert.equal("array of objects", shape.describe(it.events[2].shape.properties.l))
		assert.is_false(it.events[2].shape.properties.n.always and it.events[2].is_declared)
		assert.same({ "f" }, it.functions)
	end)

	it("is not what golden files alone show, where no function could send it", function()
		local seen = decoded('{"type":"track","event":"Old","properties":{}}', '{"type":"identify","traits":{}}')
		local it = stream.read(define { a = source.track "A" {} }, seen)
		assert.same({ "track A" }, names(it.events))
		assert.same({ "Old", "identify" }, it.stale)
		it = stream.read(define { a = source.track(get "name") {} }, seen)
		assert.same({ "track Old" }, names(it.events))
		assert.same({ "identify" }, it.stale)
	end)

	it("has both names of a lookup, and of what the event names what golden files show", function()
		local it = stream.read(define { a = source.track(get "k":lookup { x = "X" }:default "Y") { n = get "n":number() },
			b = source.track(get "name") { s = get "s":string() } }, decoded '{"type":"track","event":"Z","properties":{"s":"1"}}')
		assert.same({ "track X", "track Y", "track Z" }, names(it.events))
		assert.same({ "script", "script" }, { it.events[1].shape.properties.n.from, it.events[3].shape.properties.s.from })
		assert.same({ "b" }, it.unnamed)
	end)

	it("has the context of the source and of calls, without what Moonweir puts there", function()
		local it = stream.read(define({ a = source.track "A" {}:with { context = { device = { id = get "d":string() } } } },
			{ context = { ip = get "ip", mine = get "m" } }),
			decoded '{"type":"track","event":"A","context":{"mine":1,"integration":{"name":"x"},"library":{"name":"moonweir"}}}')
		local paths = {}
		shape.each(it.context, function(path, inner)
			paths[#paths + 1] = path .. ": " .. shape.describe(inner)
		end)
		assert.same({ "device: object", "device.id: string", "ip: string", "mine: number" }, paths)
	end)
end)

describe("the example's golden files", function()
	it("contradict neither the script nor the Spec", function()
		local script = assert(fixtures.load "examples/acme-mail/acme-mail.lua")
		local messages = goldens.messages("examples/acme-mail/fixtures/", error)
		assert.is_true(#messages > 10)
		assert.same({}, stream.read(script.definition, messages).notes)
	end)

	it("are told about when they can't be read", function()
		local folder = child.folder() .. "/golden/"
		os.execute("mkdir -p '" .. folder .. "'")
		child.file("golden/a.json", "{}")
		child.file("golden/a.expected.ndjson", '{"account":"a","message":{"type":"identify"}}\n{"account":\n')
		local told = {}
		assert.equal(1, #goldens.messages(folder, function(file, why)
			told[#told + 1] = file .. ": " .. why
		end))
		assert.equal(1, #told)
		assert.matches("^a.expected.ndjson: line 2: expected a value", told[1])
		child.clean()
	end)
end)
