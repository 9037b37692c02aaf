--- lanes -- an account's deliveries over all processes of a spool: this one's lane, and what the others show of theirs.
---
---     local lane = lanes.of("spool", client, "acme")         -- as client:lane has it; nil: nothing ever came for it
---
--- The others' figures stand on their boards (csrc/io/board.h), a fraction of a second old: nobody is asked, nobody waits.
--- A board has the busiest 256 accounts of its process; of an idle one beyond them nothing is added.

local core = require "moonweir.core"

local lanes = {}

local PARTITIONS = 64 -- at most (csrc/io/partition.h)

-- What the customer should know of first counts more.
local function urgency(lane)
	return lane.state == "parked" and 3 or lane.attempts > 0 and 2 or lane.awaits_token and 1 or 0
end

local function add(sum, lane)
	for _, name in ipairs { "accepted", "queued", "in_flight", "delivered", "dead" } do
		sum[name] = sum[name] + lane[name]
	end
	if lane.delivered_ago then
		sum.delivered_ago = math.min(sum.delivered_ago or lane.delivered_ago, lane.delivered_ago)
	end
	if urgency(lane) > urgency(sum) then
		for _, name in ipairs { "state", "attempts", "awaits_token", "last_status", "last_error" } do
			sum[name] = lane[name]
		end
	end
end

--- Deliveries of an account, by whichever process.
---@param spool string
---@param client moonweir.Client of this process
---@param account string
---@return moonweir.Lane|nil
function lanes.of(spool, client, account)
	local sum = client:lane(account)
	for partition = 0, PARTITIONS - 1 do
		local board = core.board(("%s/p%d/board"):format(spool, partition), account)
		-- Of a process that came to its end others adopt what it left, and would count it again.
		local lane = board and board.exists and not board.own and not board.closed and board.lanes_shown[1]
		if lane then
			lane.accepted = lane.queued + lane.in_flight + lane.delivered + lane.dead
			if sum then
				add(sum, lane)
			else
				sum = lane
			end
		end
	end
	return sum
end

return lanes
