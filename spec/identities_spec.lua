--- A mapping finds its users in the identity store, and what found none is sent with the right one once it is known.

local child = require "spec.support.child"
local cjson = require "cjson"
local core = require "moonweir.core"
local destination = require "moonweir.receive.destination"
local identities = require "moonweir.identities"
local litter = require "spec.support.litter"
local mock = require "spec.support.mock"
local mw = require "moonweir"

local NOWHERE = "http://127.0.0.1:1"
local KEY = "canary0123456789abcdefghijklk3y4"

local SCRIPT = [[
local source = require "moonweir.source"
local identity = require "moonweir.identity"
local get = source.get
return source.define {
	slug = "acme-mail", version = "1.0.0", event = get "type", id = get "id",
	user = source.user { get "user", email = get "email", phone = get "phone", anonymous_id = get "anon", tool_id = get "contact" },
	MORE
	on = {
		opened = source.track "Email Opened" { email_id = get "email_id" },
		looked = source.track "Looked" { who = get "email":apply(function(v) return identity.lookup("email", v) end) },
		bulk = function(event, emit)
			for _, r in ipairs(event.recipients) do
				local user, anonymous = identity.lookup("email", r)
				emit(source.track "Sent" { to = r }, { user = user, context = { anonymous = anonymous } })
			end
		end,
		kinds = function(event, emit)
			emit(source.track "Kinds" {
				absent = identity.lookup("email", event.nothing) or "none", number = identity.lookup("tool_id", event.number),
				today = identity.lookup("user_id", "u0"), wrong = select(2, pcall(identity.lookup, "e-mail", "x")),
			})
		end,
	},
}
]]

