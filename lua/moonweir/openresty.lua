--- openresty -- Moonweir inside nginx: one client a worker, pushed to from any phase; the daemon's handlers as locations.
---
---     init_by_lua_block        { require("moonweir.openresty").check "/etc/acme/moonweir.lua" }  -- optional: see check
---     init_worker_by_lua_block { require("moonweir.openresty").open "/etc/acme/moonweir.lua" }
---     exit_worker_by_lua_block { require("moonweir.openresty").close(1) }
---
---     log_by_lua_block         { require("moonweir.openresty").push(event, { account = "acme" }) }
---     content_by_lua_block     { require("moonweir.openresty").handle() }      -- /webhooks/…, /segment/…, /settings, /healthz
---     content_by_lua_block     { require("moonweir.openresty").operations() }  -- /metrics, /healthz
---
--- The config is that of `moonweir serve`: a file's path, or the table that it would return. Of it `listen`, `operations` and
--- all `limits` but body_bytes are nginx's own matter. Pushing costs no I/O and never yields. Each worker has a partition of the
--- spool; all of them share its rate, accounts and identities. What a worker leaves, by reload or by kill, another one adopts.

if not rawget(_G, "ngx") then
	error("moonweir.openresty runs inside nginx; elsewhere use moonweir.open, or moonweir serve", 2)
end

local commits = require "moonweir.openresty.commits"
local config = require "moonweir.serve.config"
local core = require "moonweir.core"
local exchange = require "moonweir.openresty.exchange"
local logs = require "moonweir.serve.log"
local mw = require "moonweir"
local service = require "moonweir.serve.service"
local workers = require "moonweir.openresty.workers"

local openresty = {}

local TICK = 1 -- seconds
local SETTINGS_TICK = 0.05 -- while "Enable with Segment" is used
local REOPEN = 2 -- seconds until another try, if a worker's client can't be opened
local SYNC_SECONDS = 30
local REPORTS_MAX = 1000 -- a tick, so that it is over in a millisecond or two
local DICT = "moonweir" -- lua_shared_dict

local LEVELS = { debug = ngx.DEBUG, info = ngx.NOTICE, warning = ngx.WARN, error = ngx.ERR }

-- What open makes; nil before. `client` is nil as long as it could not be opened, `why` then says why.
---@type {service: moonweir.serve.Service?, client: moonweir.Client?, why: string?, log: moonweir.serve.Log}|nil
local worker

local HOW = "; call open in init_worker_by_lua, with lua_code_cache on"

-- The worker's state; raises where there can be none. A child that a worker forks has it, and a client that refuses (forked).
local function opened(what)
	if not worker then
		error(("moonweir.openresty.%s: not open in this process%s"):format(what, HOW), 3)
	end
	return worker
end

local function write_log(line, level)
	ngx.log(LEVELS[level], "moonweir: ", line)
end

---@param given string|table
---@return moonweir.serve.Config|nil
---@return string? message
local function read_config(given)
	if type(given) == "string" then
		return config.load(given)
	end
	return config.of(given, ngx.config.prefix())
end

-- A tick may wait for the disk, and nginx would start the next one meanwhile.
local function tick(is_last)
	if worker.ticking or not worker.client then
		return
	end
	worker.ticking = true
	local good, why = pcall(worker.service.tick, worker.service)
	worker.ticking = false
	if not good then
		worker.log:say("error", "tick", { reason = why })
	end
	if not is_last and worker.others.dict then
		worker.others:publish(worker.service:numbers(), worker.service.health:own_trouble())
	end
end

local function tick_settings(is_last)
	if not is_last and worker.service and worker.service.settings_page then
		worker.service.settings_page:tick()
	end
end

