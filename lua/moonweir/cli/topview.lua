--- topview -- what `moonweir top` shows, as lines of coloured pieces. Touches neither terminal nor files.
--
--     look    { spool =, processes = { board + partition, ... } }     one a second (top.lua)
--     compare(look, before)     gives each process its state and its rates
--     page(look, width, height) the lines, each a list of { text, colour }

local terminal = require "moonweir.cli.terminal"

local view = {}

local FRESH = 3 -- seconds; an engine writes four times a second, unless its disk holds it up
local ACCOUNT_BYTES, ERROR_BYTES = 120, 160
local GAP = "  "

--- Columns that text takes. East Asian and emoji take two; where in doubt two, so that no line is too long.
function view.width(text)
	local columns = 0
	for char in text:gmatch "[%z\1-\127\192-\255][\128-\191]*" do
		columns = columns + ((char:byte() >= 0xE1 and char:sub(1, 2) ~= "\226\128") and 2 or 1)
	end
	return columns
end

--- As much of it as `columns` hold.
function view.clip(text, columns)
	if view.width(text) <= columns then
		return text
	end
	local parts, left = {}, columns - 1
	for char in text:gmatch "[%z\1-\127\192-\255][\128-\191]*" do
		left = left - view.width(char)
		if left < 0 then
			break
		end
		parts[#parts + 1] = char
	end
	return columns > 0 and table.concat(parts) .. "…" or ""
end

--- 0.3 s, 12 s, 3 min, 2 h, 5 d
function view.duration(seconds)
	if seconds < 0.9995 then
		return ("%.0f ms"):format(seconds * 1000)
	elseif seconds < 9.95 then
		return ("%.1f s"):format(seconds)
	elseif seconds < 120 then
		return ("%.0f s"):format(seconds)
	elseif seconds < 7200 then
		return ("%d min"):format(math.floor(seconds / 60))
	elseif seconds < 172800 then
		return ("%d h"):format(math.floor(seconds / 3600))
	end
	return ("%d d"):format(math.floor(seconds / 86400))
end

--- 412 KiB, 1.2 GiB
function view.bytes(n)
	local units, unit = { "B", "KiB", "MiB", "GiB", "TiB" }, 1
	while n >= 1000 and unit < #units do
		n, unit = n / 1024, unit + 1
	end
	return ((unit > 1 and n < 9.95) and "%.1f %s" or "%.0f %s"):format(n, units[unit])
end

--- 0, 0.3, 49.8, 1,234; "-" where two looks were needed and there was one
function view.rate(n)
	if not n then
		return "-"
	end
	return (n > 0 and n < 99.95) and ("%.1f"):format(n) or terminal.count(n)
end

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
		return lane.due_in and "backing off " .. view.duration(lane.due_in) or "backing off", "yellow"
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

--- "running"; "silent": its process is there and has not been heard of, stopped or held up by its disk; "ended".
local function state_of(process, before)
	if process.closed or process.age == math.huge then
		return "ended"
	end
	-- In another container its number means nothing here, but its board moves.
	local exists = process.exists or (before and before.number < process.number)
	if not exists then
		return "ended"
	end
	return process.age <= FRESH and "running" or "silent"
end

local function rates_of(process, before)
	local seconds = before and process.written - before.written or 0
	if seconds <= 0 then
		return nil
	end
	local function per_second(name)
		return (process[name] - before[name]) / seconds
	end
	local answers = process.answers - before.answers
	return {
		seconds = seconds,
		delivered = per_second "delivered",
		requests = per_second "requests",
		commits = per_second "commits",
		bytes_per_request = answers > 0 and (process.bytes_sent - before.bytes_sent) / answers or nil,
	}
end

--- Give each process of a look its state and, if the look before saw it too, its rates.
function view.compare(look, before)
	local known = {}
	for _, process in ipairs(before and before.processes or {}) do
		known[process.partition] = process
	end
	for _, process in ipairs(look.processes) do
		if not process.problem then
			local last = known[process.partition]
			-- Another one in the same partition begins its counters anew.
			if last and (last.problem or last.pid ~= process.pid or last.started_at ~= process.started_at) then
				last = nil
			end
			process.state = state_of(process, last)
			process.rates = rates_of(process, last)
			if not (process.rates and process.rates.bytes_per_request) and process.answers > 0 then
				process.bytes_per_request = process.bytes_sent / process.answers
			else
				process.bytes_per_request = process.rates and process.rates.bytes_per_request
			end
		end
	end
	local sum = view.sum(look)
	look.all_ended = sum.running == 0 and sum.processes > 0
	return look
end

local SUMMED = {
	"accepted", "delivered", "dead", "queued", "in_flight", "held", "answers", "bytes_sent", "lanes", "lanes_parked",
	"lanes_backing_off", "lanes_awaiting_token", "disk_bytes", "disk_max",
}

--- All processes that run together; if none does, all that did.
function view.sum(look)
	local sum = { processes = 0, running = 0, gate_closed_for = 0, commit_max = 0 }
	for _, name in ipairs(SUMMED) do
		sum[name] = 0
	end
	for _, process in ipairs(look.processes) do
		sum.running = sum.running + ((process.state == "running" or process.state == "silent") and 1 or 0)
	end
	local rates = { delivered = 0, requests = 0, commits = 0 }
	for _, process in ipairs(look.processes) do
		if not process.problem and (sum.running == 0 or process.state ~= "ended") then
			sum.processes = sum.processes + 1
			for _, name in ipairs(SUMMED) do
				sum[name] = sum[name] + process[name]
			end
			sum.gate_closed_for = math.max(sum.gate_closed_for, process.gate_closed_for)
			sum.commit_max = math.max(sum.commit_max, process.commit_max)
			sum.oldest = process.oldest and math.max(sum.oldest or 0, process.oldest) or sum.oldest
			-- They share one budget, the strictest that one of them was given.
			sum.rate = process.rate > 0 and math.min(sum.rate or math.huge, process.rate) or sum.rate
			for name in pairs(rates) do
				if process.rates then
					rates[name] = rates[name] + process.rates[name]
					sum.rates = rates
				end
			end
		end
	end
	sum.bytes_per_request = sum.answers > 0 and sum.bytes_sent / sum.answers or nil
	return sum
end

local function load_of(lane)
	return lane.queued + lane.in_flight
end

--- The lanes of all processes, those with most to do first, then those in trouble.
function view.busiest(look)
	local list = {}
	for _, process in ipairs(look.processes) do
		for _, lane in ipairs(process.lanes_shown or {}) do
			lane.partition = process.partition
			lane.trouble = (lane.state == "parked" or lane.state == "paused" or lane.backing_off or lane.awaits_token) and 1 or 0
			-- What an ended process left is another's by now, or will be.
			if process.state ~= "ended" or look.all_ended then
				list[#list + 1] = lane
			end
		end
	end
	table.sort(list, function(a, b)
		if load_of(a) ~= load_of(b) then
			return load_of(a) > load_of(b)
		elseif a.trouble ~= b.trouble then
			return a.trouble > b.trouble
		elseif a.delivered ~= b.delivered then
			return a.delivered > b.delivered
		elseif a.account ~= b.account then
			return a.account < b.account
		end
		return a.partition < b.partition
	end)
	return list
end

--- Columns as wide as what is in them. Where the window is too narrow one that may be `narrow` gives way, then those with
--- the highest `drop` go.
---@param columns {title: string, right: boolean?, drop: integer?, max: integer?, narrow: integer?}[]
---@param rows {colour: string?, [integer]: string|{[1]: string, [2]: string?}}[]
local function lay_out(columns, rows, width)
	local shown, total = {}, -#GAP
	for i, column in ipairs(columns) do
		local wide = #column.title
		for _, row in ipairs(rows) do
			wide = math.max(wide, view.width(type(row[i]) == "table" and row[i][1] or row[i]))
		end
		shown[i] = { index = i, width = math.min(wide, column.max or wide), column = column }
		total = total + shown[i].width + #GAP
	end
	while total > width do
		local at
		for i, s in ipairs(shown) do
			local room = s.width - (s.column.narrow or s.width)
			if room > 0 then
				local less = math.min(room, total - width)
				s.width, total = s.width - less, total - less
			end
			if s.column.drop and (not at or s.column.drop > shown[at].column.drop) then
				at = i
			end
		end
		if not at or total <= width then
			break
		end
		total = total - shown[at].width - #GAP
		table.remove(shown, at)
	end
	local function line_of(cell_of)
		local line = {}
		for at, s in ipairs(shown) do
			local text, colour = cell_of(s)
			text = view.clip(text, s.width)
			local padding = (" "):rep(s.width - view.width(text))
			if s.column.right then
				text = padding .. text
			elseif at < #shown then
				text = text .. padding
			end
			line[#line + 1] = { text .. (at < #shown and GAP or ""), colour }
		end
		return line
	end
	local lines = { line_of(function(s)
		return s.column.title, "bold"
	end) }
	for _, row in ipairs(rows) do
		lines[#lines + 1] = line_of(function(s)
			local cell = row[s.index]
			if type(cell) == "table" then
				return cell[1], cell[2] or row.colour
			end
			return cell, row.colour
		end)
	end
	return lines
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
			or (state == "ended" and "ended %s ago" or "not heard of for %s"):format(view.duration(p.age))
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
		view.rate(rates.delivered),
		view.rate(rates.requests),
		p.bytes_per_request and view.bytes(p.bytes_per_request) or "-",
		p.gate_closed_for > 0 and { view.duration(p.gate_closed_for), "red" } or "open",
		p.oldest and view.duration(p.oldest) or "-",
		view.bytes(p.disk_bytes),
		view.rate(rates.commits),
		view.duration(p.commit_max),
	}
end

local function lane_row(lane)
	local state, colour = view.lane_state(lane)
	return {
		terminal.safe(lane.account, ACCOUNT_BYTES),
		("p%d"):format(lane.partition),
		{ state, colour },
		terminal.count(load_of(lane)),
		terminal.count(lane.delivered),
		{ terminal.count(lane.dead), lane.dead > 0 and "yellow" or nil },
		(lane.due_in and (lane.backing_off or lane.state == "parked")) and "in " .. view.duration(lane.due_in) or "",
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
		view.rate(rates.delivered), terminal.count(sum.queued), terminal.count(sum.in_flight)
	), sum.oldest and (", the oldest waits for %s"):format(view.duration(sum.oldest)) or "")
	add(
		"requests",
		("%s/s of %s%s, "):format(
			view.rate(rates.requests),
			sum.rate and view.rate(sum.rate) .. "/s" or "unlimited",
			sum.bytes_per_request and (", %s each"):format(view.bytes(sum.bytes_per_request)) or ""
		),
		sum.gate_closed_for > 0 and { ("429: nothing is sent for %s"):format(view.duration(sum.gate_closed_for)), "red" } or "gate open"
	)
	add(
		"disk",
		sum.disk_max > 0 and ("%s of %s"):format(view.bytes(sum.disk_bytes), view.bytes(sum.disk_max)) or view.bytes(sum.disk_bytes),
		(", %s commits/s, the slowest took %s"):format(view.rate(rates.commits), view.duration(sum.commit_max))
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
	local sum = view.sum(look)
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
	for i, lane in ipairs(view.busiest(look)) do
		lanes[i] = lane_row(lane)
	end
	local function append(columns, rows)
		for _, line in ipairs(lay_out(columns, rows, width)) do
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

--- One line of pieces as text, painted and no wider than `width`.
---@param paint fun(colour: string, text: string): string
function view.text(line, width, paint)
	local parts, left = {}, width or math.huge
	for _, piece in ipairs(line) do
		local text = view.clip(piece[1], left)
		left = left - view.width(text)
		parts[#parts + 1] = (piece[2] and text ~= "") and paint(piece[2], text) or text
		if left <= 0 then
			break
		end
	end
	return table.concat(parts)
end

return view
