--- exposition -- a worker's counters as a file in Prometheus's text format, for the textfile collector.

local exposition = {}

-- name, kind, help, where it comes from
local METRICS = {
	{ "entries_read_total", "counter", "Entries read or claimed.", function(w) return w.read end },
	{ "entries_acknowledged_total", "counter", "Entries whose messages Segment has.", function(w) return w.acknowledged end },
	{ "entries_dead_total", "counter", "Entries moved to the dead stream.", function(w) return w.dead end },
	{ "entries_parked_total", "counter", "Entries moved to an account's parked stream.", function(w) return w.parked end },
	{ "entries_returned_total", "counter", "Parked entries put back into the stream.", function(w) return w.returned end },
	{ "entries_claimed_total", "counter", "Entries taken over from other consumers.", function(w) return w.claimed end },
	{ "entries_in_flight", "gauge", "Entries read and not finished by this worker.", function(w) return w.in_flight end },
	{ "group_lag", "gauge", "Entries that the group has not read.", function(w) return w.group.lag end },
	{ "group_pending", "gauge", "Entries that the group has read and not acknowledged.", function(w) return w.group.pending end },
	{ "group_consumers", "gauge", "Consumers of the group.", function(w) return w.group.consumers end },
	{ "stream_length", "gauge", "Entries in the stream.", function(w) return w.group.length end },
	{ "dead_length", "gauge", "Entries in the dead stream.", function(w) return w.group.dead end },
	{ "accounts_parked", "gauge", "Accounts with entries in a parked stream.", function(w) return w.group.parked end },
	{ "redis_connects_total", "counter", "Connections made to Redis.", function(w) return w.connects end },
	{ "messages_delivered_total", "counter", "Messages that Segment has taken.", function(_, c) return c.delivered end },
	{ "messages_queued", "gauge", "Messages in the engine.", function(_, c) return c.queued + c.in_flight end },
	{ "permits_missed_total", "counter", "Permits that were leased and not used in time.",
		function(_, c) return c.permits_missed end },
	{ "unpermitted_seconds", "gauge", "For how long requests have waited in vain for permits.",
		function(_, c) return c.unpermitted_for or 0 end },
	{ "requests_total", "counter", "Requests sent to Segment.", function(_, c) return c.requests end },
}

--- What is not known is left out.
---@return string
function exposition.text(worker_stats, client_stats)
	local lines = {}
	for _, metric in ipairs(METRICS) do
		local value = metric[4](worker_stats, client_stats)
		if value then
			local name = "moonweir_worker_" .. metric[1]
			lines[#lines + 1] = ("# HELP %s %s\n# TYPE %s %s\n%s %.0f"):format(name, metric[3], name, metric[2], name, value)
		end
	end
	return table.concat(lines, "\n") .. "\n"
end

--- A reader sees the old file or the new one, and no half.
---@return true|nil
---@return string? message
function exposition.write(path, worker_stats, client_stats)
	local file, message = io.open(path .. ".tmp", "wb")
	if not file then
		return nil, message
	end
	local ok, why = file:write(exposition.text(worker_stats, client_stats))
	file:close()
	if ok then
		ok, why = os.rename(path .. ".tmp", path)
	end
	return ok and true or nil, why
end

return exposition
