--- moonweir serve -- the daemon: webhooks in, Segment out.

local core = require "moonweir.core"
local options = require "moonweir.serve.options"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local command = {
	summary = "Take webhooks and deliver them: the whole integration on one machine.",
	example = [[
Example:
  moonweir serve --print-config > moonweir.lua  # every option, with its default; edit source, spool
  moonweir serve moonweir.lua --check           # is all of it there?
  moonweir serve moonweir.lua
  moonweir serve moonweir.lua --workers 4       # four processes, for as many cores
  curl -d @event.json http://127.0.0.1:8080/webhooks/acme

Who posts gets 200 once its events are synced on disk. SIGHUP reads config, script and secrets
again; a broken one leaves the old ones running. SIGTERM answers what has come, delivers for a
while and stops; the spool keeps the rest. /metrics and /healthz are on a port of their own.

With --workers (or workers = N in the config) several processes share address, accounts and budget;
one that dies is replaced, and nothing that was answered 200 is lost with it. The config decides,
not the other options below, which are for other commands.]],
}

function command.define(parser)
	parser:argument("config", "The config file; see --print-config."):args "?"
	parser:flag("--print-config", "Print a config file with every option, its meaning and its default.")
	parser:option("--workers", "So many processes serve side by side, in place of the config's `workers`."):convert(tonumber)
	parser:flag("--check", "Load config, script and secrets, look for spool and keys, say what is wrong, and stop.")
end

local function fail(log, event, message)
	log:say("error", event, { reason = message })
	return 1
end

local function check(config, log)
	local definition, message = require("moonweir.serve.setup").source(config)
	if not definition then
		return fail(log, "config", message)
	end
	for _, sentence in ipairs(require("moonweir.receive").warnings(definition)) do
		log:say("warning", "source", { reason = sentence })
	end
	local missing = require("moonweir.serve.readiness").check(config, definition)
	for _, one in ipairs(missing) do
		log:say("error", one.event, { reason = one.reason })
	end
	if missing[1] then
		return 1
	end
	terminal.print(config.path .. ": good")
	return 0
end

function command.run(args)
	if args.print_config then
		terminal.write(options.print())
		return 0
	elseif not args.config then
		terminal.say("error", "no config file. moonweir serve --print-config writes one to begin with")
		return 2
	end
	local log = require("moonweir.serve.log").new {}
	local overrides = { workers = args.workers }
	local wrong = args.workers and options.check("workers", args.workers)
	if wrong then
		terminal.say("error", wrong)
		return 2
	end
	local config, message = require("moonweir.serve.config").load(args.config, overrides)
	if not config then
		return fail(log, "config", message)
	end
	log.level = config.values["log.level"]
	if not pcall(require, "moonweir.server") then
		return fail(log, "config", "serve needs the module moonweir.server, which is not installed here (rock moonweir-server)")
	end
	if args.check then
		return check(config, log)
	end
	if rawget(_G, "jit") then
		jit.off() -- a request is a dozen calls into C, and traces end at each: interpreted it takes a fifth less
	end
	process.prepare_daemon()
	process.catch_signals()
	process.catch_reload()
	local function say_started(ports)
		log:say("info", "started", {
			listen = ("%s:%d"):format((config.values.listen:match "^(.*):%d+$"), ports.server),
			operations = ports.operations and ("%s:%d"):format((config.values.operations:match "^(.*):%d+$"), ports.operations),
			version = core.version, source = config.values.source, workers = config.values.workers > 1 and config.values.workers or nil,
		})
	end
	if config.values.workers > 1 then
		return require("moonweir.serve.workers").run(config, log, config.values.workers, say_started)
	end
	return require("moonweir.serve.run")(config, log, nil, function(daemon)
		say_started { server = daemon.server:port(), operations = daemon.operations and daemon.operations:port() }
	end)
end

return command
