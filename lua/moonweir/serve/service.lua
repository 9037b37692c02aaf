--- service -- all of the daemon but its sockets: script, secrets, stores, handlers, numbers. Its host brings the requests.
---
---     local service = assert(service.open(config, log))
---     local status, headers, body, when, route = service:handle(service.router, request)
---     service:count(route, status)                           -- once it is answered
---     service:tick()                                         -- once a second
---     service:close(5)
---
--- Hosts are the daemon (serve) and an nginx worker (moonweir.openresty). Neither the handlers nor this wait for the disk on
--- behalf of a request: `when` tells the host to do so in its own way (see moonweir.web.router).

local accounts = require "moonweir.accounts"
local core = require "moonweir.core"
local configs = require "moonweir.serve.config"
local failures = require "moonweir.serve.failures"
local health = require "moonweir.serve.health"
local metrics = require "moonweir.serve.metrics"
local mw = require "moonweir"
local readiness = require "moonweir.serve.readiness"
local receive = require "moonweir.receive"
local router = require "moonweir.web.router"
local setup = require "moonweir.serve.setup"

local process = core.process

local service = {}

local WARN_DEAD = 20 -- dead messages told one by one at each tick
local REPLAYED = 1000 -- letters of one account at each tick

local BUSY = { ["Content-Type"] = "text/plain; charset=utf-8", ["Retry-After"] = "10" }

--- After so many seconds who waits for a commit, or for room, is told to try again.
service.ANSWER_SECONDS = 30

---@class moonweir.serve.Service
---@field config moonweir.serve.Config
---@field log moonweir.serve.Log
---@field client moonweir.Client
---@field definition moonweir.Definition
---@field router moonweir.Router             for whoever posts
---@field operations_router moonweir.Router  /metrics and /healthz, for whoever runs it
---@field settings_page? moonweir.Settings   its tick is the host's to call, many times a second
---@field segment_keys? table<string, string|string[]>  by account, where Segment calls
---@field learned table<string, true>        accounts of which Segment taught something
---@field reports_max integer               told at each tick
---@field sync? fun(seconds: number): true|nil, string?, string?  in place of client:sync, from a host that must not block
local Service = {}
Service.__index = Service

--- What is doubtful about the script's way of telling the tool's requests from others: for hosts that take some.
function Service:warn_about_source()
	for _, sentence in ipairs(receive.warnings(self.definition)) do
		self.log:say("warning", "source", { reason = sentence })
	end
end

--- Keys that can't be opened: once, at the start. The messages that wait for them are kept.
function Service:warn_about_vault()
	local reason = readiness.vault(self.vault, self.config.values)
	if reason then
		self.log:say("error", "vault", { reason = reason })
	end
end

-- What the config asks for beside webhooks.
local function make_routes(self)
	local healthz = function(request)
		return health.answer(request, self.health:trouble())
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

--- Open everything. What was opened is closed again if something fails.
---@param config moonweir.serve.Config
---@param log moonweir.serve.Log
---@param loaded? {definition: moonweir.Definition, secrets: table} what setup.source gave, where it was called before
---@return moonweir.serve.Service|nil
---@return string? message
---@return string? code
function service.open(config, log, loaded)
	local definition, found, code
	if loaded then
		definition, found = loaded.definition, loaded.secrets
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
	local now = process.monotonic()
	local self = setmetatable({
		config = config, log = log, client = client, definition = definition, secrets = found,
		reports_max = 10000, requests = {}, dead = {}, learned = {}, rate_at = now, rate_requests = 0, budget_used = 0,
		health = health.new(config.values["health.stuck_seconds"], now), failures = failures.new(log),
	}, Service)
	local ok
	self.vault, message, code = accounts.open { spool = config.values.spool, master_key_file = config.values.master_key_file }
	ok = self.vault
	if ok then
		ok, message = make_routes(self)
	end
	if not ok then
		client:close(0)
		return nil, message, code
	end
	return self
end

--- One request to its handler. An error of ours is an answer, too, and in the log.
---@param routes moonweir.Router
---@return integer status
---@return table<string, string> headers
---@return string body
---@return "durable"|"again"|nil when
---@return string route
function Service:handle(routes, request)
	local ok, status, headers, body, when, route = pcall(routes.handle, routes, request)
	if not ok then
		self.log:say("error", "handler", { reason = status })
		return 500, BUSY, "an error, which is in the log\n", nil, "none"
	end
	return status, headers, body, when, route
end

--- What to answer in place of what a handler said, where its events are not safe in time, or there is no room for them.
---@return integer status
---@return table<string, string> headers
---@return string body
function service.busy()
	return 503, BUSY, "try again later\n"
end

--- So many requests were answered with this.
---@param count? integer default: 1
function Service:count(route, status, count)
	local by_status = self.requests[route]
	if not by_status then
		by_status = {}
		self.requests[route] = by_status
	end
	by_status[status] = (by_status[status] or 0) + (count or 1)
end

