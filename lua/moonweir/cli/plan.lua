--- moonweir plan -- the tracking plan of a source: what it sends, for Segment's Public API or for people.

local fixtures = require "moonweir.cli.fixtures"
local goldens = require "moonweir.cli.goldens"
local plan = require "moonweir.plan"
local plantable = require "moonweir.plantable"
local stream = require "moonweir.stream"
local terminal = require "moonweir.cli.terminal"

local command = {
	summary = "Write the tracking plan of a source: its events, properties and their types.",
	example = [[
Examples:
  $ moonweir plan acme-mail.lua --format markdown     # to read, and to show to others
  $ moonweir plan acme-mail.lua > plan.json           # rules for Segment's Public API:
  $ curl -X PUT -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
      -d @plan.json https://api.segmentapis.com/tracking-plans/$PLAN_ID/rules

A rule has a JSON Schema (draft 07) for all messages of one event; identify, group, page and screen
have one rule each. Types are those that the script fixes (:string(), :money(), :lookup …), else
those of Segment's Spec, else what the golden files show (moonweir test). "required" is what is
always sent: constants and what has a :default. Descriptions come from about = { … } in source.define.

What is in no plan is said on standard error: what functions send that no golden file shows, and
where golden files contradict the Spec. The exit code is 0 if a plan was written.]],
}

local FORMATS = { json = true, markdown = true, csv = true }

function command.define(parser)
	fixtures.define(parser)
	parser
		:option("--format", "json (rules for Segment), markdown or csv (tables for people).")
		:argname("<format>")
		:default("json")
		:convert(function(format)
			if FORMATS[format] then
				return format
			end
			return nil, ("--format takes json, markdown or csv, not '%s'"):format(terminal.safe(format, 80))
		end)
	parser
		:option("--type", "Only calls of this type: track, identify, group, page or screen. May be given more than once.")
		:argname("<type>")
		:count("*")
		:convert(function(word)
			if plan.TYPES[word:lower()] then
				return word:lower()
			end
			return nil, ("--type takes track, identify, group, page or screen, not '%s'"):format(terminal.safe(word, 80))
		end)
end

local function chosen(it, types)
	if #types == 0 then
		return it
	end
	local wanted, events = {}, {}
	for _, word in ipairs(types) do
		wanted[word] = true
	end
	for _, event in ipairs(it.events) do
		events[#events + 1] = wanted[event.call] and event or nil
	end
	it.events, it.ignored, it.functions, it.unnamed = events, {}, {}, {}
	return it
end

local function say_limits(it)
	for _, note in ipairs(it.notes) do
		terminal.say("warning", terminal.safe(("%s: %s: %s; the plan takes both"):format(note.event, note.path, note.why), 400))
	end
	local from_files = {}
	for _, event in ipairs(it.events) do
		from_files[#from_files + 1] = not event.is_declared and event.key or nil
	end
	local known = #from_files > 0 and "golden files show " .. table.concat(from_files, ", ") or "golden files show nothing of it"
	local function say(events, sentence)
		if #events > 0 then
			terminal.say("note", terminal.safe(sentence:format(table.concat(events, ", "), known), 600))
		end
	end
	local untyped = {}
	for i, one in ipairs(stream.untyped(it)) do
		untyped[i] = one.event .. ": " .. one.path
	end
	if #untyped > 0 then
		terminal.say("note", terminal.safe("of no known type, for neither script nor Spec fixes it and no golden file has it: "
			.. table.concat(untyped, ", "), 1000))
	end
	say(it.functions, "what functions send (%s) is not declared: %s")
	say(it.unnamed, "what is sent for %s is named by the event itself: %s")
end

function command.run(args)
	local script, messages = goldens.read(args)
	if not script then
		return 1
	end
	local source = script.definition
	local texts = source.about or {}
	local it = chosen(stream.read(source, messages), args.type)
	goldens.say_stale(it)
	say_limits(it)
	if args.format == "json" then
		terminal.print((plan.json(it, texts)))
	elseif args.format == "markdown" then
		terminal.print(plantable.markdown(source, plan.rows(it, texts)))
	else
		terminal.write(plantable.csv(plan.rows(it, texts)))
	end
	return 0
end

return command
