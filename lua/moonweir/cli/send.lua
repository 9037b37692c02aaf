--- moonweir send -- calls from the command line, by both contracts of Segment's test runners.
--
-- One call by flags: --writeKey=K --type=track --userId=u --event=Paid --properties='{"total":3}'. A scripted sequence:
-- --input '{"writeKey":…,"sequences":[…]}' or --input @file, or @- for standard input.
--
-- Values given as JSON keep every digit, and an empty array stays one.

local core = require "moonweir.core"
local keys = require "moonweir.cli.keys"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local send = {
	summary = "Send calls made on the command line.",
	example = [[
Examples:
  moonweir send --write-key-file key --type=track --userId=u1 --event="Order Completed" \
      --properties='{"total":12.5}'
  moonweir send --input @calls.json

with calls.json:
  {"writeKey":"…","apiHost":"https://api.segment.io","config":{"flushAt":15},
   "sequences":[{"delayMs":0,"events":[{"type":"identify","userId":"u1","traits":{"plan":"pro"}}]}]}

The last line on standard output is {"success":true,"sentBatches":1}; the exit code is 0 if
everything was delivered. The host may also come from SEGMENT_API_HOST.]],
}

-- What Segment's own runner assumes where `config` is silent.
local FLUSH_AT = 15
local FLUSH_INTERVAL_MS = 1000
local MAX_RETRIES = 3

local CALLS = { identify = true, track = true, page = true, screen = true, group = true, alias = true }

-- The fields of a call, and which of them are objects.
local FIELDS = {
	"userId", "anonymousId", "messageId", "timestamp", "event", "name", "category", "groupId", "previousId",
	"properties", "traits", "context", "integrations",
}
local OBJECTS = { properties = true, traits = true, context = true, integrations = true }

-- Flags of the first contract, in the order of --help.
local FLAGS = {
	{ "type", "Which call: identify, track, page, screen, group or alias." },
	{ "userId", "The user's id." },
	{ "anonymousId", "The id of a user who is not known." },
	{ "event", "track: the event's name." },
	{ "name", "page, screen: its name." },
	{ "category", "page, screen: its category." },
	{ "groupId", "group: the group's id." },
	{ "previousId", "alias: the id so far." },
	{ "properties", "track, page, screen: properties, as a JSON object." },
	{ "traits", "identify, group: traits, as a JSON object." },
	{ "context", "Context, as a JSON object." },
	{ "integrations", "Integrations, as a JSON object." },
	{ "messageId", "An id of your own; made up if left out." },
	{ "timestamp", "When it happened (ISO 8601); now if left out." },
}

function send.define(parser)
	parser:option("--writeKey", "The write key, as Segment's runners spell it."):argname "<key>"
	for _, flag in ipairs(FLAGS) do
		parser:option("--" .. flag[1], flag[2]):argname(OBJECTS[flag[1]] and "<json>" or "<text>")
	end
	parser:option("--host", "Base URL of the Tracking API."):argname "<url>"
	parser:option("--input", "A scripted sequence: JSON, @file, or @- for standard input."):argname "<json>"
	parser:option("--source", "A mapping script whose slug and version become context.integration."):argname "<file>"
	parser:flag("--strict", "Don't send a call with an error by Segment's Spec: say what is wrong with it, and fail.")
end

local function absent(value)
	return value == nil or value == core.null
end

--- A call's fields. Only Segment's own, so that a runner's extras do no harm.
local function fields_of(event)
	local fields = {}
	for _, name in ipairs(FIELDS) do
		if not absent(event[name]) then
			fields[name] = event[name]
		end
	end
	return fields
end

--- The calls of the flags: one, or nil and what is wrong.
local function event_of_flags(args)
	local event = {}
	for _, flag in ipairs(FLAGS) do
		local name = flag[1]
		local value = args[name]
		if value and OBJECTS[name] then
			local decoded, message = core.decode(value)
			if not decoded then
				return nil, ("--%s: %s"):format(name, message)
			end
			value = decoded
		end
		event[name] = value
	end
	if not event.type then
		return nil, "say which call with --type=track, or give a sequence with --input"
	end
	return event
end

local function script_of_flags(args)
	local event, message = event_of_flags(args)
	if not event then
		return nil, message
	end
	return { sequences = { { events = { event } } }, config = {} }
end

local function is_list(value)
	return type(value) == "table" and (next(value) == nil or value[1] ~= nil)
end

--- What is wrong with a script as such; nil if its calls can be tried. A mistake must not pass for nothing to do.
local function shape_problem(script)
	if not absent(script.writeKey) and type(script.writeKey) ~= "string" then
		return "writeKey must be a string"
	elseif not absent(script.apiHost) and type(script.apiHost) ~= "string" then
		return "apiHost must be a string"
	elseif not is_list(script.sequences) then
		return "sequences must be an array of {delayMs, events}"
	end
	for i, sequence in ipairs(script.sequences) do
		if type(sequence) ~= "table" or not is_list(sequence.events) then
			return ("sequence %d: events must be an array of calls"):format(i)
		end
	end
end

local function script_of_input(argument)
	local text = argument
	if argument:sub(1, 1) == "@" then
		local name = argument:sub(2)
		local file, reason = io.stdin, nil
		if name ~= "-" then
			file, reason = io.open(name, "rb")
		end
		if not file then
			return nil, reason
		end
		text, reason = file:read "*a"
		if file ~= io.stdin then
			file:close()
		end
		if not text or (text == "" and reason) then
			return nil, ("%s: %s"):format(name == "-" and "standard input" or name, tostring(reason))
		end
	end
	local script, message = core.decode(text)
	if type(script) ~= "table" then
		return nil, "--input: " .. (message or "not a JSON object")
	end
	message = shape_problem(script)
	if message then
		return nil, "--input: " .. message
	end
	return script
