--- redis_cluster -- three masters, each with a replica if asked for, on ports of their own.
---
---     local cluster = redis_cluster.start { replicas = true }
---     cluster.url                        of the first
---     cluster:master_of "{moonweir}"     the server that has this key's slot now
---     cluster:client()

local redis = require "spec.support.redis"

local redis_cluster = {}
local Cluster = {}
Cluster.__index = Cluster

local RANGES = { { 0, 5460 }, { 5461, 10922 }, { 10923, 16383 } }

local function node()
	local server = redis.start { port = true, ["cluster-enabled"] = "yes", ["cluster-node-timeout"] = "1500",
		["cluster-port"] = redis.free_port(), ["cluster-config-file"] = "nodes.conf", ["cluster-replica-validity-factor"] = 0,
		["repl-diskless-sync-delay"] = 0 }
	server.red = server:client()
	return server
end

local function knows(server, count)
	local info = server.red:call("CLUSTER", "INFO")
	return info and info:find "cluster_state:ok" and info:find "cluster_slots_ok:16384"
		and info:find("cluster_known_nodes:" .. count)
end

function redis_cluster.start(options)
	local masters, replicas = {}, {}
	for i, range in ipairs(RANGES) do
		masters[i] = node()
		assert(masters[i].red:call("CLUSTER", "ADDSLOTSRANGE", range[1], range[2]))
		assert(masters[i].red:call("CLUSTER", "SET-CONFIG-EPOCH", i))
		replicas[i] = options and options.replicas and node() or nil
	end
	local all = {}
	for _, list in ipairs { masters, replicas } do
		for _, server in ipairs(list) do
			all[#all + 1] = server
			assert(server.red:call("CLUSTER", "MEET", "127.0.0.1", masters[1].port, masters[1].settings["cluster-port"]))
		end
	end
	redis.wait("the cluster", function()
		for _, server in ipairs(all) do
			if not knows(server, #all) then
				return false
			end
		end
		return true
	end)
	for i, replica in ipairs(replicas) do
		local id = masters[i].red:call("CLUSTER", "MYID")
		redis.wait("the replica", function()
			return replica.red:call("CLUSTER", "REPLICATE", id)
		end)
		redis.wait("its copy", function()
			local info = replica.red:call("INFO", "replication")
			return info and info:find "master_link_status:up"
		end)
	end
	return setmetatable({ nodes = all, url = masters[1].url }, Cluster)
end

--- A connection that follows the slots.
function Cluster:client()
	return self.nodes[1]:client()
end

--- The node that answers for this key, of those that are alive.
function Cluster:master_of(key)
	for _, server in ipairs(self.nodes) do
		local list = not server.is_dead and server.red:call("CLUSTER", "SLOTS")
		for _, range in ipairs(list or {}) do
			local slot = require("moonweir.hiredis").slot(key)
			if slot >= range[1] and slot <= range[2] then
				for _, candidate in ipairs(self.nodes) do
					if candidate.port == range[3][2] then
						return candidate
					end
				end
			end
		end
	end
end

--- Crash the node; the others find out.
function Cluster:kill(server) -- luacheck: ignore self
	server.is_dead = true
	server:kill "KILL"
end

return redis_cluster
