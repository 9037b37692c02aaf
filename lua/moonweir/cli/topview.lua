--- topview -- the page of `moonweir top`: a look (look.lua) as lines of coloured pieces (layout.lua). Touches neither
--- terminal nor files.

local layout = require "moonweir.cli.layout"
local looks = require "moonweir.cli.look"
local quantity = require "moonweir.cli.quantity"
local terminal = require "moonweir.cli.terminal"

local view = {}

local ACCOUNT_BYTES, ERROR_BYTES = 120, 160
local GAP = "  "

--- What a lane does, in plain words, and the colour of that.
function view.lane_state(lane)
	local state, status = lane.state, lane.last_status
	if state == "parked" then
		if status == 401 or status == 403 then
			return ("parked: key refused (%d)"):format(status), "red"
		end
		return (status == -2 and "parked: no write key") or (status == -4 and "parked: no OAuth token") or "parked", "red"
	elseif lane.awaits_token then
		return "waiting for an OAuth token", "yellow"
	elseif lane.backing_off then
		return lane.due_in and "backing off " .. quantity.duration(lane.due_in) or "backing off", "yellow"
	elseif state == "flying" then
		return lane.attempts > 0 and ("sending, try %d"):format(lane.attempts + 1) or "sending", "green"
	elseif state == "ready" then
		return "next in turn"
	elseif state == "empty" then
		return "idle", "grey"
	end
	return state, state == "paused" and "yellow" or nil
end

local function why(lane)
	local status = lane.last_status
	if lane.last_error then
		return terminal.safe(terminal.mask(lane.last_error), ERROR_BYTES)
	end
	return status >= 300 and ("status %d"):format(status) or ""
end

local PROCESS_COLUMNS = {
	{ title = "PROCESS" },
	{ title = "STATE" },
	{ title = "ACCEPTED", right = true, drop = 2 },
	{ title = "DELIVERED", right = true },
	{ title = "DEAD", right = true },
	{ title = "QUEUED", right = true },
	{ title = "IN FLIGHT", right = true, drop = 4 },
	{ title = "EVENTS/S", right = true },
	{ title = "REQUESTS/S", right = true, drop = 1 },
	{ title = "A REQUEST", right = true, drop = 8 },
	{ title = "GATE", right = true, drop = 6 },
	{ title = "OLDEST", right = true, drop = 3 },
	{ title = "DISK", right = true, drop = 5 },
	{ title = "COMMITS/S", right = true, drop = 9 },
	{ title = "SLOWEST", right = true, drop = 7 },
}

local STATE_COLOURS = { running = "green", silent = "yellow" }

local function process_row(p)
	local name = ("p%d"):format(p.partition)
	local state = p.state
	if state ~= "running" then
		state = p.age == math.huge and "ended before the last boot"
			or (state == "ended" and "ended %s ago" or "not heard of for %s"):format(quantity.duration(p.age))
	end
	local rates = p.state == "running" and p.rates or {}
	return {
		colour = p.state == "ended" and "grey" or nil,
		("%s %.0f"):format(name, p.pid),
		{ state, STATE_COLOURS[p.state] },
		terminal.count(p.accepted),
		terminal.count(p.delivered),
		terminal.count(p.dead),
		terminal.count(p.queued),
		terminal.count(p.in_flight),
		quantity.rate(rates.delivered),
		quantity.rate(rates.requests),
		p.bytes_per_request and quantity.bytes(p.bytes_per_request) or "-",
		p.gate_closed_for > 0 and { quantity.duration(p.gate_closed_for), "red" } or "open",
		p.oldest and quantity.duration(p.oldest) or "-",
		quantity.bytes(p.disk_bytes),
		quantity.rate(rates.commits),
		quantity.duration(p.commit_max),
	}
end

local function lane_row(lane)
	local state, colour = view.lane_state(lane)
	return {
		terminal.safe(lane.account, ACCOUNT_BYTES),
		("p%d"):format(lane.partition),
		{ state, colour },
		terminal.count(looks.load(lane)),
		terminal.count(lane.delivered),
		{ terminal.count(lane.dead), lane.dead > 0 and "yellow" or nil },
		(lane.due_in and (lane.backing_off or lane.state == "parked")) and "in " .. quantity.duration(lane.due_in) or "",
		why(lane),
	}
end

