--- serve -- the daemon: webhooks in, everything delivered, its own numbers on show. One thread serves all requests.
---
---     local daemon = assert(serve.open(assert(config.load "moonweir.lua"), log))
---     while not stopped do daemon:round() end
---     daemon:stop()
---
--- A round takes all requests that are ready, maps and pushes them, and marks the place in the spool's queue: one group
--- commit for all of them. Answers that wait for it are given when the engine says that the mark is safe; meanwhile the
--- next round takes what came. So no wait for the disk keeps a client from being read.

local accounts = require "moonweir.accounts"
local core = require "moonweir.core"
local configs = require "moonweir.serve.config"
local health = require "moonweir.serve.health"
local metrics = require "moonweir.serve.metrics"
local mw = require "moonweir"
local options = require "moonweir.serve.options"
local receive = require "moonweir.receive"
local router = require "moonweir.web.router"
local sandbox = require "moonweir.sandbox"
local secrets = require "moonweir.serve.secrets"
local server = require "moonweir.server"
local webhooks = require "moonweir.serve.webhooks"

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

local function read_key(path)
	local text, message = process.read_private(path)
	if not text then
		return nil, message
	end
	text = text:gsub("%s", "")
	if text == "" then
		return nil, path .. ": empty; it should hold the write key"
	end
	return text
end

local function client_options(values, definition)
	local given = {
		source = definition, spool = values.spool, master_key_file = values.master_key_file, rate = values["delivery.rate"],
		endpoint = values["delivery.endpoint"], timeout = values["delivery.timeout"], proxy = values["delivery.proxy"],
		ca_file = values["delivery.ca_file"], disk_bytes = values["spooling.disk_bytes"], repeats = values["spooling.repeats"],
		dead_days = values["spooling.dead_days"],
	}
	if values.write_key_file then
		local key, message = read_key(values.write_key_file)
		if not key then
			return nil, message
		end
		given.write_key = key
	end
	return given
end

-- The script, and the secrets that it asks for.
local function load_source(config)
	local definition, message, code = sandbox.load(config.values.source)
	if not definition then
		return nil, message, code
	end
	local found
	found, message = secrets.load(config.secrets, receive.secret_names(definition))
	if not found then
		return nil, message, "io"
	end
	return definition, found
end

function Daemon:warn_about_source()
	for _, sentence in ipairs(receive.warnings(self.definition)) do
		self.log:say("warning", "source", { reason = sentence })
	end
end

local function listen(address, values)
	local host, port = options.address(address)
	return server.open {
		host = host, port = port, body_max = values["limits.body_bytes"], memory_max = values["limits.memory_bytes"],
		head_max = values["limits.head_bytes"], connections_max = values["limits.connections"],
		connections_per_ip = values["limits.connections_per_ip"], head_timeout = values["limits.head_seconds"],
		idle_timeout = values["limits.idle_seconds"], body_rate_min = values["limits.body_rate"],
	}
end

function Daemon:open_webhooks()
	local handler = webhooks.new {
		client = self.client, definition = self.definition, log = self.log, now = process.wall,
		public_url = self.config.values.public_url,
		find_secret = function(name)
			return self.secrets[name]
		end,
		is_known = function(account)
			return self.config.values.unknown_accounts == "accept" or self.config.values.write_key_file ~= nil
				or self.vault:show(account) ~= nil
		end,
	}
	self.webhooks = handler
	return function(request)
		return handler:handle(request)
	end
end

-- The page that a customer sees, if the config asks for it.
function Daemon:open_settings()
	local values = self.config.values
	local found, settings = pcall(require, "moonweir.web.settings")
	if not found then
		return nil, "settings: the page is not installed here (moonweir.web.settings)"
	end
	local about = self.definition.about
	local page, message = settings.new {
		base_url = values.public_url, link_key_file = values["settings.link_key_file"], spool = values.spool,
		vault = self.vault, client = self.client, color = values["settings.color"], oauth = values["settings.oauth"],
		frame_ancestors = values["settings.frame_ancestors"],
		about = {
			name = values["settings.name"] or type(about) == "table" and about.name or self.definition.slug,
			slug = self.definition.slug,
		},
		log = function(entry)
			self.log:say("info", "settings", entry)
		end,
	}
	if not page then
		return nil, "settings: " .. tostring(message)
	end
	return function(request)
		return page:handle(request)
	end
end

function Daemon:open_segment()
	local values = self.config.values
	local found, identities = pcall(require, "moonweir.identities")
	if not found then
		return nil, "segment: the identity store is not installed here (moonweir.identities)"
	end
	local destination = require "moonweir.serve.destination"
	local store, message = identities.open { spool = values.spool, master_key_file = values.master_key_file }
	if not store then
		return nil, "segment: " .. tostring(message)
	end
	local keys = {}
	if values["segment.api_keys_file"] then
		keys, message = destination.keys(values["segment.api_keys_file"])
		if not keys then
			return nil, "segment: " .. message
		end
	end
	return destination.new {
		identities = store, slug = self.definition.slug, api_keys = keys, log = self.log, now = process.wall,
		shared_secret = function()
			return self.secrets[values["segment.shared_secret"] or false]
		end,
		learned = function(account)
			self.learned[account] = true
		end,
	}
end

