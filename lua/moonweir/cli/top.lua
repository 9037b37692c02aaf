--- moonweir top -- what the processes on a spool are doing right now.

local core = require "moonweir.core"
local json = require "moonweir.cli.json"
local keys = require "moonweir.cli.keys"
local layout = require "moonweir.cli.layout"
local looks = require "moonweir.cli.look"
local terminal = require "moonweir.cli.terminal"
local view = require "moonweir.cli.topview"

local process, screen = core.process, core.screen

local top = {
	summary = "Watch a spool at work: rates, queues, and which accounts are in trouble.",
	example = [[
Examples:
  moonweir top --spool /var/lib/acme/spool
  moonweir top --spool /var/lib/acme/spool --once
  moonweir top --spool /var/lib/acme/spool --json --interval 0

On a terminal it goes on until q or Ctrl-C. Elsewhere, and with --once or --json, it looks twice, a
second apart, so that there are rates, and prints what it saw; --interval 0 looks once, without rates.
It reads what the processes show of themselves and asks them nothing: it can't slow them down.]],
}

local PARTITIONS = 64 -- at most (csrc/io/partition.h)
local NO_FILE = 2 -- ENOENT

function top.define(parser, number)
	parser:flag("--once", "Print what there is to see, and end.")
	parser:flag("--json", "Print it as one JSON object, and end.")
	parser:option("--interval", "Seconds between two looks (1)."):argname("<seconds>"):convert(number "--interval")
end

local function exists(path)
	local file, _, number = io.open(path, "rb")
	if file then
		file:close()
	end
	return file ~= nil or number ~= NO_FILE
end

--- What all boards of a spool show.
local function look_at(dir)
	local look = { spool = dir, processes = {} }
	for partition = 0, PARTITIONS - 1 do
		local path = ("%s/p%d/board"):format(dir, partition)
		if exists(path) then
			local board, message = core.board(path)
			board = board or { problem = terminal.safe(message, 300) }
			board.partition = partition
			table.insert(look.processes, board)
		end
	end
	return look
end

local COUNTS = {
	"accepted", "delivered", "dead", "queued", "in_flight", "queued_bytes", "held", "requests", "answers", "retries", "splits",
	"bytes_sent", "lanes", "lanes_parked", "lanes_backing_off", "lanes_awaiting_token", "token_requests", "commits",
	"disk_bytes", "disk_max",
}
local LANE_COUNTS = { "partition", "queued", "in_flight", "delivered", "dead", "attempts", "last_status" }

local function decimal(n)
	return (n and n < math.huge) and ("%.3f"):format(n) or "null"
end

local function text(value)
	return core.encode(terminal.whole(value, "\239\191\189"))
end

local function object(parts)
	return "{" .. table.concat(parts, ",") .. "}"
end

local function process_json(p)
	if p.problem then
		return object { ('"partition":%d'):format(p.partition), '"problem":' .. text(p.problem) }
	end
	local rates = p.rates or {}
	return object {
		('"partition":%d'):format(p.partition),
		('"pid":%.0f'):format(p.pid),
		('"state":"%s"'):format(p.state),
		'"age":' .. decimal(p.age),
		'"started_at":' .. decimal(p.started_at),
		'"rate":' .. decimal(p.rate),
		'"gate_closed_for":' .. decimal(p.gate_closed_for),
		'"oldest":' .. decimal(p.oldest),
		'"commit_max":' .. decimal(p.commit_max),
		'"delivered_per_second":' .. decimal(rates.delivered),
		'"requests_per_second":' .. decimal(rates.requests),
		'"commits_per_second":' .. decimal(rates.commits),
		'"bytes_per_request":' .. decimal(p.bytes_per_request),
		json.counts(p, COUNTS),
	}
end

local function lane_json(lane)
	return object {
		'"account":' .. text(lane.account),
		('"state":"%s"'):format((lane.backing_off and "backing_off") or (lane.awaits_token and "awaiting_token") or lane.state),
		'"due_in":' .. decimal(lane.due_in),
		'"last_error":' .. (lane.last_error and text(terminal.mask(lane.last_error)) or "null"),
		json.counts(lane, LANE_COUNTS),
	}
end

local function print_json(look)
	terminal.print(object {
		'"spool":' .. text(look.spool),
		'"processes":' .. json.list(look.processes, process_json),
		'"lanes":' .. json.list(looks.busiest(look), lane_json),
	})
end

local function paint(colour, piece)
	return terminal.paint(1, colour, piece)
end

local function print_page(look)
	for _, line in ipairs(view.page(look)) do
		terminal.print((layout.text(line, nil, paint):gsub("%s+$", "")))
	end
end

local function print_once(dir, interval, as_json)
	local before = look_at(dir)
	local look = looks.compare(before)
	if interval > 0 then
		if #before.processes > 0 and not process.wait(interval) then
			return 130
		end
		look = looks.compare(look_at(dir), before)
	end
	if #look.processes == 0 then
		terminal.say("error", ("no process has sent from %s yet; start one with this --spool"):format(terminal.safe(dir, 200)))
		return 1
	end
	local show = as_json and print_json or print_page
	show(look)
	return 0
end

--- One page over the one before it: nothing is cleared first, so nothing flickers.
local function draw(look)
	local columns, rows = screen.size()
	look.clock = os.date "%H:%M:%S"
	local lines = view.page(look, columns, rows - 1)
	for i, line in ipairs(lines) do
		lines[i] = layout.text(line, columns, paint)
	end
	for i = #lines + 1, rows - 1 do
		lines[i] = ""
	end
	lines[rows] = layout.text({ { "q ends", "grey" } }, columns, paint)
	io.stdout:write("\27[H", table.concat(lines, "\27[K\r\n"), "\27[K\27[J")
	return io.stdout:flush()
end

--- Until q, a signal, or the end of the terminal.
local function watch(dir, interval)
	local before
	while not process.interrupted() do
		local look = looks.compare(look_at(dir), before)
		if not draw(look) then
			return
		end
		before = look
		local until_ = process.monotonic() + interval
		repeat
			local key = screen.key(math.max(until_ - process.monotonic(), 0))
			if key == "q" or key == "Q" or key == "" or key == "\3" then
				return
			end
		until process.interrupted() or process.monotonic() >= until_
	end
end

local function watch_on_terminal(dir, interval)
	process.catch_signals()
	screen.listen()
	io.stdout:write "\27[?1049h\27[?25l" -- a page of its own, no cursor
	local ok, message = pcall(watch, dir, interval)
	io.stdout:write "\27[?25h\27[?1049l"
	io.stdout:flush()
	screen.leave()
	if not ok then
		error(message, 0)
	end
	return process.interrupted() and 130 or 0
end

function top.run(args)
	local dir, message = keys.spool(args)
	if not dir then
		terminal.say("error", message)
		return 2
	end
	local is_live = not (args.once or args.json) and process.is_terminal(1)
	local interval = args.interval or 1
	if interval > 3600 or (is_live and interval < 0.1) then
		terminal.say("error", is_live and "--interval takes 0.1 to 3600 seconds" or "--interval takes 0 to 3600 seconds")
		return 2
	end
	local file, reason = io.open(dir .. "/.", "rb")
	if not file then
		local told = terminal.safe(tostring(reason), 300):gsub("/%.:", ":", 1)
		terminal.say("error", ("no spool there: %s. Is the path right?"):format(told))
		return 1
	end
	file:close()
	if is_live then
		return watch_on_terminal(dir, interval)
	end
	return print_once(dir, interval, args.json)
end

return top
