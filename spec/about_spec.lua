local about = require "moonweir.about"
local sandbox = require "moonweir.sandbox"

local function load(text)
	return sandbox.load("tiny.lua", ([[
local source = require "moonweir.source"
return source.define { slug = "tiny", version = "1", event = "x", on = { x = source.ignore },
	about = %s }]]):format(text))
end

describe("about", function()
	it("takes all that there is to say, and nothing has to be said", function()
		local made = assert(load [[{
			name = "Tiny", website = "https://tiny.example/a?b=c#d", description = "a tool", support = "help+x@tiny.example",
			maintainer = "Tiny Inc", write_key_menu = { "Settings" }, regions = { "us", "eu" }, destination = "tiny-2",
			categories = { "Email Marketing" }, user = "The ID.", properties = { ["a[].b"] = "B" }, traits = {}, context = { ip = "IP" },
			events = { A = "a", B = { "b", x = "in b" }, C = { x = "in c" }, identify = "who" }, ignored = { x = "no" },
		}]])
		local it = made.about
		assert.same({ "a", "b" }, { about.event(it, "A"), about.event(it, "B") })
		assert.is_nil(about.event(it, "C"))
		assert.is_nil(about.event(it, "D"))
		assert.same({ "in b", "B", "B" }, { about.field(it, "B", "properties", "x"), about.field(it, "B", "properties", "a[].b"),
			about.field(it, "A", "properties", "a[].b") })
		assert.is_nil(about.field(it, "A", "properties", "x"))
		assert.same({}, assert(load "{}").about)
		assert.is_nil(about.event({}, "A"))
		assert.is_nil(about.field({}, "A", "traits", "x"))
	end)

	it("says what is wrong, where, and what would be right", function()
		for text, message in pairs {
			['"text"'] = 'about: expected a table, got a string',
			['{ nmae = "x" }'] = 'about.nmae: unknown field, did you mean "name"?',
			['{ zzz = 1, name = 7, nmae = "x" }'] = 'about.nmae: unknown field, did you mean "name"?', -- the same each time
			['{ "x" }'] = "about.1: unknown field; known: ",
			["{ name = 7 }"] = "about.name: expected a text, got a number",
			['{ name = " " }'] = "about.name: expected a text, got an empty one",
			['{ name = ("x"):rep(1001) }'] = "about.name: longer than 1000 bytes",
			['{ name = "\\255" }'] = "about.name: it is not UTF-8",
			['{ name = "a\\27[2J" }'] = "about.name: it has control characters in it",
			['{ website = "tiny.example" }'] = 'about.website: expected one like "https://acme-mail.example", got "tiny.example"',
			['{ website = "https://x.example/\\"><script>" }'] = "about.website: expected one like",
			['{ website = "javascript:alert(1)" }'] = "about.website: expected one like",
			['{ support = "nobody" }'] = 'about.support: expected one like "help@acme-mail.example"',
			['{ support = "a@b?c=<d>" }'] = "about.support: expected one like",
			['{ write_key_menu = "Settings" }'] = 'about.write_key_menu: expected a list like { "Settings", "Integrations", "Segment" }',
			["{ write_key_menu = {} }"] = "about.write_key_menu: expected a list like",
			['{ regions = { "us", "ue" } }'] = 'about.regions: there is no "ue"',
			['{ regions = { "us", x = "eu" } }'] = 'about.regions: it is a list; what is "x" doing there?',
			["{ destination = false }"] = "about.destination: expected true",
			["{ categories = { 7 } }"] = "about.categories: expected a text, got a number",
			["{ events = { A = 7 } }"] = "about.events.A: expected a text, got a number",
			["{ events = { A = { 1 } } }"] = "about.events.A: expected a text, got a number",
			['{ events = { A = { "a", "b" } } }'] = "about.events.A: expected one description, then descriptions of properties",
			["{ events = { A = { x = {} } } }"] = "about.events.A.x: expected a text, got a table",
			['{ events = "x" }'] = "about.events: expected a table of texts by event, got a string",
			['{ properties = { "x" } }'] = "about.properties: its keys are texts: the property by its name, not numbers",
			["{ traits = { plan = true } }"] = "about.traits.plan: expected a text, got a boolean",
		} do
			local made, why = load(text)
			assert.is_nil(made, text)
			assert.matches("tiny.lua:3: ", why, 1, true)
			assert.matches(message, why, 1, true)
		end
	end)
end)
