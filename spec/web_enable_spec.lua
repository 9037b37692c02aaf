--- "Enable with Segment": the flow without a browser, against an identity server of ours.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core = require "moonweir.core"
local mw = require "moonweir"
local server = require "moonweir.server"
local settings = require "moonweir.web.settings"

local BASE = "https://events.acme.example"
local KEY = "canary0123456789abcdefghijklk3y4"
local NONCE = ("n0nce"):rep(8)
local HASH = core.base64url(core.sha256(NONCE))
local SECRET = "canary:client%secret"

describe("Enable with Segment", function()
	local page, vault, client, segment, answers, asked, log, now, key_path, open_page

	setup(function()
		local master, spool = child.folder() .. "/master", child.folder() .. "/spool"
		key_path = child.folder() .. "/link"
		assert(accounts.new_master_key(master))
		assert(accounts.new_master_key(key_path))
		segment = assert(server.open { port = 0 })
		client = assert(mw.open { spool = spool, master_key_file = master, integration = { name = "a", version = "1.0.0" } })
		vault = assert(accounts.open { spool = spool, master_key_file = master })
		local here = "http://127.0.0.1:" .. segment:port()
		function open_page(its_vault)
			return assert(settings.new {
				base_url = BASE, link_key_file = key_path, spool = spool, vault = its_vault or vault, client = client,
				about = { name = "Acme Mail", slug = "acme-mail" },
				enable = {
					client_id = "acme app", client_secret = SECRET, authorize_url = here .. "/auth", token_url = here .. "/token",
					api_url = here .. "/api",
				},
				log = function(entry) log[#log + 1] = core.encode(entry) end,
				now = function() return now end,
			})
		end
		page = open_page()
	end)
	teardown(function()
		page:close()
		vault:close()
		client:close(0)
		segment:close()
		child.clean()
	end)
	before_each(function()
		log, asked, now = {}, {}, os.time()
		answers = {
			["/token"] = { 200, '{"access_token":"canary-token","token_type":"bearer","source_names":["workspaces/acme/sources/mail"]}' },
			["/api/v1beta/workspaces/acme/sources/mail"] = { 200, '{"write_keys":["' .. KEY .. '"]}' },
		}
	end)

	local function ask(path, body, session, method)
		local headers = {
			["content-type"] = "application/json", origin = BASE, authorization = session and "Bearer " .. session or nil,
		}
		local status, _, text = page:handle {
			method = method or "POST", path = path, query = "", body = core.encode(body or {}),
			header = function(name) return headers[name:lower()] end,
		}
		return status, core.decode(text)
	end

	local function session_of(account)
		local url = assert(mw.settings_link(account, { base_url = BASE, key = key_path, user = "ann" }))
		return select(2, ask("/settings/session", { token = url:gsub("^.*#", "") })).session
	end

	local function start(account)
		now = now + 12 -- five a minute
		local status, answer = ask("/settings/api/enable", { region = "eu" }, session_of(account))
		assert.equal(200, status)
		return answer.ticket
	end

	--- As the window does: the query of the URL that it is sent to.
	local function query_of(ticket)
		local status, answer = ask("/settings/enable/start", { ticket = ticket, nonce_hash = HASH })
		assert.equal(200, status)
		local query = {}
		for name, value in answer.go:match("%?(.*)$"):gmatch "([%w_]+)=([^&]*)" do
			query[name] = value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
		end
		return query, answer.go
	end

	--- Segment answers until the flow has come to its end.
	local function outcome(state)
		local until_ = core.process.monotonic() + 120
		repeat
			local x = segment:next(0.01)
			if x then
				asked[#asked + 1] = { path = x.path, body = x.body, authorization = x:header "Authorization", method = x.method }
				local answer = answers[x.path] or { 404, "{}" }
				x:answer(answer[1], {}, answer[2])
			end
			local status, told = ask("/settings/enable/look", { state = state, nonce = NONCE })
			assert.equal(200, status)
			if told.outcome ~= "waiting" then
				return told
			end
		until core.process.monotonic() > until_
		error "waited in vain"
	end

	it("stores the key of the chosen source, with state and PKCE", function()
		local query, go = query_of(start "acme")
		assert.matches("^http://127%.0%.0%.1:%d+/auth%?response_type=code&client_id=acme%%20app&", go)
		assert.same({ "code", BASE .. "/settings/enabled", "S256" },
			{ query.response_type, query.redirect_uri, query.code_challenge_method })
		assert.equal(200, (ask("/settings/enable/finish", { code = "c0de&x", state = query.state, nonce = NONCE })))
		assert.equal("done", outcome(query.state).outcome)
		assert.same({ "k3y4", "eu" }, { vault:show("acme").last, vault:show("acme").endpoint })

		local token = asked[1]
		assert.same({ "POST", "/token" }, { token.method, token.path })
		assert.matches("code=c0de%%26x", token.body)
		assert.matches("redirect_uri=https%%3A%%2F%%2Fevents", token.body)
		assert.equal(query.code_challenge, core.base64url(core.sha256(token.body:match "code_verifier=([%w_-]+)")))
		assert.matches("^Basic ", token.authorization)
		assert.same({ "GET", "Bearer canary-token" }, { asked[2].method, asked[2].authorization })
		local said = table.concat(log)
		assert.matches("write_key_from_segment", said)
		assert.not_matches("canary", said)
	end)

	it("believes no ticket twice, late, or with a byte changed", function()
		local ticket = start "tickets"
		for i = 1, #ticket do
			local changed = ticket:sub(1, i - 1) .. string.char(ticket:byte(i) % 127 + 1) .. ticket:sub(i + 1)
			assert.equal(410, (ask("/settings/enable/start", { ticket = changed, nonce_hash = HASH })))
		end
		for _, hash in ipairs { "", "x", HASH .. "x", (" "):rep(43) } do
			assert.equal(410, (ask("/settings/enable/start", { ticket = ticket, nonce_hash = hash })))
		end
		query_of(ticket)
		assert.equal(410, (ask("/settings/enable/start", { ticket = ticket, nonce_hash = HASH })))
		ticket = start "tickets"
		now = now + 120
		assert.equal(410, (ask("/settings/enable/start", { ticket = ticket, nonce_hash = HASH })))
		assert.equal(410, (ask("/settings/enable/start", { ticket = session_of "tickets", nonce_hash = HASH })))
	end)

	it("believes no code that comes back to another window, late, twice or with another state", function()
		local function refused(body)
			assert.equal(403, (ask("/settings/enable/finish", body)))
		end
		refused { code = "c", state = query_of(start "states").state, nonce = NONCE .. "x" }
		refused { code = "c", state = query_of(start "states").state }
		refused { state = query_of(start "states").state, nonce = NONCE }
		refused { code = "c", state = query_of(start "states").state .. "x", nonce = NONCE }
		refused { code = "c", state = start "states", nonce = NONCE }
		local state = query_of(start "states").state
		now = now + 900
		refused { code = "c", state = state, nonce = NONCE }
		now = now - 900
		state = query_of(start "states").state
		assert.equal(200, (ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })))
		refused { code = "c", state = state, nonce = NONCE }
		assert.equal(404, (ask("/settings/enable/look", { state = state, nonce = NONCE .. "x" })))
		outcome(state)
	end)

	it("says so when Segment does not finish it, and changes nothing", function()
		for _, answer in ipairs {
			{ "/token", 400, '{"error":"invalid_grant"}' }, { "/token", 200, "no JSON" }, { "/token", 200, "{}" },
			{ "/token", 200, '{"access_token":"t","source_names":[]}' },
			{ "/token", 200, '{"access_token":"t","source_names":["../../admin"]}' },
			{ "/token", 302, "" }, { "/token", 200, (" "):rep(70000) },
			{ "/api/v1beta/workspaces/acme/sources/mail", 403, "{}" },
			{ "/api/v1beta/workspaces/acme/sources/mail", 200, '{"write_keys":[]}' },
			{ "/api/v1beta/workspaces/acme/sources/mail", 200, '{"write_keys":["a b"]}' },
		} do
			local before = answers[answer[1]]
			answers[answer[1]] = { answer[2], answer[3] }
			local state = query_of(start "failing").state
			assert.equal(200, (ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })))
			local told = outcome(state)
			assert.equal("failed", told.outcome)
			assert.truthy(told.text)
			assert.is_nil((vault:show "failing"))
			answers[answer[1]] = before
		end
	end)

	it("goes through other processes step by step, and is told in each", function()
		local here, there = page, open_page()
		local ticket = start "many"
		page = there
		local state = query_of(ticket).state
		page = here
		assert.equal(200, (ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })))
		page = there
		local look = { state = state, nonce = NONCE }
		assert.same({ outcome = "waiting" }, select(2, ask("/settings/enable/look", look)))
		assert.equal(403, (ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })))
		page = here
		assert.equal("done", outcome(state).outcome)
		page = there
		assert.same({ outcome = "done" }, select(2, ask("/settings/enable/look", look)))
		assert.equal(404, (ask("/settings/enable/look", { state = state, nonce = NONCE .. "x" })))
		assert.equal(404, (ask("/settings/enable/look", { state = query_of(start "many").state, nonce = NONCE })))
		page = here
		there:close()
	end)

	--- A flow that another process has under way: that one's page, and the state.
	local function begun_elsewhere(account, its_vault)
		local here, there = page, open_page(its_vault)
		local state = query_of(start(account)).state
		page = there
		assert.equal(200, (ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })))
		page = here
		return there, state
	end

	--- Segment answers that process, to the end.
	local function serve(there)
		local until_ = core.process.monotonic() + 120
		local path
		repeat
			assert(core.process.monotonic() < until_, "waited in vain")
			there:tick()
			local x = segment:next(0.01)
			if x then
				path = x.path
				x:answer(answers[path][1], {}, answers[path][2])
			end
		until path and path ~= "/token"
	end

	--- It looks after its flow, until that has come to an end, or an error did to the process.
	local function go_on(there)
		local until_ = core.process.monotonic() + 120
		while next(there.enable.running) do
			assert(core.process.monotonic() < until_, "waited in vain")
			segment:next(0.01) -- the last answer goes out
			local good, message = pcall(there.tick, there)
			if not good then
				return message
			end
		end
		return nil
	end

	local function look(state)
		return select(2, ask("/settings/enable/look", { state = state, nonce = NONCE }))
	end

	it("is told within a minute that nothing came of it, if the process that had it under way is gone", function()
		local there, state = begun_elsewhere "gone"
		now = now + 59
		assert.same({ outcome = "waiting" }, look(state))
		now = now + 1
		local told = look(state)
		assert.equal("failed", told.outcome)
		assert.matches("interrupted", told.text)
		there:close()
	end)

	it("is told at once, if that process comes to its end in order", function()
		local there, state = begun_elsewhere "ended"
		there:close()
		assert.matches("interrupted", look(state).text)
	end)

	it("saves nothing any more, when the window was told so", function()
		local there, state = begun_elsewhere "asleep"
		serve(there)
		now = now + 60
		assert.equal("failed", look(state).outcome)
		assert.is_nil(go_on(there))
		assert.is_nil((vault:show "asleep"))
		assert.matches("interrupted", look(state).text)
		there:close()
	end)

	--- A vault whose process dies when it has saved a key, or is about to.
	local function deadly(saves)
		return setmetatable({}, { __index = function(_, name)
			return function(_, ...)
				if name == "set" and saves then
					assert(vault:set(...))
				end
				assert(name ~= "set", "the process is killed")
				return vault[name](vault, ...)
			end
		end })
	end

	it("is told that it is done, if that process saved the key and could not say so", function()
		local there, state = begun_elsewhere("mute", deadly(true))
		serve(there)
		assert.matches("killed", go_on(there))
		assert.same({ outcome = "done" }, look(state))
		now = now + 61
		assert.same({ outcome = "done" }, look(state))
		assert.equal(404, (ask("/settings/enable/look", { state = state, nonce = NONCE .. "x" })))
	end)

	it("takes no other key, and none in another region, for the one that could not be saved", function()
		for _, before in ipairs {
			{ write_key = "another0123456789abcdefghijkl9z9", endpoint = "eu" }, { write_key = KEY, endpoint = "us" },
		} do
			assert(vault:set("before", before))
			local there, state = begun_elsewhere("before", deadly(false))
			serve(there)
			assert.matches("killed", go_on(there))
			assert.same({ outcome = "waiting" }, look(state))
			now = now + 61
			assert.matches("interrupted", look(state).text)
		end
	end)

	--- Claims that can't be written when they are taken for the n-th time from now on.
	local function failing(at)
		local real, count = page.enable.claims, 0
		page.enable.claims = {
			take = function(_, ...)
				count = count + 1
				if count == at then
					return nil, "no room", "full"
				end
				return real:take(...)
			end,
			holds = function(_, ...)
				return real:holds(...)
			end,
		}
		return function()
			page.enable.claims = real
		end
	end

	it("uses neither ticket nor state up when the store fails: nothing went to Segment", function()
		local ticket = start "store"
		local mend = failing(1)
		local status, answer = ask("/settings/enable/start", { ticket = ticket, nonce_hash = HASH })
		assert.same({ 503, "io" }, { status, answer.error.code })
		mend()
		local state = query_of(ticket).state
		local finish = { code = "c", state = state, nonce = NONCE }
		for at = 1, 2 do
			mend = failing(at)
			status, answer = ask("/settings/enable/finish", finish)
			assert.same({ 503, "io" }, { status, answer.error.code })
			mend()
			assert.equal(404, (ask("/settings/enable/look", { state = state, nonce = NONCE })))
			assert.is_nil((segment:next(0.01)))
		end
		assert.equal(200, (ask("/settings/enable/finish", finish)))
		assert.equal("done", outcome(state).outcome)
		assert.equal(2, #asked)
	end)

	it("begins a request later for which there is no thread just now", function()
		local state = query_of(start "threads").state
		local errand, refused = core.errand, 0
		core.errand = function()
			refused = refused + 1
			return nil, "no thread", "io"
		end
		local status = ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })
		local told = look(state)
		core.errand = errand
		assert.same({ 200, "waiting" }, { status, told.outcome })
		assert.is_true(refused > 0)
		assert.equal("done", outcome(state).outcome)
	end)

	it("says interrupted, if there is no thread for a minute", function()
		local state = query_of(start "no threads").state
		local errand = core.errand
		core.errand = function()
			return nil, "no thread", "io"
		end
		ask("/settings/enable/finish", { code = "c", state = state, nonce = NONCE })
		now = now + 60
		local told = look(state)
		core.errand = errand
		assert.matches("interrupted", told.text)
		assert.is_nil(next(page.enable.running))
		assert.equal(0, page.enable.count)
	end)

	it("tells a window whose answer got lost that its state was used, and nobody else", function()
		local state = query_of(start "lost").state
		local finish = { code = "c", state = state, nonce = NONCE }
		assert.equal(200, (ask("/settings/enable/finish", finish)))
		local status, answer = ask("/settings/enable/finish", finish)
		assert.same({ 403, "used" }, { status, answer.error.code })
		finish.nonce = NONCE .. "x"
		status, answer = ask("/settings/enable/finish", finish)
		assert.same({ 403, "invalid" }, { status, answer.error.code })
		assert.equal("done", outcome(state).outcome)
		assert.equal(2, #asked)
	end)

	it("gives an account five tickets a minute", function()
		local session = session_of "eager"
		local function status()
			return (ask("/settings/api/enable", { region = "eu" }, session))
		end
		for _ = 1, 5 do
			assert.equal(200, status())
		end
		assert.equal(429, status())
		assert.equal(200, (ask("/settings/api/enable", { region = "eu" }, session_of "another")))
		now = now + 60
		assert.equal(200, status())
	end)

	it("uses no state up while too many are under way, and does not blame Segment", function()
		local states = {}
		for i = 1, 65 do
			states[i] = query_of(start("crowd " .. i)).state
			now = now - 12
		end
		for i = 1, 64 do
			assert.equal(200, (ask("/settings/enable/finish", { code = "c", state = states[i], nonce = NONCE })))
		end
		local last = { code = "c", state = states[65], nonce = NONCE }
		local status, answer = ask("/settings/enable/finish", last)
		assert.same({ 503, "busy" }, { status, answer.error.code })
		assert.not_matches("belong", answer.error.message)
		for i = 1, 64 do
			outcome(states[i])
		end
		assert.equal(200, (ask("/settings/enable/finish", last)))
		assert.equal("done", outcome(states[65]).outcome)
	end)

	it("needs a session, and a region that is offered", function()
		assert.equal(401, (ask("/settings/api/enable", { region = "eu" })))
		local session = session_of "acme"
		assert.equal(422, (ask("/settings/api/enable", {}, session)))
		assert.equal(422, (ask("/settings/api/enable", { region = "mars" }, session)))
		for _, path in ipairs { "start", "finish", "look" } do
			assert.equal(405, (ask("/settings/enable/" .. path, {}, nil, "GET")))
		end
	end)
end)
