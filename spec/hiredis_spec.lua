--- moonweir.hiredis against redis-servers of the test's own.

local child = require "spec.support.child"
local hiredis = require "moonweir.hiredis"
local litter = require "spec.support.litter"
local process = require("moonweir.core").process
local redis = require "spec.support.redis"

local unpack = table.unpack or unpack -- luacheck: ignore 143

local function connect(url, more)
	local options = { url = url, patience = 5 }
	for name, value in pairs(more or {}) do
		options[name] = value
	end
	return assert(hiredis.new(options))
end

describe("a connection to Redis", function()
	local server, red

	lazy_setup(function()
		server = redis.start()
	end)
	lazy_teardown(function()
		redis.clean()
		child.clean()
	end)
	before_each(function()
		red = server:client()
		red:call "FLUSHALL"
	end)

	it("gives replies as Lua values, and false where there is nothing", function()
		assert.equal("OK", red:call("SET", "bytes", "a\0b\r\n\255"))
		assert.equal("a\0b\r\n\255", red:call("GET", "bytes"))
		assert.is_false(red:call("GET", "nothing"))
		assert.equal(7, red:call("INCRBY", "n", 7))
		assert.equal(12, red:call("INCRBY", "n", 5.0))
		assert.same({ "12", false }, red:call("MGET", "n", "nothing"))
		assert.equal("1.5", (red:call("INCRBYFLOAT", "f", 1.5)))
		assert.same({}, red:call("LRANGE", "list", 0, -1))
	end)

	it("says what Redis refused, with its code", function()
		red:call("SET", "text", "x")
		local reply, message, code = red:call("LPUSH", "text", 1)
		assert.is_nil(reply)
		assert.equal("wrongtype", code)
		assert.truthy(message:find("Redis at unix://", 1, true))
		-- What it says of unknown commands repeats their arguments, which may be anything.
		local _
		_, message, code = red:call("NOSUCH", "a-secret")
		assert.equal("err", code)
		assert.is_nil(message:find "secret")
	end)

	it("refuses finalizers that call it while its replies are made Lua values", function()
		local list, commands = {}, {}
		for i = 1, 60 do
			list[i] = ("element %d of a list"):format(i)
			commands[i] = i % 3 == 0 and { "LPUSH", "text", i } or { "LRANGE", "list", 0, i }
		end
		red:call("SET", "text", "x")
		red:call("RPUSH", "list", unpack(list))
		litter.among(function(n)
			pcall(red.call, red, "SET", "other", ("z"):rep(n * 37 % 9000))
			pcall(red.close, red)
		end, function(drop)
			-- Before it has begun it may be closed by one of them, as by anybody.
			local ok, replies = pcall(red.pipeline, red, commands)
			if not ok then
				red = server:client()
				return
			end
			drop()
			assert.equal(60, #replies)
			assert.equal(list[60], replies[59][60])
			assert.equal("wrongtype", replies.errors[60].code)
		end)
	end)

	it("runs pipelines whose commands stand for themselves", function()
		local replies = red:pipeline { { "SET", "text", "x" }, { "LPUSH", "text", 1 }, { "GET", "text" } }
		assert.same({ "OK", false, "x" }, { replies[1], replies[2], replies[3] })
		assert.equal("wrongtype", replies.errors[2].code)
		assert.is_nil(replies.errors[1])
		assert.same({}, red:pipeline {})
	end)

	it("sends a pipeline larger than all buffers on the way", function()
		local commands, piece = {}, ("x"):rep(1000)
		for i = 1, 20000 do
			commands[i] = { "ECHO", i .. piece }
		end
		local replies = red:pipeline(commands)
		assert.is_nil(replies.errors)
		for i = 1, #commands, 777 do
			assert.equal(i .. piece, replies[i])
		end
	end)

	it("sends a script by its name, and whole where that is not known", function()
		local add = hiredis.script "return redis.call('INCRBY', KEYS[1], ARGV[1])"
		assert.equal(5, red:call(add, 1, "n", 5))
		assert.equal(6, red:call(add, 1, "n", 1))
		red:call("SCRIPT", "FLUSH")
		local replies = red:pipeline { { "PING" }, { add, 1, "n", 1 }, { "GET", "n" }, { add, 1, "n", 1 } }
		assert.is_nil(replies.errors)
		assert.equal("PONG", replies[1])
		-- Both came to be run behind the GET: a pipeline keeps no order among those that are tried again.
		assert.same({ 7, "6", 8 }, { replies[2], replies[3], replies[4] })
	end)

	it("connects anew when the server was away, and sends what had not gone out", function()
		assert.equal("PONG", red:call "PING")
		server:restart()
		red = connect(server.url, { patience = 30 })
		assert.equal("PONG", red:call_again "PING") -- the dying one may still have taken it
		red:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
		assert.truthy(red:call_again("INCRBY", "again", 1))
	end)

	it("repeats what may have run only if it may run twice", function()
		-- A command that takes its time is cut by the death of the server: it went out, and no answer came.
		local other = redis.start { appendonly = "yes" }
		other:client()
		local victim = connect(other.url, { patience = 0 })
		local block = { "XREAD", "BLOCK", 60000, "STREAMS", "s", "$" }
		os.execute(([[(n=0; until redis-cli -s %s/socket info clients | grep -q blocked_clients:1 || [ $n -ge 1000 ]
			do n=$((n+1)); sleep 0.05; done; kill -9 %s) >/dev/null 2>&1 &]]):format(other.folder, other.pid))
		local reply, message, code = victim:call((table.unpack or unpack)(block)) -- luacheck: ignore
		assert.is_nil(reply)
		assert.equal("io", code)
		assert.truthy(message:find("whether the command ran is not known", 1, true))
		other:kill()
		other:launch()
		local patient = connect(other.url, { patience = 30 })
		assert.equal("PONG", patient:call_again "PING") -- the dying one may still have taken it
		assert.equal("OK", patient:call_again("SET", "x", "1"))
	end)

	it("says plainly why there is no connection, and never with what", function()
		local cases = {
			{ "redis://127.0.0.1:1", "Connection refused", "io" },
			{ "unix:///nowhere/at/all", "No such file", "io" },
			{ server.url:gsub("unix://", "unix://:verysecret@"), "did not take user and password", "err" },
		}
		for _, case in ipairs(cases) do
			local reply, message, code = connect(case[1], { patience = 0 }):call "PING"
			assert.is_nil(reply)
			assert.truthy(message:find(case[2], 1, true), message)
			assert.is_nil(message:find "verysecret")
			assert.equal(case[3], code)
		end
		for _, url in ipairs { "http://x", "redis://user@host", "redis://a:hush@host:port", "redis://", "unix://relative" } do
			local none, message, code = hiredis.new { url = url }
			assert.is_nil(none)
			assert.equal("bad_endpoint", code)
			assert.is_nil(message:find "hush")
		end
	end)

	it("says why there is no connection also while it pauses between attempts", function()
		local nowhere = connect("unix:///nowhere/at/all", { patience = 0.02 })
		for _ = 1, 8 do
			local _, message, code = nowhere:call "PING"
			assert.same({ "Redis at unix:///nowhere/at/all: No such file or directory", "io" }, { message, code })
		end
	end)

	it("knows that a web server is no Redis", function()
		local web = require("spec.support.mock").start()
		local reply, message, code = connect("redis://127.0.0.1:" .. web.port, { patience = 0, timeout = 1 }):call("POST", "x")
		web:finish()
		assert.is_nil(reply)
		assert.truthy(message:find "does not speak as Redis does" or message:find "closed the connection"
			or message:find "no answer", message)
		assert.truthy(code == "io" or code == "timeout")
	end)

	it("refuses to work once it is closed", function()
		red:close()
		red:close()
		assert.has_error(function()
			red:call "PING"
		end)
		assert.has_error(function()
			server:client():call("SET", "x", {})
		end)
	end)

	it("gives a twin to the same place", function()
		local twin = assert(red:twin())
		red:close()
		assert.equal("PONG", twin:call "PING")
	end)
end)

describe("a Redis that does not let everybody in", function()
	lazy_teardown(function()
		redis.clean()
		child.clean()
	end)

	local function with_login(server, login)
		return connect("unix://" .. login .. "@" .. server.url:sub(8), { patience = 0 })
	end

	it("takes a password and users, from a URL, a file or the environment", function()
		local server = redis.start { requirepass = "top-secret" }
		local admin = with_login(server, ":top-secret")
		redis.wait("the server", function()
			return admin:call "PING"
		end)
		assert.equal("OK", admin:call("ACL", "SETUSER", "reader", "on", ">p@ss:word", "~*", "+get", "+ping"))
		local _, message, code = connect(server.url, { patience = 0 }):call "PING"
		assert.equal("noauth", code)
		assert.truthy(message:find "redis://user:password@host")
		local listening = redis.start { requirepass = "top-secret", port = true }
		_, message, code = connect(listening.url .. "/3"):call "PING" -- what it says to SELECT is not about the database
		assert.equal("noauth", code)
		assert.truthy(message:find("it wants a password", 1, true), message)
		_, message, code = with_login(server, ":other-secret"):call "PING"
		assert.equal("wrongpass", code)
		assert.is_nil(message:find "other")
		local reader = with_login(server, "reader:p%40ss%3Aword")
		assert.equal("PONG", reader:call "PING")
		_, message, code = reader:call("SET", "x", 1)
		assert.equal("noperm", code)
		assert.truthy(message:find "ACL SETUSER")

		local path = child.file("redis.url", (server.url:gsub("://", "://:top-secret@")) .. "\n")
		assert.equal("PONG", hiredis.new({ file = path }):call "PING")
		os.execute("chmod 644 " .. path)
		_, message, code = hiredis.new { file = path }
		assert.equal("io", code)
		assert.truthy(message:find "chmod 600")
		_, message, code = hiredis.new { env = "MOONWEIR_REDIS_OF_NOBODY" }
		assert.equal("bad_endpoint", code)
		assert.truthy(message:find "MOONWEIR_REDIS_OF_NOBODY")
	end)

	it("speaks TLS, checks who answers, and shows a certificate of its own", function()
		local certificate, key = redis.certificate()
		local server = redis.start { ["tls-port"] = true, ["tls-cert-file"] = certificate, ["tls-key-file"] = key,
			["tls-ca-cert-file"] = certificate, ["tls-auth-clients"] = "yes" }
		local both = { ca_file = certificate, cert_file = certificate, key_file = key, patience = 30 }
		local red = connect(server.url, both)
		assert.equal("PONG", red:call "PING")
		local big = ("x"):rep(3000000)
		assert.equal(#big, #red:call("ECHO", big))
		assert.equal("PONG", red:twin():call "PING")
		both.patience = 0
		local _, message = connect(server.url:gsub("localhost", "127.0.0.1"), both):call "PING"
		assert.truthy(message:find "IP address mismatch", message)
		_, message = connect(server.url, { patience = 0 }):call "PING"
		assert.truthy(message:find "self%-signed", message)
		local plain = redis.start { port = true }
		plain:client()
		_, message = connect("rediss://localhost:" .. plain.port, { ca_file = certificate, patience = 0, timeout = 0.5 }):call "PING"
		assert.truthy(message:find "TLS", message)
		_, message = hiredis.new { url = "rediss://localhost", ca_file = "/nowhere.pem" }
		assert.truthy(message:find("/nowhere.pem", 1, true))
	end)
end)

describe("a Redis in trouble", function()
	lazy_teardown(function()
		redis.clean()
		child.clean()
	end)

	it("is full: OOM at once, and nothing else is affected", function()
		local server = redis.start { maxmemory = "3mb", ["maxmemory-policy"] = "noeviction" }
		local red = server:client()
		local _, message, code
		redis.wait("no more room", function()
			_, message, code = red:call("LPUSH", "list", ("x"):rep(100000))
			return code
		end)
		assert.equal("oom", code)
		assert.truthy(message:find "maxmemory")
		assert.equal("PONG", red:call "PING")
	end)

	it("became a replica: READONLY is tried again, in case a master answers there next", function()
		local master, server = redis.start { port = true }, redis.start()
		master:client()
		local red = server:client()
		red:call("REPLICAOF", "127.0.0.1", master.port)
		local impatient = connect(server.url, { patience = 0 })
		local _, message, code = impatient:call("SET", "x", 1)
		assert.equal("readonly", code)
		assert.truthy(message:find "replica")
		os.execute(("(sleep 0.3; redis-cli -s %s/socket REPLICAOF NO ONE >/dev/null) &"):format(server.folder))
		assert.equal("OK", connect(server.url, { patience = 30 }):call("SET", "x", 1))
	end)

	it("is loading its data: waits that long, or says so", function()
		local server = redis.start { ["enable-debug-command"] = "yes", save = "3600 1" }
		local red = server:client()
		red:pipeline { { "DEBUG", "POPULATE", "20000" }, { "CONFIG", "SET", "key-load-delay", "100" }, { "CONFIG", "REWRITE" } }
		red:call "SAVE"
		server.settings["key-load-delay"] = "100"
		server.settings["loading-process-events-interval-bytes"] = "1024"
		server:restart()
		local impatient = connect(server.url, { patience = 0 })
		local _, message, code
		redis.wait("LOADING", function()
			_, message, code = impatient:call("GET", "key:1")
			return code == "loading"
		end)
		assert.truthy(message:find "this passes")
		assert.truthy(connect(server.url, { patience = 60 }):call("DBSIZE") >= 20000)
	end)

	it("has a script that does not end: BUSY", function()
		local server = redis.start { ["busy-reply-threshold"] = "10" }
		local red = server:client()
		os.execute(("redis-cli -s %s/socket EVAL 'while true do end' 0 >/dev/null 2>&1 &"):format(server.folder))
		local _, message, code
		redis.wait("BUSY", function()
			_, message, code = connect(server.url, { patience = 0 }):call("GET", "x")
			return code == "busy"
		end)
		assert.truthy(message:find "SCRIPT KILL")
		red:call("SCRIPT", "KILL")
		assert.is_false(connect(server.url, { patience = 30 }):call("GET", "x"))
	end)
end)

describe("a cluster of Redis", function()
	local nodes
	lazy_setup(function()
		nodes = redis.cluster()
	end)
	lazy_teardown(function()
		redis.clean()
		child.clean()
	end)

	it("is followed from node to node, and where slots are is remembered", function()
		local red = connect(nodes[1].url)
		local commands = {}
		for i = 1, 300 do
			commands[i] = { "SET", "key" .. i, i }
		end
		local replies = red:pipeline(commands)
		assert.is_nil(replies.errors)
		local moved = red:stats().redirects
		assert.truthy(moved > 100)
		assert.is_nil(red:pipeline(commands).errors)
		assert.equal(moved, red:stats().redirects)
		for i = 1, 300, 7 do
			assert.equal(tostring(i), red:call("GET", "key" .. i))
		end
	end)

	it("keeps what has one tag together, so that a script may touch it", function()
		local red = connect(nodes[1].url)
		local both = hiredis.script "redis.call('SET', KEYS[1], 1) return redis.call('SET', KEYS[2], 2)"
		for i = 1, 20 do
			local name = "stream" .. i
			assert.equal(hiredis.slot(name), hiredis.slot(("{%s}:dead"):format(name)))
			assert.is_truthy(red:call(both, 2, name, ("{%s}:dead"):format(name)))
		end
		local _, _, code = red:call(both, 2, "a", "b")
		assert.equal("crossslot", code)
		local stream = red:call("XADD", "stream1x", "*", "body", "x")
		assert.equal(stream, red:call("XREAD", "COUNT", 1, "STREAMS", "stream1x", 0)[1][2][1][1])
	end)

	it("is followed while a slot moves: ASK, then MOVED", function()
		local red = connect(nodes[1].url)
		assert(red:call("SET", "moving", "1"))
		local slot = hiredis.slot "moving"
		local from = slot < 5461 and 1 or slot < 10922 and 2 or 3
		local to = from % 3 + 1
		local source, target = nodes[from].client_, nodes[to].client_
		local source_id, target_id = source:call("CLUSTER", "MYID"), target:call("CLUSTER", "MYID")
		assert(target:call("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id))
		assert(source:call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id))
		assert(source:call("MIGRATE", "127.0.0.1", nodes[to].port, "moving", 0, 5000))
		assert.equal("1", red:call("GET", "moving"))
		assert.is_nil(red:pipeline({ { "INCR", "moving" }, { "GET", "moving" } }).errors)
		for _, node in ipairs { target, source } do
			assert(node:call("CLUSTER", "SETSLOT", slot, "NODE", target_id))
		end
		assert.equal("2", red:call("GET", "moving"))
	end)

	it("says which slots are nobody's: CLUSTERDOWN", function()
		local red = connect(nodes[1].url, { patience = 0 })
		local slot = hiredis.slot "orphan"
		local owner = slot < 5461 and 1 or slot < 10922 and 2 or 3
		for _, node in ipairs(nodes) do
			node.client_:call("CLUSTER", "DELSLOTS", slot)
		end
		local _, message, code = red:call("GET", "orphan")
		assert.equal("clusterdown", code)
		assert.truthy(message:find "nobody's")
		assert(nodes[owner].client_:call("CLUSTER", "ADDSLOTS", slot))
	end)
end)

describe("a pause before the next connection", function()
	it("ends with patience, not with the server", function()
		local red = connect("redis://127.0.0.1:1", { patience = 1 })
		local began = process.monotonic()
		local _, _, code = red:call "PING"
		assert.equal("io", code)
		assert.truthy(process.monotonic() - began >= 0.99)
		assert.truthy(red:stats().connects >= 2)
	end)
end)
