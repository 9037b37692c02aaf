--- The settings page's server side: who may do what, and what is told of it.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core = require "moonweir.core"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local settings = require "moonweir.web.settings"

local BASE = "https://events.acme.example"
local KEY = "canary0123456789abcdefghijklk3y4"
local OTHER_KEY = "canary9876543210zyxwvutsrqpon3w5"

describe("the settings page", function()
	local page, vault, client, segment, log, now
	local key_path, open_page

	setup(function()
		local master = child.folder() .. "/master"
		key_path = child.folder() .. "/link"
		assert(accounts.new_master_key(master))
		assert(accounts.new_master_key(key_path))
		local spool = child.folder() .. "/spool"
		segment = mock.start()
		client = assert(mw.open {
			spool = spool, master_key_file = master, linger = 0, rate = 0, integration = { name = "acme-mail", version = "1.0.0" },
		})
		vault = assert(accounts.open { spool = spool, master_key_file = master })
		function open_page(sender)
			return assert(settings.new {
				base_url = BASE,
				link_key_file = key_path,
				spool = spool,
				vault = vault,
				client = sender,
				about = { name = "Acme <Mail> & Co", slug = "acme-mail" },
				endpoints = {
					{ name = "us", label = "United States", endpoint = segment.url },
					{ name = "eu", label = "European Union", endpoint = "eu" },
				},
				oauth = true,
				frame_ancestors = { "https://app.acme.example" },
				log = function(entry)
					log[#log + 1] = core.encode(entry)
				end,
				now = function()
					return now
				end,
			})
		end
		page = open_page(client)
	end)
	teardown(function()
		page:close()
		vault:close()
		client:close(0)
		segment:finish()
		child.clean()
	end)
	before_each(function()
		log, now = {}, os.time()
	end)

	--- status, the decoded answer, headers. `changed`: what is unlike what the page itself sends.
	local function ask(method, path, body, session, changed)
		changed = changed or {}
		local headers = {
			["content-type"] = method == "POST" and "application/json" or nil,
			["origin"] = method == "POST" and BASE or nil,
			["sec-fetch-site"] = "same-origin",
			["authorization"] = session and "Bearer " .. session,
		}
		for name, value in pairs(changed.headers or {}) do
			headers[name] = value or nil
		end
		local status, answered, text = page:handle {
			method = method,
			path = path,
			query = changed.query or "",
			body = type(body) == "table" and core.encode(body) or body or "",
			header = function(name)
				return headers[name:lower()]
			end,
			remote = "192.0.2.7",
		}
		return status, core.decode(text), answered, text
	end

	local function token(account, options)
		options = options or {}
		options.base_url, options.key = BASE, key_path
		return (assert(mw.settings_link(account, options)):gsub("^.*#", ""))
	end

	local function session_of(account)
		local status, answer = ask("POST", "/settings/session", { token = token(account, { user = "ann@acme" }) })
		assert.equal(200, status)
		return answer.session, answer
	end

	local function code_of(status, answer)
		return status, answer and answer.error and answer.error.code
	end

	it("is a page with its files, each with all headers, that named origins may frame", function()
		for path, kind in pairs {
			["/settings"] = "text/html", ["/settings/settings.css"] = "text/css", ["/settings/main.js"] = "text/javascript",
			["/settings/icon.svg"] = "image/svg%+xml",
		} do
			local status, _, headers = ask("GET", path)
			assert.equal(200, status)
			assert.matches(kind, headers["Content-Type"])
			assert.matches("frame%-ancestors https://app%.acme%.example$", headers["Content-Security-Policy"])
			assert.matches("require%-trusted%-types%-for 'script'", headers["Content-Security-Policy"])
			assert.is_nil(headers["X-Frame-Options"])
			assert.equal("no-store", headers["Cache-Control"])
			assert.truthy(headers["Strict-Transport-Security"])
		end
		local _, _, _, html = ask("GET", "/settings")
		assert.matches("Acme &lt;Mail&gt; &amp; Co", html)
		assert.not_matches("<Mail>", html)
		assert.not_matches("{{", html)
	end)

	it("has scripts that make no markup of text, and load nothing from elsewhere", function()
		-- The window that goes to Segment keeps a nonce in its storage, and nothing else does.
		local pipe = io.popen "cat lua/moonweir/web/settings/*.lua"
		local text = pipe:read("*a"):gsub("sessionStorage(%.%w+%(NONCE)", "%1")
		pipe:close()
		for _, word in ipairs {
			"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "style=", "onclick", "localStorage",
			"sessionStorage", "cookie", "postMessage",
		} do
			assert.is_nil(text:find(word, 1, true), word)
		end
		text = text:gsub("http://www%.w3%.org/2000/svg", ""):gsub("https://%w+%.segmentapis%.com", "")
		assert.not_matches("['\"(]https?:", text)
		assert.not_matches("['\"(]//", text)
	end)

	it("opens by a link, once", function()
		local t = token("acme", { user = "ann@acme" })
		local status, answer = ask("POST", "/settings/session", { token = t })
		assert.equal(200, status)
		assert.same({ "Acme <Mail> & Co", true, "us", "European Union" },
			{ answer.page.tool, answer.page.oauth, answer.page.regions[1].name, answer.page.regions[2].label })
		assert.same({ 410, "link_used" }, { code_of(ask("POST", "/settings/session", { token = t })) })
		assert.same({ 401, "link_invalid" }, { code_of(ask("POST", "/settings/session", { token = t .. "x" })) })
		now = now + 361
		assert.same({ 410, "link_expired" }, { code_of(ask("POST", "/settings/session", { token = token "acme" })) })
		local said = table.concat(log, "\n")
		assert.matches('"opened"', log[1])
		assert.matches('"ann@acme"', log[1])
		assert.matches('"192.0.2.7"', log[1])
		assert.is_nil(said:find(t, 1, true))
	end)

	it("logs one refusal a second, and how many there were", function()
		now = now + 1000
		for _ = 1, 100 do
			ask("POST", "/settings/session", { token = "x" })
		end
		assert.equal(1, #log)
		now = now + 1
		ask("POST", "/settings/session", { token = "x" })
		assert.equal(99, core.decode(log[2]).more)
		assert.equal("invalid", core.decode(log[2]).why)
	end)

	local POSTS = { "connect", "oauth", "test", "pause", "resume", "disconnect" }

	it("does nothing for whoever has no session, or one that is over", function()
		local session = session_of "acme"
		local requests = { { "GET", "state" } }
		for _, name in ipairs(POSTS) do
			requests[#requests + 1] = { "POST", name }
		end
		for _, r in ipairs(requests) do
			for _, bad in ipairs { "", "x", session .. "x", session:sub(1, -2), token "acme" } do
				assert.same({ 401, "session_over" }, { code_of(ask(r[1], "/settings/api/" .. r[2], {}, bad)) })
			end
			assert.same({ 401, "session_over" }, { code_of(ask(r[1], "/settings/api/" .. r[2], {})) })
			now = now + 1801
			assert.same({ 401, "session_over" }, { code_of(ask(r[1], "/settings/api/" .. r[2], {}, session)) })
			now = now - 1801
		end
	end)

	it("takes requests of its own page only, and JSON only", function()
		local session = session_of "acme"
		for _, name in ipairs(POSTS) do
			local path = "/settings/api/" .. name
			for what, headers in pairs {
				["another origin"] = { origin = "https://evil.example" }, ["no origin"] = { origin = false },
				["an origin that begins alike"] = { origin = BASE .. ".evil.example" }, ["a sandbox"] = { origin = "null" },
				["http"] = { origin = "http://events.acme.example" }, ["another site"] = { ["sec-fetch-site"] = "cross-site" },
				["another host of the site"] = { ["sec-fetch-site"] = "same-site" }, ["the address bar"] = { ["sec-fetch-site"] = "none" },
			} do
				assert.same({ 403, "foreign_origin" }, { code_of(ask("POST", path, {}, session, { headers = headers })) }, what)
			end
			for _, kind in ipairs {
				"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "", false,
			} do
				assert.same({ 415, "json_only" },
					{ code_of(ask("POST", path, "{}", session, { headers = { ["content-type"] = kind } })) })
			end
			for _, body in ipairs { "", "{", "[]", "1", '"x"', "null", '{"a":{}}', '{"a":1}', '{"a":null}', "{} {}" } do
				assert.equal(400, (ask("POST", path, body, session)), body)
			end
			assert.same({ 413, "too_large" }, { code_of(ask("POST", path, '{"a":"' .. ("x"):rep(16384) .. '"}', session)) })
			for _, method in ipairs { "GET", "HEAD", "PUT", "DELETE", "OPTIONS" } do
				assert.same({ 405, "method_not_allowed" }, { code_of(ask(method, path, {}, session)) })
			end
		end
		assert.equal(200, (ask("GET", "/settings/api/state", nil, session, { headers = { ["sec-fetch-site"] = false } })))
		assert.equal(403, (ask("GET", "/settings/api/state", nil, session, { headers = { ["sec-fetch-site"] = "cross-site" } })))
		assert.equal(405, (ask("POST", "/settings/api/state", {}, session)))
		assert.equal(405, (ask("GET", "/settings/session")))
		assert.equal(405, (ask("POST", "/settings", {})))
	end)

	it("knows no other path", function()
		local session = session_of "acme"
		for _, path in ipairs {
			"/settings/", "/settings/api", "/settings/api/", "/settings/api/State", "/settings/api/state/", "/settings/api/../state",
			"/settings/api/__index", "/settings/api/new", "/settings/session/", "/settings/html.js", "/settings/../etc/passwd", "/",
		} do
			assert.equal(404, (ask("POST", path, {}, session)), path)
			assert.equal(404, (ask("GET", path, nil, session)), path)
		end
	end)

	it("knows no account but the session's", function()
		assert(vault:set("bolt", { write_key = OTHER_KEY, endpoint = "eu", label = "Bolt" }))
		local session = session_of "acme"
		for _, name in ipairs(POSTS) do
			assert.same({ 404, "not_found" }, { code_of(ask("POST", "/settings/api/" .. name, { account = "bolt" }, session)) })
			assert.same({ 404, "not_found" }, { code_of(ask("POST", "/settings/api/" .. name, { account = "nobody" }, session)) })
		end
		assert.equal(404, (ask("GET", "/settings/api/state", nil, session, { query = "account=bolt" })))
		local _, state, _, text = ask("GET", "/settings/api/state", nil, session)
		assert.is_false(state.connected)
		assert.not_matches("n3w5", text)
		assert.not_matches("Bolt", text)
		assert.equal("n3w5", vault:show("bolt").last)
	end)

	it("takes a key with what came along when it was copied, and says what is wrong with what is none", function()
		local session = session_of "pasted"
		local function call(name, body)
			return ask("POST", "/settings/api/" .. name, body, session)
		end
		for _, around in ipairs { "\194\160", "\226\128\139", "\239\187\191", "\226\129\160\r\n" } do -- from a page, or a mail
			assert.equal(200, (call("connect", { write_key = around .. KEY .. around, region = "us" })))
			assert.equal("k3y4", vault:show("pasted").last)
			assert.equal(200, (call("disconnect", { confirm = true })))
		end
		local _, long = call("connect", { write_key = KEY:rep(5), region = "us" })
		assert.matches("too long", long.error.message)
		local before = os.clock() -- of this process alone
		assert.same({ 422, "bad_key" }, { code_of(call("connect", { write_key = KEY .. (" "):rep(16000) .. "x", region = "us" })) })
		assert.is_true(os.clock() - before < 1)
	end)

	it("saves, replaces and forgets a write key, and never says it", function()
		local session = session_of "keys"
		local said = {}
		local function call(name, body)
			local status, answer, _, text = ask("POST", "/settings/api/" .. name, body, session)
			said[#said + 1] = text
			return status, answer
		end
		assert.same({ 422, "no_key" }, { code_of(call("connect", { region = "us" })) })
		assert.same({ 422, "no_region" }, { code_of(call("connect", { write_key = KEY })) })
		assert.same({ 422, "no_region" }, { code_of(call("connect", { write_key = KEY, region = "http://169.254.169.254" })) })
		assert.same({ 422, "bad_key" }, { code_of(call("connect", { write_key = KEY .. "\r\nX-Evil: 1", region = "us" })) })
		assert.same({ 422, "bad_key" }, { code_of(call("connect", { write_key = "short", region = "us" })) })
		assert.same({ 422, "bad_key" }, { code_of(call("connect", { write_key = KEY .. ":p", region = "us" })) })
		assert.same({ 409, "no_key" }, { code_of(call("pause", {})) })
		assert.same({ 409, "no_key" }, { code_of(call("test", {})) })

		local status, state = call("connect", { write_key = "  " .. KEY .. "\n", region = "eu" })
		assert.same({ 200, true, "…k3y4", "eu", "note" }, { status, state.connected, state.key, state.region, state.status.tone })
		assert.truthy(state.session)
		status, state = call("connect", { region = "us" })
		assert.same({ 200, "…k3y4", "us" }, { status, state.key, state.region })
		status, state = call("connect", { write_key = OTHER_KEY, region = "us" })
		assert.same({ 200, "…n3w5" }, { status, state.key })
		status, state = call("pause", {})
		assert.same({ 200, true, "Paused" }, { status, state.paused, state.status.title })
		status, state = call("resume", {})
		assert.same({ 200, false }, { status, state.paused })
		assert.same({ 422, "not_confirmed" }, { code_of(call("disconnect", {})) })
		assert.same({ 422, "not_confirmed" }, { code_of(call("disconnect", { confirm = "true" })) })
		status, state = call("disconnect", { confirm = true })
		assert.same({ 200, false, "Not connected" }, { status, state.connected, state.status.title })
		assert.is_nil((vault:show "keys"))
		assert.equal(200, (call("disconnect", { confirm = true })))

		local all = table.concat(said) .. table.concat(log)
		assert.is_nil(all:find(KEY, 1, true))
		assert.is_nil(all:find(OTHER_KEY, 1, true))
		local done = {}
		for _, line in ipairs(log) do
			done[#done + 1] = core.decode(line).settings
		end
		assert.same({ "opened", "write_key_saved", "region_changed", "write_key_saved", "paused", "resumed", "disconnected" }, done)
	end)

	--- Its answer has the session that knows the test.
	local function send_test(session)
		local status, state = ask("POST", "/settings/api/test", {}, session)
		assert.equal(200, status)
		return state.session, state
	end

	local function wait_for(session, condition)
		local until_ = core.process.monotonic() + 120
		repeat
			local _, state = ask("GET", "/settings/api/state", nil, session)
			if condition(state) then
				return state
			end
		until core.process.monotonic() > until_
		error "waited in vain"
	end

	it("sends a test event, five a minute, and tells what came of it", function()
		local session = session_of "tests"
		assert.equal(200, (ask("POST", "/settings/api/connect", { write_key = KEY, region = "us" }, session)))
		local state
		session, state = send_test(session)
		assert.truthy(state.test)
		state = wait_for(session, function(s) return not s.testing end)
		assert.same({ "good", 1, 0, "good" }, { state.test.tone, state.delivered, state.waiting, state.status.tone })
		assert.is_true(state.delivered_ago < 60)
		local message = segment:messages()[1]
		assert.same({ "track", "Connection Tested", "acme-mail-test-user" }, { message.type, message.event, message.userId })

		segment:control 'status 400\nbody {"message":"bad event"}'
		session = send_test(session)
		state = wait_for(session, function(s) return not s.testing end)
		assert.same({ "bad", 1 }, { state.test.tone, state.refused })
		for _ = 3, 5 do
			assert.equal(200, (ask("POST", "/settings/api/test", {}, session)))
		end
		assert.same({ 429, "too_many" }, { code_of(ask("POST", "/settings/api/test", {}, session)) })
		assert.same({ 409, "no_key" }, { code_of(ask("POST", "/settings/api/test", {}, (session_of "nobody"))) })
		now = now + 60
		assert.equal(200, (ask("POST", "/settings/api/test", {}, session)))
	end)

	it("tells in every process what came of a test event", function()
		local other_client = assert(mw.open { spool = client:spool_dir(), master_key_file = child.folder() .. "/master" })
		local here, there = page, open_page(other_client)
		local function told_there(session, condition)
			page = there
			local until_ = core.process.monotonic() + 60
			repeat
				here:tick()
				now = os.time()
				local _, state = ask("GET", "/settings/api/state", nil, session)
				if condition(state) then
					page = here
					return state
				end
			until core.process.monotonic() > until_
			error "waited in vain"
		end
		local session = session_of "many"
		assert.equal(200, (ask("POST", "/settings/api/connect", { write_key = KEY, region = "us" }, session)))
		assert.equal(200, (ask("POST", "/settings/api/pause", {}, session)))
		session = send_test(session)
		assert.is_true(told_there(session, function(s) return s.test end).testing)
		assert.equal(200, (ask("POST", "/settings/api/resume", {}, session)))
		assert.equal("good", told_there(session, function(s) return not s.testing end).test.tone)
		segment:control 'status 400\nbody {"message":"bad event"}'
		session = send_test(session)
		local test = told_there(session, function(s) return not s.testing end).test
		assert.equal("bad", test.tone)
		assert.matches("bad event", test.detail, 1, true)
		-- Sent by one that is gone then.
		page = there
		session = send_test(session)
		there:close()
		other_client:close(0)
		page = here
		local _, state = ask("GET", "/settings/api/state", nil, session)
		assert.is_true(state.testing)
		now = now + 61
		_, state = ask("GET", "/settings/api/state", nil, session)
		assert.is_false(state.testing)
		assert.matches("is not known", state.test.title, 1, true)
	end)

	it("says what to do when Segment refuses the key, and goes on when it is replaced", function()
		local session = session_of "revoked"
		segment:control "always 401"
		assert.equal(200, (ask("POST", "/settings/api/connect", { write_key = KEY, region = "us" }, session)))
		session = send_test(session)
		local state = wait_for(session, function(s) return s.status.tone == "bad" end)
		assert.equal("Segment refused the write key", state.status.title)
		assert.matches("ending in k3y4", state.status.text)
		assert.matches("1 event is waiting", state.status.text)
		assert.truthy(state.status.detail)
		assert.is_true(state.testing)
		segment:control "reset"
		assert.equal(200, (ask("POST", "/settings/api/connect", { write_key = OTHER_KEY, region = "us" }, session)))
		state = wait_for(session, function(s) return s.delivered == 1 and not s.testing end)
		assert.same({ "good", "good" }, { state.status.tone, state.test.tone })
		local status
		status, state = ask("POST", "/settings/api/connect", { write_key = KEY, region = "us" }, session)
		assert.same({ 200 }, { status, state.test }) -- that was another key
	end)

	it("lets somebody be who does nothing for half an hour, though the page looks", function()
		local session = session_of "idle"
		now = now + 1000
		local _, state = ask("GET", "/settings/api/state", nil, session)
		assert.is_nil(state.session)
		_, state = ask("GET", "/settings/api/state", nil, session, { query = "active" })
		now = now + 1000
		assert.equal(401, (ask("GET", "/settings/api/state", nil, session)))
		assert.equal(200, (ask("GET", "/settings/api/state", nil, state.session)))
	end)

	it("takes an OAuth app, shows whose it is, and gives it up", function()
		local pipe = io.popen "openssl genrsa 2048 2>/dev/null"
		local pem = pipe:read "*a"
		pipe:close()
		local session = session_of "signed"
		local app = { client_id = "2aBcD", key_id = "kid1", private_key = pem }
		assert.same({ 409, "no_key" }, { code_of(ask("POST", "/settings/api/oauth", app, session)) })
		assert.equal(200, (ask("POST", "/settings/api/connect", { write_key = KEY, region = "us" }, session)))
		assert.same({ 422, "incomplete" }, { code_of(ask("POST", "/settings/api/oauth", { client_id = "a", key_id = "b" }, session)) })
		app.private_key = "no key"
		assert.equal(422, (ask("POST", "/settings/api/oauth", app, session)))
		app.private_key = pem
		local status, state, _, text = ask("POST", "/settings/api/oauth", app, session)
		assert.same({ 200, true, "2aBcD", "kid1" }, { status, state.uses_oauth, state.oauth.client_id, state.oauth.key_id })
		assert.is_nil((text .. table.concat(log)):find(pem:sub(100, 140), 1, true))
		local name = vault:show("signed").oauth
		status, state = ask("POST", "/settings/api/oauth", { client_id = "2aBcD", key_id = "kid2" }, session)
		assert.same({ 200, "kid2", name }, { status, state.oauth.key_id, vault:show("signed").oauth })
		status, state = ask("POST", "/settings/api/oauth", { off = true }, session)
		assert.same({ 200, false }, { status, state.uses_oauth })
		assert.is_nil((vault:show_app(name)))
	end)

	it("does not change an app that the tool's people share between accounts", function()
		local pipe = io.popen "openssl genrsa 2048 2>/dev/null"
		local pem = pipe:read "*a"
		pipe:close()
		assert(vault:set_app("shared", { client_id = "c", key_id = "k", private_key = pem }))
		assert(vault:set("sharer", { write_key = KEY, endpoint = "us", oauth = "shared" }))
		local session = session_of "sharer"
		assert.same({ 422, "incomplete" }, { code_of(ask("POST", "/settings/api/oauth", { client_id = "x", key_id = "y" }, session)) })
		assert.equal(200, (ask("POST", "/settings/api/oauth", { client_id = "x", key_id = "y", private_key = pem }, session)))
		assert.equal("c", vault:show_app("shared").client_id)
		assert.not_equal("shared", vault:show("sharer").oauth)
	end)

	it("tells of all processes' deliveries", function()
		local session = session_of "everywhere"
		assert.equal(200, (ask("POST", "/settings/api/connect", { write_key = KEY, region = "us" }, session)))
		local other = daemon.start((daemon.config {
			write_key_file = "none", master_key_file = child.folder() .. "/master", spool = child.folder() .. "/spool",
		}))
		for _, id in ipairs { "1", "2" } do
			assert.equal(200, (daemon.post(other, "/webhooks/everywhere", ('{"type":"t","event_id":"%s","user":"u"}'):format(id))))
		end
		local state = wait_for(session, function(s) return s.delivered == 2 end)
		assert.is_true(state.delivered_ago < 60)
		assert.equal("good", state.status.tone)
		assert(client:track("everywhere", { userId = "u", event = "e" }))
		wait_for(session, function(s) return s.delivered == 3 and s.waiting == 0 end)
		segment:control "status 401"
		assert.equal(200, (daemon.post(other, "/webhooks/everywhere", '{"type":"t","event_id":"3","user":"u"}')))
		wait_for(session, function(s) return s.status.title == "Segment refused the write key" and s.waiting == 1 end)
		other:signal "TERM"
		other:finish()
	end)

	it("raises on misuse", function()
		local function new(changed)
			local options = {
				base_url = BASE, link_key_file = key_path, spool = "x", vault = vault, client = client, about = { name = "A", slug = "a" },
			}
			for name, value in pairs(changed) do
				options[name] = value
			end
			return settings.new(options)
		end
		assert.error_matches(function() new { base_url = "http://acme.example" } end, "base_url")
		assert.error_matches(function() new { colour = "red" } end, "no option")
		assert.error_matches(function() new { color = "red;}" } end, "color")
		assert.error_matches(function() new { frame_ancestors = { "*" } } end, "origins")
		assert.error_matches(function() new { frame_ancestors = { "https://a.example; script-src *" } } end, "origins")
		assert.error_matches(function() new { frame_ancestors = { "https://a.example/path" } } end, "origins")
		assert.error_matches(function() new { endpoints = { { name = "us" } } } end, "endpoint")
		assert.same({ nil, "io" }, (function(a, _, c) return { a, c } end)(new { link_key_file = "/nowhere" }))
	end)
end)