--- What the config asks for beside webhooks.
function Daemon:routes()
	local healthz = function(request)
		return self.health:handle(request)
	end
	local routes = { ["/webhooks/<account>"] = self:open_webhooks(), ["/healthz"] = healthz }
	for _, one in ipairs { { "settings", "/settings/*", self.open_settings }, { "segment", "/segment/<account>", self.open_segment } } do
		if self.config.values[one[1]] then
			local handler, message = one[3](self)
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
---@return moonweir.Daemon|nil
---@return string? message
---@return string? code
function serve.open(config, log)
	local definition, found, code = load_source(config)
	if not definition then
		return nil, found, code
	end
	local given, client, message
	given, message = client_options(config.values, definition)
	if not given then
		return nil, message, "io"
	end
	client, message, code = mw.open(given)
	if not client then
		return nil, message, code
	end
	local self = setmetatable({
		config = config, log = log, client = client, definition = definition, secrets = found, first = 1, last = 0, pending = {},
		requests = {}, dead = {}, learned = {}, ticked = process.monotonic(), rate_at = process.monotonic(), rate_requests = 0,
		budget_used = 0, health = health.new(config.values["health.stuck_seconds"], process.monotonic()),
	}, Daemon)
	local ok
	self.vault, message, code = accounts.open { spool = config.values.spool, master_key_file = config.values.master_key_file }
	ok = self.vault
	if ok then
		ok, message = self:routes()
	end
	if ok then
		ok, message, code = listen(config.values.listen, config.values)
		self.server = ok
	end
	if ok and config.values.operations then
		ok, message, code = listen(config.values.operations, config.values)
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
	self:warn_about_source()
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

function Daemon:count(route, status)
	local by_status = self.requests[route]
	if not by_status then
		by_status = {}
		self.requests[route] = by_status
	end
	by_status[status] = (by_status[status] or 0) + 1
end

function Daemon:answer(exchange, route, status, headers, body)
	self:count(route, status)
	if not exchange:answer(status, headers, body) then
		self.log:say("error", "answer", { route = route, reason = "an answer could not be put together" })
	end
end

-- All that is ready; how many of them wait for a commit now.
function Daemon:take(from, routes)
	local waiting = 0
	for _ = 1, TAKE_MAX do
		local exchange, request = from:take()
		if not exchange then
			break
		end
		local ok, status, headers, body, when, route = pcall(routes.handle, routes, request)
		if not ok then
			self.log:say("error", "handler", { reason = status })
			self:answer(exchange, "none", 500, BUSY, "an error, which is in the log\n")
		elseif when == "durable" then
			waiting = waiting + 1
			self.last = self.last + 1
			self.pending[self.last] = { exchange, route, status, headers, body }
		else
			self:answer(exchange, route, status, headers, body)
		end
	end
	return waiting
end

function Daemon:release(count_as, status, headers, body)
	local it = self.pending[self.first]
	self.pending[self.first] = nil
	self.first = self.first + 1
	if count_as then
		self:answer(it[1], it[2], status, headers, body)
	else
		self:answer(it[1], it[2], it[3], it[4], it[5])
	end
end

--- Answer those whose events are safe; and 503 to those whose events are not to be expected to be.
function Daemon:settle()
	while self.first <= self.last do
		local mark, since = self.pending[self.first].mark, self.pending[self.first].since
		local safe, message, code = self.client:is_safe(mark)
		if safe == false and process.monotonic() - since < ANSWER_SECONDS then
			return
		end
		self.health:spool(code, message)
		if not safe then
			self.log:say("error", "not_safe", { code = code or "timeout", reason = message or "the disk takes too long" })
		end
		while self.first <= self.last and self.pending[self.first].mark == mark do
			self:release(not safe, 503, BUSY, "try again later\n")
		end
	end
end

--- Serve for a moment.
function Daemon:round()
	local waits = self.first <= self.last
	self.server:wait(waits and 0.25 or TICK)
	local before = self.last
	if self:take(self.server, self.router) > 0 then
		local mark, now = self.client:mark(), process.monotonic()
		for i = before + 1, self.last do
			self.pending[i].mark, self.pending[i].since = mark, now
		end
	end
	if self.operations then
		self.operations:wait(0)
		self:take(self.operations, self.operations_router)
	end
	self:settle()
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
				self.log:say("warning", "dead", { account = report.account, status = report.status, reason = report.answer or "no answer" })
			end
		elseif report.outcome == "parked" then
			self.log:say("warning", "parked", { account = report.account, status = report.status, reason = report.answer or "no write key" })
		end
	end
	for account in pairs(self.learned) do
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

--- GET /metrics
function Daemon:metrics(request)
	if request.method ~= "GET" and request.method ~= "HEAD" then
		return 405, { Allow = "GET, HEAD" }
	end
	local values = self.config.values
	return 200, { ["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8", ["Cache-Control"] = "no-store" }, metrics.text {
		version = core.version, stats = self.client:stats(), lanes = self.client:lanes(values["metrics.accounts"]),
		requests = self.requests, failed = self.webhooks.failed, dead = self.dead, server = self.server:stats(),
		waiting = self.last - self.first + 1, rate = values["delivery.rate"], budget_used = self.budget_used,
		healthy = self.health:trouble() == nil,
	}
end

--- Read config, script and secrets again: all of it or none.
---@return true|nil
---@return string? message
function Daemon:reload()
	local config, message = configs.load(self.config.path)
	if not config then
		return nil, message
	end
	local definition, found = load_source(config)
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
	self:warn_about_source()
	return true
end

--- Accept nothing more, answer what has come, deliver what can be delivered in the time there is. The spool keeps the rest.
---@return boolean all is everything delivered?
function Daemon:stop()
	local until_ = process.monotonic() + self.config.values["stop.seconds"]
	self.server:quiesce()
	while (self.first <= self.last or self.server:stats().busy > 0) and process.monotonic() < until_ do
		self:round()
	end
	while self.first <= self.last do
		self:release(true, 503, BUSY, "try again later\n")
	end
	self:close_servers()
	local ok, message = self.client:close(math.max(0, until_ - process.monotonic()))
	self.log:say("info", "stopped", { left = not ok and message or nil })
	self.vault:close()
	return ok == true
end

return serve
