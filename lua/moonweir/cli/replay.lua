--- replay -- dead letters sent once more, after the script was mended or what Segment refused was put right.

local core = require "moonweir.core"
local dead = require "moonweir.dead"
local identities = require "moonweir.identities"
local keys = require "moonweir.cli.keys"
local mw = require "moonweir"
local findings = require "moonweir.cli.findings"
local terminal = require "moonweir.cli.terminal"
local watch = require "moonweir.cli.watch"

local process = core.process

local replay = {
	summary = "Send letters once more.",
	example = [[
Examples:
  moonweir dead replay acme-mail.lua --code mapping --dry-run
  moonweir dead replay acme-mail.lua --code mapping --write-key-file key
  moonweir dead replay acme-mail.lua 0-17 0-18 --no-send

Events are mapped again by the script as it is now, refused messages go as they are; both keep their
messageId. A letter is dropped once its messages are safe in the spool; one whose event fails again
stays. The exit code is 0 only if every letter was replayed and all messages were delivered.]],
}

local TICK = 0.2 -- seconds between two looks at signals and troubles

function replay.define(action, number)
	action:flag("--dry-run", "Show the messages that would be sent, and send none.")
	action:flag("--no-send", "Only queue the messages in the spool: the next process that opens it sends them.")
	findings.define(action)
	action
		:option("--patience", "Seconds without a delivery after which to give up; the messages stay queued. 0: never.", "60")
		:argname("<s>")
		:convert(number "--patience")
end

local function say_failure(letter, message, code)
	io.stderr:write(("%s: %s: %s\n"):format(letter.id, code, terminal.safe(message, 1000)))
end

local function dry_run(spool, args, filter)
	local store, source, message
	if keys.master_key_file(args) then
		store, message = identities.open { spool = spool, master_key_file = keys.master_key_file(args), existing = true }
	end
	if not message then
		source, message = mw.load(args.source, { strict = args.strict, identities = store })
	end
	if not source then
		terminal.say("error", message)
		return 1
	end
	local failed = false
	for letter, reason in dead.each(spool, filter) do
		if not letter then
			terminal.say("error", reason)
			return 1
		end
		if letter.code == "corrupt" then
			failed = true
			say_failure(letter, "holds nothing that could be sent", letter.code)
		elseif letter.event then
			local messages, _, problems = source:map(letter.event, {
				format = letter.format,
				headers = letter.headers,
				account = letter.account or args.account or "default",
				now = math.floor(letter.at * 1000 + 0.5),
			})
			if problems then
				failed = true
				say_failure(letter, problems[1].message, problems[1].code)
			end
			for _, m in ipairs(problems and {} or messages) do
				terminal.write(m.message, "\n")
			end
		else
			terminal.write(letter.message, "\n")
		end
	end
	return failed and 1 or 0
end

--- Wait until what is queued is delivered, as long as something moves. Gives what is left.
local function deliver(client, args)
	local looked = watch.new(client, args.endpoint or "us")
	local moved, since = -1, process.monotonic()
	while not process.interrupted() do
		local ok, _, code = client:flush(TICK)
		local stats = client:stats()
		if looked:is_due(stats) then
			looked:look(stats)
		end
		local done = stats.delivered + stats.dead
		if ok or code ~= "timeout" then
			break
		elseif done ~= moved or stats.gate_closed_for > 0 then
			moved, since = done, process.monotonic()
		elseif args.patience > 0 and process.monotonic() - since > args.patience then
			terminal.say("error", ("gave up: nothing was delivered for %g seconds; what is queued stays so"):format(args.patience))
			break
		end
	end
	local stats = client:stats()
	looked:finish(stats)
	return stats
end

local function describe(counts)
	return ("%s letter%s replayed as %s message%s, %s failed again"):format(
		terminal.count(counts.replayed),
		counts.replayed == 1 and "" or "s",
		terminal.count(counts.messages),
		counts.messages == 1 and "" or "s",
		terminal.count(counts.failed)
	)
end

local function open(spool, args)
	local options, message
	if args.no_send then
		options = { spool = spool, send = false, account = args.account, master_key_file = keys.master_key_file(args) }
	else
		options, message = keys.options(args)
		if not options then
			return nil, message, "usage"
		end
	end
	options.source, options.strict = args.source, args.strict
	return keys.open(options)
end

--- Letters that were asked for by name and are not there.
local function say_missing(spool, ids)
	local missing = 0
	for _, id in ipairs(ids or {}) do
		if not core.dead_get(spool, id) then
			terminal.say("error", ("there is no dead letter %s"):format(id))
			missing = missing + 1
		end
	end
	return missing
end

function replay.run(spool, args, filter)
	local missing = say_missing(spool, filter.ids)
	if args.dry_run then
		return math.max(dry_run(spool, args, filter), missing > 0 and 1 or 0)
	end
	-- Before a client makes a spool where there is none.
	local ends, reason = core.dead_ends(spool)
	if not ends then
		terminal.say("error", reason)
		return 1
	end
	local client, message, code = open(spool, args)
	if not client then
		terminal.say("error", message)
		return keys.is_usage(code) and 2 or 1
	end
	process.catch_signals()
	local before = client:stats()
	filter.failed = say_failure
	local counts, partial
	counts, message, code, partial = client:replay(filter)
	if not counts then
		terminal.say("error", ("%s: %s"):format(code, message))
	end
	local all = counts or partial or { replayed = 0, messages = 0, failed = 0 }
	local stats = client:stats()
	if not args.no_send then
		stats = deliver(client, args)
	end
	client:close(0)
	terminal.print(describe(all))
	if process.interrupted() then
		return 130
	end
	local left = args.no_send and 0 or stats.dead - before.dead + stats.queued + stats.in_flight
	return (not counts or missing > 0 or all.failed > 0 or left > 0) and 1 or 0
end

return replay
