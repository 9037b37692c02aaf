--- serve -- the daemon: webhooks in, everything delivered, its own numbers on show. One thread serves all requests.
---
---     local daemon = assert(serve.open(assert(config.load "moonweir.lua"), log))
---     while not stopped do daemon:round() end
---     daemon:stop()
---
--- What it does with a request is the service's matter (service.lua). A round takes all requests that are ready, maps and
--- pushes them, and marks the place in the spool's queue: one group commit for all of them. Answers that wait for it are given
--- when the engine says that the mark is safe; meanwhile the next round takes what came. So no wait for the disk keeps a client
--- from being read.

local core = require "moonweir.core"
local options = require "moonweir.serve.options"
local server = require "moonweir.server"
local service = require "moonweir.serve.service"

local process = core.process

local serve = {}

local TAKE_MAX = 1024     -- requests a round, so that sockets are looked at in between
local TICK = 1            -- seconds between two looks at what is not a request

---@class moonweir.Daemon
---@field service moonweir.serve.Service
---@field client moonweir.Client
local Daemon = {}
Daemon.__index = Daemon

local function listen(address, values)
	local host, port = options.address(address)
	return server.open {
		host = host, port = port, body_max = values["limits.body_bytes"], memory_max = values["limits.memory_bytes"],
		head_max = values["limits.head_bytes"], connections_max = values["limits.connections"],
		connections_per_ip = values["limits.connections_per_ip"], head_timeout = values["limits.head_seconds"],
		idle_timeout = values["limits.idle_seconds"], body_rate_min = values["limits.body_rate"],
	}
end

--- Open everything, and listen. What was opened is closed again if something fails.
---@param config moonweir.serve.Config
---@param log moonweir.serve.Log
---@return moonweir.Daemon|nil
---@return string? message
---@return string? code
function serve.open(config, log)
	local made, message, code = service.open(config, log)
	if not made then
		return nil, message, code
	end
	local self = setmetatable({
		service = made, client = made.client, log = log, first = 1, last = 0, pending = {}, again = {},
		ticked = process.monotonic(),
	}, Daemon)
	self.server, message, code = listen(config.values.listen, config.values)
	local ok = self.server
	if ok and config.values.operations then
		self.operations, message, code = listen(config.values.operations, config.values)
		ok = self.operations
	end
	if not ok then
		self:close_servers()
		made:close(0)
		return nil, message, code
	end
	made.server = self.server
	made.waiting = function()
		return self.last - self.first + 1 + #self.again
	end
	local fd = self.client:safe_fd()
	if fd then
		self.server:watch(fd)
	end
	if self.operations then
		self.server:watch(self.operations:fd())
	end
	made:warn_about_source()
	return self
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

-- One request to its handler. True: its answer is among those that wait for a commit now.
function Daemon:handle(routes, exchange, request, since)
	local status, headers, body, when, route = self.service:handle(routes, request)
	if when == "durable" then
		self.last = self.last + 1
		self.pending[self.last] = { exchange, route, status, headers, body }
		return true
	elseif when == "again" and self.service:has_hope(since) then
		self.again[#self.again + 1] = { exchange, request, since or process.monotonic() }
	else
		self:answer(exchange, route, status, headers, body)
	end
	return false
end

-- All that is ready; how many of them wait for a commit now.
function Daemon:take(from, routes)
	local waiting = 0
	for _ = 1, TAKE_MAX do
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
		if #self.again > 0 and self.service:has_hope(it[3]) then
			self.again[#self.again + 1] = list[i]
		elseif self:handle(self.service.router, it[1], it[2], it[3]) then
			waiting = waiting + 1
		end
	end
	return waiting
end

function Daemon:release(safe)
	local it = self.pending[self.first]
	self.pending[self.first] = nil
	self.first = self.first + 1
	if safe then
		self:answer(it[1], it[2], it[3], it[4], it[5])
	else
		self:answer(it[1], it[2], service.busy())
	end
end

--- Answer those whose events are safe; and 503 to those whose events are not to be expected to be.
function Daemon:settle()
	while self.first <= self.last do
		local mark, since = self.pending[self.first].mark, self.pending[self.first].since
		local safe, message, code = self.client:is_safe(mark)
		if safe == false and process.monotonic() - since < service.ANSWER_SECONDS then
			return
		end
		self.service:kept(safe, message, code)
		while self.first <= self.last and self.pending[self.first].mark == mark do
			self:release(safe)
		end
	end
end

--- Serve for a moment.
function Daemon:round()
	self.server:wait((self.first <= self.last or #self.again > 0) and 0.1 or TICK)
	local before = self.last
	local waiting = #self.again > 0 and self:take_again() or 0
	if waiting + self:take(self.server, self.service.router) > 0 then
		local mark, now = self.client:mark(), process.monotonic()
		for i = before + 1, self.last do
			self.pending[i].mark, self.pending[i].since = mark, now
		end
	end
	if self.operations then
		self.operations:wait(0)
		self:take(self.operations, self.service.operations_router)
	end
	self:settle()
	if self.service.settings_page then
		self.service.settings_page:tick()
	end
	local now = process.monotonic()
	if now - self.ticked >= TICK then
		self.ticked = now
		self.service:tick()
	end
end

--- Read config, script and secrets again: all of it or none.
---@return true|nil
---@return string? message
function Daemon:reload()
	return self.service:reload()
end

--- Accept nothing more, answer what has come, deliver what can be delivered in the time there is. The spool keeps the rest.
---@return boolean all is everything delivered?
function Daemon:stop()
	local until_ = process.monotonic() + self.service.config.values["stop.seconds"]
	self.server:quiesce()
	while (self.first <= self.last or self.server:stats().busy > 0) and process.monotonic() < until_ do
		self:round()
	end
	for _, it in ipairs(self.again) do
		self:answer(it[1], "none", service.busy())
	end
	while self.first <= self.last do
		self:release(false)
	end
	self:close_servers()
	local ok, message = self.service:close(math.max(0, until_ - process.monotonic()))
	self.log:say("info", "stopped", { left = not ok and message or nil })
	return ok == true
end

return serve
