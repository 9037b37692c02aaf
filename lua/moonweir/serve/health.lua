--- health -- is it well? Not well is a daemon that should deliver and does not, or can't keep what comes.
---
--- A message that could be sent (its account neither parked nor paused) and has waited longer than stuck_seconds, while
--- nothing at all was delivered since: the network, Segment or this machine is in trouble. A customer's wrong key is not.
--- So is a spool that refuses, until it takes something again.

local core = require "moonweir.core"

local health = {}

---@class moonweir.serve.Health
---@field stuck_seconds number
---@field elsewhere? fun(): string?, string?  what is wrong with others of whom this one is to tell, too
local Health = {}
Health.__index = Health

---@param stuck_seconds number
---@param now number monotonic seconds
function health.new(stuck_seconds, now)
	return setmetatable({ stuck_seconds = stuck_seconds, delivered = 0, moved_at = now }, Health)
end

--- What the spool said of the last thing that was to be kept; nil: it is kept.
function Health:spool(code, message)
	self.spool_code, self.spool_message = code, message
end

---@param stats table client:stats()
---@param now number
function Health:look(stats, now)
	if stats.delivered ~= self.delivered then
		self.delivered, self.moved_at = stats.delivered, now
	end
	self.oldest, self.queued = stats.oldest_due, stats.queued
	self.stuck_for = nil
	if stats.oldest_due and stats.oldest_due > self.stuck_seconds and now - self.moved_at > self.stuck_seconds then
		self.stuck_for = now - self.moved_at
	end
end

--- What is wrong with this process.
---@return string|nil code nil: all is well
---@return string? reason
function Health:own_trouble()
	if self.spool_code then
		return self.spool_code == "full" and "spool_full" or "spool", self.spool_message
	elseif self.stuck_for then
		return "stuck", ("nothing was delivered for %.0f s, and the oldest message that could be waits for %.0f s"):format(
			self.stuck_for, self.oldest)
	end
	return nil
end

--- What is wrong, here or elsewhere.
---@return string|nil code nil: all is well
---@return string? reason
function Health:trouble()
	local code, reason = self:own_trouble()
	if not code and self.elsewhere then
		return self.elsewhere()
	end
	return code, reason
end

local JSON = { ["Content-Type"] = "application/json", ["Cache-Control"] = "no-store", ["X-Content-Type-Options"] = "nosniff" }

--- GET /healthz
function Health:handle(request)
	if request.method ~= "GET" and request.method ~= "HEAD" then
		return 405, { Allow = "GET, HEAD" }
	end
	local code, reason = self:trouble()
	if code then
		return 503, JSON, ('{"status":"unhealthy","code":%s,"reason":%s}\n'):format(core.encode(code), core.encode(reason))
	end
	return 200, JSON, '{"status":"ok"}\n'
end

return health
