--- serve -- the daemon: webhooks in, everything delivered, its own numbers on show. One thread serves all requests.
---
---     local daemon = assert(serve.open(assert(config.load "moonweir.lua"), log))
---     while not stopped do daemon:round() end
---     daemon:stop()
---
--- What it does with a request is the service's matter (service.lua). A round takes all requests that are ready, maps and
--- pushes them, and marks the place in the spool's queue: one group commit for all of them. Their answers are held by the
--- server until the engine says that the mark is safe; meanwhile the next round takes what came. So no wait for the disk keeps
--- a client from being read.

local process = require("moonweir.core").process
local service = require "moonweir.serve.service"
local sockets = require "moonweir.serve.sockets"
local views = require "moonweir.serve.views"

local serve = {}

local TAKE_MAX = 1024     -- requests a round, so that sockets are looked at in between
local OPERATIONS_MAX = 1  -- of them to operations: metrics of many accounts take ms, for which those who post wait
local TICK = 1            -- seconds between two looks at what is not a request

---@class moonweir.Daemon
---@field service moonweir.serve.Service
---@field client moonweir.Client
---@field worker? moonweir.serve.Worker
local Daemon = {}
Daemon.__index = Daemon

-- Whichever worker is asked answers for all.
local function speak_for_all(self)
	local function others()
		return views.read(self.worker.slate, self.worker.number)
	end
	self.service.all_numbers = function()
		return self.service:numbers(views.sum(self.service:view(), others(), self.service.config.values["metrics.accounts"]))
	end
	self.service.health.elsewhere = function()
		for _, view in ipairs(others()) do
			if view.trouble then
				return view.trouble.code, view.trouble.reason
			end
		end
		return nil
	end
	self:publish()
end

--- Open everything, and listen. What was opened is closed again if something fails.
---@param config moonweir.serve.Config
---@param log moonweir.serve.Log
---@param worker? moonweir.serve.Worker  one of several processes; nil: the only one
---@return moonweir.Daemon|nil
---@return string? message
---@return string? code
function serve.open(config, log, worker)
	local made, message, code = service.open(config, log, worker)
	if not made then
		return nil, message, code
	end
	local self = setmetatable({
		service = made, client = made.client, log = log, worker = worker, commits = {}, collecting = {}, waiting = 0, again = {},
		ticked = process.monotonic(),
	}, Daemon)
	local shared = worker and worker.listeners or {}
	self.server, message, code = sockets.listen(config.values.listen, config.values, shared.server)
	local ok = self.server
	if ok and config.values.operations then
		self.operations, message, code = sockets.listen(config.values.operations, config.values, shared.operations)
		ok = self.operations
	end
	if not ok then
		self:close_servers()
		made:close(0)
		return nil, message, code
	end
	made.server = self.server
	made.waiting = function()
		return self.waiting + #self.again
	end
	local fd = self.client:safe_fd()
	if fd then
		self.server:watch(fd)
	end
	if self.operations then
		self.server:watch(self.operations:fd())
	end
	if worker then
		speak_for_all(self)
	end
	self:warn_about_source()
	if not worker or worker.number == 1 then
		made:warn_about_vault()
	end
	return self
end

--- Once, however many workers there are.
function Daemon:warn_about_source()
	if not self.worker or self.worker.number == 1 then
		self.service:warn_about_source()
	end
end

--- For the other workers, and whoever of them is asked.
function Daemon:publish()
	if self.worker then
		views.write(self.worker.slate, self.worker.number, self.service:view())
	end
end

function Daemon:close_servers()
	for _, name in ipairs { "server", "operations" } do
		if self[name] then
			self[name]:close()
			self[name] = nil
		end
	end
end

function Daemon:answer(exchange, route, status, headers, body)
	self.service:count(route, status)
	if not exchange:answer(status, headers, body) then
		self.log:say("error", "answer", { route = route, reason = "an answer could not be put together" })
	end
end

-- For when the answers that are being collected go out.
local function collect(collecting, route, status)
	local by_status = collecting[route]
	if not by_status then
		by_status = {}
		collecting[route] = by_status
	end
	by_status[status] = (by_status[status] or 0) + 1
end

