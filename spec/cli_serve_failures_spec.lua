--- The log of `moonweir serve` when Segment, or the server for tokens, does not take what it sends.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"
local openssl = require "spec.support.openssl"

describe("the log of moonweir serve", function()
	local serve, segment

	before_each(function()
		segment = mock.start()
	end)
	after_each(function()
		serve:signal "TERM"
		serve:finish()
		segment:finish()
	end)
	teardown(child.clean)

	local function post(id)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", ('{"type":"t","event_id":"%s","user":"u"}'):format(id))))
	end

	local function count(event)
		return select(2, serve:err():gsub("event=" .. event .. " ", ""))
	end

	it("says once that deliveries fail, and once that they work again, however many do", function()
		serve = daemon.start((daemon.config { delivery = { endpoint = segment.url } }))
		segment:control "status 503 503 503 503"
		post "1"
		local line = serve:wait_for "event=deliveries_fail[^\n]*"
		for _, expected in ipairs { "accounts=1", "account=acme", "status=503", "reason=" } do
			assert.matches(expected, line, 1, true)
		end
		for i = 2, 50 do
			post(tostring(i))
		end
		line = serve:wait_for "level=info event=deliveries_work[^\n]*"
		assert.matches("retries=%d+ seconds=%d", line)
		assert.same({ 1, 1 }, { count "deliveries_fail", count "deliveries_work" })
	end)

	it("says the same of requests for tokens", function()
		local master, spool = child.folder() .. "/master", child.folder() .. "/spool-of-apps"
		assert(accounts.new_master_key(master))
		local vault = assert(accounts.open { spool = spool, master_key_file = master })
		local key = openssl.key "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"
		assert(vault:set_app("app", {
			client_id = "id", key_id = "kid", private_key = child.read(key), token_server = segment.url,
		}))
		os.remove(key)
		assert(vault:set("acme", { write_key = ("x"):rep(32), endpoint = segment.url, oauth = "app" }))
		vault:close()
		segment:control "token-status 503 503 503 503"
		serve = daemon.start((daemon.config {
			write_key_file = "none", master_key_file = master, spool = spool, delivery = { endpoint = segment.url } }))
		post "1"
		local line = serve:wait_for "level=warning event=tokens_fail[^\n]*"
		assert.matches('accounts=1 reason="no token for OAuth app [^\n]*503', line)
		assert.matches("requests=%d+ seconds=%d", serve:wait_for "level=info event=tokens_work[^\n]*")
		assert.same({ 1, 1, 0 }, { count "tokens_fail", count "tokens_work", count "deliveries_fail" })
	end)
end)
