--- workers -- one daemon as several processes: a parent that serves nothing, and starts, watches and stops those that do.
---
---     os.exit(workers.run(config, log, 4))
---
--- The parent opens the sockets and forks; it has no thread and no store, which must not be there when a process forks. All
--- workers take connections from the same queues, which are the parent's: what waits there is lost with none of them, and who
--- is idle takes it. (With SO_REUSEPORT each would have a queue of its own, which dies with it.) Budget, accounts, identities
--- and the settings page's links are shared through the spool's directory; of messages each has its own partition.
---
---     a worker dies             another takes its place, after a pause that doubles each time it dies young; its partition is
---                               that one's, or adopted by another
---     the parent is killed      its workers get SIGTERM from the kernel, and stop as if told to
---     SIGHUP                    config, script, secrets and keys are tried here; if they are good, all workers read them
---     SIGTERM                   no more connections; workers stop; who is not done after stop.seconds and some is killed

local core = require "moonweir.core"
local configs = require "moonweir.serve.config"
local mw = require "moonweir"
local setup = require "moonweir.serve.setup"
local sockets = require "moonweir.serve.sockets"

local family, process = core.family, core.process

local workers = {}

local LOOK = 0.25               -- seconds between two looks, should no signal come
local PAUSE, PAUSE_MAX = 0.1, 10 -- before a worker is started again
local YOUNG = 10                -- who lived so long begins with the short pause again
local STOP_MORE = 5             -- beyond stop.seconds

---@class moonweir.serve.Worker
---@field number integer from 1 on
---@field slate userdata
---@field definition moonweir.Definition
---@field secrets table
---@field listeners {server: {fd: integer, port: integer}, operations: {fd: integer, port: integer}?}

---@class moonweir.serve.Place
---@field number integer
---@field pid? integer   nil: nobody is at work here
---@field since number   when it was started
---@field due number     when one is to be started
---@field pause number

---@class moonweir.serve.Parent
local Parent = {}
Parent.__index = Parent

-- In the child: never comes back.
local function work(self, place)
	process.catch_signals(true)
	process.catch_reload()
	self.log.worker = place.number
	local a, b, c = core.sha256(core.random_id()):byte(1, 3)
	math.randomseed(a * 65536 + b * 256 + c) -- scripts of all workers would draw the same numbers
	local code = require("moonweir.serve.run")(self.config, self.log, {
		number = place.number, slate = self.slate, definition = self.definition, secrets = self.secrets, listeners = self.listeners,
	})
	os.exit(code, true)
end

local function postpone(place)
	local now = process.monotonic()
	place.pause = now - place.since > YOUNG and PAUSE or math.min(place.pause * 2, PAUSE_MAX)
	place.due = now + place.pause
end

function Parent:start(place)
	self.slate:write(place.number, "")
	local pid, message = family.fork()
	if pid == 0 then
		work(self, place)
	end
	place.since = process.monotonic()
	if not pid then
		postpone(place)
		self.log:say("error", "worker_not_started", { reason = message, number = place.number })
		return
	end
	place.pid = pid
end

--- Who ended?
function Parent:reap()
	while true do
		local pid, how = family.reap()
		if not pid then
			return
		end
		for _, place in ipairs(self.places) do
			if place.pid == pid then
				place.pid = nil
				self.slate:write(place.number, "") -- it has nothing to tell any more
				postpone(place)
				if not self.is_stopping then
					self.log:say("error", "worker_ended", { number = place.number, pid = pid, reason = how })
				end
				self.failed = self.failed or how ~= "exit 0"
			end
		end
	end
end

function Parent:count()
	local alive, ready = 0, 0
	for _, place in ipairs(self.places) do
		alive = alive + (place.pid and 1 or 0)
		ready = ready + (place.pid and self.slate:read(place.number) ~= "" and 1 or 0)
	end
	return alive, ready
end

function Parent:tell(name)
	for _, place in ipairs(self.places) do
		if place.pid then
			family.signal(place.pid, name)
		end
	end
end

