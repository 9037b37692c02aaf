--- moonweir run -- a file or a stream of events through a source to Segment, and what came of it.

local core = require "moonweir.core"
local findings = require "moonweir.cli.findings"
local input = require "moonweir.cli.input"
local keys = require "moonweir.cli.keys"
local limits = require "moonweir.cli.limits"
local progress = require "moonweir.cli.progress"
local terminal = require "moonweir.cli.terminal"
local watch = require "moonweir.cli.watch"

local process = core.process

local run = {
	summary = "Send events through a source to Segment.",
	example = [[
Examples:
  moonweir run acme-mail.lua events.ndjson --write-key-file key
  tail -F events.log | moonweir run acme-mail.lua --accounts accounts.json

What breaks Segment's Spec is sent and told once for each event and rule; with --strict it is
not sent. The exit code is 0 only if every event came through. Ctrl-C stops reading and delivers
what was read; a second one ends at once. While queue or spool is full, reading waits, however long
it takes: what fills them is told every ten seconds.]],
}

local TICK = 0.2 -- seconds between two looks at signals, progress and troubles

function run.define(parser, number)
	parser:argument("source", "The mapping script.")
	input.define(parser)
	parser:option("--retries", "Attempts beyond the first before a message is given up (no limit).")
		:argname("<n>")
		:convert(number("--retries", true))
	parser:option("--timeout", "Seconds that one request may take (30)."):argname("<s>"):convert(number "--timeout")
	parser
		:option("--patience", "Seconds without a delivery, all events read, after which to give up; 0: never.", "60")
		:argname("<s>")
		:convert(number "--patience")
	findings.define(parser)
	limits.define(parser, number)
	parser:flag("--json", "Print the summary as JSON.")
end

---@class moonweir.cli.Run
local Run = {}
Run.__index = Run

--- Look after everything that is not events: reports, troubles, the progress bar.
function Run:tick()
	local stats = self.client:stats()
	stats.events = stats.events + self.reader.failed_lines
	if self.watch:is_due(stats) then
		self.progress:clear()
		self.watch:look(stats)
	end
	self.findings:say(self.client:findings(), function()
		self.progress:clear()
	end)
	self.progress:update(self.reader.bytes, stats)
	return stats
end

