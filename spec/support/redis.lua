--- redis -- a redis-server of the test's own: on a Unix socket in the test's folder, or on a free port.
---
---     local server = redis.start { port = true, ["maxmemory"] = "2mb" }
---     server.url, server.port            the socket's URL, or that of the port
---     server:client()                    a connection that waits until it answers
---     server:restart(), server:kill()    the same folder, so an append-only file is read again

local child = require "spec.support.child"
local process = require("moonweir.core").process

local redis = {}
local Redis = {}
Redis.__index = Redis

local DEADLINE = 120
local count = 0
local running = {}

local function quote(text)
	return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- A port that nobody listens on just now.
function redis.free_port()
	local pipe = io.popen("env -u LD_PRELOAD python3 -c "
		.. [["import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); print(s.getsockname()[1])"]])
	local port = tonumber(pipe:read "*l")
	pipe:close()
	return port
end

--- Wait until `condition()` gives something.
function redis.wait(what, condition)
	local until_ = process.monotonic() + DEADLINE
	while true do
		local value = condition()
		if value then
			return value
		end
		if process.monotonic() > until_ then
			error("waited in vain for " .. what, 2)
		end
		process.wait(0.01)
	end
end

--- Options are those of redis.conf; `port` true: a free one, with the URL on it. `tls`: certificate files.
function redis.start(options)
	count = count + 1
	local folder = child.folder() .. "/redis" .. count
	os.execute("mkdir -p " .. quote(folder))
	local settings = { port = 0, unixsocket = folder .. "/socket", dir = folder, save = "", ["daemonize"] = "no",
		logfile = folder .. "/log" }
	local self = setmetatable({ folder = folder, settings = settings, url = "unix://" .. folder .. "/socket" }, Redis)
	for name, value in pairs(options or {}) do
		settings[name] = value
	end
	if settings.port == true then
		settings.port = redis.free_port()
		self.port = settings.port
		self.url = "redis://127.0.0.1:" .. self.port
	end
	if settings["tls-port"] == true then
		settings["tls-port"] = redis.free_port()
		self.port = settings["tls-port"]
		self.url = "rediss://localhost:" .. self.port
	end
	running[#running + 1] = self
	self:launch()
	return self
end

function Redis:launch()
	local words = { "env", "-u", "LD_PRELOAD", "redis-server" } -- a sanitizer's malloc and Redis's own don't go together
	for name, value in pairs(self.settings) do
		words[#words + 1] = "--" .. name
		for word in (tostring(value) == "" and '""' or tostring(value)):gmatch "%S+" do
			words[#words + 1] = word == '""' and "''" or quote(word)
		end
	end
	local pipe = io.popen(table.concat(words, " ") .. " </dev/null >/dev/null 2>&1 & echo $!")
	self.pid = pipe:read "*l"
	pipe:close()
end

--- A connection that has been answered; `url` if it is not the server's own.
function Redis:client(url)
	local hiredis = require "moonweir.hiredis"
	local red = assert(hiredis.new { url = url or self.url, patience = 0.2 })
	redis.wait("an answer of " .. self.folder, function()
		local reply, _, code = red:call "PING"
		return reply or code == "noauth" or code == "noperm"
	end)
	return red
end

--- One that is dead and waits for its parent to notice is dead.
local function is_alive(pid)
	local stat = child.read("/proc/" .. pid .. "/stat")
	return stat and not stat:find "%) Z "
end

function Redis:signal(name)
	os.execute(("kill -%s %s 2>/dev/null"):format(name, self.pid))
end

--- End it: "TERM" is in order, "KILL" is a crash.
function Redis:kill(name)
	self:signal(name or "KILL")
	redis.wait("the end of redis-server", function()
		return not is_alive(self.pid)
	end)
end

function Redis:restart(name)
	self:kill(name)
	self:launch()
end

--- Three masters with a third of the slots each; `client_` of each is a connection to it.
function redis.cluster()
	local nodes = {}
	for i = 1, 3 do
		nodes[i] = redis.start { port = true, ["cluster-enabled"] = "yes", ["cluster-node-timeout"] = "2000",
			["cluster-port"] = redis.free_port(), ["cluster-config-file"] = "nodes.conf",
			["cluster-require-full-coverage"] = "no" }
	end
	for i, node in ipairs(nodes) do
		node.client_ = node:client()
		assert(node.client_:call("CLUSTER", "ADDSLOTSRANGE", (i - 1) * 5461, i == 3 and 16383 or i * 5461 - 1))
		assert(node.client_:call("CLUSTER", "SET-CONFIG-EPOCH", i))
	end
	for _, node in ipairs(nodes) do
		for _, other in ipairs(nodes) do
			assert(node.client_:call("CLUSTER", "MEET", "127.0.0.1", other.port, other.settings["cluster-port"]))
		end
	end
	redis.wait("the cluster", function()
		for _, node in ipairs(nodes) do
			local info = node.client_:call("CLUSTER", "INFO")
			if not (info:find "cluster_state:ok" and info:find "cluster_known_nodes:3" and info:find "cluster_slots_ok:16384") then
				return false
			end
		end
		return true
	end)
	return nodes
end

--- End all of them. Before child.clean, which removes their folders.
function redis.clean()
	for _, self in ipairs(running) do
		if is_alive(self.pid) then
			self:kill "KILL"
		end
	end
	running = {}
end

--- A certificate for localhost, signed by itself: paths of certificate and key.
function redis.certificate()
	local folder = child.folder()
	os.execute(("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
		.. "-addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt 2>/dev/null"):format(quote(folder)))
	return folder .. "/tls.crt", folder .. "/tls.key"
end

return redis
