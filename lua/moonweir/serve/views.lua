--- views -- what each worker of a daemon tells the others of itself, and all of it added up: whoever is asked answers for all.
---
---     views.write(slate, 2, view)                        once a second, by worker 2
---     views.sum(own, views.read(slate, 2), 20)           the metrics of all
---
--- A worker that died tells nothing until it is back; then its counters begin anew, but those of messages, which stand in the
--- spool. That is what Prometheus takes for a restart.

local core = require "moonweir.core"
local terminal = require "moonweir.cli.terminal"

local views = {}

---@class moonweir.serve.View
---@field stats table             client:stats()
---@field lanes table[]           client:lanes(n)
---@field requests table<string, table<integer, integer>> answered, by route and status
---@field failed table<string, integer>  events by code
---@field dead table<integer, integer>   messages by status
---@field server? table           server:stats()
---@field waiting integer
---@field rate number
---@field budget_used number
---@field trouble? {code: string, reason: string}
---@field workers integer

-- Keys as text: statuses are numbers, and JSON has none as names.
local function named(map)
	local out = {}
	for key, value in pairs(map) do
		out[tostring(key)] = type(value) == "table" and named(value) or value
	end
	return out
end

local function numbers(map)
	local out = {}
	for name, value in pairs(map) do
		out[name] = type(value) == "number" and value or nil
	end
	return out
end

local function lane_of(lane)
	return { account = terminal.whole(lane.account, "?"), queued = lane.queued, delivered = lane.delivered, dead = lane.dead,
		state = lane.state }
end

-- What JSON can hold of a view.
local function plain(view)
	local stats = numbers(view.stats)
	local buckets, lanes = core.array {}, core.array {}
	for i, bucket in ipairs(view.stats.commit_times) do
		buckets[i] = { count = bucket.count, at_most = bucket.at_most }
	end
	for i, lane in ipairs(view.lanes) do
		lanes[i] = lane_of(lane)
	end
	return {
		stats = stats, buckets = buckets, buckets_sum = view.stats.commit_times.sum, lanes = lanes, requests = named(view.requests),
		failed = view.failed, dead = named(view.dead), server = numbers(view.server), waiting = view.waiting, rate = view.rate,
		budget_used = view.budget_used, trouble = view.trouble, workers = view.workers,
	}
end

---@param slate userdata of core.family
---@param number integer
---@param view moonweir.serve.View
function views.write(slate, number, view)
	local it = plain(view)
	if not slate:write(number, core.encode(it)) then
		it.lanes = core.array {} -- long names of many accounts
		slate:write(number, core.encode(it))
	end
end

local function unpacked(it)
	it.stats.commit_times = it.buckets
	it.stats.commit_times.sum = it.buckets_sum
	return it
end

--- What the others told last; of one that is not there nothing.
---@return moonweir.serve.View[]
function views.read(slate, except)
	local list = {}
	for number = 1, slate:pages() do
		local text = number ~= except and slate:read(number) or ""
		local it = text ~= "" and core.decode(text)
		if it then
			list[#list + 1] = unpacked(it)
		end
	end
	return list
end

-- What does not add up: of these the largest counts.
local LARGEST = {
	oldest = true, oldest_due = true, gate_closed_for = true, lanes = true, lanes_parked = true, lanes_backing_off = true,
	lanes_failing = true, lanes_without_token = true,
}

local function add(sum, more)
	for name, value in pairs(more) do
		if type(value) == "table" then
			sum[name] = sum[name] or {}
			add(sum[name], value)
		elseif LARGEST[name] then
			sum[name] = math.max(sum[name] or value, value)
		else
			sum[name] = (sum[name] or 0) + value
		end
	end
end

local function add_times(sum, more)
	for i, bucket in ipairs(more) do
		sum[i].count = sum[i].count + bucket.count
	end
	sum.sum = sum.sum + more.sum
end

local function add_lanes(by_account, lanes)
	for _, lane in ipairs(lanes) do
		local sum = by_account[lane.account]
		if not sum then
			by_account[lane.account] = lane
		else
			for _, name in ipairs { "queued", "delivered", "dead" } do
				sum[name] = sum[name] + lane[name]
			end
			sum.state = lane.state == "parked" and "parked" or sum.state
		end
	end
end

-- The busiest, as client:lanes has them.
local function busiest(by_account, most)
	local list = {}
	for _, lane in pairs(by_account) do
		list[#list + 1] = lane
	end
	table.sort(list, function(a, b)
		if a.queued ~= b.queued then
			return a.queued > b.queued
		elseif a.delivered ~= b.delivered then
			return a.delivered > b.delivered
		end
		return a.account < b.account
	end)
	for i = #list, most + 1, -1 do
		list[i] = nil
	end
	return list
end

--- One view of all of them.
---@param own moonweir.serve.View
---@param others moonweir.serve.View[]
---@param accounts integer how many are shown one by one
---@return moonweir.serve.View
function views.sum(own, others, accounts)
	local sum = unpacked(plain(own))
	local by_account = {}
	add_lanes(by_account, sum.lanes)
	for _, view in ipairs(others) do
		local times = view.stats.commit_times
		view.stats.commit_times = nil
		for _, name in ipairs { "stats", "requests", "failed", "dead", "server" } do
			add(sum[name], view[name])
		end
		add_times(sum.stats.commit_times, times)
		add_lanes(by_account, view.lanes)
		sum.waiting, sum.budget_used = sum.waiting + view.waiting, sum.budget_used + view.budget_used
		sum.workers, sum.trouble = sum.workers + 1, sum.trouble or view.trouble
	end
	sum.lanes = busiest(by_account, accounts)
	return sum
end

return views
