--- moonweir map -- a dry run: events in, messages out, nothing sent.

local core = require "moonweir.core"
local mw = require "moonweir"
local findings = require "moonweir.cli.findings"
local terminal = require "moonweir.cli.terminal"
local input = require "moonweir.cli.input"

local map = {
	summary = "Show what a source makes of events, without sending anything.",
	example = [[
Example:
  $ moonweir map acme-mail.lua events.ndjson
  {"type":"track","userId":"u1","messageId":"…","event":"Email Opened",…}

Messages go to standard output, one a line; problems to standard error, as
"event 12: no_user: …". What breaks Segment's Spec is told once for each event and rule; with
--strict such an event fails. The exit code is 1 if any event failed.]],
}

function map.define(parser)
	parser:argument("source", "The mapping script.")
	input.define(parser)
	findings.define(parser)
	parser:flag("--wrap", 'Print {"account":…,"message":…} instead of the bare message.')
end

local function print_messages(messages, wrap)
	for _, m in ipairs(messages) do
		if wrap then
			terminal.write('{"account":', core.encode(m.account), ',"message":', m.message, "}\n")
		else
			terminal.write(m.message, "\n")
		end
	end
end

function map.run(args)
	local source, message = mw.load(args.source, { check = true, strict = args.strict })
	if not source then
		terminal.say("error", message)
		return 1
	end
	local reader
	reader, message = input.open(args)
	if not reader then
		terminal.say("error", message)
		return 1
	end
	io.stdout:setvbuf "full"
	local total = { events = 0, messages = 0, ignored = 0, unmatched = 0, failed = 0 }
	local options = { format = args.format, account = args.account or "default" }
	local found = findings.new(args.strict)
	while true do
		local block, lines_before = reader:next(3600)
		if block == false then
			break
		elseif block then
			local messages, tally, problems = source:map(block, options)
			print_messages(messages, args.wrap)
			for name in pairs(total) do
				total[name] = total[name] + tally[name]
			end
			input.say_problems(problems, lines_before)
			found:say(source:findings())
			if not terminal.flush() then
				return 1
			end
		end
	end
	found:finish(args.source)
	total.events = total.events + reader.failed_lines
	total.failed = total.failed + reader.failed_lines
	if reader.error then
		terminal.say("error", reader.error)
	end
	if core.process.is_terminal(2) then
		terminal.say("note", input.describe(total))
	end
	return (total.failed > 0 or reader.error) and 1 or 0
end

return map
