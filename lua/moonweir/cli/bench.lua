--- moonweir bench -- what a source takes of this machine, by entry, and how much of a core Segment's limit leaves busy.

local columns = require "moonweir.cli.columns"
local cost = require "moonweir.cost"
local input = require "moonweir.cli.input"
local json = require "moonweir.cli.json"
local mw = require "moonweir"
local new_progress = require("moonweir.cli.progress").new
local terminal = require "moonweir.cli.terminal"

local bench = {
	summary = "Measure what a source takes of this machine for each event, without sending anything.",
	example = [[
Example:
  $ moonweir bench acme-mail.lua events.ndjson
  acme-mail: 13 events of 312 bytes become 12 messages of 498 bytes

  entry             events  messages  ns an event  of the time  made by
  campaign.report        1         4        7,120         62 %  function
  message.opened         8         8          455         31 %  declaration
  …

Events are mapped over and over, from their bytes to the bytes of their messages, checked by
Segment's Spec as they are when they are sent. Times are CPU time on one core, medians of five. What
is read of the input is its first 16 MiB, and no more than can be mapped once in about a second.
Figures of two machines, or of one on two days, do not compare: change the script and run both.

The exit code is 1 if any event failed; the figures are of what came, those events included.]],
}

function bench.define(parser, number)
	parser:argument("source", "The mapping script.")
	input.define(parser)
	parser:option("--seconds", "About how long to measure (2).", "2"):argname("<n>"):convert(number "--seconds")
	parser:flag("--json", "Print the result as JSON.")
end

local SAMPLE = 16 * 1024 * 1024 -- bytes of the input

-- What Segment takes: csrc/core/limits.h.
local REQUESTS, BATCH_BYTES, BATCH_MESSAGES = 50, 475000, 2500

--- The events: each line by itself, or the one body that there is.
---@return string[]|nil bodies
---@return string? message
local function read(args)
	local reader, message = input.open(args)
	if not reader then
		return nil, message
	end
	local bodies = {}
	while reader.bytes < SAMPLE do
		local block = reader:next(3600)
		if block == false then
			break
		elseif block and args.format == "ndjson" then
			for line in block:gmatch "[^\n]+" do
				bodies[#bodies + 1] = line:find "%S" and line or nil
			end
		elseif block then
			bodies[1] = block
		end
	end
	if reader.error then
		return nil, reader.error
	end
	return bodies
end

--- Events a second that all accounts together can be sent, as one message follows another in full requests.
local function sendable(report, rate)
	if report.messages == 0 or rate == 0 then
		return nil
	end
	local a_request = math.min(BATCH_MESSAGES, math.floor(BATCH_BYTES / (report.message_bytes + 1)))
	return (rate or REQUESTS) * a_request * report.events / report.messages
end

local function plural(n, word)
	return ("%s %s%s"):format(terminal.count(n), word, n == 1 and "" or "s")
end

local function print_report(report, slug, rate)
	terminal.print(("%s: %s of %.0f bytes become %s%s"):format(slug, plural(report.events, "event"), report.event_bytes,
		plural(report.messages, "message"), report.messages > 0 and (" of %.0f bytes"):format(report.message_bytes) or ""))
	terminal.print ""
	local rows = { { "entry", "events", "messages", "ns an event", "of the time", "made by" } }
	for _, entry in ipairs(report.entries) do
		rows[#rows + 1] = { entry.entry and terminal.safe(entry.entry, 60) or "(none)", terminal.count(entry.events),
			terminal.count(entry.messages), terminal.count(entry.ns), ("%.0f %%"):format(entry.share * 100), entry.by or "" }
	end
	rows[#rows + 1] = { "all, as they come", terminal.count(report.events), terminal.count(report.messages),
		terminal.count(report.ns), "", ("%s to %s ns in five runs"):format(terminal.count(report.low), terminal.count(report.high)) }
	columns.print(rows, { false, true, true, true, true, false })
	terminal.print ""
	terminal.print(("One core maps %s of them a second."):format(terminal.count(1e9 / report.ns)))
	local most = sendable(report, rate)
	if most then
		terminal.print(("At %g requests a second, all of them full, %s a second can be sent: mapping takes %.1f %% of a core then.")
			:format(rate or REQUESTS, terminal.count(most), most * report.ns / 1e7))
	end
end

local function print_json(report, slug, rate)
	local function number(n)
		return ("%.1f"):format(n)
	end
	local most = sendable(report, rate)
	terminal.print(json.object("source", json.text(slug), "events", json.count(report.events),
		"messages", json.count(report.messages), "failed", json.count(report.failed),
		"event_bytes", number(report.event_bytes), "message_bytes", number(report.message_bytes),
		"ns", number(report.ns), "ns_least", number(report.low), "ns_most", number(report.high),
		"events_per_second", number(1e9 / report.ns), "sendable_per_second", most and number(most),
		"entries", json.list(report.entries, function(entry)
			return json.object("entry", entry.entry and json.text(entry.entry) or "null", "by", entry.by and json.text(entry.by),
				"events", json.count(entry.events), "messages", json.count(entry.messages), "ns", number(entry.ns),
				"share", ("%.4f"):format(entry.share))
		end)))
end

function bench.run(args)
	local source, message = mw.load(args.source)
	local bodies, report
	if source then
		bodies, message = read(args)
	end
	local progress = new_progress()
	if bodies then
		report, message = cost.measure(source.definition, bodies, { format = args.format, account = args.account,
			seconds = args.seconds / 2, progress = function(share)
				progress:draw(share, { "measuring" })
			end })
		progress:clear()
	end
	if not report then
		terminal.say("error", message)
		return 1
	end
	input.say_problems(report.problems, 0)
	if report.events == 0 then
		terminal.say("error", "there is no event in the input")
		return 1
	end
	local show = args.json and print_json or print_report
	show(report, source.slug, args.rate)
	if report.bodies < #bodies then
		terminal.say("note", ("the first %s of %s were looked at; --seconds takes more of them"):format(
			terminal.count(report.bodies), plural(#bodies, "line")))
	end
	return report.failed > 0 and 1 or 0
end

return bench
