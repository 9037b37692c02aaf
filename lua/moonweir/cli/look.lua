--- look -- what the boards of a spool's processes show at one moment, and what two such moments tell.
---
---     look.compare(now, before)     gives each process its state and its rates
---     look.sum(now)                 all of them as one
---     look.busiest(now)             their lanes, in the order in which one wants to see them
---
--- A look is { spool =, processes = { core.board + partition, or { partition =, problem = }, ... } }.

local look = {}

local FRESH = 3 -- seconds; an engine writes four times a second, unless its disk holds it up

--- "running"; "silent": its process is there and has not been heard of, stopped or held up by its disk; "ended".
local function state_of(process, before)
	if process.closed or process.age == math.huge then
		return "ended"
	end
	-- In another container its number means nothing here, but its board moves.
	local exists = process.exists or (before and before.number < process.number)
	if not exists then
		return "ended"
	end
	return process.age <= FRESH and "running" or "silent"
end

local function rates_of(process, before)
	local seconds = before and process.written - before.written or 0
	if seconds <= 0 then
		return nil
	end
	local function per_second(name)
		return (process[name] - before[name]) / seconds
	end
	local answers = process.answers - before.answers
	return {
		seconds = seconds,
		delivered = per_second "delivered",
		requests = per_second "requests",
		commits = per_second "commits",
		bytes_per_request = answers > 0 and (process.bytes_sent - before.bytes_sent) / answers or nil,
	}
end

--- Give each process of a look its state and, if the look before saw it too, its rates.
function look.compare(now, before)
	local known = {}
	for _, process in ipairs(before and before.processes or {}) do
		known[process.partition] = process
	end
	for _, process in ipairs(now.processes) do
		if not process.problem then
			local last = known[process.partition]
			-- Another one in the same partition begins its counters anew.
			if last and (last.problem or last.pid ~= process.pid or last.started_at ~= process.started_at) then
				last = nil
			end
			process.state = state_of(process, last)
			process.rates = rates_of(process, last)
			if not (process.rates and process.rates.bytes_per_request) and process.answers > 0 then
				process.bytes_per_request = process.bytes_sent / process.answers
			else
				process.bytes_per_request = process.rates and process.rates.bytes_per_request
			end
		end
	end
	local sum = look.sum(now)
	now.all_ended = sum.running == 0 and sum.processes > 0
	return now
end

local SUMMED = {
	"accepted", "delivered", "dead", "queued", "in_flight", "held", "answers", "bytes_sent", "lanes", "lanes_parked",
	"lanes_backing_off", "lanes_awaiting_token", "disk_bytes", "disk_max",
}

--- All processes that run together; if none does, all that did.
function look.sum(now)
	local sum = { processes = 0, running = 0, gate_closed_for = 0, commit_max = 0 }
	for _, name in ipairs(SUMMED) do
		sum[name] = 0
	end
	for _, process in ipairs(now.processes) do
		sum.running = sum.running + ((process.state == "running" or process.state == "silent") and 1 or 0)
	end
	local rates = { delivered = 0, requests = 0, commits = 0 }
	for _, process in ipairs(now.processes) do
		if not process.problem and (sum.running == 0 or process.state ~= "ended") then
			sum.processes = sum.processes + 1
			for _, name in ipairs(SUMMED) do
				sum[name] = sum[name] + process[name]
			end
			sum.gate_closed_for = math.max(sum.gate_closed_for, process.gate_closed_for)
			sum.commit_max = math.max(sum.commit_max, process.commit_max)
			sum.oldest = process.oldest and math.max(sum.oldest or 0, process.oldest) or sum.oldest
			-- They share one budget, the strictest that one of them was given.
			sum.rate = process.rate > 0 and math.min(sum.rate or math.huge, process.rate) or sum.rate
			for name in pairs(rates) do
				if process.rates then
					rates[name] = rates[name] + process.rates[name]
					sum.rates = rates
				end
			end
		end
	end
	sum.bytes_per_request = sum.answers > 0 and sum.bytes_sent / sum.answers or nil
	return sum
end

--- Messages of a lane that are on their way.
function look.load(lane)
	return lane.queued + lane.in_flight
end

--- The lanes of all processes, those with most to do first, then those in trouble.
function look.busiest(now)
	local list = {}
	for _, process in ipairs(now.processes) do
		for _, lane in ipairs(process.lanes_shown or {}) do
			lane.partition = process.partition
			lane.trouble = (lane.state == "parked" or lane.state == "paused" or lane.backing_off or lane.awaits_token) and 1 or 0
			-- What an ended process left is another's by now, or will be.
			if process.state ~= "ended" or now.all_ended then
				list[#list + 1] = lane
			end
		end
	end
	table.sort(list, function(a, b)
		if look.load(a) ~= look.load(b) then
			return look.load(a) > look.load(b)
		elseif a.trouble ~= b.trouble then
			return a.trouble > b.trouble
		elseif a.delivered ~= b.delivered then
			return a.delivered > b.delivered
		elseif a.account ~= b.account then
			return a.account < b.account
		end
		return a.partition < b.partition
	end)
	return list
end

return look