local function head(look, sum)
	local lines = {}
	local function add(label, ...)
		local line = { { ("%-10s"):format(label), "grey" } }
		for _, piece in ipairs { ... } do
			line[#line + 1] = type(piece) == "table" and piece or { piece }
		end
		lines[#lines + 1] = line
	end
	local rates = sum.rates or {}
	lines[1] = { { "moonweir top", "bold" }, { GAP .. terminal.safe(look.spool, 200) } }
	if look.clock then
		table.insert(lines[1], { GAP .. look.clock, "grey" })
	end
	if look.all_ended then
		lines[#lines + 1] = { { "no process is running; these are the counters of those that did, as they last were", "yellow" } }
	end
	add("events", ("%s delivered/s, %s queued, %s in flight"):format(
		quantity.rate(rates.delivered), terminal.count(sum.queued), terminal.count(sum.in_flight)
	), sum.oldest and (", the oldest waits for %s"):format(quantity.duration(sum.oldest)) or "")
	add(
		"requests",
		("%s/s of %s%s, "):format(
			quantity.rate(rates.requests),
			sum.rate and quantity.rate(sum.rate) .. "/s" or "unlimited",
			sum.bytes_per_request and (", %s each"):format(quantity.bytes(sum.bytes_per_request)) or ""
		),
		sum.gate_closed_for > 0 and { ("429: nothing is sent for %s"):format(quantity.duration(sum.gate_closed_for)), "red" }
			or "gate open"
	)
	add(
		"disk",
		quantity.bytes(sum.disk_bytes) .. (sum.disk_max > 0 and " of " .. quantity.bytes(sum.disk_max) or ""),
		(", %s commits/s, the slowest took %s"):format(quantity.rate(rates.commits), quantity.duration(sum.commit_max))
	)
	add(
		"lanes",
		terminal.count(sum.lanes),
		sum.lanes_parked > 0 and { (", %s parked"):format(terminal.count(sum.lanes_parked)), "red" } or "",
		sum.lanes_backing_off > 0 and { (", %s backing off"):format(terminal.count(sum.lanes_backing_off)), "yellow" } or "",
		sum.lanes_awaiting_token > 0
				and { (", %s waiting for an OAuth token"):format(terminal.count(sum.lanes_awaiting_token)), "yellow" }
			or "",
		sum.held > 0 and (", %s message%s held"):format(terminal.count(sum.held), sum.held == 1 and "" or "s") or ""
	)
	lines[#lines + 1] = {}
	return lines
end

--- At most `count` of the rows, and a word about the others.
local function limited(rows, count, what)
	if #rows <= count then
		return rows
	end
	local kept = {}
	for i = 1, math.max(count - 1, 0) do
		kept[i] = rows[i]
	end
	return kept, { { ("and %s more %s"):format(terminal.count(#rows - #kept), what), "grey" } }
end

--- The page: at most `height` lines of at most `width` columns; without them as much as there is to say.
---@param look table compared
---@param width? integer
---@param height? integer
function view.page(look, width, height)
	width, height = width or 160, height or math.huge
	local sum = looks.sum(look)
	local lines = head(look, sum)
	local processes, lanes, more = {}, {}, nil
	local problems = {}
	for _, process in ipairs(look.processes) do
		if process.problem then
			problems[#problems + 1] = { { ("p%d: %s"):format(process.partition, process.problem), "yellow" } }
		else
			processes[#processes + 1] = process_row(process)
		end
	end
	for i, lane in ipairs(looks.busiest(look)) do
		lanes[i] = lane_row(lane)
	end
	local function append(columns, rows)
		for _, line in ipairs(layout.columns(columns, rows, width)) do
			lines[#lines + 1] = line
		end
		lines[#lines + 1] = more
	end
	if #look.processes == 0 then
		lines[#lines + 1] = { { "no process has sent from this spool yet", "yellow" } }
	end
	if #processes > 0 then
		processes, more = limited(processes, math.max(2, math.floor((height - 8) / 2)), "processes")
		append(PROCESS_COLUMNS, processes)
	end
	for _, problem in ipairs(problems) do
		lines[#lines + 1] = problem
	end
	if #lanes > 0 then
		lines[#lines + 1] = {}
		lanes, more = limited(lanes, height - #lines - 1, "lanes")
		append({
			{ title = "ACCOUNT", max = math.max(12, math.floor(width / 3)) },
			{ title = "BY", drop = 5 },
			{ title = "STATE" },
			{ title = "QUEUED", right = true },
			{ title = "DELIVERED", right = true, drop = 2 },
			{ title = "DEAD", right = true, drop = 3 },
			{ title = "NEXT TRY", right = true, drop = 4 },
			{ title = "LAST ERROR", narrow = 20, drop = 1 },
		}, lanes)
	end
	while #lines > height do
		lines[#lines] = nil
	end
	return lines
end

return view
