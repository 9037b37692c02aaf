--- What hosts share, in a cluster: three masters, and a replica for each.

local budget = require "moonweir.redis.budget"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local busiest_second = require "spec.support.windows"
local redis = require "spec.support.redis"
local redis_cluster = require "spec.support.redis_cluster"

describe("in a cluster", function()
	local cluster, segment

	before_each(function()
		cluster, segment = redis_cluster.start { replicas = true }, mock.start()
	end)
	after_each(function()
		segment:finish()
		redis.clean()
		child.clean()
	end)

	it("the budget is kept while the master that holds it dies and its replica takes over", function()
		local tenants = {}
		local holder = cluster:master_of(budget.KEY)
		-- Not the one that dies: where to begin is the first that the workers are told.
		local url = (cluster.nodes[1] == holder and cluster.nodes[2] or cluster.nodes[1]).url
		for i = 1, 3 do
			tenants[i] = child.start({ url, segment.url, "t" .. i, "100" }, { program = "spec/support/tenant.lua" })
		end
		redis.wait("the first requests", function()
			return #segment:messages() >= 60
		end)
		cluster:kill(holder)
		for i = 1, 3 do
			local code, out, err = tenants[i]:finish()
			assert.equal(0, code, err)
			assert.truthy(out:find "sent 100 of 100", out)
		end
		local requests = segment:finish()
		assert.equal(300, #requests)
		assert.is_true(busiest_second(requests) <= 50, busiest_second(requests))
		assert.not_equal(holder, cluster:master_of(budget.KEY))
	end)
end)