end

local DAY = 86400 -- seconds

--- A number of the script's config, at most so large, or what stands for it.
local function setting(script, name, most, otherwise)
	local config = script.config
	local value = type(config) == "table" and config[name]
	if type(value) == "number" and value >= 0 then
		return math.min(value, most)
	end
	return otherwise
end

--- context.integration, if a source is named: its own definition says how it is called.
local function integration_of(path)
	local source, message = require("moonweir.sandbox").load(path)
	if not source then
		return nil, message
	end
	return { name = source.slug, version = source.version }
end

local function options_for(args, script)
	local given = args.writeKey or args.write_key
	if not absent(script.writeKey) then
		given = script.writeKey
		process.scrub(given)
	end
	local options, message = keys.options {
		write_key = given,
		write_key_file = args.write_key_file,
		accounts = args.accounts,
		account = args.account,
		rate = args.rate,
		proxy = args.proxy,
		ca_file = args.ca_file,
		endpoint = not absent(script.apiHost) and script.apiHost
			or args.host
			or args.endpoint
			or os.getenv "SEGMENT_API_HOST",
	}
	if not options then
		return nil, message
	end
	if args.source then
		options.integration, message = integration_of(args.source)
		if not options.integration then
			return nil, message
		end
	end
	options.check, options.strict = args.strict == true, args.strict
	options.batch_messages = math.max(1, math.floor(setting(script, "flushAt", 2500, FLUSH_AT)))
	options.linger = setting(script, "flushInterval", DAY * 1000, FLUSH_INTERVAL_MS) / 1000
	options.retries = math.floor(setting(script, "maxRetries", 1e6, MAX_RETRIES))
	local timeout = setting(script, "timeout", DAY, 0)
	options.timeout = timeout > 0 and timeout or nil
	return options
end

--- Hand one event over; nil and the reason if it is refused.
local function send_event(client, event, account)
	local call = type(event) == "table" and event.type
	if type(call) ~= "string" or not CALLS[call] then
		return nil, "type must be identify, track, page, screen, group or alias"
	end
	local fields = fields_of(event)
	-- A call may raise on what no caller in code would pass: here it is data.
	local ok, queued, message, code = pcall(client[call], client, account, fields, { wait = 60 })
	if not ok then
		return nil, queued
	elseif not queued then
		return nil, ("%s: %s"):format(code, message)
	end
	return true
end

local function list_of(object, name)
	local list = type(object) == "table" and object[name]
	return type(list) == "table" and list or {}
end

--- Hand all sequences over. Returns the reason of the first refusal, if there was one, and how many events there were.
local function play(client, script, account)
	local refused
	local number = 0
	for _, sequence in ipairs(list_of(script, "sequences")) do
		local delay = type(sequence) == "table" and sequence.delayMs
		if type(delay) == "number" and delay > 0 then
			process.wait(math.min(delay / 1000, DAY))
		end
		for _, event in ipairs(list_of(sequence, "events")) do
			number = number + 1
			local ok, message = send_event(client, event, account)
			if not ok then
				message = ("event %d: %s"):format(number, message)
				terminal.say("error", message)
				refused = refused or message
			end
		end
	end
	return refused, number
end

--- Wait until everything is delivered or given up. Returns why not all of it was delivered.
local function deliver(client)
	local ok, message, code, trouble
	repeat
		ok, message, code = client:flush(0.2)
		for _, lane in ipairs(not ok and client:lanes() or {}) do
			trouble = lane.last_error or trouble -- a report has the last answer only
		end
	until ok or code ~= "timeout" or process.interrupted()
	for _, report in ipairs(client:poll(65536)) do
		if report.outcome ~= "delivered" then
			return ("%s, %s: %s"):format(
				report.outcome,
				report.status > 0 and "status " .. report.status or "no answer",
				terminal.safe(terminal.mask(report.answer or trouble or "is the host right and the network up?"), 300)
			)
		end
	end
	local stats = client:stats()
	if stats.dead > 0 then
		return ("%d messages could not be delivered"):format(stats.dead)
	end
	return not ok and (code == "timeout" and "interrupted" or message) or nil
end

--- The runners read this line, and only this one.
local function conclude(problem, batches)
	local reason = problem and ',"error":' .. core.encode(problem) or ""
	terminal.print(('{"success":%s,"sentBatches":%d%s}'):format(problem and "false" or "true", batches, reason))
	return problem and 1 or 0
end

function send.run(args)
	local script, message
	if args.input then
		script, message = script_of_input(args.input)
	else
		script, message = script_of_flags(args)
	end
	local options
	if script then
		options, message = options_for(args, script)
	end
	local client
	if options then
		client, message = keys.open(options)
	end
	if not client then
		terminal.say("error", message)
		return conclude(message, 0)
	end
	process.catch_signals()
	local refused, handed_over = play(client, script, options.account or "default")
	if handed_over == 0 then
		terminal.say("warning", "there is no call in the input, so nothing was sent")
	end
	local undelivered = deliver(client)
	if undelivered then
		terminal.say("error", undelivered)
	end
	local stats = client:stats()
	client:close(0)
	return conclude(refused or undelivered, stats.delivered > 0 and stats.requests - stats.retries or 0)
end

return send
