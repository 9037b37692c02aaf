--- commits -- who waits for the disk in an nginx worker, without keeping the worker from anything else.
---
---     local commits = commits.new(client)
---     local safe, message, code = commits:wait(30)          -- yields until all that was pushed before is synced
---
--- The engine's thread commits for all who pushed meanwhile, every few milliseconds. nginx can't wait for a descriptor of ours,
--- so while somebody waits one timer looks each millisecond how far the engine is, and wakes all whom that concerns: a
--- thousand waiting requests cost one look, not a thousand.

local semaphore = require "ngx.semaphore"

local commits = {}

local LOOK = 0.001 -- seconds

---@class moonweir.openresty.Commits
---@field client moonweir.Client
local Commits = {}
Commits.__index = Commits

---@param client moonweir.Client
function commits.new(client)
	return setmetatable({ client = client, first = 1, last = 0, waiting = 0 }, Commits)
end

-- All that is decided by now; what each is told stands in its group.
local function settle(self)
	while self.first <= self.last do
		local group = self[self.first]
		local safe, message, code = self.client:is_safe(group.mark)
		if safe == false then
			return
		end
		self[self.first] = nil
		self.first = self.first + 1
		group.safe, group.message, group.code, group.done = safe, message, code, true
		if group.count > 0 then
			group.wake:post(group.count)
		end
	end
end

local function look_on(_, self)
	while true do
		local good, why = pcall(settle, self)
		if not good then -- a closed client: nobody is left waiting for nothing
			for i = self.first, self.last do
				local group = self[i]
				self[i] = nil
				group.message, group.code, group.done = tostring(why), "closed", true
				group.wake:post(group.count)
			end
			self.first, self.last = 1, 0
		end
		if self.first > self.last then
			break
		end
		ngx.sleep(LOOK)
	end
	self.looking = false
end

-- Those who came since the last one that was pushed before have one mark.
local function join(self, mark)
	local group = self[self.last]
	if self.first > self.last or group.mark ~= mark then
		group = { mark = mark, wake = semaphore.new(), count = 0 }
		self.last = self.last + 1
		self[self.last] = group
	end
	group.count = group.count + 1
	return group
end

-- Where no timer can be had (lua_max_running_timers), each looks for itself.
local function wait_alone(self, group, until_)
	while not group.done do
		settle(self)
		if not group.done then
			if ngx.now() > until_ then
				return
			end
			ngx.sleep(LOOK)
		end
	end
end

--- Wait until all that this worker pushed before is on disk. Yields; call it where nginx allows that: rewrite, access,
--- content, timers.
---@param seconds number
---@return boolean|nil safe
---@return string? message
---@return "timeout"|"full"|"io"|"closed"|"forked"|nil code
function Commits:wait(seconds)
	local mark = self.client:mark()
	local safe, message, code = self.client:is_safe(mark)
	if safe ~= false then
		return safe, message, code
	end
	local group = join(self, mark)
	self.waiting = self.waiting + 1
	if not self.looking then
		self.looking = ngx.timer.at(0, look_on, self) and true or false
	end
	if self.looking then
		group.wake:wait(seconds)
	else
		wait_alone(self, group, ngx.now() + seconds)
	end
	self.waiting = self.waiting - 1
	group.count = group.count - 1
	if not group.done then
		return nil, ("not on disk after %g s; it still may be in a while"):format(seconds), "timeout"
	end
	return group.safe, group.message, group.code
end

return commits