-- One request to its handler. True: its answer is among those that wait for a commit now.
function Daemon:handle(routes, exchange, request, since)
	local status, headers, body, when, route = self.service:handle(routes, request)
	if when == "durable" then
		exchange:hold(status, headers, body)
		collect(self.collecting, route, status)
		return true
	elseif when == "again" and self.service:has_hope(since) then
		self.again[#self.again + 1] = { exchange, request, since or process.monotonic() }
	else
		self:answer(exchange, route, status, headers, body)
	end
	return false
end

-- What is ready, at most so many; how many of them wait for a commit now.
function Daemon:take(from, routes, max)
	local waiting = 0
	for _ = 1, max do
		local exchange, request = from:take()
		if not exchange then
			break
		elseif self:handle(routes, exchange, request) then
			waiting = waiting + 1
		end
	end
	return waiting
end

-- Those for whom there was no room, in their order; as soon as there is none again, the rest wait on.
function Daemon:take_again()
	local list, waiting = self.again, 0
	self.again = {}
	for i, it in ipairs(list) do
		if it[1]:is_gone() then
			it[1]:cut() -- it will be sent again, and its headers are lost
		elseif #self.again > 0 and self.service:has_hope(it[3]) then
			self.again[#self.again + 1] = list[i]
		elseif self:handle(self.service.router, it[1], it[2], it[3]) then
			waiting = waiting + 1
		end
	end
	return waiting
end

--- The oldest of what waits for a commit: it goes out as it is, or is refused.
function Daemon:release(is_safe)
	local commit = table.remove(self.commits, 1)
	self.waiting = self.waiting - commit.count
	if is_safe then
		self.server:release(commit.count)
	else
		self.server:refuse(commit.count, service.busy())
	end
	for route, by_status in pairs(commit.answers) do
		for status, count in pairs(by_status) do
			self.service:count(route, is_safe and status or 503, count)
		end
	end
end

--- Answer those whose events are safe; and 503 to those whose events are not to be expected to be.
function Daemon:settle()
	while self.commits[1] do
		local commit = self.commits[1]
		local safe, message, code = self.client:is_safe(commit.mark)
		if safe == false and process.monotonic() - commit.since < service.ANSWER_SECONDS then
			return
		end
		self.service:kept(safe, message, code)
		self:release(safe)
	end
end

--- Serve for a moment.
function Daemon:round()
	local is_due = self.operations and self.operations:is_due()
	self.server:wait(is_due and 0 or (self.commits[1] or self.again[1]) and 0.1 or TICK)
	local count = self.again[1] and self:take_again() or 0
	count = count + self:take(self.server, self.service.router, TAKE_MAX)
	if count > 0 then
		self.commits[#self.commits + 1] = {
			count = count, answers = self.collecting, mark = self.client:mark(), since = process.monotonic() }
		self.waiting, self.collecting = self.waiting + count, {}
	end
	if self.operations then
		self.operations:wait(0)
		self:take(self.operations, self.service.operations_router, OPERATIONS_MAX)
	end
	self:settle()
	if self.service.settings_page then
		self.service.settings_page:tick()
	end
	local now = process.monotonic()
	if now - self.ticked >= TICK then
		self.ticked = now
		self.service:tick()
		self:publish()
	end
end

--- Read config, script, secrets and Segment's keys again: all of it or none.
---@return true|nil
---@return string? message
function Daemon:reload()
	local ok, message = self.service:reload()
	if ok then
		self:warn_about_source()
	end
	return ok, message
end

--- Accept nothing more, answer what has come, deliver what can be delivered in the time there is. The spool keeps the rest.
---@return boolean all is everything delivered?
function Daemon:stop()
	local until_ = process.monotonic() + self.service.config.values["stop.seconds"]
	self.server:quiesce()
	while (self.commits[1] or self.server:stats().busy > 0) and process.monotonic() < until_ do
		self:round()
	end
	for _, it in ipairs(self.again) do
		self:answer(it[1], "none", service.busy())
	end
	while self.commits[1] do
		self:release(false)
	end
	self:close_servers()
	local ok, message = self.service:close(math.max(0, until_ - process.monotonic()))
	self.log:say("info", "stopped", { left = not ok and message or nil })
	return ok == true
end

return serve
