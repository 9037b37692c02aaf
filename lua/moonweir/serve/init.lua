--- serve -- the daemon: webhooks in, everything delivered, its own numbers on show. One thread serves all requests.
---
---     local daemon = assert(serve.open(assert(config.load "moonweir.lua"), log))
---     while not stopped do daemon:round() end
---     daemon:stop()
---
--- A round takes all requests that are ready, maps and pushes them, and marks the place in the spool's queue: one group
--- commit for all of them. Their answers are held by the server until the engine says that the mark is safe; meanwhile the
--- next round takes what came. So no wait for the disk keeps a client from being read.

local accounts = require "moonweir.accounts"
local core = require "moonweir.core"
local configs = require "moonweir.serve.config"
local health = require "moonweir.serve.health"
local metrics = require "moonweir.serve.metrics"
local mw = require "moonweir"
local receive = require "moonweir.receive"
local router = require "moonweir.web.router"
local setup = require "moonweir.serve.setup"
local views = require "moonweir.serve.views"

local process = core.process

local serve = {}

local TAKE_MAX = 1024     -- requests a round, so that sockets are looked at in between
local TICK = 1            -- seconds between two looks at what is not a request
local ANSWER_SECONDS = 30 -- after which who waits for a commit is told to try again
local WARN_DEAD = 20      -- dead messages told one by one at each tick

local BUSY = { ["Content-Type"] = "text/plain; charset=utf-8", ["Retry-After"] = "10" }

---@class moonweir.Daemon
---@field config moonweir.serve.Config
---@field log moonweir.serve.Log
---@field client moonweir.Client
local Daemon = {}
Daemon.__index = Daemon

function Daemon:warn_about_source()
	for _, sentence in ipairs(receive.warnings(self.definition)) do
		self.log:say("warning", "source", { reason = sentence })
	end
end

--- What the config asks for beside webhooks.
function Daemon:routes()
	local healthz = function(request)
		return health.answer(request, self:family_trouble())
	end
	local routes = { ["/webhooks/<account>"] = setup.webhooks(self), ["/healthz"] = healthz }
	for _, one in ipairs { { "settings", "/settings/*" }, { "segment", "/segment/<account>" } } do
		if self.config.values[one[1]] then
			local handler, message = setup[one[1]](self)
			if not handler then
				return nil, message
			end
			routes[one[2]] = handler
		end
	end
	self.router = router.new(routes)
	self.operations_router = router.new {
		["/healthz"] = healthz,
		["/metrics"] = function(request)
			return self:metrics(request)
		end,
	}
	return true
end

--- Open everything, and listen. What was opened is closed again if something fails.
---@param config moonweir.serve.Config
---@param log moonweir.serve.Log
---@param worker? moonweir.serve.Worker  one of several processes; nil: the only one
---@return moonweir.Daemon|nil
---@return string? message
---@return string? code
function serve.open(config, log, worker)
	local definition, found, code
	if worker then
		definition, found = worker.definition, worker.secrets
	else
		definition, found, code = setup.source(config)
	end
	if not definition then
		return nil, found, code
	end
	local given, client, message
	given, message = setup.client_options(config.values, definition)
	if not given then
		return nil, message, "io"
	end
	client, message, code = mw.open(given)
	if not client then
		return nil, message, code
	end
	local self = setmetatable({
		config = config, log = log, client = client, definition = definition, secrets = found,
		commits = {}, collecting = {}, waiting = 0, again = {},
		requests = {}, dead = {}, learned = {},
		ticked = process.monotonic(), rate_at = process.monotonic(), rate_requests = 0,
		budget_used = 0, health = health.new(config.values["health.stuck_seconds"], process.monotonic()),
	}, Daemon)
	local ok
	self.vault, message, code = accounts.open { spool = config.values.spool, master_key_file = config.values.master_key_file }
	ok = self.vault
	if ok then
		ok, message = self:routes()
	end
	if ok then
		ok, message, code = setup.listen(config.values.listen, config.values, worker and worker.listeners.server)
		self.server = ok
	end
	if ok and config.values.operations then
		ok, message, code = setup.listen(config.values.operations, config.values, worker and worker.listeners.operations)
		self.operations = ok
	end
	if not ok then
		self:close_servers()
		client:close(0)
		return nil, message, code
	end
	local fd = client:safe_fd()
	if fd then
		self.server:watch(fd)
	end
	if self.operations then
		self.server:watch(self.operations:fd())
	end
	if worker then
		self.worker = worker
		self:publish()
	end
	if not worker or worker.number == 1 then
		self:warn_about_source()
	end
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

