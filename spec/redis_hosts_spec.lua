--- moonweir worker on several hosts: what they share through Redis, as the command does it.

local busiest_second = require "spec.support.windows"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local redis = require "spec.support.redis"
local redis_cluster = require "spec.support.redis_cluster"

local SOURCE = "spec/support/hosts_source.lua"

describe("workers on many hosts", function()
	local segment, master, url

	before_each(function()
		segment = mock.start()
		master = child.folder() .. "/master-key"
		os.remove(master)
		assert.equal(0, (child.start({ "accounts", "new-master-key", master }):finish()))
	end)
	after_each(function()
		segment:finish()
		redis.clean()
		child.clean()
	end)

	local function accounts(...)
		local code, out, err = child.start({ "accounts", ... }, {
			env = { MOONWEIR_REDIS = url, MOONWEIR_MASTER_KEY_FILE = master },
		}):finish()
		assert.equal(0, code, err)
		return out
	end

	local function worker(...)
		return child.start({ "worker", SOURCE, "--stream", "events", "--group", "g", "--shared", "--endpoint", segment.url, ... }, {
			env = { MOONWEIR_REDIS = url, MOONWEIR_MASTER_KEY_FILE = master },
		})
	end

	local function add(red, account, n)
		return assert(red:call("XADD", "events", "*", "body",
			('{"type":"opened","id":"%s-%d","account":"%s","user":"u%d","n":%d}'):format(account, n, account, n, n)))
	end

	local function arrived(count)
		redis.wait(count .. " messages", function()
			return #segment:messages() >= count
		end)
	end

	it("send with the keys in Redis, and see at once what is changed there", function()
		local server = redis.start { port = true }
		url = server.url
		local red = server:client()
		segment:control "key refused-key-1 401"
		local out = accounts("set", "acme", "--write-key", "refused-key-1", "--label", "Acme")
		assert.truthy(out:find "acme%s+…ey%-1%s")
		local two = { worker(), worker() }
		for n = 1, 10 do
			add(red, "acme", n)
		end
		redis.wait("the refusal", function()
			return two[1]:err():find "parked" or two[2]:err():find "parked"
		end)
		assert.equal(0, #segment:messages())
		accounts("set", "acme", "--write-key", "accepted-key-2")
		arrived(10)
		accounts("pause", "acme")
		assert.truthy(accounts("list"):find "paused")
		accounts("resume", "acme")
		add(red, "acme", 11)
		arrived(11)
		for _, one in ipairs(two) do
			os.execute("kill -TERM " .. one.pid)
			local code, _, err = one:finish()
			assert.equal(0, code, err)
		end
		assert.is_nil((two[1]:err() .. two[2]:err()):find("key-2", 1, true))
	end)

	it("need no more rights in Redis than the README says", function()
		local server = redis.start { port = true }
		local readme = child.read "README.md"
		local rights = {}
		for list in readme:gmatch "needs? `(%+[^`]+)`" do
			for right in list:gmatch "%S+" do
				rights[#rights + 1] = right
			end
		end
		local admin = server:client()
		assert(admin:call("ACL", "SETUSER", "worker", "on", ">s3cret", "~events", "~{events}:*", "~{moonweir}:*", "-@all",
			(table.unpack or unpack)(rights))) -- luacheck: ignore
		url = server.url:gsub("//", "//worker:s3cret@")
		accounts("set", "acme", "--write-key", "accepted-key-1")
		local one = worker()
		add(admin, "acme", 1)
		arrived(1)
		accounts("remove", "acme")
		os.execute("kill -TERM " .. one.pid)
		local code, _, err = one:finish()
		assert.equal(0, code, err)
		assert.is_nil(err:find("s3cret", 1, true))
		assert.equal("", (err:gsub("[^\n]*lack of permits[^\n]*Redis answers too slowly[^\n]*\n", ""))) -- on a slow machine
	end)

	it("find users who were made known anywhere before their events came", function()
		local server = redis.start { port = true }
		url = server.url
		local red = server:client()
		accounts("set", "acme", "--write-key", "accepted-key")
		local function identities(...)
			local code, out, err = child.start({ "identities", ... }, {
				env = { MOONWEIR_REDIS = url, MOONWEIR_MASTER_KEY_FILE = master },
			}):finish()
			assert.equal(0, code, err)
			return out
		end
		local two = { worker(), worker() }
		for n = 1, 5 do
			local csv = child.file("users.csv", ("userId,email\nknown%d,ann%d@example.com\n"):format(n, n))
			identities("import", csv, "--account", "acme")
			assert(red:call("XADD", "events", "*", "body",
				('{"type":"opened","id":"%d","account":"acme","email":"Ann%d@Example.com"}'):format(n, n)))
		end
		arrived(5)
		local users = {}
		for _, message in ipairs(segment:messages()) do
			users[message.userId] = true
		end
		for n = 1, 5 do
			assert.is_true(users["known" .. n])
		end
		assert.truthy(identities("show", "ann3@example.com", "--by", "email", "--account", "acme"):find "known3")
		identities("forget", "known3", "--account", "acme")
		assert(red:call("XADD", "events", "*", "body", '{"type":"opened","id":"9","account":"acme","email":"ann3@example.com"}'))
		redis.wait("the dead entry", function()
			return red:call("XLEN", "{events}:dead") == 1
		end)
		for _, one in ipairs(two) do
			os.execute("kill -TERM " .. one.pid)
			one:finish()
		end
		assert.equal(5, #segment:messages())
	end)

	it("bury nothing because they can't read who is known", function()
		local server = redis.start { port = true }
		url = server.url
		local red = server:client()
		accounts("set", "acme", "--write-key", "accepted-key")
		local csv = child.file("users.csv", "userId,email\nknown1,ann@example.com\n")
		local environment = { MOONWEIR_REDIS = url, MOONWEIR_MASTER_KEY_FILE = master }
		assert.equal(0, (child.start({ "identities", "import", csv, "--account", "acme" }, { env = environment }):finish()))
		local function event(id)
			assert(red:call("XADD", "events", "*", "body",
				('{"type":"opened","id":"%s","account":"acme","email":"ann@example.com"}'):format(id)))
		end
		local one = worker()
		event "1"
		arrived(1)
		-- What another master key sealed is no reason to take users for unknown: it waits until that is mended.
		red:call("HSET", "{moonweir}:identities", ("n"):rep(32), "1 1 not sealed")
		red:call("ZADD", "{moonweir}:identities:changes", "9007199254740000", ("n"):rep(32))
		event "2"
		one:wait_for "another master key"
		assert.equal(0, red:call("XLEN", "{events}:dead"))
		assert.equal(1, #segment:messages())
		-- One that starts now ends at once, and leaves the entry to others.
		local code, _, err = worker("--consumer", "other"):finish()
		assert.equal(1, code)
		assert.truthy(err:find("another master key", 1, true))
		red:call("ZREM", "{moonweir}:identities:changes", ("n"):rep(32))
		red:call("HDEL", "{moonweir}:identities", ("n"):rep(32))
		arrived(2)
		os.execute("kill -TERM " .. one.pid)
		assert.equal(0, (one:finish()))
	end)

	it("need the master key, and say so", function()
		url = "redis://127.0.0.1:1"
		local one = child.start({ "worker", SOURCE, "--stream", "events", "--group", "g", "--shared", "--redis", url })
		local code, _, err = one:finish()
		assert.equal(2, code)
		assert.truthy(err:find("--master-key-file", 1, true))
		code, _, err = child.start({ "accounts", "list", "--redis", url, "--master-key-file", master }):finish()
		assert.equal(1, code)
		assert.truthy(err:find("Redis at redis://127.0.0.1:1", 1, true), err)
	end)

	it("work on in a cluster, while the master of budget and accounts dies", function()
		local cluster = redis_cluster.start { replicas = true }
		local holder = cluster:master_of "{moonweir}"
		local other = cluster.nodes[1] == holder and cluster.nodes[2] or cluster.nodes[1]
		url = other.url
		local red = other:client(url)
		for i = 1, 8 do
			accounts("set", "account" .. i, "--write-key", "accepted-key-" .. i)
		end
		local workers = { worker(), worker(), worker() }
		local function load(from, to)
			for n = from, to do
				for i = 1, 8 do
					local body = ('{"type":"opened","id":"%d-%d","account":"account%d","user":"u","n":%d}'):format(i, n, i, n)
					redis.wait("a place for an event", function()
						return red:call("XADD", "events", "*", "body", body)
					end)
				end
			end
		end
		load(1, 50)
		arrived(100)
		cluster:kill(holder)
		load(51, 100)
		local ids
		redis.wait("all messages", function()
			ids = {}
			local count = 0
			for _, message in ipairs(segment:messages()) do
				count = count + (ids[message.messageId] and 0 or 1)
				ids[message.messageId] = true
			end
			return count == 800
		end)
		assert.not_equal(holder, cluster:master_of "{moonweir}")
		accounts("set", "late", "--write-key", "accepted-key-9")
		assert(red:call("XADD", "events", "*", "body", '{"type":"opened","id":"x","account":"late","user":"u"}'))
		redis.wait("the late account's", function()
			for _, message in ipairs(segment:messages()) do
				if not ids[message.messageId] then
					return true
				end
			end
		end)
		for _, one in ipairs(workers) do
			os.execute("kill -TERM " .. one.pid)
			local code, _, err = one:finish()
			assert.equal(0, code, err)
		end
		assert.is_true(busiest_second(segment:finish()) <= 50)
	end)
end)
