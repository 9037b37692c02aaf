--- moonweir worker -- entries of a Redis stream through a source to Segment.

local core = require "moonweir.core"
local exposition = require "moonweir.worker.exposition"
local findings = require "moonweir.cli.findings"
local keys = require "moonweir.cli.keys"
local redislink = require "moonweir.cli.redislink"
local sandbox = require "moonweir.sandbox"
local shares = require "moonweir.worker.shares"
local sharing = require "moonweir.cli.sharing"
local terminal = require "moonweir.cli.terminal"
local watch = require "moonweir.cli.watch"
local workers = require "moonweir.worker"

local process = core.process

local command = {
	summary = "Deliver the events of a Redis stream, one of any number of workers on any number of machines.",
	example = [[
Examples:
  redis-cli XADD events '*' account acme body '{"type":"message.opened", ...}'
  moonweir worker acme.lua --redis redis://127.0.0.1 --stream events --group g --accounts keys.json
  moonweir worker acme.lua --redis-file redis.url --stream events --group g --state /var/lib/spool
  moonweir worker acme.lua --stream events --group g --shared    with MOONWEIR_REDIS, on each host

All workers of this Redis together keep to --rate. An entry is acknowledged when Segment has its
messages, or when it is in the stream {events}:dead with the reason. Workers of one group share its
entries; what a dead one left is taken over after --idle. Entries of an account whose key was
refused wait in {events}:parked:ACCOUNT and come back when a good key is saved. SIGTERM delivers
what was read and stops; SIGHUP reads the source and the --accounts file again.]],
}

local SAID_AGAIN = 10 -- seconds before the same trouble is told again
local METRICS_EVERY = 10

function command.define(parser, number)
	parser:argument("source", "The mapping script.")
	redislink.define(parser)
	parser:option("--stream", "The stream's key."):argname "<name>"
	parser:option("--group", "The consumer group; made if it is missing, at the stream's beginning."):argname "<name>"
	parser:option("--consumer", "This worker's own name in the group: one that comes back under it goes on with its own entries "
		.. "at once (host and process number)."):argname "<name>"
	parser:option("--start", "Where a new group begins: an entry's id, or $ for what comes from now on (0: everything).")
		:argname "<id>"
	parser:option("--state", "The --spool directory of `moonweir accounts`: its accounts and identities are used, with "
		.. "--own-rate its budget too (MOONWEIR_SPOOL)."):argname "<dir>"
	parser:flag("--shared", "Accounts and identities are those in Redis (moonweir accounts --redis); --state, if given, is where "
		.. "this host's copy of them is.")
	parser:flag("--own-rate", "Only this worker sends to Segment: --rate is kept here, and not in Redis with all others.")
	parser:option("--in-flight", "Entries read and not acknowledged, at most (20000)."):argname("<n>")
		:convert(number("--in-flight", true))
	parser:option("--batch", "Entries in one read, at most (1000)."):argname("<n>"):convert(number("--batch", true))
	parser:option("--idle", "Seconds after which a silent worker's entries are taken over (60)."):argname("<s>")
		:convert(number "--idle")
	parser:option("--drain", "Seconds to deliver what was read, at the end (10)."):argname("<s>"):convert(number "--drain")
	parser:option("--timeout", "Seconds that one request may take (30)."):argname("<s>"):convert(number "--timeout")
	parser:option("--metrics", "A file that is written every 10 s, for Prometheus's textfile collector."):argname "<file>"
	parser:flag("--delete", "Delete finished entries from the stream, whose only reader this group is.")
	parser:flag("--until-empty", "Stop when the group has no entry left to read and none pending.")
	parser:flag("--replay-dead", "First put this group's dead entries back into the stream.")
	findings.define(parser)
	parser:flag("--json", "Print the summary as JSON.")
end

---@class moonweir.cli.Worker
local Run = {}
Run.__index = Run

function Run:say_once(kind, message)
	local now = process.monotonic()
	if message ~= self.said or now - self.said_at > SAID_AGAIN then
		self.said, self.said_at = message, now
		terminal.say(kind, terminal.safe(message, 500))
	end
end

