--- metrics -- the daemon's numbers in Prometheus' text format, version 0.0.4.
---
---     local text = metrics.text { stats = client:stats(), lanes = client:lanes(20), requests = …, failed = …, … }
---
--- Counters begin at 0 with the process, but those of messages: with a spool they go on where the last process stopped.
--- Accounts are labels of the busiest alone, so that a scrape stays small however many there are.

local terminal = require "moonweir.cli.terminal"

local metrics = {}

local escapes = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

--- A label's value: UTF-8, with the three escapes that the format has.
---@param value any
function metrics.escape(value)
	return (terminal.whole(tostring(value), "?"):gsub('[\\"\n]', escapes))
end

local function number(value)
	return value % 1 == 0 and math.abs(value) < 2 ^ 53 and ("%.0f"):format(value) or ("%.12g"):format(value)
end

local Page = {}
Page.__index = Page

function Page:family(name, kind, help)
	self.name = "moonweir_" .. name
	self[#self + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(self.name, help, self.name, kind)
end

-- Each account is named four times.
local function escaped(self, value)
	local text = self.escaped[value] or metrics.escape(value)
	self.escaped[value] = text
	return text
end

function Page:sample(value, labels, suffix)
	local parts = {}
	for i = 1, #(labels or {}), 2 do
		parts[#parts + 1] = ('%s="%s"'):format(labels[i], escaped(self, labels[i + 1]))
	end
	self[#self + 1] = ("%s%s%s %s\n"):format(self.name, suffix or "", parts[1] and "{" .. table.concat(parts, ",") .. "}" or "",
		number(value))
end

function Page:single(name, kind, help, value)
	self:family(name, kind, help)
	self:sample(value)
end

local function sorted(map)
	local keys = {}
	for key in pairs(map) do
		keys[#keys + 1] = key
	end
	table.sort(keys)
	return keys
end

local function messages(page, stats)
	for _, it in ipairs {
		{ "accepted", "Messages taken into the spool." }, { "delivered", "Messages that Segment took." },
		{ "dead", "Messages that Segment refused." },
	} do
		page:single("messages_" .. it[1] .. "_total", "counter", it[2], stats[it[1]])
	end
	page:single("messages_queued", "gauge", "Messages that wait.", stats.queued)
	page:single("messages_in_flight", "gauge", "Messages in requests under way.", stats.in_flight)
	page:single("messages_held", "gauge", "Queued messages of parked and paused accounts.", stats.held)
	page:single("queued_bytes", "gauge", "Bytes of queued messages.", stats.queued_bytes)
	page:single("oldest_message_seconds", "gauge", "Age of the oldest queued message; 0: there is none.", stats.oldest or 0)
	page:single("oldest_due_message_seconds", "gauge", "The same of accounts neither parked nor paused.", stats.oldest_due or 0)
	page:single("repeats_total", "counter", "Events that were known already, and not queued again.", stats.repeats)
end

local function delivery(page, view)
	local stats = view.stats
	page:single("requests_total", "counter", "Requests to Segment, tries that failed included.", stats.requests)
	page:single("requests_retried_total", "counter", "Those of them that repeat one that failed.", stats.retries)
	page:single("throttled_total", "counter", "Answers 429.", stats.throttled)
	page:single("gate_closed_seconds", "gauge", "For how long Segment's 429 still keeps everything back.", stats.gate_closed_for)
	page:single("sent_bytes_total", "counter", "Bytes of messages in answered requests.", stats.bytes_sent)
	page:single("rate_limit", "gauge", "Requests a second that may be made; 0: any.", view.rate)
	page:single("budget_used_ratio", "gauge", "Requests of the last second by the limit.", view.budget_used)
	page:single("accounts", "gauge", "Accounts with messages since the start or in the spool.", stats.lanes)
	page:single("accounts_parked", "gauge", "Accounts whose write key is refused or missing.", stats.lanes_parked)
	page:single("accounts_backing_off", "gauge", "Accounts whose last request failed.", stats.lanes_backing_off)
end

local function spool(page, stats)
	page:family("commit_seconds", "histogram", "How long a group commit took.")
	local count = 0
	for _, bucket in ipairs(stats.commit_times) do
		count = count + bucket.count
		page:sample(count, { "le", bucket.at_most and ("%g"):format(bucket.at_most) or "+Inf" }, "_bucket")
	end
	page:sample(stats.commit_times.sum, nil, "_sum")
	page:sample(count, nil, "_count")
	page:single("disk_bytes", "gauge", "Size of the processes' partitions.", stats.disk_bytes)
	page:single("disk_limit_bytes", "gauge", "What it may grow to.", stats.disk_max)
	page:single("dead_letters", "gauge", "Dead letters that are kept.", stats.letters)
	page:single("dead_letters_dropped_total", "counter", "Dead letters that got too old or too many.", stats.dead_dropped)
end

local function intake(page, view)
	page:family("http_requests_total", "counter", "Requests answered, by route and status.")
	for _, route in ipairs(sorted(view.requests)) do
		for _, status in ipairs(sorted(view.requests[route])) do
			page:sample(view.requests[route][status], { "route", route, "status", status })
		end
	end
	local server = view.server
	if server then -- in nginx they are nginx's own
		page:single("http_refused_total", "counter", "Requests refused before any handler: limits, doubtful framing.", server.refused)
		page:single("http_too_slow_total", "counter", "Connections closed because they were.", server.too_slow)
		page:single("http_connections", "gauge", "Open connections.", server.connections)
	end
	page:single("http_waiting", "gauge", "Requests whose answer waits for a commit.", view.waiting)
	page:single("events_total", "counter", "Events mapped.", view.stats.events)
	page:single("events_ignored_total", "counter", "Events that the script ignores.", view.stats.ignored)
	page:family("events_failed_total", "counter", "Events that became dead letters before they were messages, by code.")
	for _, code in ipairs(sorted(view.failed)) do
		page:sample(view.failed[code], { "code", code })
	end
	page:family("messages_dead_reported_total", "counter", "Dead messages since the start, by Segment's status.")
	for _, status in ipairs(sorted(view.dead)) do
		page:sample(view.dead[status], { "status", status })
	end
end

local function accounts(page, lanes)
	local families = {
		{ "queued", "gauge", "Messages that wait." }, { "delivered", "gauge", "Messages that Segment took." },
		{ "dead", "gauge", "Messages that Segment refused." },
	}
	for _, it in ipairs(families) do
		page:family("account_messages_" .. it[1], it[2], it[3] .. " Of the busiest accounts.")
		for _, lane in ipairs(lanes) do
			page:sample(lane[it[1]], { "account", lane.account })
		end
	end
	page:family("account_parked", "gauge", "1: its write key is refused or missing. Of the busiest accounts.")
	for _, lane in ipairs(lanes) do
		page:sample(lane.state == "parked" and 1 or 0, { "account", lane.account })
	end
end

---@param view moonweir.serve.View|{healthy: boolean, version: string}
---@return string
function metrics.text(view)
	local page = setmetatable({ escaped = {} }, Page)
	page:family("build_info", "gauge", "1; the version is its label.")
	page:sample(1, { "version", view.version })
	page:single("healthy", "gauge", "What /healthz says: 1 well, 0 not.", view.healthy and 1 or 0)
	page:single("workers", "gauge", "Processes whose numbers these are, added up.", view.workers or 1)
	messages(page, view.stats)
	delivery(page, view)
	spool(page, view.stats)
	intake(page, view)
	accounts(page, view.lanes)
	return table.concat(page)
end

return metrics
