local child = require "spec.support.child"
local compile = require "moonweir.compile"
local core = require "moonweir.core"
local fixtures = require "moonweir.cli.fixtures"
local golden = require "moonweir.golden"
local goldens = require "moonweir.cli.goldens"
local markdown = require "moonweir.markdown"
local plan = require "moonweir.plan"
local plantable = require "moonweir.plantable"
local random_source = require "spec.support.random_source"
local source = require "moonweir.source"
local spec = require "moonweir.spec"
local stream = require "moonweir.stream"

local get = source.get

local function define(on, about)
	return source.define {
		slug = "tiny", version = "1", event = get "type", user = source.user { get "user" }, on = on, about = about,
	}
end

local function rules_of(definition, messages)
	local json = plan.json(stream.read(definition, messages), definition.about or {})
	local by_key = {}
	for _, rule in ipairs(core.decode(json).rules) do
		by_key[rule.type .. " " .. tostring(rule.key ~= core.null and rule.key or "")] = rule
	end
	return by_key, json
end

--- What a validator that is none of ours says: of the plan, and of each message.
local function judge(json, messages)
	local lines = { (json:gsub("\n%s*", "")) }
	for i, message in ipairs(messages) do
		lines[i + 1] = core.encode(message)
	end
	local input = child.file("judge.ndjson", table.concat(lines, "\n") .. "\n")
	local pipe = assert(io.popen(("env -u LD_PRELOAD /usr/bin/python3 spec/support/schemas.py < '%s' 2>&1"):format(input)))
	local verdicts = {}
	for line in pipe:lines() do
		verdicts[#verdicts + 1] = line
	end
	pipe:close()
	assert.equal(#lines, #verdicts, table.concat(verdicts, "\n"))
	return table.remove(verdicts, 1), verdicts
end

describe("a tracking plan", function()
	teardown(child.clean)

	it("has a rule for each event as the Public API takes it", function()
		local rules = rules_of(define({
			paid = source.track "Order Completed" {
				total = get "t":money "USD", currency = "EUR", coupon = get "c":default "none",
				products = get "l":map { sku = get "s":string(), kind = get "k":lookup { a = "b", c = core.null } },
			},
			changed = source.identify { created_at = get "at":time(), address = { city = get "city" } },
			moved = source.group(get "g") { name = get "name" },
			seen = source.page("Docs", get "title") { url = get "url" }, shown = source.screen "Home" {}, merged = source.alias "x",
			copied = source.track "Copied" { all = get "all", list = get "l":filter(get "ok") },
		}, {
			events = { ["Order Completed"] = { "An order was paid.", total = "What it cost." } },
			properties = { ["products[].sku"] = "Stock number." }, traits = { created_at = "Since when." },
		}))
		local paid = rules["TRACK Order Completed"]
		assert.equal(1, paid.version)
		assert.same({ "http://json-schema.org/draft-07/schema#", "object", "An order was paid." },
			{ paid.jsonSchema["$schema"], paid.jsonSchema.type, paid.jsonSchema.description })
		assert.same({}, paid.jsonSchema.properties.context)
		assert.same({}, paid.jsonSchema.properties.traits)
		assert.same({
			type = "object", required = { "coupon", "currency" },
			properties = {
				total = { type = "number", description = "What it cost." }, currency = { type = "string", enum = { "EUR" } },
				coupon = { type = "string" },
				products = { type = "array", items = { type = "object", properties = {
					sku = { type = "string", description = "Stock number." },
					kind = { type = { "string", "null" }, enum = { "b", core.null } },
				} } },
			},
		}, paid.jsonSchema.properties.properties)
		local identify = rules["IDENTIFY "]
		assert.same({ created_at = { type = "string", format = "date-time", description = "Since when." },
			address = { type = "object", properties = { city = { type = "string" } } },
		}, identify.jsonSchema.properties.traits.properties)
		assert.same({}, identify.jsonSchema.properties.properties)
		assert.same({ name = { type = "string" } }, rules["GROUP "].jsonSchema.properties.traits.properties)
		assert.same({ url = { type = "string" } }, rules["PAGE "].jsonSchema.properties.properties.properties)
		assert.same({ type = "object", properties = {} }, rules["SCREEN "].jsonSchema.properties.properties)
		assert.same({ all = {}, list = { type = "array", items = {} } },
			rules["TRACK Copied"].jsonSchema.properties.properties.properties)
		assert.is_nil(rules["ALIAS "])
	end)

	it("is the same bytes each time, its members in a fixed order", function()
		local made = define { b = source.track "B" { z = 1, a = 2, m = { q = "1", c = "2" } }, a = source.track "A" {} }
		local _, first = rules_of(made)
		for _ = 1, 5 do
			assert.equal(first, (select(2, rules_of(made))))
		end
		assert.matches('^{\n  "rules": %[\n    {\n      "type": "TRACK",\n      "key": "A",\n      "version": 1,\n', first)
		assert.is_true(first:find('"a":', 1, true) < first:find('"m":', 1, true))
	end)

	it("requires no property that a function, another entry or a golden message leaves out", function()
		local on = { a = source.track "A" { x = "1", y = "2" }, b = source.track "A" { x = "3", z = get "z":default(1) } }
		local a = rules_of(define(on))["TRACK A"].jsonSchema.properties.properties
		assert.same({ "x" }, a.required)
		assert.same({ "1", "3" }, a.properties.x.enum)
		local seen = { core.decode '{"type":"track","event":"A","properties":{"z":1}}' }
		assert.is_nil(rules_of(define(on), seen)["TRACK A"].jsonSchema.properties.properties.required)
	end)
end)

-- Mutations by rule ------------------------------------------------------------------------------------------------

local function copy(value)
	if type(value) ~= "table" then
		return value
	end
	local made = getmetatable(value) and core.array {} or {}
	for key, inner in pairs(value) do
		made[key] = copy(inner)
	end
	return made
end

--- Values that are of another type than this one, each of which a right schema refuses.
local function wrong_values(value)
	local kind = type(value)
	if kind == "table" then
		return { "text", getmetatable(value) and {} or core.array {} }
	elseif kind == "string" then
		return { true, {}, core.array { value } }
	elseif kind == "boolean" then
		return { tostring(value), {}, 1 }
	end
	return { true, {}, core.array { value }, "text" }
end

--- Each message once more for each value in its properties or traits, with that value wrong.
local function mutants(messages)
	local made = {}
	for _, message in ipairs(messages) do
		local function walk(inside, path)
			for key, value in pairs(inside) do
				local here = path .. "." .. tostring(key)
				for _, wrong in ipairs(wrong_values(value)) do
					inside[key] = wrong
					if not (key == "employees" and wrong == "text") then -- the Spec has it as a string, and a number
						made[#made + 1] = { path = here, message = copy(message) }
					end
				end
				inside[key] = value
				if type(value) == "table" then
					walk(value, here)
				end
			end
		end
		local word = message.traits and "traits" or message.properties and "properties"
		if word then
			walk(message[word], message.type .. " " .. tostring(message.event))
		end
	end
	return made
end

describe("the example's tracking plan", function()
	local script = assert(fixtures.load "examples/acme-mail/acme-mail.lua")
	local messages = goldens.messages("examples/acme-mail/fixtures/", error)
	local json = plan.json(stream.read(script.definition, messages), script.definition.about)
	teardown(child.clean)

	it("is right by draft 07, and takes the source's own golden messages", function()
		local said, verdicts = judge(json, messages)
		assert.equal("ok", said)
		local counts = {}
		for i, verdict in ipairs(verdicts) do
			counts[verdict] = (counts[verdict] or 0) + 1
			assert.is_true(verdict == "ok" or messages[i].type == "alias" and verdict == "no rule", verdict)
		end
		assert.is_true(counts.ok >= 15)
	end)

	it("refuses each of them with a value of another type in any place", function()
		local broken = mutants(messages)
		local list = {}
		for i, mutant in ipairs(broken) do
			list[i] = mutant.message
		end
		assert.is_true(#broken > 150, #broken)
		local _, verdicts = judge(json, list)
		for i, verdict in ipairs(verdicts) do
			local _, depth = broken[i].path:gsub("%.", "")
			assert.matches("^refused ", verdict, broken[i].path .. " at depth " .. depth)
		end
	end)

	it("refuses what is always sent where it is absent, a date that is none, and a value beyond a list of values", function()
		local broken = {}
		for _, message in ipairs(messages) do
			local changed = copy(message)
			if message.event == "Email Bounced" then
				changed.properties.reason = nil
				broken[#broken + 1] = changed
				changed = copy(message)
				changed.properties.bounce_type = "medium"
				broken[#broken + 1] = changed
			elseif message.traits and message.traits.created_at then
				changed.traits.created_at = "yesterday"
				broken[#broken + 1] = changed
			end
		end
		assert.equal(5, #broken)
		local _, verdicts = judge(json, broken)
		for _, verdict in ipairs(verdicts) do
			assert.matches("^refused .*: [refn][eno][qru]", verdict) -- required, format, enum
		end
	end)

	it("takes messages of which anything else is absent", function()
		local fewer = {}
		for _, message in ipairs(messages) do
			local inside = message.properties or message.traits or {}
			for name in pairs(inside) do
				if not (message.event == "Email Bounced" and name == "reason") then
					local changed = copy(message);
					(changed.properties or changed.traits)[name] = nil
					fewer[#fewer + 1] = changed
				end
			end
		end
		assert.is_true(#fewer > 50)
		local _, verdicts = judge(json, fewer)
		for _, verdict in ipairs(verdicts) do
			assert.equal("ok", verdict)
		end
	end)
end)

describe("the tracking plan of a random source", function()
	local random = random_source(tonumber(os.getenv "MW_SEED") or os.time())
	teardown(child.clean)

	-- Names of the Spec and of nobody, so that script, Spec and golden files all have a say.
	local function payload(name, fields)
		local names = spec.names(fields or spec.properties(name) or {})
		names[#names + 1], names[#names + 2] = "mine", "other"
		local made
		repeat -- not every expression compiles
			made = random.template(3, names)
		until compile(define { x = source.track "X"(made) })
		return made
	end

	it("takes its own golden messages", function()
		local on, events, kinds = {}, core.array {}, {}
		for _, name in ipairs(spec.events()) do
			on[name] = source.track(name)(payload(name))
			kinds[#kinds + 1] = name
		end
		for i = 1, 40 do
			on["own" .. i] = source.track("Own " .. i % 20)(payload "")
			kinds[#kinds + 1] = "own" .. i
		end
		on.who = source.identify(payload("", spec.reserved.traits.identify))
		on.where = source.group(get "type")(payload("", spec.reserved.traits.group))
		for i = 1, 2000 do
			events[i] = random.event()
			events[i].user, events[i].type = "u", i % 50 == 0 and "who" or i % 50 == 1 and "where" or random.one_of(kinds)
		end
		local definition = define(on)
		local made, tally = golden.map(definition, { name = "random", kind = "json" }, core.encode(events))
		assert.is_truthy(made, tally)
		local messages = {}
		for i, m in ipairs(made) do
			messages[i] = core.decode(m.message)
		end
		assert.is_true(#messages > 500, "seed " .. random.seed)
		local said, verdicts = judge(plan.json(stream.read(definition, messages), {}), messages)
		assert.equal("ok", said, "seed " .. random.seed)
		for i, verdict in ipairs(verdicts) do
			assert.equal("ok", verdict, ("seed %d: %s"):format(random.seed, made[i].message))
		end
	end)
end)

describe("the plan as a table", function()
	local nasty = define({
		["=cmd|calc"] = source.track "A|B `x` {{ y }}" { ["-1+1"] = get "a":string(), ["say \"hi\", you"] = "@x", plain = 1 },
		none = source.ignore, f = function() end, named = source.track(get "n") {}, merged = source.alias "x",
		spec = source.track "Email Opened" {},
	}, { events = { ["A|B `x` {{ y }}"] = "first\nsecond | {% raw %} <b>" }, ignored = { none = "+1" } })
	local rows = plan.rows(stream.read(nasty), nasty.about)

	-- RFC 4180, read by its own rules.
	local function parse_csv(text)
		local lines, line, at = {}, {}, 1
		while at <= #text do
			local cell, after
			if text:sub(at, at) == '"' then
				local stop = at + 1
				while true do
					stop = text:find('"', stop, true)
					if text:sub(stop + 1, stop + 1) ~= '"' then
						break
					end
					stop = stop + 2
				end
				cell, after = text:sub(at + 1, stop - 1):gsub('""', '"'), stop + 1
			else
				after = text:find("[,\r]", at)
				cell = text:sub(at, after - 1)
			end
			line[#line + 1] = cell
			if text:sub(after, after) == "," then
				at = after + 1
			else
				assert.equal("\r\n", text:sub(after, after + 1))
				lines[#lines + 1], line, at = line, {}, after + 2
			end
		end
		return lines
	end

	it("is CSV that steers no terminal", function()
		local text = plantable.csv { { kind = "custom", call = "track", event = "a\27[31m\0b\tc", is_declared = true,
			entries = {}, properties = {} } }
		assert.matches("a?[31m?b\tc", text, 1, true)
	end)

	it("is CSV that holds whatever is in names, and no formula", function()
		local lines = parse_csv(plantable.csv(rows))
		assert.same({ "Call", "Event", "Kind" }, { lines[1][1], lines[1][2], lines[1][3] })
		for _, line in ipairs(lines) do
			assert.equal(10, #line)
			for _, cell in ipairs(line) do
				assert.not_matches("^%s*[=+@-]", cell)
			end
		end
		assert.same({ "track", "A|B `x` {{ y }}", "custom", "first\nsecond | {% raw %} <b>", "'-1+1", "string", "no", "", "",
			"'=cmd|calc" }, lines[2])
		assert.equal("plain", lines[3][5])
		assert.same({ 'say "hi", you', "string", "yes", "'@x" }, { lines[4][5], lines[4][6], lines[4][7], lines[4][8] })
		local kinds = {}
		for i, line in ipairs(lines) do
			kinds[i] = line[3] .. ":" .. line[10]
		end
		assert.same({ "Spec: Email:spec", "Spec:merged", "sent by a function:f", "named by the event:named", "not sent:none" },
			{ kinds[5], kinds[6], kinds[7], kinds[8], kinds[9] })
	end)

	it("says which events of the Spec are superseded", function()
		local old = plan.rows(stream.read(define { a = source.track "Viewed Product" {} }), {})
		assert.matches("^Spec: .*, deprecated$", plantable.kind(old[1]))
	end)

	it("is Markdown in which names and texts stay in their cells", function()
		local page = plantable.markdown(nasty, rows)
		assert.not_matches("{{", page, 1, true)
		assert.not_matches("{%", page, 1, true)
		assert.not_matches("<b>", page, 1, true)
		local columns
		for line in (page .. "\n"):gmatch "([^\n]*)\n" do
			if line:find "^|" then
				local count = select(2, line:gsub("|", ""))
				columns = columns or count
				assert.equal(columns, count, line)
			else
				columns = nil
			end
		end
		assert.matches("| `f` | sent by a function |  |", page, 1, true)
		assert.matches("| `none` | not sent | +1 |", page, 1, true)
	end)
end)

describe("text in Markdown", function()
	it("can't become anything else", function()
		assert.equal("a&#124;b &#123;&#123; x &#125;&#125; \\*b\\* &#91;l&#93;(u) &#60;i&#62; &#38;amp; &#92;n &#96;",
			markdown.text "a|b {{ x }} *b* [l](u) <i> &amp; \\n `")
		assert.equal("snake_case &#95;em&#95; &#95;&#95;x&#95;&#95;", markdown.text "snake_case _em_ __x__")
		assert.equal("see `Email Sent` and <code>a&#124;b</code>.", markdown.sentence "see `Email Sent`\n and `a|b`")
		assert.equal("`Größe 1`", markdown.code "Größe 1")
		assert.equal("<code>&#96;&#123;&#123;x&#125;&#125;&#96;</code>", markdown.code "`{{x}}`")
		assert.equal("https://x.example/a%20b%29%22", markdown.url 'https://x.example/a b)"')
	end)
end)
