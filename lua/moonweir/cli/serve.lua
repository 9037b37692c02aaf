--- moonweir serve -- the daemon: webhooks in, Segment out.

local core = require "moonweir.core"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local command = {
	summary = "Take webhooks and deliver them: the whole integration on one machine.",
	example = [[
Example:
  moonweir serve --print-config > moonweir.lua  # every option, with its default; edit source, spool
  moonweir serve moonweir.lua --check           # is all of it there?
  moonweir serve moonweir.lua
  curl -d @event.json http://127.0.0.1:8080/webhooks/acme

Who posts gets 200 once its events are synced on disk. SIGHUP reads config, script and secrets
again; a broken one leaves the old ones running. SIGTERM answers what has come, delivers for a
while and stops; the spool keeps the rest. /metrics and /healthz are on a port of their own. The
config decides, not the options below, which are for other commands.]],
}

function command.define(parser)
	parser:argument("config", "The config file; see --print-config."):args "?"
	parser:flag("--print-config", "Print a config file with every option, its meaning and its default.")
	parser:flag("--check", "Load config, script and secrets, say what is wrong, and stop.")
end

local function fail(log, event, message)
	log:say("error", event, { reason = message })
	return 1
end

local function run_until_signal(daemon, log)
	while not process.interrupted() do
		daemon:round()
		if process.reload_wanted() then
			local ok, message = daemon:reload()
			if ok then
				log:say("info", "reloaded", { config = daemon.service.config.path })
			else
				log:say("error", "reload_failed", { reason = message .. "; the old one goes on" })
			end
		end
	end
end

local function check(config, log)
	local definition, message = require("moonweir.serve.setup").source(config)
	if not definition then
		return fail(log, "config", message)
	end
	for _, sentence in ipairs(require("moonweir.receive").warnings(definition)) do
		log:say("warning", "source", { reason = sentence })
	end
	terminal.print(config.path .. ": good")
	return 0
end

function command.run(args)
	if args.print_config then
		io.stdout:write(require("moonweir.serve.options").print())
		return 0
	elseif not args.config then
		terminal.say("error", "no config file. moonweir serve --print-config writes one to begin with")
		return 2
	end
	local log = require("moonweir.serve.log").new {}
	local config, message = require("moonweir.serve.config").load(args.config)
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
	process.prepare_daemon()
	process.catch_signals()
	process.catch_reload()
	local ok, daemon, why = pcall(require("moonweir.serve").open, config, log)
	if not ok or not daemon then
		return fail(log, "start_failed", tostring(not ok and daemon or why))
	end
	log:say("info", "started", {
		listen = ("%s:%d"):format((config.values.listen:match "^(.*):%d+$"), daemon.server:port()),
		operations = daemon.operations and ("%s:%d"):format((config.values.operations:match "^(.*):%d+$"), daemon.operations:port()),
		version = core.version, source = config.values.source,
	})
	run_until_signal(daemon, log)
	log:say("info", "stopping")
	daemon:stop()
	return 0
end

return command
