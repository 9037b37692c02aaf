--- Messages against Segment's Spec while they are sent: counted, told once, and with `strict` not sent.

local check = require "moonweir.check.message"
local core = require "moonweir.core"
local mw = require "moonweir"
local review = require "moonweir.review"
local source = require "moonweir.source"
local get = source.get

-- Nothing listens there; what is pushed stays in the queue.
local NOWHERE = "http://127.0.0.1:1"

local function definition()
	return source.define {
		slug = "acme", version = "1.0.0", event = get "type", id = get "id", user = source.user { get "user" },
		context = { acmeId = get "contact", traits = { email = get "email" } },
		on = {
			opened = source.track "Email Opened" { email_id = get "message", email_subject = get "subject" },
			paid = source.track "Purchase" { order_id = get "order", total = get "total" },
			updated = source.identify { email = get "email", age = get "age" },
			any = function(event, emit)
				emit(source.track(event.name)(event.properties), { user = event.user, context = event.context })
			end,
		},
	}
end

local function open(options)
	local all = { endpoint = NOWHERE, write_key = "key", account = "a1", source = definition() }
	for name, value in pairs(options or {}) do
		all[name] = value
	end
	return assert(mw.open(all))
end

local function opened(more)
	local event = {
		type = "opened", id = "1", user = "u1", message = "m1", subject = "Hi", contact = "c1", email = "ann@example.com",
	}
	for name, value in pairs(more or {}) do
		event[name] = value
	end
	return event
end

local function any(name, properties)
	return { type = "any", user = "u1", name = name, properties = properties }
end

local function rules(list)
	local found = {}
	for i, finding in ipairs(list) do
		found[i] = ("%s %s %d"):format(finding.event or finding.call, finding.rule, finding.count)
	end
	table.sort(found)
	return found
end

describe("a client", function()
	local client
	after_each(function()
		client:close(0)
	end)

	it("finds nothing where nothing is wrong, and asks once for each kind", function()
		client = open()
		for i = 1, 50 do
			assert(client:push(opened { message = "m" .. i }))
		end
		assert.same({}, client:findings())
		local spec = client:stats().spec
		assert.same({ 50, 0, 0, 0, 1 }, { spec.checked, spec.errors, spec.warnings, spec.failed, spec.judged })
	end)

	it("sends what is wrong all the same, counts it, and tells it once for each event and rule", function()
		client = open()
		for i = 1, 99 do
			assert.equal(1, client:push { type = "paid", user = "u1", order = "o" .. i, total = i })
		end
		assert.same({ "Purchase event-renamed 99" }, rules(client:findings()))
		assert.same({}, client:findings())
		assert.equal(1, client:push { type = "paid", user = "u1", order = "o", total = 1 })
		assert.same({ "Purchase event-renamed 100" }, rules(client:findings()))
		local stats = client:stats()
		assert.equal(100, stats.accepted)
		assert.equal(100, stats.spec.errors)
		assert.same({ ["event-renamed"] = 100 }, stats.spec.rules)
		assert.same({ Purchase = { errors = 100, warnings = 0 } }, stats.spec.events)
	end)

	it("says what, where, why and what to do", function()
		client = open()
		assert(client:push(any("Order Completed", { order_id = "o1", total = "12.5" })))
		local finding = client:findings()[1]
		assert.equal("error", finding.severity)
		assert.equal("Order Completed", finding.event)
		assert.equal("properties.total", finding.path)
		assert.equal("properties.total is text, not a number (property-type): send the number without quotes: get(…):number()",
			review.sentence(finding))
		assert.matches("^https://segment.com/docs/", finding.source)
		assert.is_string(finding.why)
	end)

	it("checks calls made without a source, too", function()
		client = open { source = nil, integration = { name = "acme", version = "1.0.0" } }
		client:close(0)
		client = assert(mw.open { endpoint = NOWHERE, write_key = "key", integration = { name = "acme", version = "1.0.0" } })
		for i = 1, 10 do
			assert(client:track(nil, { userId = "u" .. i, event = "Purchase", properties = { order_id = "o" .. i } }))
			assert(client:identify(nil, { userId = "u" .. i, traits = { email = "ann@example.com" } }))
		end
		assert.same({ "Purchase event-renamed 10" }, rules(client:findings()))
		assert.equal(2, client:stats().spec.judged)
	end)

	it("checks nothing with check = false", function()
		client = open { check = false }
		assert(client:push { type = "paid", user = "u1", order = "o", total = 1 })
		assert.is_nil(client:stats().spec)
		assert.same({}, client:findings())
	end)

	it("tells a value that the Spec does not have from one that it has", function()
		client = open()
		for _, sound in ipairs { 50, 500, 60, 600, 50 } do
			assert(client:push(any("Video Playback Started", { session_id = "s", sound = sound })))
		end
		assert.same({ ["property-value"] = 2 }, client:stats().spec.rules)
	end)
end)

