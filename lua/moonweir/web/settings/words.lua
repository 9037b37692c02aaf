--- words -- how an account's connection is, as one tells somebody who is no engineer: what is, and what to do.
---
---     words.status(account, lane, "Acme Mail")   -> { tone = "bad", title = "Segment refused the write key", text = "…" }
---
--- Tones: good, note, warn, bad. `detail` is what Segment's server or the network said, for whoever is asked for help.

local words = {}

local function count(n)
	n = ("%.0f"):format(n)
	repeat
		local more
		n, more = n:gsub("^(%d+)(%d%d%d)", "%1,%2")
	until more == 0
	return n
end

local function events(n)
	return n == 1 and "1 event" or count(n) .. " events"
end

--- "3 events are waiting and will be sent." or nothing
local function waiting(lane, what)
	local n = lane and lane.queued + lane.in_flight or 0
	if n == 0 then
		return ""
	end
	return (" %s %s waiting%s."):format(events(n), n == 1 and "is" or "are", what)
end

local function key_name(account)
	return account.last ~= "" and ("the write key ending in " .. account.last) or "the write key"
end

local function refused(account, lane, tool)
	if account.oauth then
		return "bad",
			"Segment refused the OAuth app",
			"Check its app ID, key ID and private key in Segment, then save them here again. Nothing is lost."
				.. waiting(lane, " and will be sent then")
	end
	return "bad",
		"Segment refused the write key",
		("It does not accept %s any more: it may have been replaced, or the source was disabled or deleted. Copy the current "
				.. "key in Segment and paste it here. %s loses nothing."):format(key_name(account), tool)
			.. waiting(lane, " and will be sent then")
end

--- Trying again after an answer that asks for it.
local function retrying(lane)
	local rest = " This needs nothing from you: it is tried again on its own." .. waiting(lane, "")
	if lane.last_status == 429 then
		return "warn", "Segment asks us to go slower", "So many events arrived that they are spread out." .. rest
	elseif lane.last_status >= 500 then
		return "warn", "Segment has a problem at the moment", "Its servers answer with an error." .. rest
	elseif lane.last_status == 0 then
		return "warn", "Segment can’t be reached at the moment", "The connection to Segment fails." .. rest
	end
	return "warn", "Segment did not take the last delivery", "It asks to be tried again." .. rest
end

local function connected(account, lane, tool)
	if not lane or lane.accepted == 0 then
		local text = "Send a test event to see that it works. What happens in %s from now on is sent on its own."
		return "note", "Connected, no events yet", text:format(tool)
	elseif lane.state == "parked" and lane.last_status == -4 then
		return refused({ oauth = true, last = "" }, lane, tool)
	elseif lane.state == "parked" and lane.last_status >= 400 then
		return refused(account, lane, tool)
	elseif lane.state == "parked" then
		return "warn", "Ready to send", "The write key was just saved." .. waiting(lane, " and will be sent in a moment")
	elseif lane.attempts > 0 then
		return retrying(lane)
	elseif lane.awaits_token then
		return "note", "Signing in to Segment", "Segment is asked for an access token." .. waiting(lane, "")
	elseif lane.delivered == 0 and lane.dead > 0 then
		return "warn", "Segment did not take the events so far", ("They are kept by %s, whose support can look at them."):format(tool)
	elseif not lane.delivered_ago and lane.queued + lane.in_flight > 0 then
		return "note", "Sending", "The first events are on their way to Segment."
	end
	return "good", "Connected", "Events are delivered to Segment." .. waiting(lane, ", to be sent in a moment")
end

--- How things are.
---@param account moonweir.Account|nil nil: it never had settings
---@param lane moonweir.Lane|nil nil: nothing came for it
---@param tool string the tool's name
---@return {tone: "good"|"note"|"warn"|"bad", title: string, text: string, detail: string?}
function words.status(account, lane, tool)
	local tone, title, text
	if not account or account.state ~= "damaged" and not account.has_key then
		tone, title, text = "note", "Not connected", ("Paste a write key, and %s sends its events to Segment."):format(tool)
			.. waiting(lane, " and will be sent then")
	elseif account.state == "damaged" or account.other_master_key then
		tone, title, text = "bad", "The saved write key can’t be read any more", "Paste it here again. Nothing is lost."
			.. waiting(lane, " and will be sent then")
	elseif account.state == "paused" then
		tone, title, text = "note", "Paused", "Nothing is sent to Segment. New events are kept until you resume."
			.. waiting(lane, "")
	else
		tone, title, text = connected(account, lane, tool)
	end
	local fails = tone == "bad" or tone == "warn"
	return { tone = tone, title = title, text = text, detail = fails and lane and lane.last_error or nil }
end

--- What came of a test event.
---@param outcome "waiting"|"delivered"|"refused"|"unwatched"
---@param status {title: string, tone: string}
---@param answer string|nil Segment's
function words.test(outcome, status, answer)
	if outcome == "delivered" then
		return {
			tone = "good",
			title = "The test event arrived",
			text = "Segment took it. In Segment, open the source’s Debugger to see it.",
		}
	elseif outcome == "refused" then
		return {
			tone = "bad",
			title = "Segment did not take the test event",
			text = "The key was accepted, the event was not. Please tell support what Segment said.",
			detail = answer,
		}
	elseif status.title == "Paused" then
		return { tone = "note", title = "The test event waits", text = "Sending is paused. Resume, and it is sent." }
	elseif status.tone == "bad" or status.tone == "warn" then
		local text = status.title .. ". The event is kept, and sent as soon as that is settled."
		return { tone = status.tone, title = "The test event did not arrive yet", text = text }
	end
	if outcome == "unwatched" then
		return {
			tone = "note",
			title = "What came of the test event is not known",
			text = "Our server lost sight of it, perhaps in a restart. Please send another one.",
		}
	end
	return { tone = "note", title = "Sending the test event …", text = "This takes a few seconds." }
end

return words