--- Whatever is worth a word, at most once a second.
function Run:look()
	local now = process.monotonic()
	if now < self.look_at then
		return
	end
	self.look_at = now + 1
	local stats = self.client:stats()
	if self.watch:is_due(stats) then
		self.watch:look(stats)
	end
	if (stats.unpermitted_for or 0) > 1 then
		self:say_once("warning", ("nothing is sent for lack of permits, %.0f s: %s"):format(stats.unpermitted_for,
			stats.permit_trouble))
	end
	self.findings:say(self.client:findings())
	if self.args.metrics and now >= self.metrics_at then
		self.metrics_at = now + METRICS_EVERY
		local ok, message = exposition.write(self.args.metrics, self.worker:stats(), stats)
		if not ok then
			self:say_once("warning", "metrics: " .. message)
		end
	end
end

function Run:tell(others)
	for _, report in ipairs(others) do
		if report.outcome == "dead" then
			self:say_once("warning", ("dead: a message of account %s, status %d: %s"):format(report.account, report.status,
				report.answer or "no answer"))
		end
	end
	if self.worker.trouble then
		self:say_once("warning", self.worker.trouble.message .. "; trying again")
		self.had_trouble = true
	elseif self.had_trouble then
		self.had_trouble = false
		terminal.say("note", "Redis answers again")
	end
end

--- SIGHUP: a broken source or file leaves the old one in use.
function Run:reload()
	local definition, message = sandbox.load(self.args.source)
	local ok = definition
	if ok then
		ok, message = self.client:reload(definition)
	end
	if not ok then
		return terminal.say("error", "not reloaded: " .. message)
	end
	local accounts = {}
	if self.args.accounts then
		accounts, message = keys.accounts(self.args.accounts)
	end
	for name, entry in pairs(accounts or {}) do
		ok, message = self.client:set_account(name, type(entry) == "table" and entry or { write_key = entry })
		if not ok then
			break
		end
	end
	if message then
		return terminal.say("error", "accounts not reloaded: " .. message)
	end
	terminal.say("note", "reloaded")
end

--- Redis may start after us; what it will not forgive ends the command.
function Run:begin()
	local patient = { io = true, timeout = true, loading = true, busy = true, clusterdown = true, tryagain = true,
		masterdown = true, readonly = true, oom = true, misconf = true, noreplicas = true }
	while not process.interrupted() do
		local ok, message, code = self.worker:ensure()
		if ok then
			ok, message, code = self.shares:begin()
		end
		if ok then
			return true
		elseif not patient[code] then
			terminal.say("error", terminal.safe(message, 500))
			return false
		end
		self:say_once("warning", message .. "; trying again")
		process.wait(0.2)
	end
	return true
end

function Run:is_done()
	local worker = self.worker
	if not self.args.until_empty or worker.ledger.count > 0 or not worker.was_empty then
		return false
	end
	worker.chores.due = 0 -- it may be over: look once more, now
	return worker.chores.has_looked and worker.chores.state.pending == 0
end

function Run:run()
	while not process.interrupted() and not self:is_done() do
		self:tell(self.worker:round())
		local ok, message = self.shares:look()
		if not ok then
			self:say_once("warning", "accounts and identities in Redis: " .. message .. "; what is known is used")
		end
		self:look()
		if process.reload_wanted() then
			self:reload()
		end
	end
end

local function hostname()
	local file = io.open "/proc/sys/kernel/hostname"
	local name = file and file:read "*l" or "worker"
	if file then
		file:close()
	end
	return name
end

--- This process's number, without a way to ask the system for it but this.
local function pid()
	local file = io.open "/proc/self/stat"
	local number = file and file:read "*l":match "^%d+" or "0"
	if file then
		file:close()
	end
	return number
end

local function replay_dead(red, worker, group)
	local redis = require "moonweir.redis"
	local count, message = redis.replay(red, worker.names.stream, group)
	if not count then
		terminal.say("error", terminal.safe(message, 500))
	else
		terminal.say("note", ("%s dead entries are back in the stream"):format(terminal.count(count)))
	end
	return count
end

local function options_of(args)
	if args.shared and not keys.master_key_file(args) and not os.getenv "CREDENTIALS_DIRECTORY" then
		return nil, sharing.NO_MASTER_KEY
	elseif args.shared and not args.state then
		local message
		args.copy, message = sharing.folder()
		if not args.copy then
			return nil, message
		end
		args.state = args.copy
	end
	args.state = args.state or keys.spool(args)
	args.spool = args.state -- so that no key need be given where a vault has them
	local options, message = keys.options(args)
	if not options then
		return nil, message
	end
	options.state, options.spool = options.spool, nil
	options.leased = not args.own_rate and options.rate ~= 0
	options.report, options.strict, options.timeout = "all", args.strict, args.timeout
	return options
end

local function usage(message)
	terminal.say("error", message)
	return 2