-- Requests ------------------------------------------------------------------------------------------

local function add(requests, route, status, count)
	local by_status = requests[route]
	if not by_status then
		by_status = {}
		requests[route] = by_status
	end
	by_status[status] = (by_status[status] or 0) + count
end

function Daemon:answer(exchange, route, status, headers, body)
	add(self.requests, route, status, 1)
	if not exchange:answer(status, headers, body) then
		self.log:say("error", "answer", { route = route, reason = "an answer could not be put together" })
	end
end

-- One request to its handler. True: its answer is among those that wait for a commit now.
function Daemon:handle(routes, exchange, request, since)
	local ok, status, headers, body, when, route = pcall(routes.handle, routes, request)
	if not ok then
		self.log:say("error", "handler", { reason = status })
		self:answer(exchange, "none", 500, BUSY, "an error, which is in the log\n")
	elseif when == "durable" then
		exchange:hold(status, headers, body)
		add(self.collecting, route, status, 1)
		return true
	elseif when == "again" and self:has_hope(since) then
		self.again[#self.again + 1] = { exchange, request, since or process.monotonic() }
	else
		self:answer(exchange, route, status, headers, body)
	end
	return false
end

--- Will there be room in a moment? Not if what was taken before does not fit on the disk.
function Daemon:has_hope(since)
	return (not since or process.monotonic() - since < ANSWER_SECONDS)
		and self.client:is_safe(self.client:mark()) ~= nil
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
		if it[1]:is_gone() then
			it[1]:cut() -- it will be sent again, and its headers are lost
		elseif #self.again > 0 and self:has_hope(it[3]) then
			self.again[#self.again + 1] = list[i]
		elseif self:handle(self.router, it[1], it[2], it[3]) then
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
		self.server:refuse(commit.count, 503, BUSY, "try again later\n")
	end
	for route, by_status in pairs(commit.answers) do
		for status, count in pairs(by_status) do
			add(self.requests, route, is_safe and status or 503, count)
		end
	end
end

--- Answer those whose events are safe; and 503 to those whose events are not to be expected to be.
function Daemon:settle()
	while self.commits[1] do
		local commit = self.commits[1]
		local safe, message, code = self.client:is_safe(commit.mark)
		if safe == false and process.monotonic() - commit.since < ANSWER_SECONDS then
			return
		end
		self.health:spool(code, message)
		if not safe then
			self.log:say("error", "not_safe", { code = code or "timeout", reason = message or "the disk takes too long" })
		end
		self:release(safe)
	end
end

--- Serve for a moment.
function Daemon:round()
	self.server:wait((self.commits[1] or self.again[1]) and 0.1 or TICK)
	local count = self.again[1] and self:take_again() or 0
	count = count + self:take(self.server, self.router)
	if count > 0 then
		self.commits[#self.commits + 1] = {
			count = count, answers = self.collecting, mark = self.client:mark(), since = process.monotonic() }
		self.waiting, self.collecting = self.waiting + count, {}
	end
	if self.operations then
		self.operations:wait(0)
		self:take(self.operations, self.operations_router)
	end
	self:settle()
	if self.settings_page then
		self.settings_page:tick()
	end
	if process.monotonic() - self.ticked >= TICK then
		self:tick()
	end
end

-- The rest ------------------------------------------------------------------------------------------

--- Dead messages, health, what Segment taught us.
function Daemon:tick()
	local now = process.monotonic()
	self.ticked = now
	local stats = self.client:stats()
	self.budget_used = 0
	local rate = self.config.values["delivery.rate"]
	if rate > 0 and now > self.rate_at then
		self.budget_used = (stats.requests - self.rate_requests) / (now - self.rate_at) / rate
	end
	self.rate_at, self.rate_requests = now, stats.requests
	self.health:look(stats, now)
	local told = 0
	for _, report in ipairs(self.client:poll(10000)) do
		if report.outcome == "dead" then
			self.dead[report.status] = (self.dead[report.status] or 0) + 1
			told = told + 1
			if told <= WARN_DEAD then
				self.log:say("warning", "dead", {
					account = report.account, status = report.status, reason = report.answer or "no answer" })
			end
		elseif report.outcome == "parked" then
			self.log:say("warning", "parked", {
				account = report.account, status = report.status, reason = report.answer or "no write key" })
		end
	end
	if self.worker then
		self:publish()
	end
	for account in pairs(self.learned) do -- whichever worker has its letters: a replay is of the whole spool
		self.learned[account] = nil
		local counts = self.client:replay { code = "no_user", account = account, limit = 1000 }
		if counts and counts.replayed > 0 then
			self.log:say("info", "replayed", { account = account, letters = counts.replayed, messages = counts.messages })
		end
	end
	local code, reason = self.health:trouble()
	if code ~= self.trouble then
		self.trouble = code
		self.log:say(code and "error" or "info", code and "unhealthy" or "healthy", { code = code, reason = reason })
	end
end

--- What is to be told of this process.
---@return moonweir.serve.View
function Daemon:view()
	local values = self.config.values
	local code, reason = self.health:trouble()
	return {
		stats = self.client:stats(), lanes = self.client:lanes(values["metrics.accounts"]), requests = self.requests,
		failed = self.webhooks.failed, dead = self.dead, server = self.server:stats(), waiting = self.waiting + #self.again,
		rate = values["delivery.rate"], budget_used = self.budget_used, trouble = code and { code = code, reason = reason },
		workers = 1,
	}
end

--- For the other workers, and whoever of them is asked.
function Daemon:publish()
	views.write(self.worker.slate, self.worker.number, self:view())
end

---@return moonweir.serve.View[]
function Daemon:others()
	return views.read(self.worker.slate, self.worker.number)
end

--- What is wrong with this process, or with one of the others.
function Daemon:family_trouble()
	local code, reason = self.health:trouble()
	for _, view in ipairs(not code and self.worker and self:others() or {}) do
		if view.trouble then
			return view.trouble.code, view.trouble.reason
		end
	end
	return code, reason
end

--- GET /metrics: of all workers, whichever of them is asked.
function Daemon:metrics(request)
	if request.method ~= "GET" and request.method ~= "HEAD" then
		return 405, { Allow = "GET, HEAD" }
	end
	local all = self.worker and views.sum(self:view(), self:others(), self.config.values["metrics.accounts"]) or self:view()
	all.version, all.healthy = core.version, all.trouble == nil
	return 200, { ["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8", ["Cache-Control"] = "no-store" },
		metrics.text(all)
end

--- Read config, script and secrets again: all of it or none.
---@return true|nil
---@return string? message
function Daemon:reload()
	local config, message = configs.load(self.config.path, self.config.overrides)
	if not config then
		return nil, message
	end
	local definition, found = setup.source(config)
	if not definition then
		return nil, found
	end
	local ok
	ok, message = self.client:reload(definition)
	if not ok then
		return nil, message
	end
	local late = configs.needs_restart(self.config, config)
	if late[1] then
		self.log:say("warning", "restart_needed", { options = table.concat(late, " ") })
	end
	-- What needs a new start stays as it is, for everybody who asks.
	for _, name in ipairs(late) do
		config.values[name] = self.config.values[name]
	end
	self.config, self.definition, self.secrets = config, definition, found
	self.webhooks.definition, self.webhooks.public_url = definition, config.values.public_url
	self.health.stuck_seconds = config.values["health.stuck_seconds"]
	self.log.level = config.values["log.level"]
	if not self.worker or self.worker.number == 1 then
		self:warn_about_source()
	end
	return true
end

--- Accept nothing more, answer what has come, deliver what can be delivered in the time there is. The spool keeps the rest.
---@return boolean all is everything delivered?
function Daemon:stop()
	local until_ = process.monotonic() + self.config.values["stop.seconds"]
	self.server:quiesce()
	while (self.commits[1] or self.server:stats().busy > 0) and process.monotonic() < until_ do
		self:round()
	end
	for _, it in ipairs(self.again) do
		self:answer(it[1], "none", 503, BUSY, "try again later\n")
	end
	while self.commits[1] do
		self:release(false)
	end
	self:close_servers()
	local ok, message = self.client:close(math.max(0, until_ - process.monotonic()))
	self.log:say("info", "stopped", { left = not ok and message or nil })
	self.vault:close()
	return ok == true
end

return serve