-- Whatever is not a mistake in the program may have an end: a lock, a full disk, a script that somebody mends.
local function try_to_open()
	local made, message, read
	read, message = read_config(worker.given)
	if read then
		worker.log.level = read.values["log.level"]
		made, message = service.open(read, worker.log)
	end
	if not made then
		worker.why = message
		worker.log:say("error", "not_open", { reason = message, again_in = REOPEN })
		return false
	end
	worker.service, worker.client, worker.why = made, made.client, nil
	if ngx.worker.id() == 0 then -- once, however many workers there are
		made:warn_about_vault()
	end
	worker.commits = commits.new(made.client)
	worker.others = workers.new(ngx.shared[DICT])
	made.reports_max = REPORTS_MAX
	made.sync = function()
		return worker.commits:wait(SYNC_SECONDS)
	end
	made.waiting = function()
		return worker.commits.waiting
	end
	made.all_numbers = function()
		return worker.others:page(made:numbers())
	end
	made.health.elsewhere = function()
		return worker.others:trouble()
	end
	if made.settings_page then
		ngx.timer.every(read.values["settings.enable_client_id"] and SETTINGS_TICK or TICK, tick_settings)
	end
	return true
end

local function open_later(is_last)
	if not is_last and not worker.client and not try_to_open() then
		ngx.timer.at(REOPEN, open_later)
	end
end

--- Open this worker's client. In init_worker_by_lua, once. What is wrong with the options of a table raises; where
--- anything else is in the way, the worker serves, pushes answer "closed", and it tries again every two seconds.
---@param given string|table the path of a config of `moonweir serve`, or what such a file returns; relative paths begin at
--- its folder, or at nginx's prefix
---@return true|nil
---@return string? message also in nginx's error log
---@return "closed"|nil code
function openresty.open(given)
	if ngx.get_phase() ~= "init_worker" then
		error(("moonweir.openresty.open: called in %s; the engine's thread lives in the process that opens it, so call it in "
			.. "init_worker_by_lua, which runs in each worker"):format(ngx.get_phase()), 2)
	elseif worker then
		error("moonweir.openresty.open: this worker has a client already; a second source needs an nginx, or a moonweir serve, "
			.. "of its own", 2)
	elseif type(given) == "table" then
		local _, message = read_config(given)
		if message then
			error("moonweir.openresty.open: " .. message, 2)
		end
	elseif type(given) ~= "string" then
		error("moonweir.openresty.open takes the path of a config, or a table of its options", 2)
	end
	worker = { given = given, log = logs.new { bare = true, write = write_log } }
	ngx.timer.every(TICK, tick)
	if not try_to_open() then
		ngx.timer.at(REOPEN, open_later)
		return nil, worker.why, "closed"
	end
	return true
end

--- Are config and script good? In init_by_lua, where an error stops nginx from starting, and keeps a reload from replacing
--- workers that run. Opens nothing and reads no secret.
---@param given string|table as open takes it
function openresty.check(given)
	local read, message = read_config(given)
	if read then
		local source
		source, message = mw.load(read.values.source)
		if source then
			return
		end
	end
	error("moonweir.openresty.check: " .. tostring(message), 2)
end

-- A worker whose client could not be opened (yet).
local function not_open()
	local message = "not open: " .. tostring(worker.why)
	worker.log:say("error", "closed", { reason = message })
	return nil, message, "closed"
end

-- In log_by_lua nobody looks at what a push returned.
local function tell(code, message)
	worker.log:say("warning", "push", { code = code, reason = message })
end

local CAN_WAIT = { rewrite = true, access = true, content = true, timer = true }

local function check_phase(what, level)
	local phase = ngx.get_phase()
	if not CAN_WAIT[phase] then
		error(("moonweir.openresty.%s: nothing can wait in %s_by_lua; push without sync there"):format(what, phase), level)
	end
end

-- What the client is given, and for how many seconds to wait here: its own sync would block the worker.
---@return table options
---@return number? sync
local function split(options, what)
	if options.wait then
		error(("moonweir.openresty.%s: wait would block the worker; without room push answers nil, message, \"full\""):format(what),
			3)
	end
	local sync = options.sync
	if not sync then
		return options
	end
	sync = sync == true and SYNC_SECONDS or sync
	if type(sync) ~= "number" then
		error(("moonweir.openresty.%s: sync must be true or seconds"):format(what), 3)
	end
	check_phase(what, 4)
	local rest = {}
	for name, value in pairs(options) do
		rest[name] = value
	end
	rest.sync = nil
	return rest, sync