--- A block as two of whole lines, and how many lines the first has; nil if it is one line.
local function halves(block)
	local middle = math.floor(#block / 2)
	local cut = block:sub(1, middle):match ".*()\n" or block:find("\n", middle + 1, true)
	if cut and cut < #block then
		local first = block:sub(1, cut)
		return first, block:sub(cut + 1), select(2, first:gsub("\n", ""))
	end
end

--- Seconds since the last delivery, or since this was first asked after `self.done` was forgotten.
function Run:stuck_for(stats)
	local done, now = stats.delivered + stats.dead, process.monotonic()
	if done ~= self.done or stats.gate_closed_for > 0 then
		self.done, self.moved_at = done, now
	end
	return now - self.moved_at
end

--- Push a block, waiting while the queue is full. A refused block left no trace and is simply pushed again, in halves if
--- its messages are more than the queue may ever hold (a spool of few megabytes).
function Run:push(block, lines_before)
	self.push_options.wait = TICK
	while not process.interrupted() do
		local queued, message, code, problems = self.client:push(block, self.push_options)
		if code ~= "full" then
			self.done = nil
			if problems then
				self.progress:clear()
				input.say_problems(problems, lines_before)
			elseif not queued then
				local first, second, lines
				if code == "too_large" and self.push_options.format == "ndjson" then
					first, second, lines = halves(block)
				end
				if first then
					return self:push(first, lines_before) and self:push(second, lines_before + lines)
				end
				self.progress:clear()
				terminal.say("error", ("what begins with event %d was not taken: %s"):format(lines_before + 1, message))
				self.broken = true
			end
			return true
		end
		self:stuck_for(self:tick())
	end
	return false
end

function Run:read_all()
	while not process.interrupted() do
		local block, lines_before = self.reader:next(TICK)
		if block == false then
			return
		elseif block and not self:push(block, lines_before) then
			return
		end
		self:tick()
	end
end

--- Wait for what is queued, as long as something moves. Whoever interrupts a run that was stuck before waited already.
function Run:flush(patience)
	if process.interrupted() then
		self.progress:clear()
		terminal.say("note", ("stopped reading behind event %s; delivering what was read (again to end at once)"):format(
			terminal.count(self.client:stats().events + self.reader.failed_lines)))
	end
	while true do
		local ok, _, code = self.client:flush(TICK)
		local stats = self:tick()
		if ok or code ~= "timeout" then
			return
		end
		if patience > 0 and self:stuck_for(stats) > patience then
			self.progress:clear()
			terminal.say("error", ("gave up: nothing was delivered for %g seconds"):format(patience))
			return
		end
	end
end

--- What came of it since `before`, as numbers under the names of the summary.
local function summary_of(stats, before, seconds)
	return {
		{ "events", stats.events },
		{ "accepted", stats.accepted - before.accepted },
		{ "delivered", stats.delivered - before.delivered },
		{ "dead", stats.dead - before.dead },
		{ "parked", stats.held },
		{ "undelivered", stats.queued + stats.in_flight - stats.held },
		{ "repeats", stats.repeats },
		{ "ignored", stats.ignored },
		{ "unmatched", stats.unmatched },
		{ "failed", stats.failed },
		{ "requests", stats.requests },
		{ "retries", stats.retries },
		{ "bytes_per_request", stats.requests > 0 and math.floor(stats.bytes_sent / stats.requests) or 0 },
		{ "seconds", seconds },
		{ "events_per_second", math.floor(stats.events / math.max(seconds, 0.001)) },
	}
end

local function print_summary(summary, as_json)
	local parts = {}
	for i, pair in ipairs(summary) do
		local name, value = pair[1], pair[2]
		if as_json then
			parts[i] = ('"%s":%s'):format(name, name == "seconds" and ("%.3f"):format(value) or ("%.0f"):format(value))
		else
			local shown = name == "seconds" and ("%.2f"):format(value) or terminal.count(value)
			parts[i] = ("%-18s %12s"):format(name:gsub("_", " "), shown)
		end
	end
	terminal.print(as_json and "{" .. table.concat(parts, ",") .. "}" or table.concat(parts, "\n"))
end

function run.run(args)
	local options, message = keys.options(args)
	local ok = options
	if ok then
		ok, message = limits.apply(options, args)
	end
	if not ok then
		terminal.say("error", message)
		return 2
	end
	options.source, options.retries, options.timeout = args.source, args.retries, args.timeout
	options.strict = args.strict
	local client, code
	client, message, code = keys.open(options)
	if not client then
		terminal.say("error", message)
		return keys.is_usage(code) and 2 or 1
	end
	local reader
	reader, message = input.open(args)
	if not reader then
		client:close(0)
		terminal.say("error", message)
		return 1
	end
	process.catch_signals()
	local started, before = process.monotonic(), client:stats() -- a spool may bring what an earlier run left
	local self = setmetatable({
		client = client,
		reader = reader,
		findings = findings.new(args.strict),
		watch = watch.new(client, args.endpoint or "us"),
		progress = progress.new(reader.size),
		push_options = { format = args.format, account = args.account },
	}, Run)
	self:read_all()
	if reader.error then
		self.progress:clear()
		terminal.say("error", reader.error)
	end
	self:flush(args.patience)
	local stats = client:stats()
	local kept = options.spool and stats.failed + stats.dead - before.dead > 0
	stats.events = stats.events + reader.failed_lines
	stats.failed = stats.failed + reader.failed_lines
	self.progress:clear()
	self.watch:finish(stats)
	self.findings:say(client:findings())
	self.findings:finish(args.source)
	print_summary(summary_of(stats, before, process.monotonic() - started), args.json)
	local synced, unsynced = client:sync(1)
	client:close(0)
	if kept then
		terminal.say("note", "what could not be delivered is kept; see `moonweir dead list`")
	end
	if not synced then
		terminal.say("error", ("not all that is undelivered is in the spool: %s. Run the same events again"):format(unsynced))
	elseif options.spool and stats.queued + stats.in_flight > 0 then
		terminal.say("note", "what is undelivered stays in the spool; whoever sends from it next goes on with that")
	end
	if process.interrupted() then
		return 130
	end
	local lost = stats.failed + stats.dead - before.dead + stats.queued + stats.in_flight
	return (lost > 0 or reader.error or self.broken) and 1 or 0
end

return run
