--- moonweir.redis.accounts: the accounts of hosts that know each other only by a Redis.

local accounts = require "moonweir.redis.accounts"
local child = require "spec.support.child"
local core_accounts = require "moonweir.accounts"
local hiredis = require "moonweir.hiredis"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local redis = require "spec.support.redis"

local KEY = "write-key-of-acme-a1b2"

describe("accounts in Redis", function()
	local server, segment, master, hosts

	before_each(function()
		server, hosts = redis.start { port = true }, {}
		server:client():close()
		master = child.folder() .. "/master-key"
		os.remove(master)
		assert(core_accounts.new_master_key(master))
	end)
	after_each(function()
		for _, vault in ipairs(hosts) do
			vault:close()
		end
		if segment then
			segment:finish()
			segment = nil
		end
		redis.clean()
		child.clean()
	end)

	local function connect()
		return assert(hiredis.new { url = server.url, patience = 5 })
	end

	local count = 0
	local function host(master_key_file)
		count = count + 1
		local dir = child.folder() .. "/host" .. count
		local vault = assert(accounts.open { red = connect(), dir = dir, master_key_file = master_key_file or master })
		hosts[#hosts + 1] = vault
		return vault, dir
	end

	it("are seen by every host as one of them set them", function()
		local a, b = host(), host()
		assert.is_true(a:set("acme", { write_key = KEY, endpoint = "eu", label = "Acme" }))
		assert.is_true(a:set("other", { write_key = KEY }))
		local seen = assert(b:show "acme")
		assert.same({ "a1b2", "eu", "Acme", "active" }, { seen.last, seen.endpoint, seen.label, seen.state })
		assert.is_true(b:pause "acme")
		assert.equal("paused", assert(a:show "acme").state)
		assert.is_true(a:resume "acme")
		assert.is_true(a:set("acme", { label = "Acme Inc" }))
		seen = assert(b:show "acme")
		assert.same({ "a1b2", "eu", "Acme Inc", "active" }, { seen.last, seen.endpoint, seen.label, seen.state })
		assert.is_true(b:remove "other")
		assert.equal(1, #assert(a:list()))
		local _, _, code = a:show "other"
		assert.equal("no_account", code)
		_, _, code = a:pause "nobody"
		assert.equal("no_account", code)
	end)

	it("are sealed: Redis never sees a key", function()
		assert.is_true(host():set("acme", { write_key = KEY, endpoint = "us" }))
		local red = connect()
		for _, key in ipairs(red:call("KEYS", "*")) do
			assert.equal(hiredis.slot "{moonweir}", hiredis.slot(key))
			local kind = red:call("TYPE", key)
			local all = kind == "hash" and red:call("HGETALL", key) or red:call("ZRANGE", key, 0, -1)
			assert.is_nil(table.concat(all):find(KEY, 1, true))
		end
		local other = child.folder() .. "/other-key"
		os.remove(other)
		assert(core_accounts.new_master_key(other))
		local stranger = host(other)
		assert.is_true(assert(stranger:show "acme").other_master_key)
		local _, _, code = stranger:set("acme", { endpoint = "eu" })
		assert.equal("bad_master_key", code)
		-- A row under another's name is no row.
		red:call("HSET", "{moonweir}:accounts", "thief", red:call("HGET", "{moonweir}:accounts", "acme"))
		assert.equal("damaged", assert(host():list())[2].state)
	end)

	it("lose no change when two hosts make theirs at once", function()
		local a, b = host(), host()
		a:set("acme", { write_key = KEY, label = "before" })
		b:look(true)
		-- b changes the label while a is in the middle of pausing.
		local put, once = a.replicas.account.put, false
		a.replicas.account.put = function(...)
			if not once then
				once = true
				assert.is_true(b:set("acme", { label = "after" }))
			end
			return put(...)
		end
		assert.is_true(a:pause "acme")
		local seen = assert(b:show "acme")
		assert.same({ "after", "paused" }, { seen.label, seen.state })
	end)

	it("are read anew when Redis has come back with less or more than was seen", function()
		local a, b = host(), host()
		for i = 1, 30 do
			assert.is_true(a:set("account" .. i, { write_key = KEY }))
		end
		assert.equal(30, #assert(b:list()))
		server:restart "KILL" -- nothing was kept
		server:client():close()
		assert.equal(0, #assert(b:list()))
		assert.is_true(a:set("new", { write_key = KEY }))
		assert.equal("new", assert(b:list())[1].account)
		assert.equal(1, #assert(b:list()))
	end)

	it("stay known while there is no Redis, and say so when they are to be changed", function()
		local a = host()
		assert.is_true(a:set("acme", { write_key = KEY }))
		server:kill "KILL"
		local quick = assert(hiredis.new { url = server.url, patience = 0 })
		for _, hash in pairs(a.replicas) do
			hash.red = quick
		end
		local ok, message, code = a:pause "acme"
		assert.is_nil(ok)
		assert.equal("io", code)
		assert.truthy(message:find("Redis at redis://127.0.0.1", 1, true))
		assert.equal("a1b2", a.copy:show("acme").last)
		server:launch()
		redis.wait("Redis", function()
			return select(3, a:pause "acme") == "no_account"
		end)
	end)

	it("with their OAuth apps", function()
		local key = child.folder() .. "/rsa.pem"
		os.execute("openssl genrsa -out " .. key .. " 2048 2>/dev/null && chmod 600 " .. key)
		local a, b = host(), host()
		assert.is_true(a:set_app("segment", { client_id = "id", key_id = "key", private_key_file = key }))
		assert.is_true(a:set("acme", { write_key = KEY, oauth = "segment" }))
		assert.equal("segment", assert(b:show "acme").oauth)
		assert.equal("id", assert(b:show_app "segment").client_id)
		assert.equal("invalid", select(3, b:remove_app "segment"))
		assert.is_true(b:set("acme", { oauth = "" }))
		assert.is_true(b:remove_app "segment")
		assert.same({}, assert(a:list_apps()))
	end)

	it("are looked up when a message is sent, and a parked one goes when its key is saved elsewhere", function()
		segment = mock.start()
		segment:control("key old-key-1234 401")
		local admin = host()
		assert.is_true(admin:set("acme", { write_key = "old-key-1234", endpoint = segment.url }))
		local vault, dir = host()
		assert.is_true(vault:look(true))
		local client = assert(mw.open { state = dir, master_key_file = master, linger = 0, check = false })
		assert(client:track("acme", { userId = "u", event = "E" }))
		redis.wait("the refusal", function()
			return client:stats().lanes_parked == 1
		end)
		assert.is_true(admin:set("acme", { write_key = "new-key-1234" }))
		redis.wait("the message", function()
			assert(vault:look())
			return #segment:messages() == 1
		end)
		assert.is_true(client:flush(30))
		assert.is_true(admin:pause "acme")
		assert(vault:look(true))
		redis.wait("the pause", function()
			assert(client:track("acme", { userId = "u", event = "E" }))
			local lane = client:lane "acme"
			return lane.state == "paused"
		end)
		client:close(0)
	end)
end)
