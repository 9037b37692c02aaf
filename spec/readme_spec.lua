local cjson = require "cjson"
local core = require "moonweir.core"
local mw = require "moonweir"
local child = require "spec.support.child"

describe("the README", function()
	local readme = child.read "README.md"
	teardown(child.clean)

	local function messages_of(script, event, options)
		local source = assert(mw.load(child.file("source.lua", script)))
		local messages, _, problems = source:map(event, options or { account = "default" })
		assert.is_nil(problems and problems[1] and problems[1].message)
		for i, m in ipairs(messages) do
			messages[i] = cjson.decode(m.message)
		end
		return messages
	end

	it("shows a mapping and an event that go together", function()
		local event = readme:match "echo '(.-)' > events%.ndjson"
		local messages = messages_of(readme:match "```lua\n(.-)```", event)
		assert.equal(1, #messages)
		local m = messages[1]
		assert.same({ "track", "Email Opened", "u1" }, { m.type, m.event, m.userId })
		assert.same({ email_id = "m1", email_subject = "Hello" }, m.properties)
		assert.same({ email = "ann@example.com" }, m.context.traits)
		assert.equal("2025-11-23T21:58:00.000Z", m.timestamp)
	end)

	it("lists constructs that all work", function()
		local messages = messages_of([[
			local source = require "moonweir.source"
			local get = source.get
			return source.define {
				slug = "all", version = "1", event = "x", user = source.user { get "u" },
				on = { x = {
					source.track "T" { { shared = get "u" },
						path = get "a.b", first = get "items[1].id", last = get "items[-1].id", dotted = get '["d.k"]',
						header = get.header "X-Topic", outer = get "items":map { id = get "id", u = get.event "u", b = get.body "u" },
						text = (get "u" .. " X "):lower():upper():trim():string(), hash = get "u":hash "sha256",
						sum = (get "n" + 1) * 2 - 4 / 2, number = get "t":number(), money = get "n":money(get "cur"),
						default = get "none":default(7), any = source.any(get "none", get "u"), is = get "u":is "u1",
						lookup = get "s":lookup { paid = "Paid" }, boolean = get "yes":boolean(),
						one = get "items":first(), two = get "items":last(), some = get "items":filter(get "ok"):map { id = get "id" },
						array = source.array { get "u", "c" }, time = get "when":time(),
						apply = get "u":apply(function(v) return v .. "!" end),
						query = get.query "user_id", json = get "json":json "a.b",
						before = get "dots":before ".", after = get "dots":after ".",
						one_of = get "u":is("x", "u1"), all = source.all(get "u", get "n":is(10)), none = source.none(get "no"),
						above = get "n":above(1), contains = get "u":contains "1", gone = get "u":except "u1", kept = get "u":when(get "yes"),
						total = get "items":sum(2), count = get "items":sum(1), less = get "more":without { "b" }, snake = get "more":snake_case(),
					}:with {
						user = get "other", time = get "when", id = get "n", context = { k = "v" }, integrations = { All = false }, when = get "u",
					},
					source.identify { a = get "u" }, source.page "P" {}, source.screen "S" {}, source.group(get "u") { g = 1 },
					source.alias(get "other"),
					source.track "Each" { id = get "id" }:with { each = get "items" },
				}, ["y.*"] = source.ignore },
			}
		]], core.encode {
			u = "u1", other = "u2", a = { b = 1 }, ["d.k"] = 2, n = 10, cur = "JPY", t = "2.5", s = "paid", yes = "true",
			dots = "a.b.c", json = '{"a":{"b":[1]}}', more = { aB = 1, b = 2 },
			when = 1763935080, items = { { id = "a", ok = false }, { id = "b", ok = true } },
		}, { account = "default", headers = { ["x-topic"] = "h", ["?user_id"] = "q" } })
		local p = messages[1].properties
		assert.same({ 1, "a", "b", 2, "h" }, { p.path, p.first, p.last, p.dotted, p.header })
		assert.same({ { id = "a", u = "u1", b = "u1" }, { id = "b", u = "u1", b = "u1" } }, p.outer)
		assert.same({ "U1 X", 64, 20, 2.5, 10 }, { p.text, #p.hash, p.sum, p.number, p.money })
		assert.same({ 7, "u1", true, "Paid", true }, { p.default, p.any, p.is, p.lookup, p.boolean })
		assert.same({ "a", "b", { { id = "b" } } }, { p.one.id, p.two.id, p.some })
		assert.same({ { "u1", "c" }, "2025-11-23T21:58:00.000Z", "u1!" }, { p.array, p.time, p.apply })
		assert.same({ "u2", "v", false }, { messages[1].userId, messages[1].context.k, messages[1].integrations.All })
		assert.same({ "q", "a", "b.c", { 1 } }, { p.query, p.before, p.after, p.json })
		assert.same({ true, true, true, true, 4, 2 }, { p.one_of, p.all, p.none, p.above, p.total, p.count })
		assert.same({ true, nil, "u1", "u1" }, { p.contains, p.gone, p.kept, p.shared })
		assert.same({ { aB = 1 }, { a_b = 1, b = 2 } }, { p.less, p.snake })
		local kinds = {}
		for i, m in ipairs(messages) do
			kinds[i] = m.type
		end
		assert.same({ "track", "identify", "page", "screen", "group", "alias", "track", "track" }, kinds)
		assert.same({ "a", "b" }, { messages[7].properties.id, messages[8].properties.id })
	end)

	it("embeds in Lua as it says", function()
		local _, url = child.debugger()
		child.file("acme-mail.lua", readme:match "```lua\n(.-)```")
		child.file("events.ndjson", (readme:match "echo '(.-)' > events%.ndjson"))
		local snippet = readme:match "## Embed\n\n```lua\n(.-)```"
		snippet = snippet
			:gsub('"acme%-mail%.lua"', ("%q, endpoint = %q"):format(child.folder() .. "/acme-mail.lua", url))
			:gsub('"events%.ndjson"', ("%q"):format(child.folder() .. "/events.ndjson"))
			:gsub('os%.getenv "MOONWEIR_WRITE_KEY"', '"demo-key-0001"')
		local run = assert((loadstring or load)(snippet .. "\nreturn queued, message"))
		assert.equal(1, (run()))
	end)

	it("receives as it says", function()
		child.file("acme-mail.lua", readme:match "```lua\n(.-)```")
		local path = ("%q"):format(child.folder() .. "/acme-mail.lua")
		local snippet = readme:match "```lua\n(local mw, receive.-)```":gsub('"acme%-mail%.lua"', path)
		local event = readme:match "echo '(.-)' > events%.ndjson"
		local run = assert((loadstring or load)("local headers, body, messages = ...\n" .. snippet .. "\nreturn messages, taken"))
		local messages, taken = run({ ["Content-Type"] = "application/json" }, event)
		assert.same({ 1, 200 }, { #messages, taken.answer.status })
	end)

	it("shows the shape of XML as it is", function()
		local text = readme:match "```xml\n(.-)\n```":gsub("^<s:Order", '%0 xmlns:s="u"')
		assert.equal(readme:match "```json\n(.-)\n```", (require("moonweir.xml").to_json(text)))
	end)

	it("names every way to verify a request, and what it shows of them loads", function()
		for name in pairs(require "moonweir.receive.tools") do
			assert.is_truthy(readme:find("`" .. name, 1, true), name)
		end
		local count = 0
		for verify in readme:gmatch "```lua\n(  verify = .-)```" do
			messages_of(([[
				local source = require "moonweir.source"
				return source.define { slug = "a", version = "1", event = "e", user = source.get "u", on = { e = source.ignore },
				%s }]]):format(verify), "{}")
			count = count + 1
		end
		assert.equal(2, count)
	end)

	it("names every error code", function()
		local header = child.read "csrc/core/err.h"
		for word in header:gmatch 'X%(MW_[%u_]+, "([%w_]+)"' do
			assert.is_true(word == "ok" or readme:find("`" .. word .. "`", 1, true) ~= nil, word)
		end
	end)

	it("names the limits of a script as they are", function()
		local guard = child.read "csrc/lua/guard.c"
		local instructions, mebibytes, ms = guard:match(
			"mwl_limits_event = {%s*%.instructions = (%d+)000000,.-%(size_t%)(%d+) %*.-time_ms = (%d+)"
		)
		assert.matches(
			("| a script, per event | %d million instructions, %s MiB, %g s of CPU time |"):format(instructions, mebibytes, ms / 1000),
			readme, 1, true
		)
	end)
end)