describe("a strict client", function()
	local client
	before_each(function()
		client = open { strict = true }
	end)
	after_each(function()
		client:close(0)
	end)

	it("does not send what is wrong, and says so with place, path, rule and remedy", function()
		local queued, message, code = client:push { type = "paid", user = "u1", order = "o1", total = 1 }
		assert.is_nil(queued)
		assert.equal("spec", code)
		assert.matches('review_spec.lua:%d+: Purchase: event: "Purchase" is "Order Completed" in the Spec %(event%-renamed%): '
			.. 'call it "Order Completed"$', message)
		assert.equal(0, client:stats().accepted)
	end)

	it("tells of the very message each time", function()
		local _, first = client:push { type = "paid", user = "u1", order = "o1", total = 1 }
		local _, second = client:push { type = "paid", user = "u1", order = "o1", total = 1 }
		assert.equal(first, second)
		assert.equal(2, client:stats().spec.errors)
	end)

	it("leaves the neighbours alone", function()
		local lines = {}
		for i = 1, 20 do
			local event = i % 4 == 0 and { type = "paid", user = "u1", order = "o1", total = i } or opened { id = "e" .. i }
			lines[i] = core.encode(event)
		end
		local queued, _, code, problems = client:push(table.concat(lines, "\n"), { format = "ndjson" })
		assert.equal(15, queued)
		assert.equal("spec", code)
		assert.equal(5, #problems)
		assert.equal(4, problems[1].index)
		assert.equal(15, client:stats().accepted)
	end)

	it("knows the tool's own id where only some events have no other", function()
		assert.equal(1, client:push(opened()))
		local _, message, code = client:push(opened { user = "c1" })
		assert.equal("spec", code)
		assert.matches("id%-of%-tool", message)
		assert.equal(1, client:push(opened { user = "u2" }))
	end)

	it("fails a function entry whole, at the line of emit", function()
		local _, message, code = client:push(any("Purchase", { order_id = "o1" }))
		assert.equal("spec", code)
		assert.matches("review_spec.lua:%d+: .*event%-renamed", message)
		assert.equal(0, client:stats().accepted)
	end)

	it("refuses such a call", function()
		local ok, message, code = client:track("a1", { userId = "u1", event = "Purchase", properties = { order_id = "o1" } })
		assert.is_nil(ok)
		assert.equal("spec", code)
		assert.equal('event: "Purchase" is "Order Completed" in the Spec (event-renamed): call it "Order Completed"', message)
		assert.is_true(client:track("a1", { userId = "u1", event = "Order Completed", properties = { order_id = "o1" } }))
		local _, _, group = client:group("a1", { userId = "u1", groupId = "null" })
		assert.equal("spec", group)
	end)

	it("sends what has a warning only", function()
		assert.equal(1, client:push(any("ticket created", { ticketId = "t1" })))
		assert.is_true(client:stats().spec.warnings + #client:findings() >= 0)
		assert.equal(0, client:stats().spec.errors)
	end)

	it("can't be without its check", function()
		assert.has_error(function()
			mw.open { write_key = "key", strict = true, check = false }
		end, "moonweir.open: strict = true needs the check that check = false turns off")
	end)
end)

describe("a judge", function()
	local function mapper(judge, strict)
		local map = assert(require("moonweir.compile")(definition()))
		local kinds = core.review(judge, strict)
		return core.mapper(map, { review = kinds }), kinds
	end
	local EVENT = core.encode(opened())
	local FUNCTION_EVENT = core.encode(any("Thing Done", { a = 1 }))

	it("that raises fails no event, and is counted", function()
		local m, kinds = mapper(function()
			error "out of order"
		end)
		for i = 1, 3 do
			local tally, problems = m:tally(EVENT, { account = "a" })
			assert.equal(1, tally.messages)
			assert.is_nil(problems)
			assert.equal(i, kinds:counts().failed)
		end
		assert.matches("out of order", kinds:counts().why)
	end)

	it("that raises fails a strict source's event", function()
		local m = mapper(function()
			error "out of order"
		end, true)
		local _, problems = m:tally(EVENT, { account = "a" })
		assert.equal("spec", problems[1].code)
		assert.matches("the check itself failed: .*out of order", problems[1].message)
	end)

	it("that gives no verdict is one that fails", function()
		for _, verdict in ipairs { -1, 256, 1e9 } do
			local m, kinds = mapper(function()
				return verdict
			end)
			assert.equal(1, m:tally(EVENT, { account = "a" }).messages)
			assert.equal(1, kinds:counts().failed)
		end
	end)

	it("runs beside the script's limits and string methods, and while no garbage is collected", function()
		local seen
		local m = mapper(function()
			local text = {}
			for i = 1, 200000 do
				text[i] = i
			end
			seen = { getmetatable("").__index == string, debug.gethook() == nil, collectgarbage "isrunning", #text }
			return 0
		end)
		for _, event in ipairs { EVENT, FUNCTION_EVENT } do
			seen = nil
			-- LuaJIT ends a collection that is nearly over when it leaves compiled code, even a stopped one: so none is begun.
			collectgarbage()
			assert.equal(1, m:tally(event, { account = "a" }).messages)
			assert.same({ true, true, false, 200000 }, seen)
			assert.is_true(collectgarbage "isrunning")
		end
	end)

	it("sees the whole message as it is sent", function()
		local seen
		local m = mapper(function(message)
			seen = core.encode(message)
			return 0
		end)
		local messages = m:map(EVENT, { account = "a" })
		assert.same(core.decode(messages[1].message), core.decode(seen))
	end)
end)

describe("a review", function()
	it("keeps no more than so many verdicts, whatever the events are called", function()
		local client = open()
		for i = 1, 400 do
			-- letters, for digits in a name would make another finding of it
			local name = ("order %s%s completed"):format(string.char(97 + i % 26), string.char(97 + math.floor(i / 26)))
			assert(client:push(any(name, { order_id = 1 })))
		end
		local spec = client:stats().spec
		client:close(0)
		local names = 0
		for _ in pairs(spec.events) do
			names = names + 1
		end
		assert.is_true(names <= core.verdicts_max)
		assert.is_true(spec.unchecked > 0) -- 400 kinds at once are more than are judged at once
		assert.equal(400, spec.checked)
	end)

	it("judges a kind by what its rules look at: none of random messages is taken for another kind", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		print("review_spec: MW_SEED=" .. seed)
		math.randomseed(seed)
		local function pick(list)
			return list[math.random(#list)]
		end
		local TEXTS = { "a", "", "2026-11-26", "2026-11-26T10:00:00", "2026-11-26T10:00:00Z", "12.5", "linear", "pre-roll", "USD",
			("x"):rep(513), ("\195\169"):rep(300), "2026-11-26 10:00 UTC", "20261126T1000", "u1", "ann@example.com" }
		local function value(depth)
			local kind = math.random(depth > 0 and 9 or 6)
			if kind <= 2 then
				return pick(TEXTS)
			elseif kind == 3 then
				return pick { 0, 1, 50, 101, -3, 2.5, 1e300 }
			elseif kind == 4 then
				return math.random(2) == 1
			elseif kind == 5 then
				return core.null
			elseif kind == 6 then
				return pick { core.array(), core.array { "a" }, core.array { 1, "a" } }
			end
			local object, list = {}, kind == 9
			for _ = 1, math.random(0, 2) do
				object[pick { "product_id", "price", "name", "id", "type", "camelCase" }] = value(depth - 1)
			end
			return list and core.array { object, object } or object
		end
		local NAMES = { "order_id", "orderId", "total", "revenue", "currency", "products", "email_id", "link_url", "created_at",
			"sound", "ad_type", "load_type", "position", "user_id", "session_id", "quartile", "starts_at" }
		local EVENTS = { "Order Completed", "Purchase", "Email Opened", "Video Ad Started", "Video Playback Started", "thing done",
			"Thing Done", "Experiment Viewed", "Segment Consent Preference Updated" }
		local IDS = { "u1", "u2", "c1", "0", "-1", "null", "NaN", "ann@example.com", "undefined", "00-00", "Test" }
		local CONTEXTS = { "ip", "locale", "acmeId", "otherId", "traits", "direct", "device", "consent", "externalIds", "channel",
			"campaign", "timezone", "integrations", "active" }
		local function members(names, most)
			local object = {}
			for _ = 1, math.random(0, most) do
				local name = pick(names)
				object[name] = name == "acmeId" and pick(IDS) or name == "traits" and pick { { email = "a" }, {}, "a" } or value(2)
			end
			return object
		end

		local function new_mapper(kinds)
			return core.mapper(assert(require("moonweir.compile")(source.define {
				slug = "acme", version = "1.0.0", event = get "type", user = source.user { get "userId" },
				context = { ip = get "ip", acmeId = get "acmeId" },
				on = {
					track = function(event, emit)
						emit(source.track(event.event)(event.properties or {}), { user = event.userId, context = event.context })
					end,
					declared = source.track(get "event") {
						order_id = get "properties.order_id", total = get "properties.total", products = get "properties.products",
						created_at = get "properties.created_at", sound = get "properties.sound", ad_type = get "properties.ad_type",
						load_type = get "properties.load_type", ["position"] = get "properties.position",
					},
					identify = source.identify { age = get "properties.order_id", createdAt = get "properties.created_at" },
				},
			})), { review = kinds.core })
		end

		-- What is wrong, in the words of a verdict.
		local function wrong(message)
			local found = {}
			for _, finding in ipairs(check.check(message)) do
				if finding.severity ~= "note" then
					found[#found + 1] = finding.rule .. " " .. finding.path:gsub("%[%d+%]", "[]")
				end
				if #found == 16 then
					break
				end
			end
			return table.concat(found, "\n")
		end
		local function verdict_text(kinds, number)
			local found = {}
			for i, finding in ipairs(number == 0 and {} or kinds.verdicts[number]) do
				found[i] = finding.rule .. " " .. finding.path
			end
			return table.concat(found, "\n")
		end

		local function few(list, n)
			local chosen = {}
			for k = 1, n do
				chosen[k] = pick(list)
			end
			return chosen
		end

		-- In each round a small choice of names, so that many messages are of a kind that is known.
		local known = 0
		for _ = 1, 40 do
			local kinds = review.new {}
			local mapper = new_mapper(kinds)
			local events, names, contexts = few(EVENTS, 2), few(NAMES, 2), few(CONTEXTS, 1)
			local before = kinds.core:counts()
			for _ = 1, 200 do
				local event = {
					type = pick { "track", "declared", "identify" }, event = pick(events), userId = pick(IDS), ip = "192.0.2.1",
					acmeId = pick { "c1", "u1" }, properties = members(names, 2), context = members(contexts, 1),
				}
				local messages, _, problems = mapper:map(core.encode(event), { account = "a" })
				assert.is_nil(problems, problems and problems[1].message)
				local counts = kinds.core:counts()
				if counts.judged == before.judged and counts.unjudged == before.unjudged then
					known = known + 1
				end
				for number = 0, core.verdicts_max - 2 do
					if (counts[number] or 0) > (before[number] or 0) then
						local message = messages[1].message
						assert.equal(wrong(core.decode(message)), verdict_text(kinds, number), message)
					end
				end
				before = counts
			end
		end
		assert.is_true(known > 1000, known .. " messages were of a known kind")
	end)
end)
