--- moonweir dead -- what could not be delivered: looked at, sent once more, dropped, written to a file.

local core = require "moonweir.core"
local dead = require "moonweir.dead"
local keys = require "moonweir.cli.keys"
local letters = require "moonweir.cli.letters"
local replay = require "moonweir.cli.replay"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local command = {
	summary = "See what could not be delivered: list, show, replay, drop, export.",
	example = [[
Examples:
  moonweir dead list --spool spool --since 2h
  moonweir dead show 0-17 --spool spool
  moonweir dead replay acme-mail.lua --code mapping --spool spool --write-key-file key

A dead letter is an event that the mapping script failed on, or a message that Segment refused. It
stays in the spool for 30 days, and can be looked at whether or not a process sends from there.]],
}

local ACTIONS = {
	{
		"list",
		"Show the letters, a line each.",
		[[
Example:
  $ moonweir dead list --code mapping
  0-17  2026-01-31T12:00:00.123Z  acme  mapping  acme-mail.lua:14: order_id: can't divide a string ("x")]],
	},
	{ "show", "Show all of one letter.", "Example:\n  moonweir dead show 0-17" },
	{ "replay", replay.summary, replay.example },
	{
		"drop",
		"Drop letters for good.",
		[[
Examples:
  moonweir dead drop 0-17 0-18
  moonweir dead drop --account acme --until 7d
  moonweir dead drop --all]],
	},
	{
		"export",
		"Write letters as lines of JSON, whole.",
		"Example:\n  moonweir dead export --since 2026-01-31 --output letters.ndjson",
	},
}

local UNITS = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

--- "2h" or "3d ago" as well as a date; seconds since 1970.
local function moment(option)
	return function(text)
		local n, unit = text:match "^(%d+)([smhdw])$"
		if not n then
			n, unit = text:match "^(%d+)([smhdw]) ago$"
		end
		local at
		if n then
			at = process.wall() - tonumber(n) * UNITS[unit]
		elseif text:find "[-:]" then
			at = process.time(text)
		end
		if at then
			return at
		end
		return nil, ("%s takes a date such as 2026-01-31T12:00, or a time ago such as 2h or 3d, not '%s'"):format(
			option,
			terminal.safe(text, 80)
		)
	end
end

local function define_filters(action, number)
	action:option("--account", "Only those of this account."):argname("<name>"):target "only_account"
	action:option("--code", "Only those that died of this: mapping, unmatched, no_user, refused, …"):argname "<code>"
	action:option("--since", "Only those from then on: a date (UTC) or 2h, 3d ago."):argname("<when>"):convert(moment "--since")
	action:option("--until", "Only those before then."):argname("<when>"):convert(moment "--until"):target "until_"
	action:option("--limit", "At most so many."):argname("<n>"):convert(number("--limit", true))
end

function command.define(parser, number)
	parser:command_target "action"
	for _, entry in ipairs(ACTIONS) do
		local name = entry[1]
		local action = parser:command(name, entry[2]):help_max_width(100):epilog(entry[3])
		if name == "replay" then
			action:argument("source", "The mapping script, mended.")
		end
		if name == "show" then
			action:argument("id", "The letter, as list names it.")
		elseif name ~= "list" then
			action:argument("ids", "These letters."):args "*"
		end
		if name ~= "show" then
			define_filters(action, number)
		end
		if name == "list" or name == "show" then
			action:flag("--json", "A letter a line, as JSON.")
		elseif name == "replay" then
			replay.define(action, number)
		elseif name == "drop" then
			action:flag("--all", "All letters.")
		elseif name == "export" then
			action:option("--output", "The file to write, for nobody else to read; standard output if left out."):argname "<file>"
		end
	end
end

local function fail(message, code)
	terminal.say("error", terminal.safe(message, 600))
	return code == "usage" and 2 or 1
end

--- What the options ask for; nil and a message if they contradict each other.
local function filter_of(args)
	local filter = {
		account = args.only_account,
		code = args.code,
		since = args.since,
		until_ = args.until_,
		limit = args.limit,
	}
	if filter.limit and filter.limit < 1 then
		return nil, "--limit takes a number from 1 up"
	end
	local ids = args.ids or {}
	if #ids > 0 and (args.all or next(filter)) then
		return nil, "name letters or give conditions, not both"
	end
	for _, id in ipairs(ids) do
		if not id:find "^%d+%-%d+$" then
			return nil, ("a letter is named like 0-17, not '%s'"):format(terminal.safe(id, 80))
		end
	end
	filter.ids = #ids > 0 and ids or nil
	return filter
end

local function list(spool, args, filter)
	for letter, message, code in dead.each(spool, filter) do
		if not letter then
			return fail(message, code)
		end
		terminal.write(args.json and letters.json(letter) or letters.line(letter), "\n")
		if not terminal.is_heard() then
			return 1
		end
	end
	return 0
end

local function show(spool, args)
	local ok, letter, message, code = pcall(core.dead_get, spool, args.id)
	if not ok then
		return fail(("a letter is named like 0-17, not '%s'"):format(args.id), "usage")
	elseif message then
		return fail(message, code)
	elseif not letter then
		return fail(("there is no dead letter %s; `moonweir dead list` shows those there are"):format(args.id))
	end
	terminal.print(args.json and letters.json(letter) or letters.page(letter))
	return 0
end

local function drop(spool, args, filter)
	if not args.all and not next(filter) then
		return fail("drop which? Name letters, give a condition, or --all", "usage")
	end
	filter.all = args.all
	local count, message, code = dead.drop(spool, filter)
	if not count then
		return fail(message, code)
	end
	terminal.print(("dropped %s dead letter%s"):format(terminal.count(count), count == 1 and "" or "s"))
	return (filter.ids and count < #filter.ids) and 1 or 0
end

local function open_output(path)
	if not path then
		return io.stdout
	end
	local ok, message = process.make_private(path)
	if not ok then
		return nil, message
	end
	return io.open(path, "wb")
end

local function export(spool, args, filter)
	local file, message = open_output(args.output)
	if not file then
		return fail(message)
	end
	local code, count = 0, 0
	for letter, reason, word in dead.each(spool, filter) do
		if not letter then
			code = fail(reason, word)
			break
		end
		count = count + 1
		local ok, trouble = file:write(letters.json(letter), "\n")
		if not ok then
			return fail(("%s: %s"):format(args.output or "standard output", trouble))
		end
	end
	if args.output then
		local ok, trouble = file:close()
		if not ok then
			return fail(("%s: %s"):format(args.output, trouble))
		end
	end
	if code == 0 and filter.ids and count < #filter.ids then
		return fail(("%d of the %d letters named are not there"):format(#filter.ids - count, #filter.ids))
	end
	return code
end

function command.run(args)
	local spool, message = keys.spool(args)
	if not spool then
		return fail(message, "usage")
	end
	local filter
	filter, message = filter_of(args)
	if not filter then
		return fail(message, "usage")
	end
	io.stdout:setvbuf "full"
	if args.action == "list" then
		return list(spool, args, filter)
	elseif args.action == "show" then
		return show(spool, args)
	elseif args.action == "drop" then
		return drop(spool, args, filter)
	elseif args.action == "export" then
		return export(spool, args, filter)
	end
	return replay.run(spool, args, filter)
end

return command
