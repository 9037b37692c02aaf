--- moonweir serve with the settings page and with what Segment tells: the parts together, over real connections.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core = require "moonweir.core"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local openssl = require "spec.support.openssl"
local server = require "moonweir.server"

local URL = "http://127.0.0.1:9999" -- how the world calls it
local KEY = ("K9canary"):rep(4)

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "hooks", version = "1.0.0", event = get "type", id = get "id", user = source.user { email = get "email" },
	on = { opened = source.track "Email Opened" { email_subject = get "subject" } },
}
]]

describe("moonweir serve", function()
	local serve, segment, link_key

	local function start(more)
		local master = child.folder() .. "/master-key"
		link_key = child.folder() .. "/link-key"
		if not child.read(master) then
			assert(accounts.new_master_key(master))
			assert(accounts.new_master_key(link_key))
		end
		segment = segment or mock.start()
		local settings = { link_key_file = link_key, name = "Acme Mail" }
		for name, value in pairs(more or {}) do
			settings[name] = value
		end
		local keys = child.file("keys", '{"acme":"issued-1"}')
		os.execute(("chmod 600 '%s'"):format(keys))
		local config, values = daemon.config({
			write_key_file = "none", master_key_file = master, public_url = URL, delivery = { endpoint = segment.url },
			settings = settings, segment = { api_keys_file = keys },
		}, SOURCE)
		return config, values, master
	end

	local function settings_call(path, body, bearer)
		local headers = {
			["Content-Type"] = "application/json", Origin = URL, Authorization = bearer and "Bearer " .. bearer or nil,
		}
		local status, text = child.http(serve.port, body and "POST" or "GET", path, headers, body)
		return status, core.decode(text)
	end

	after_each(function()
		if serve then
			serve:signal "TERM"
			serve:finish()
			serve = nil
		end
		if segment then
			segment:finish()
			segment = nil
		end
	end)
	teardown(child.clean)

	it("lets a customer paste a key, learns from Segment, and then sends what waited for a user", function()
		local config, values, master = start()
		local vault = assert(accounts.open { spool = values.spool, master_key_file = master })
		assert(vault:set("acme", { write_key = ("x"):rep(32), endpoint = segment.url }))
		vault:close()
		serve = daemon.start(config)

		local link = assert(mw.settings_link("acme", { base_url = URL, key = link_key }))
		local status, session = settings_call("/settings/session", core.encode { token = link:match "#(.+)$" })
		assert.equal(200, status)
		assert.equal(410, (settings_call("/settings/session", core.encode { token = link:match "#(.+)$" })))
		status = settings_call("/settings/api/connect", core.encode { write_key = KEY }, session.session)
		assert.equal(200, status)
		local _, state = settings_call("/settings/api/state", nil, session.session)
		assert.equal("…" .. KEY:sub(-4), state.key)

		assert.equal(200, (daemon.post(serve, "/webhooks/acme", '{"type":"opened","id":"1","email":"ann@example.com"}')))
		assert.same({}, segment:messages())
		assert.equal(200, (daemon.post(serve, "/segment/acme", core.encode {
			type = "identify", userId = "u-17", traits = { email = "ann@example.com" }, messageId = "m",
			timestamp = "2026-01-01T00:00:00Z",
		}, { Authorization = "Basic aXNzdWVkLTE6", ["Content-Type"] = "application/json" })))
		serve:wait("the letter to be replayed", function()
			return serve:err():find("event=replayed account=acme letters=1 messages=1", 1, true)
		end)
		assert.is_nil(serve:err():find(KEY, 1, true))
	end)

	it("answers who tells of an account without a key as if the key were wrong", function()
		serve = daemon.start((start()))
		local headers = { Authorization = "Basic d3Jvbmc6", ["Content-Type"] = "application/json" }
		local known, said = daemon.post(serve, "/segment/acme", '{"type":"identify","userId":"u"}', headers)
		local unknown, said_too = daemon.post(serve, "/segment/nobody", '{"type":"identify","userId":"u"}', headers)
		assert.same({ 401, known, said }, { known, unknown, said_too })
	end)

	it("reads Segment's keys again when it reloads: a new customer needs no new start", function()
		local config, values = start()
		serve = daemon.start(config)
		local function write_keys(text)
			local file = assert(io.open(values.segment.api_keys_file, "w"))
			file:write(text)
			file:close()
		end
		write_keys '{"acme":"issued-1","bolt":"issued-2"}'
		serve:signal "HUP"
		serve:wait_for "event=reloaded"
		local function call()
			return (daemon.post(serve, "/segment/bolt", '{"type":"identify","userId":"u"}',
				{ Authorization = "Basic aXNzdWVkLTI6", ["Content-Type"] = "application/json" }))
		end
		assert.equal(200, call())
		write_keys '{"acme":"issued-1","bolt":""}' -- an empty key would let everybody in
		serve:signal "HUP"
		assert.matches("not JSON like", serve:wait_for "event=reload_failed[^\n]*", 1, true)
		assert.equal(200, call())
	end)

	it("says why the messages of an OAuth app's account are kept back", function()
		local config, values, master = start()
		local key = openssl.key "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"
		local vault = assert(accounts.open { spool = values.spool, master_key_file = master })
		segment:control "token-status 400 400 400"
		assert(vault:set_app("app", {
			client_id = "id", key_id = "kid", private_key = child.read(key), token_server = segment.url,
		}))
		os.remove(key)
		assert(vault:set("acme", { write_key = ("x"):rep(32), endpoint = segment.url, oauth = "app" }))
		vault:close()
		serve = daemon.start(config)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", '{"type":"opened","id":"1","email":"a@x.example"}')))
		assert.equal(200, (daemon.post(serve, "/segment/acme", '{"type":"identify","userId":"u","traits":{"email":"a@x.example"}}',
			{ Authorization = "Basic aXNzdWVkLTE6", ["Content-Type"] = "application/json" })))
		local line = serve:wait_for "event=parked[^\n]*"
		assert.is_nil(line:find("no write key", 1, true), line)
	end)

	it("tells the window that goes to Segment when it was stopped in between", function()
		local silent, nonce = assert(server.open { port = 0 }), ("n"):rep(43)
		local there = "http://127.0.0.1:" .. silent:port()
		local config = start {
			enable_client_id = "app", enable_client_secret_file = child.file("secret", "s3cret"), enable_authorize_url = there,
			enable_token_url = there, enable_api_url = there,
		}
		serve = daemon.start(config)
		local function ask(path, body, bearer)
			local status, answer = settings_call("/settings/" .. path, core.encode(body), bearer)
			assert.equal(200, status)
			return answer
		end
		local link = assert(mw.settings_link("acme", { base_url = URL, key = link_key }))
		local session = ask("session", { token = link:match "#(.+)$" }).session
		local ticket = ask("api/enable", { region = "eu" }, session).ticket
		local state = ask("enable/start", { ticket = ticket, nonce_hash = core.base64url(core.sha256(nonce)) }).go:match "state=([^&]+)"
		ask("enable/finish", { code = "c0de", state = state, nonce = nonce })
		assert.equal("waiting", ask("enable/look", { state = state, nonce = nonce }).outcome)
		daemon.stop(serve)
		serve = daemon.start(config)
		assert.matches("interrupted", ask("enable/look", { state = state, nonce = nonce }).text)
		silent:close()
	end)

	it("says what is wrong with the settings page's options", function()
		local config = start { color = "#12" }
		local code, _, err = child.run { "serve", config, "--check" }
		assert.equal(1, code)
		assert.matches("color", err, 1, true)
		config = start { enable_client_id = "id" }
		code, _, err = child.run { "serve", config }
		assert.equal(1, code)
		assert.matches("enable_client_id and enable_client_secret_file go together", err, 1, true)
		assert.is_nil(err:find("traceback", 1, true))
	end)
end)