--- A config that is good here, with its script, secrets and keys, is good for each worker; one that is not is told once, and
--- no worker hears of it.
function Parent:reload()
	local config, message = configs.load(self.config.path, self.config.overrides)
	local definition, found
	if config then
		definition, found = setup.source(config)
		message = found
	end
	local compiled = definition
	if definition then
		compiled, message = mw.load(definition)
	end
	if compiled then
		compiled, message = setup.segment_keys(config.values)
	end
	if not compiled then
		self.log:say("error", "reload_failed", { reason = tostring(message) .. "; the old one goes on" })
		return
	end
	-- What needs a new start stays as it is, for workers that are started from now on as well.
	for _, name in ipairs(configs.needs_restart(self.config, config)) do
		config.values[name] = self.config.values[name]
	end
	self.config, self.definition, self.secrets = config, definition, found
	self.log.level = config.values["log.level"]
	self:tell "HUP"
	self.log:say("info", "reloaded", { config = config.path })
end

--- Until all are ready; one that can't start ends it all, as it would be no better the next time.
---@return boolean
function Parent:begin()
	for _, place in ipairs(self.places) do
		self:start(place)
	end
	while not process.interrupted() do
		local alive, ready = self:count()
		if ready == #self.places then
			return true
		elseif alive < #self.places then
			return false
		end
		family.pause(0.02)
		self:reap()
	end
	return true
end

function Parent:watch()
	while not process.interrupted() do
		family.pause(LOOK)
		self:reap()
		if process.reload_wanted() then
			self:reload()
		end
		local now = process.monotonic()
		for _, place in ipairs(self.places) do
			if not place.pid and now >= place.due and not process.interrupted() then
				self:start(place)
			end
		end
	end
end

function Parent:close_listeners()
	for _, listener in pairs(self.listeners) do
		family.close(listener.fd)
	end
end

---@return boolean clean
function Parent:stop()
	self.is_stopping, self.failed = true, false
	self:close_listeners() -- workers close theirs: who connects now is refused, and does not wait for nobody
	self:tell "TERM"
	local until_ = process.monotonic() + self.config.values["stop.seconds"] + STOP_MORE
	while self:count() > 0 and process.monotonic() < until_ do
		family.pause(LOOK)
		self:reap()
	end
	if self:count() > 0 then
		self.log:say("error", "killed", { workers = self:count() })
		self:tell "KILL"
		while self:count() > 0 do
			family.pause(LOOK)
			self:reap()
		end
	end
	return not self.failed
end

local function listen(config)
	local listeners = {}
	for name, address in pairs { server = config.values.listen, operations = config.values.operations or nil } do
		local fd, port = sockets.shared(address)
		if not fd then
			return nil, port
		end
		listeners[name] = { fd = fd, port = port }
	end
	return listeners
end

--- Serve with so many processes until a signal comes.
---@param config moonweir.serve.Config
---@param log moonweir.serve.Log
---@param count integer
---@param say_started fun(ports: {server: integer, operations: integer?})
---@return integer exit_code
function workers.run(config, log, count, say_started)
	local function fail(reason)
		log:say("error", "start_failed", { reason = reason })
		return 1
	end
	local definition, found = setup.source(config)
	if not definition then
		return fail(found)
	end
	local slate, message = family.slate(count)
	if not slate then
		return fail(message)
	end
	local listeners
	listeners, message = listen(config)
	if not listeners then
		return fail(message)
	end
	local self = setmetatable({ config = config, log = log, definition = definition, secrets = found, slate = slate,
		listeners = listeners, places = {} }, Parent)
	for number = 1, count do
		self.places[number] = { number = number, since = 0, due = 0, pause = PAUSE }
	end
	if not self:begin() then
		self:stop()
		return fail "a worker ended before it was ready; it said why"
	end
	if not process.interrupted() then
		say_started { server = listeners.server.port, operations = listeners.operations and listeners.operations.port }
		self:watch()
	end
	log:say("info", "stopping")
	local clean = self:stop()
	log:say("info", "stopped")
	return clean and 0 or 1
end

return workers