--- Is a request to be tried again that found no room? Not if what was taken before it does not fit on the disk.
---@param since? number monotonic seconds, of its first try
function Service:has_hope(since)
	return (not since or process.monotonic() - since < service.ANSWER_SECONDS)
		and self.client:is_safe(self.client:mark()) ~= nil
end

--- What became of the last thing that was to be kept: for the log and for health.
---@param safe boolean
---@param message? string
---@param code? string
function Service:kept(safe, message, code)
	self.health:spool(code, message)
	if not safe then
		self.log:say("error", "not_safe", { code = code or "timeout", reason = message or "the disk takes too long" })
	end
end

-- What Segment said; or what kept it from being asked: no write key, no token for the account's OAuth app.
local function why_parked(self, report)
	local lane = not report.answer and self.client:lane(report.account)
	return report.answer or lane and lane.last_error or "no write key"
end

local function tell_reports(self)
	local told = 0
	for _, report in ipairs(self.client:poll(self.reports_max)) do
		if report.outcome == "dead" then
			self.dead[report.status] = (self.dead[report.status] or 0) + 1
			told = told + 1
			if told <= WARN_DEAD then
				self.log:say("warning", "dead", {
					account = report.account, status = report.status, reason = report.answer or "no answer" })
			end
		elseif report.outcome == "parked" then
			self.log:say("warning", "parked", {
				account = report.account, status = report.status, reason = why_parked(self, report) })
		end
	end
end

-- Events that had no user may have one now.
local function replay_learned(self)
	for account in pairs(self.learned) do
		self.learned[account] = nil
		local counts = self.client:replay {
			code = "no_user", account = account, limit = REPLAYED, sync = self.sync, wait = self.sync and 0 or nil }
		if counts and counts.replayed > 0 then
			self.log:say("info", "replayed", { account = account, letters = counts.replayed, messages = counts.messages })
		end
	end
end

--- Failures, dead messages, health, what Segment taught us: to be called about once a second.
function Service:tick()
	local now = process.monotonic()
	local stats = self.client:stats()
	self.budget_used = 0
	local rate = self.config.values["delivery.rate"]
	if rate > 0 and now > self.rate_at then
		self.budget_used = (stats.requests - self.rate_requests) / (now - self.rate_at) / rate
	end
	self.rate_at, self.rate_requests = now, stats.requests
	self.health:look(stats, now)
	self.failures:look(self.client, stats)
	tell_reports(self)
	replay_learned(self)
	local code, reason = self.health:own_trouble()
	if code ~= self.trouble then
		self.trouble = code
		self.log:say(code and "error" or "info", code and "unhealthy" or "healthy", { code = code, reason = reason })
	end
	self.log:flush()
end

--- What is to be told of this process.
---@return moonweir.serve.View
function Service:view()
	local values = self.config.values
	local code, reason = self.health:own_trouble()
	return {
		stats = self.client:stats(), lanes = self.client:lanes(values["metrics.accounts"]), requests = self.requests,
		failed = self.webhooks.failed, dead = self.dead, server = self.server and self.server:stats(),
		waiting = self.waiting and self.waiting() or 0, rate = values["delivery.rate"], budget_used = self.budget_used,
		trouble = code and { code = code, reason = reason }, workers = 1,
	}
end

--- A view's numbers, as text for Prometheus.
---@param view? moonweir.serve.View default: this process's
---@return string
function Service:numbers(view)
	view = view or self:view()
	view.version, view.healthy = core.version, view.trouble == nil
	return metrics.text(view)
end

--- GET /metrics
function Service:metrics(request)
	if request.method ~= "GET" and request.method ~= "HEAD" then
		return 405, { Allow = "GET, HEAD" }
	end
	local headers = { ["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8", ["Cache-Control"] = "no-store" }
	return 200, headers, self.all_numbers and self.all_numbers() or self:numbers()
end

--- Read config, script, secrets and Segment's keys again: all of it or none.
---@return true|nil
---@return string? message
function Service:reload()
	local config, message = configs.load(self.config.path, self.config.overrides)
	if not config then
		return nil, message
	end
	local definition, found = setup.source(config)
	if not definition then
		return nil, found
	end
	local keys, ok
	keys, message = setup.segment_keys(config.values)
	if not keys then
		return nil, message
	end
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
	self.config, self.definition, self.secrets, self.segment_keys = config, definition, found, keys
	self.webhooks.definition, self.webhooks.public_url = definition, config.values.public_url
	self.health.stuck_seconds = config.values["health.stuck_seconds"]
	self.log.level = config.values["log.level"]
	return true
end

--- Deliver for at most so many seconds, then stop; the spool keeps the rest.
---@param seconds number
---@return true|nil all nil: something is left
---@return string? message
---@return string? code
function Service:close(seconds)
	if self.settings_page then
		self.settings_page:close() -- before all that takes time: somebody waits in front of it
		self.settings_page = nil
	end
	local ok, message, code = self.client:close(seconds)
	self.vault:close()
	return ok, message, code
end

return service