describe("the identity store", function()
	local master, number, spool, store = nil, 0, nil, nil
	local clients = {}

	local function script(more)
		return child.file("acme.lua", (SCRIPT:gsub("MORE", more or "")))
	end

	setup(function()
		master = child.folder() .. "/master-key"
		assert(core.new_master_key(master))
	end)
	before_each(function()
		number = number + 1
		spool = child.folder() .. "/spool" .. number
		store = assert(identities.open { spool = spool, master_key_file = master })
	end)
	after_each(function()
		for _, client in ipairs(clients) do
			client:close(0)
		end
		clients = {}
		store:close()
	end)
	teardown(child.clean)

	local function learn(kind, id, user, more)
		local fact = { account = "a1", kind = kind, id = id, user = user, at = 1 }
		for name, value in pairs(more or {}) do
			fact[name] = value
		end
		local taught = assert(store:teach { fact })
		assert.equal(1, taught.learned)
	end

	local function map(event, more, with)
		local source = assert(mw.load(script(more), { identities = with or store }))
		local messages, _, problems = source:map(cjson.encode(event), { account = "a1" })
		return messages[1] and cjson.decode(messages[1].message), problems and problems[1]
	end

	it("finds a user who has no id by what it is known by", function()
		learn("email", "ann@example.com", "User \"1\" é")
		learn("tool_id", "77", "u7")
		learn("phone", "+1 555", "u5")
		learn("anonymous_id", "a1", "u-anon")
		assert.equal("direct", map({ type = "opened", user = "direct", email = "ann@example.com" }).userId)
		assert.equal("User \"1\" é", map({ type = "opened", email = "ANN@example.com" }).userId)
		assert.equal("u7", map({ type = "opened", contact = 77, email = "ann@example.com" }).userId)
		assert.equal("u5", map({ type = "opened", phone = "+1-555" }).userId)
		assert.equal("u-anon", map({ type = "opened", anon = "a1" }).userId)
		local message, problem = map { type = "opened", email = "eve@example.com" }
		assert.is_nil(message)
		assert.equal("no_user", problem.code)
		assert.matches("acme.lua:%d+: .*and by what it names none is known", problem.message)
		assert.not_matches("eve@", problem.message)
	end)

	it("serves a source that knows nothing but an address", function()
		learn("email", "ann@example.com", "u1")
		local text = [[
			local source = require "moonweir.source"
			return source.define {
				slug = "a", version = "1", event = "x", user = source.user { email = source.get "email" },
				on = { x = { source.track "A" {}, source.track "B" {}:with { user = source.user { email = source.get "other" } } } },
			}]]
		local source = assert(mw.load(child.file("address.lua", text), { identities = store }))
		local messages, _, problems = source:map('{"email":"ann@example.com","other":"ann@example.com"}', { account = "a1" })
		assert.is_nil(problems and problems[1].message)
		assert.same({ "u1", "u1" }, { cjson.decode(messages[1].message).userId, cjson.decode(messages[2].message).userId })
		_, _, problems = source:map('{"email":"ann@example.com"}', { account = "a1" })
		assert.equal("no_user", problems[1].code)
	end)

	it("answers functions of the script", function()
		learn("email", "ann@example.com", "u1")
		learn("email", "bob@example.com", "anon-b", { fallback = true })
		learn("user_id", "u0", "u1")
		learn("tool_id", "12345678901234567890", "big")
		assert.equal("u1", map({ type = "looked", user = "x", email = "ann@example.com" }).properties.who)
		local source = assert(mw.load(script 'missing_user = "drop",', { identities = store }))
		local messages, tally = source:map(cjson.encode { type = "bulk", recipients = { "ann@example.com", "eve@example.com" } },
			{ account = "a1" })
		assert.same({ 1, 1 }, { #messages, tally.ignored })
		assert.equal("u1", cjson.decode(messages[1].message).userId)
		local bob = map { type = "bulk", user = "x", recipients = { "bob@example.com" } }
		assert.same({ "x", "anon-b" }, { bob.userId, bob.context.anonymous })
		local source_of_kinds = assert(mw.load(script(), { identities = store }))
		messages = source_of_kinds:map('{"type":"kinds","user":"x","number":12345678901234567890}', { account = "a1" })
		local p = cjson.decode(messages[1].message).properties
		assert.same({ "none", "big", "u1" }, { p.absent, p.number, p.today })
		assert.matches('no kind of identity "e%-mail": email, phone', p.wrong)
	end)

	it("knows of each account its own", function()
		learn("email", "ann@example.com", "other's", { account = "a2" })
		assert.equal("no_user", select(2, map { type = "opened", email = "ann@example.com" }).code)
		assert.is_nil(map({ type = "looked", user = "x", email = "ann@example.com" }).properties.who)
	end)

	it("gives an anonymous message the anonymousId that is known", function()
		learn("email", "bob@example.com", "anon-b", { fallback = true })
		local policy = 'missing_user = "anonymous",'
		assert.equal("anon-b", map({ type = "opened", email = "bob@example.com" }, policy).anonymousId)
		assert.equal("mine", map({ type = "opened", email = "bob@example.com", anon = "mine" }, policy).anonymousId)
		assert.equal("eve@example.com", map({ type = "opened", email = "eve@example.com" }, policy).anonymousId)
	end)

	it("is not asked while a script loads, nor outside of one", function()
		local text = 'local identity = require "moonweir.identity"\nidentity.lookup("email", "x")'
		local _, message = mw.load(child.file("load.lua", text))
		assert.matches("load.lua:2: identity.lookup asks while events are mapped", message)
		assert.has_error(function()
			core.identify("email", "x")
		end, "identity.lookup is for the functions of a mapping script")
		_, message = mw.load(child.file("load.lua", 'local identity = require "moonweir.identity"\nidentity.lookpu()'))
		assert.matches('load.lua:2: there is no identity.lookpu, did you mean "lookup"?', message)
	end)

	it("knows nobody where there is none, or it was closed", function()
		learn("email", "ann@example.com", "u1")
		local source = assert(mw.load(script(), { identities = store }))
		local closed = assert(identities.open { spool = spool, master_key_file = master })
		local other = assert(mw.load(script(), closed))
		closed:close()
		local event = '{"type":"opened","email":"ann@example.com"}'
		assert.equal(1, #source:map(event, { account = "a1" }))
		assert.equal(0, #other:map(event, { account = "a1" }))
		assert.equal(0, #assert(mw.load(script())):map(event, { account = "a1" }))
		assert.has_error(function()
			closed:find("a1", "email", "x")
		end, "this identity store is closed")
	end)

	it("is closed more than once without harm, and collected with its mapper", function()
		local source = assert(mw.load(script(), { identities = assert(identities.open { spool = spool, master_key_file = master }) }))
		collectgarbage()
		collectgarbage()
		learn("email", "ann@example.com", "u1")
		assert.equal(1, #source:map('{"type":"opened","email":"ann@example.com"}', { account = "a1" }))
		store:close()
		store:close()
	end)

	it("takes facts that are well formed, and says what is not", function()
		local good = { account = "a", kind = "email", id = "x", user = "u", at = 1 }
		local cases = {
			kind = "no kind of identity \"5\"", id = "a fact's id must be a string", user = "a fact's user must be a string",
			account = "a fact's account must be a string", at = "number expected",
		}
		for name, expected in pairs(cases) do
			local bad = {}
			for field, value in pairs(good) do
				bad[field] = value
			end
			bad[name] = name == "at" and "x" or name == "kind" and "5" or 5
			local ok, message = pcall(store.teach, store, { bad })
			assert.is_false(ok)
			assert.matches(expected, message)
		end
		assert.equal(0, assert(store:teach {}).learned)
		local same = assert(store:teach { good, good })
		assert.same({ 1, 1 }, { same.learned, same.known })
	end)

	it("is paged through without end or repetition", function()
		local facts = {}
		for i = 1, 2500 do
			facts[i] = { account = i % 2 == 0 and "even" or "odd", kind = "tool_id", id = tostring(i), user = "u" .. i, at = i }
		end
		assert(store:teach(facts))
		local function all(account)
			local seen, count, after = {}, 0, nil
			repeat
				local page
				page, after = assert(store:page(account, after))
				for _, known in ipairs(page) do
					assert.equal("u" .. known.id, known.user)
					assert.equal(tonumber(known.id), known.at)
					assert.is_nil(seen[known.id])
					seen[known.id], count = true, count + 1
				end
			until not after
			return count
		end
		assert.same({ 2500, 1250, 0 }, { all(), all "even", all "nobody" })
		assert.equal(1250 * 2, (store:drop "even"))
		assert.same({ 1250, 0 }, { all(), all "even" })
	end)

	it("tells right what finalizers ask about in the middle of it", function()
		local facts = {}
		for i = 1, 300 do
			facts[i] = { account = "many", kind = "tool_id", id = tostring(i), user = ("user %d"):format(i), at = i }
		end
		facts[301] = { account = "other", kind = "tool_id", id = "1", user = ("x"):rep(500), at = 1 }
		assert(store:teach(facts))
		litter.among(function()
			assert.equal(1, #assert(store:page("other")))
			assert.equal(500, #store:find("other", "tool_id", "1"))
		end, function(drop)
			drop()
			local page = assert(store:page("many"))
			assert.equal(300, #page)
			for _, known in ipairs(page) do
				assert.equal("user " .. known.id, known.user)
			end
			drop()
			assert.equal("user 7", store:find("many", "tool_id", "7"))
		end)
	end)

	local function open(options)
		local all = { write_key = KEY, account = "a1", endpoint = NOWHERE, rate = 0, source = script() }
		all.spool, all.master_key_file = spool, master
		for name, value in pairs(options or {}) do
			all[name] = value
		end
		local client = assert(mw.open(all))
		clients[#clients + 1] = client
		return client
	end

	it("turns an unknown address into the right userId once Segment has told it", function()
		local server = mock.start()
		local client = open { endpoint = server.url }
		local queued, _, code = client:push('{"type":"opened","id":"e1","email":"Ann@Example.com","email_id":"m1"}', { sync = true })
		assert.same({ nil, "no_user" }, { queued, code })
		assert.equal(1, #client:dead { code = "no_user", account = "a1" })
		-- Not yet: the letter stays.
		assert.same({ replayed = 0, messages = 0, failed = 1 }, client:replay { code = "no_user" })

		local status, _, counts = destination.receive({
			method = "POST", headers = { Authorization = "Basic dG9vbC1rZXk6" }, -- tool-key:
			body = '{"type":"identify","userId":"user 1","traits":{"email":"ann@example.com"}}',
		}, { account = "a1", api_key = "tool-key", identities = store, slug = "acme-mail", now = os.time() * 1000 })
		assert.same({ 200, 1 }, { status, counts.learned })

		assert.same({ replayed = 1, messages = 1, failed = 0 }, client:replay { code = "no_user", account = "a1" })
		assert.is_true(client:flush(60))
		local message = server:messages()[1]
		assert.same({ "user 1", "acme-mail:a1:e1:0", "m1" }, { message.userId, message.messageId, message.properties.email_id })
		assert.same({}, client:dead())
		server:finish()
	end)

	it("belongs to a spool by its master key alone", function()
		learn("email", "ann@example.com", "u1")
		local event = '{"type":"opened","email":"ann@example.com"}'
		assert.equal(1, open():push(event))
		local other = child.folder() .. "/other-key" .. number
		assert(core.new_master_key(other))
		local client, message, code = mw.open { spool = spool, source = script(), master_key_file = other, endpoint = NOWHERE }
		assert.same({ nil, "bad_master_key" }, { client, code })
		assert.matches("was begun with master key", message)
		local without = mw.open { spool = spool, source = script(), account = "a1", endpoint = NOWHERE, write_key = KEY }
		clients[#clients + 1] = without
		assert.equal("no_user", select(3, without:push(event)))
		local given = open { identities = store, spool = nil, master_key_file = nil }
		assert.equal(1, given:push(event))
	end)

	it("is not made without a master key", function()
		local none, message, code = identities.open { spool = spool }
		assert.same({ nil, "bad_master_key" }, { none, code })
		assert.matches("no master key was given", message)
		local nowhere = child.folder() .. "/nowhere"
		assert.equal("io", select(3, identities.open { spool = nowhere, master_key_file = master, existing = true }))
		assert.has_error(function()
			identities.open { spool = spool, master_key = master }
		end)
	end)
end)