end

local function summary(stats, before, client, seconds, as_json)
	local group = stats.group
	local list = {
		{ "read", stats.read }, { "acknowledged", stats.acknowledged }, { "dead", stats.dead }, { "parked", stats.parked },
		{ "returned", stats.returned }, { "claimed", stats.claimed }, { "vanished", stats.vanished },
		{ "left_pending", stats.in_flight }, { "delivered", client.delivered - before.delivered },
		{ "requests", client.requests }, { "lag", group.lag or -1 }, { "pending", group.pending },
		{ "in_dead_stream", group.dead }, { "accounts_parked", group.parked }, { "seconds", seconds },
		{ "entries_per_second", math.floor(stats.acknowledged / math.max(seconds, 0.001)) },
	}
	local parts = {}
	for i, pair in ipairs(list) do
		local name, value = pair[1], pair[2]
		local format = name == "seconds" and "%.2f" or "%.0f"
		parts[i] = as_json and ('"%s":' .. format):format(name, value)
			or ("%-18s %12s"):format(name:gsub("_", " "), name == "seconds" and format:format(value) or terminal.count(value))
	end
	terminal.print(as_json and "{" .. table.concat(parts, ",") .. "}" or table.concat(parts, "\n"))
end

local function deliver(args)
	if not args.stream or not args.group then
		return usage "which entries? Give --stream NAME and --group NAME"
	end
	for _, name in ipairs { "stream", "group", "consumer" } do
		if args[name] == "" then
			return usage(("--%s takes a name, not an empty text"):format(name))
		end
	end
	for _, name in ipairs { "in_flight", "batch", "idle" } do
		if args[name] and args[name] < 1 then
			return usage(("--%s is at least 1"):format(name:gsub("_", "-")))
		end
	end
	local options, message = options_of(args)
	if not options then
		return usage(message)
	end
	local definition, code
	definition, message = sandbox.load(args.source)
	if not definition then
		terminal.say("error", message)
		return 1
	end
	local red
	red, message, code = redislink.open(args, { name = "moonweir-worker", patience = 1 })
	if not red then
		terminal.say("error", message)
		return code == "usage" and 2 or 1
	end
	options.source = definition
	local client
	local shared = shares.new { red = red, dir = args.shared and args.state, master_key_file = options.master_key_file }
	local ok
	ok, message, code = shared:open()
	if ok then
		client, message, code = keys.open(options)
	end
	if client and options.leased then
		ok, message, code = shared:lease(client, function(more)
			return redislink.open(args, more)
		end)
	end
	if not client or not ok then
		shared:close()
		terminal.say("error", terminal.safe(message, 500))
		return keys.is_usage(code) and 2 or 1
	end
	process.catch_signals()
	process.catch_reload()
	local worker
	worker, message = workers.open {
		client = client, red = red, stream = args.stream, group = args.group, slug = definition.slug,
		consumer = args.consumer or hostname() .. "-" .. pid(), account = args.account, in_flight = args.in_flight,
		prepare = function()
			return shared:prepare()
		end,
		batch = args.batch, idle = args.idle, delete = args.delete, start = args.start,
	}
	if not worker then
		shared:close()
		client:close(0)
		return usage(message)
	end
	local started, before = process.monotonic(), client:stats()
	local self = setmetatable({
		args = args, shares = shared, client = client, worker = worker, look_at = 0, metrics_at = 0, said_at = 0,
		findings = findings.new(args.strict), watch = watch.new(client, args.endpoint or "us"),
	}, Run)
	self.watch.collect = function() end -- the worker collects
	if not self:begin() or (args.replay_dead and not replay_dead(red, worker, args.group)) then
		shared:close()
		client:close(0)
		return 1
	end
	self:run()
	local left = worker:stop(args.drain or 10, not args.consumer)
	local client_stats, stats = client:stats(), worker:stats()
	self.findings:say(client:findings())
	self.findings:finish(args.source)
	if args.metrics then
		exposition.write(args.metrics, stats, client_stats)
	end
	summary(stats, before, client_stats, process.monotonic() - started, args.json)
	shared:close()
	client:close(0)
	if left > 0 then
		terminal.say("note", ("%s entries stay pending; whoever claims them delivers them"):format(terminal.count(left)))
	end
	return (left > 0 or stats.dead > 0) and 1 or 0
end

function command.run(args)
	local code = deliver(args)
	if args.copy then
		sharing.remove(args.copy)
	end
	return code
end

return command
