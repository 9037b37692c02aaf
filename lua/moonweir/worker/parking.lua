--- parking -- entries of accounts without a good key wait in a stream of their own, so that they hold up nobody.
---
---     an account is parked     the engine gives its messages back; their entries move to {events}:parked:ACCOUNT
---     its key is saved         this worker's engine notices: they go back to the stream
---     nobody noticed           every 15 minutes one worker lets a few of them try
---
--- What comes back stands behind what came meanwhile, and has the messageIds that it would have had.

local parking = {}

local RETRY_MS = 15 * 60 * 1000 -- as the engine probes a parked account
local PROBE = 100 -- entries that try
local RETURN = 500 -- entries that return in one round, of one account
local ACCOUNTS = 20 -- accounts that are looked after in one round
local LOOKS = 2 -- at Redis: what was asked before an account's entries got there does not show them, the next does

---@class moonweir.worker.Parking
---@field mine table<string, integer> accounts that this worker looks after: looks at Redis since one showed them
local Parking = {}
Parking.__index = Parking

---@param group moonweir.worker.Group
---@param script userdata
function parking.new(group, script, now_ms)
	return setmetatable({ group = group, script = script, now_ms = now_ms, due = {}, mine = {} }, Parking)
end

--- When an account that is parked now is to try again.
function Parking:next_try()
	return ("%d"):format(self.now_ms() + RETRY_MS)
end

--- This worker's engine has parked it, or entries of it came to where they wait.
function Parking:note(account)
	self.mine[account] = 0
end

--- What Redis says is parked.
---@param due table<string, number>
function Parking:refresh(due)
	self.due = due
	if not self.untried then -- a new worker may have new keys: every account may try
		self.untried = {}
		for account in pairs(due) do
			self.untried[account] = true
		end
	end
	for account, looks in pairs(self.mine) do
		looks = due[account] and 0 or looks + 1
		self.mine[account] = looks <= LOOKS and looks or nil
	end
end

local function is_well(client, account)
	local lane = client:lane(account)
	return lane and lane.state ~= "parked" and lane.state ~= "paused" and lane.in_flight == 0
end

--- Which accounts' entries are to go back now, and how many of each.
---@param client moonweir.Client
---@return {account: string, count: integer}[]
function Parking:choose(client)
	local list, now = {}, self.now_ms()
	for account, at in pairs(self.due) do
		local well = self.mine[account] and is_well(client, account)
		if #list < ACCOUNTS and (well or now >= at or self.untried[account]) then
			list[#list + 1] = { account = account, count = well and RETURN or PROBE }
		end
	end
	return list
end

--- It has tried.
function Parking:tried(account)
	self.untried[account] = nil
end

--- The command for one of them.
function Parking:command(choice)
	local names = self.group.names
	return { self.script, 3, names.stream, names.parked_of(choice.account), names.parked, choice.account, choice.count,
		self:next_try() }
end

return parking