end

--- Hand one event to the mapping and queue what it returns. No I/O and no yield, unless `sync` is asked for; from any phase of
--- a request, and from timers.
---@param event string|table raw bytes, or an already decoded event
---@param options? {account: string?, headers: table?, tag: integer?, format: string?, sync: true|number|nil}  sync: yield
--- until it is on disk, for so many seconds (30)
---@return integer|nil queued how many messages; 0 if the mapping ignores this event
---@return string? message
---@return moonweir.Code? code  "closed": this worker's client is not open yet. What fails is in the error log, at most a line
--- a second
function openresty.push(event, options)
	local client = opened("push").client
	if not client then
		return not_open()
	end
	local sync
	if options then
		options, sync = split(options, "push")
	end
	local queued, message, code, problems, tally = client:push(event, options)
	if code then
		tell(code, message)
	end
	if sync and (queued or problems) then -- what fails is kept, too, as a dead letter
		local safe, why, word = worker.commits:wait(sync)
		if not safe then
			tell(word, why)
			return nil, why, word
		end
	end
	return queued, message, code, problems, tally
end

--- openresty.track(account, fields, options) and the other five, as the client's; `sync` as push has it.
for _, call in ipairs { "identify", "track", "page", "screen", "group", "alias" } do
	openresty[call] = function(account, fields, options)
		local client = opened(call).client
		if not client then
			return not_open()
		end
		local sync
		if options then
			options, sync = split(options, call)
		end
		local ok, message, code = client[call](client, account, fields, options)
		if ok and sync then
			ok, message, code = worker.commits:wait(sync)
		end
		if code then
			tell(code, message)
		end
		return ok, message, code
	end
end

--- Yield until all that this worker pushed is on disk.
---@param seconds? number default 30
---@return true|nil
---@return string? message
---@return "timeout"|"full"|"io"|"closed"|nil code
function openresty.sync(seconds)
	if not opened("sync").client then
		return not_open()
	end
	check_phase("sync", 3)
	return worker.commits:wait(seconds or SYNC_SECONDS)
end

local function serve(routes)
	if not worker.client then
		not_open()
		return exchange.answer(service.busy())
	end
	return exchange.serve(worker.service, worker.service[routes], worker.commits)
end

--- In content_by_lua: what `moonweir serve` answers on `listen`, by the path of the request: /webhooks/<account>,
--- /segment/<account>, /settings, /healthz.
function openresty.handle()
	local of = opened("handle").service
	if of and not worker.is_warned then
		worker.is_warned = true
		of:warn_about_source()
	end
	serve "router"
end

--- In content_by_lua: what it answers on `operations`: /metrics, of all workers, and /healthz. Let only your own in.
function openresty.operations()
	opened "operations"
	serve "operations_router"
end

--- The worker's own client, for stats, findings, lanes; nil if it is not open. Its sync, flush and close block the worker.
---@return moonweir.Client|nil
function openresty.client()
	return worker and worker.client
end

--- In exit_worker_by_lua: deliver for at most so many seconds, then join the engine's thread. The spool keeps the rest.
--- Connections are closed by then, so nobody waits but nginx. Without it nginx does the same with 0 when it frees Lua's state.
---@param seconds? number default 1
---@return true|nil all nil: something is left
---@return string? message
---@return string? code
function openresty.close(seconds)
	if not worker or not worker.client then
		return true
	end
	local of = worker.service
	worker.client, worker.why = nil, "this worker comes to its end"
	of.learned = {} -- letters that could be replayed stay letters: there is no waiting for the disk here
	pcall(of.tick, of)
	return of:close(seconds or 1)
end

openresty.version = core.version

return openresty
