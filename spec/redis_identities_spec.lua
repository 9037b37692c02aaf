--- moonweir.redis.identities: what hosts were taught, told to each other through Redis.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core_identities = require "moonweir.identities"
local hiredis = require "moonweir.hiredis"
local identities = require "moonweir.redis.identities"
local redis = require "spec.support.redis"

describe("identities in Redis", function()
	local server, master, hosts

	before_each(function()
		server, hosts = redis.start { port = true }, {}
		server:client():close()
		master = child.folder() .. "/master-key"
		os.remove(master)
		assert(accounts.new_master_key(master))
	end)
	after_each(function()
		for _, store in ipairs(hosts) do
			store:close()
		end
		redis.clean()
		child.clean()
	end)

	local count = 0
	local function host(dir)
		count = count + 1
		local red = assert(hiredis.new { url = server.url, patience = 5 })
		local store = assert(identities.open { red = red, dir = dir or child.folder() .. "/ids" .. count, master_key_file = master })
		hosts[#hosts + 1] = store
		return store
	end

	local function fact(kind, id, user, at, more)
		local f = { account = "acme", kind = kind, id = id, user = user, at = at }
		for name, value in pairs(more or {}) do
			f[name] = value
		end
		return f
	end

	local function forget(user, at)
		return { account = "acme", user = user, at = at, forget = true }
	end

	it("are known on every host, whoever was taught", function()
		local a, b = host(), host()
		local lesson = assert(a:teach { fact("email", "Ann@Example.com", "u1", 1000), fact("user_id", "u1", "u2", 2000) })
		assert.equal(2, lesson.learned)
		assert.equal("u2", b:find("acme", "email", "ann@example.com"))
		assert.is_nil(b:find("other", "email", "ann@example.com"))
		assert(b:teach { fact("email", "ann@example.com", "u3", 3000) })
		assert.equal("u3", a:find("acme", "email", "ANN@example.com"))
		-- The later message counts, whichever came first.
		assert(a:teach { fact("email", "ann@example.com", "u4", 2500) })
		assert.equal("u3", b:find("acme", "email", "ann@example.com"))
	end)

	it("tell Redis no address, and no id", function()
		assert(host():teach { fact("email", "ann@example.com", "user-of-ann", 1000), fact("phone", "+1 555 0100", "user-of-ann", 1) })
		local red = server:client()
		for _, key in ipairs(red:call("KEYS", "*")) do
			local all = table.concat(red:call("TYPE", key) == "hash" and red:call("HGETALL", key) or red:call("ZRANGE", key, 0, -1))
			for _, text in ipairs { "ann", "example", "5550100", "user%-of" } do
				assert.is_nil(all:find(text))
			end
			assert.equal(hiredis.slot "{moonweir}", hiredis.slot(key))
		end
	end)

	it("are forgotten everywhere, in Redis too, whatever was heard first", function()
		local a, b, red = host(), host(), server:client()
		assert(a:teach { fact("email", "ann@example.com", "u1", 1000), fact("user_id", "u1", "u2", 1500),
			fact("tool_id", "t9", "u2", 1600), fact("email", "bob@example.com", "u5", 1000) })
		assert.equal(4, red:call("HLEN", "{moonweir}:identities"))
		assert(b:teach { forget("u2", 2000) })
		for _, store in ipairs { a, b, host() } do
			assert.is_nil(store:find("acme", "email", "ann@example.com"))
			assert.is_nil(store:find("acme", "tool_id", "t9"))
			assert.equal("u5", store:find("acme", "email", "bob@example.com"))
		end
		-- The alias, two users who are forgotten, and Bob.
		assert.equal(4, red:call("HLEN", "{moonweir}:identities"))
		assert.equal(1, red:call("ZCARD", "{moonweir}:identities:of"))
		-- A replay brings nobody back, neither here nor there; what is said later counts.
		assert(a:teach { fact("email", "ann@example.com", "u2", 1900) })
		assert.is_nil(b:find("acme", "email", "ann@example.com"))
		assert.equal(1, red:call("ZCARD", "{moonweir}:identities:of"))
		assert(a:teach { fact("email", "ann@example.com", "u2", 2100) })
		assert.equal("u2", b:find("acme", "email", "ann@example.com"))
	end)

	it("are not forgotten with a user whose other name they got only later", function()
		local a, b = host(), host()
		assert(a:teach { fact("email", "ann@example.com", "u1", 1000), fact("user_id", "u1", "u2", 3000) })
		assert(b:teach { forget("u2", 2000) })
		for _, store in ipairs { a, b, host() } do
			assert.equal("u2", store:find("acme", "email", "ann@example.com"))
		end
	end)

	it("come out alike on hosts that hear of them in any order, and as one store that hears all", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		print("identities in any order: MW_SEED=" .. seed)
		local state = seed % 2147483646 + 1
		local function random(n)
			state = state * 16807 % 2147483647
			return state % n + 1
		end
		local three = { host(), host(), host() }
		local alone = assert(core_identities.open { spool = child.folder() .. "/alone", master_key_file = master })
		local function said()
			local at, kind = random(50) * 1000, ({ "email", "tool_id", "user_id", "anonymous_id" })[random(4)]
			local user = "u" .. random(3)
			if random(20) == 1 then
				return forget(user, at)
			end
			local f = fact(kind, kind == "user_id" and "u" .. random(3) or "x" .. random(3), user, at)
			if random(10) == 1 and kind ~= "user_id" and kind ~= "anonymous_id" then
				f.user, f.fallback = "x" .. random(3), true
			end
			return f
		end
		for _ = 1, 40 do
			local facts = {}
			for i = 1, random(4) do
				facts[i] = said()
			end
			assert(three[random(3)]:teach(facts))
			assert(alone:teach(facts))
			if random(5) == 1 then
				assert(three[random(3)]:look(true))
			end
		end
		three[4] = host() -- one that was not there
		for _, kind in ipairs { "email", "tool_id", "user_id", "anonymous_id" } do
			for i = 1, 3 do
				local id = (kind == "user_id" and "u" or "x") .. i
				local expected = { alone:find("acme", kind, id) }
				for n, store in ipairs(three) do
					assert.same(expected, { store:find("acme", kind, id) }, ("seed %d, host %d, %s %s"):format(seed, n, kind, id))
				end
			end
		end
		alone:close()
	end)

	it("go on where they were, when a host keeps its copy", function()
		local dir = child.folder() .. "/kept"
		local a, b = host(), host(dir)
		assert(a:teach { fact("email", "ann@example.com", "u1", 1000) })
		assert(b:look(true))
		b:close()
		hosts[2] = nil
		assert(a:teach { fact("email", "bob@example.com", "u2", 1000) })
		b = host(dir)
		assert.is_true(b.replica.revision > 0)
		b.replica.all = error -- not from the start
		assert.equal("u1", b:find("acme", "email", "ann@example.com"))
		assert.equal("u2", b:find("acme", "email", "bob@example.com"))
		server:restart "KILL" -- nothing was kept: what is known stays known
		server:client():close()
		b.replica.all = nil
		assert(b:look(true))
		assert.equal("u1", b.store:find("acme", "email", "ann@example.com"))
	end)

	it("of another master key are refused", function()
		assert(host():teach { fact("email", "ann@example.com", "u1", 1000) })
		os.remove(master)
		assert(accounts.new_master_key(master))
		local _, message, code = host():find("acme", "email", "ann@example.com")
		assert.equal("bad_master_key", code)
		assert.truthy(message:find "another master key")
	end)
end)
