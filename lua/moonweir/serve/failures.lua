--- failures -- told once when deliveries begin to fail and once when they work again, and the same of requests for tokens.
---
---     local watch = failures.new(log)
---     watch:look(client)                                     -- about once a second
---
---     event=deliveries_fail accounts=3 account=acme status=503 reason="…"
---     event=deliveries_work seconds=42 retries=17
---     event=tokens_fail accounts=1 reason="no token for OAuth app …"
---     event=tokens_work seconds=42 requests=5
---
--- Failing is an account whose last request was in vain and that tries again: the network, a 5xx, 429. A parked one, whose
--- key is wrong, is told by itself. Deliveries work again when nobody fails any more.

local process = require("moonweir.core").process

local failures = {}

local LANES = 256 -- among the busiest is one to name

---@class moonweir.serve.Failures
---@field log moonweir.serve.Log
---@field clock fun(): number
---@field since table<string, {at: number, count: integer}>  by kind, while it fails
local Failures = {}
Failures.__index = Failures

---@param log moonweir.serve.Log
---@param clock? fun(): number seconds
function failures.new(log, clock)
	return setmetatable({ log = log, clock = clock or process.monotonic, since = {} }, Failures)
end

-- One of those that fail.
local function example(client)
	for _, lane in ipairs(client:lanes(LANES)) do
		if lane.attempts > 0 and lane.state ~= "parked" and lane.state ~= "paused" then
			return lane
		end
	end
	return {}
end

-- Has it changed? If it works again, how many tries were in vain, and for how long.
---@param count integer of tries since the start
---@return boolean
---@return integer? tries
---@return number? seconds
local function change(self, kind, fails, count)
	local since = self.since[kind]
	if fails == (since ~= nil) then
		return false
	end
	self.since[kind] = fails and { at = self.clock(), count = count } or nil
	return true, since and count - since.count, since and self.clock() - since.at
end

---@param client moonweir.Client
---@param stats? table client:stats(), where it is at hand
function Failures:look(client, stats)
	stats = stats or client:stats()
	local changes, count, seconds = change(self, "deliveries", stats.lanes_failing > 0, stats.retries)
	if changes and count then
		self.log:say("info", "deliveries_work", { seconds = seconds, retries = count })
	elseif changes then
		local lane = example(client)
		self.log:say("warning", "deliveries_fail", {
			accounts = stats.lanes_failing, account = lane.account, status = lane.last_status, reason = lane.last_error })
	end
	changes, count, seconds = change(self, "tokens", stats.lanes_without_token > 0, stats.token_requests)
	if changes and count then
		self.log:say("info", "tokens_work", { seconds = seconds, requests = count })
	elseif changes then
		self.log:say("warning", "tokens_fail", { accounts = stats.lanes_without_token, reason = stats.token_trouble })
	end
end

return failures
