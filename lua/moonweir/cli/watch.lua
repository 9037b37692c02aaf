--- watch -- says what goes wrong while messages are under way, once and with what to do about it.

local process = require("moonweir.core").process
local terminal = require "moonweir.cli.terminal"

---@class moonweir.cli.Watch
local Watch = {}
Watch.__index = Watch

local INTERVAL = 1 -- seconds between two warnings
local REPEAT = 10 -- seconds before the same warning is given again
local DEAD_SHOWN = 10 -- dead letters told one by one

local LANES_SEEN = 1000 -- of the busiest

local function new(client, endpoint)
	return setmetatable({
		client = client,
		endpoint = endpoint,
		parked = {}, -- accounts that were told of
		dead = 0,
		dead_before = client:stats().dead, -- of earlier runs
		warned = -math.huge,
		last = {}, -- warnings and when they were given, by what they are about
	}, Watch)
end

--- Is there something to look at? Cheap: asked several times a second.
function Watch:is_due(stats)
	if process.monotonic() - self.warned < INTERVAL then
		return false
	end
	return stats.dead - self.dead_before > self.dead
		or stats.lanes_parked > 0
		or stats.lanes_backing_off > 0
		or stats.lanes_awaiting_token > 0
		or self:shortage() ~= nil
end

--- Why what was pushed does not get on the disk; nil if it does.
function Watch:shortage()
	local _, message, code = self.client:sync(0)
	return code == "full" and message or nil
end

--- `same`: what makes it the same warning, if not all of its words.
function Watch:warn(about, message, same)
	local now = process.monotonic()
	local last = self.last[about]
	same = same or message
	if last and last.same == same and now - last.at < REPEAT then
		return
	end
	self.last[about], self.warned = { same = same, at = now }, now
	terminal.say("warning", message)
end

local function parked_advice(lane)
	if lane.last_status == 401 and lane.has_app then
		return "Segment refuses its write key or its OAuth token. Is the source connected to the OAuth app in Segment, and is "
			.. "the write key that source's?"
	end
	if lane.last_status == 401 or lane.last_status == 403 then
		return "Segment refuses its write key. Copy the key again from the source's settings in Segment; "
			.. "if the workspace is in the EU, use --endpoint eu"
	end
	if lane.last_status == -4 then
		return "its OAuth app gets no token. Are client id, key id and private key the app's, and is the public key in "
			.. "Segment? moonweir oauth set saves them anew"
	end
	if lane.last_error and lane.last_error:find("master key", 1, true) then
		return "its write key can't be opened. Give the master key that it was saved with, or save the key again"
	end
	return "it has no write key; save one with moonweir accounts set, or name it in the --accounts file"
end

local function reason(lane)
	local text = lane.last_error or (lane.last_status > 0 and "status " .. lane.last_status) or "no answer"
	return terminal.safe(terminal.mask(text), 300)
end

function Watch:look_at_lanes()
	local new_parked, first_parked, troubled, first_troubled = 0, nil, 0, nil
	for _, lane in ipairs(self.client:lanes(LANES_SEEN)) do
		if lane.state == "parked" and not self.parked[lane.account] then
			self.parked[lane.account] = true
			new_parked = new_parked + 1
			first_parked = first_parked or lane
		elseif lane.state == "waiting" and (lane.attempts > 0 or (lane.awaits_token and lane.last_error)) then
			troubled = troubled + 1
			first_troubled = first_troubled or lane
		end
	end
	if first_parked then
		local more = new_parked > 1 and (" (and %d more accounts)"):format(new_parked - 1) or ""
		self:warn(
			"parked",
			("account %s%s is parked: %s. (%s) Its messages are kept"):format(
				terminal.safe(first_parked.account, 80),
				more,
				parked_advice(first_parked),
				reason(first_parked)
			)
		)
	elseif first_troubled then
		local advice = first_troubled.last_status <= 0 and "is the endpoint right and the network up?"
			or "Segment has trouble; this usually passes"
		self:warn(
			"trouble",
			("%s: %s; trying again, %d account%s waiting. %s"):format(
				self.endpoint,
				reason(first_troubled),
				troubled,
				troubled == 1 and "" or "s",
				advice
			)
		)
	end
end

--- Nothing is wrong with a paused account, but somebody may have forgotten that it is.
function Watch:say_paused()
	local count, first = 0, nil
	for _, lane in ipairs(self.client:lanes(LANES_SEEN)) do
		if lane.state == "paused" and lane.queued > 0 then
			count = count + 1
			first = first or lane
		end
	end
	if first then
		local more = count > 1 and (" (and %d more accounts)"):format(count - 1) or ""
		local name = terminal.safe(first.account, 80)
		terminal.say("note", ("account %s%s is paused, and its messages are kept; see moonweir accounts resume"):format(name, more))
	end
end

-- What is found in place of Segment where the endpoint is wrong: http where it should be https, or a path too many.
local ELSEWHERE = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true, [404] = true, [405] = true }

local function answer_of(report)
	local answer = report.answer or report.status > 0 and "an empty answer" or "no answer"
	local advice = ELSEWHERE[report.status]
		and ". Is the endpoint right? It is us, eu, or a URL before /v1/batch; redirects are not followed"
		or ""
	return terminal.safe(answer, 300) .. advice
end

--- Dead messages and parked accounts that were reported since.
function Watch:collect()
	for _, report in ipairs(self.client:poll(1000)) do
		if report.outcome == "dead" then
			self.dead = self.dead + 1
			if self.dead <= DEAD_SHOWN then
				terminal.say(
					"warning",
					("dead: a message of account %s, status %d: %s"):format(
						terminal.safe(report.account or "", 80),
						report.status,
						answer_of(report)
					)
				)
			end
		end
	end
end

local function shortage_advice(shortage, stats)
	local remedy = shortage:find("disk_bytes", 1, true) and "end this, and give a larger --disk-bytes"
		or "make room on that disk"
	return ("%s; %s messages are undelivered, and what has been read waits in memory until there is room: "
		.. "when some are delivered, or %s"):format(shortage, terminal.count(stats.queued + stats.in_flight), remedy)
end

function Watch:look(stats)
	self:collect()
	self.warned = process.monotonic()
	local shortage = self:shortage()
	if shortage then
		self:warn("shortage", shortage_advice(shortage, stats), shortage)
	end
	if stats.lanes_parked > 0 or stats.lanes_backing_off > 0 or stats.lanes_awaiting_token > 0 then
		self:look_at_lanes()
	end
end

--- The last words, whatever was said before.
function Watch:finish(stats)
	self:collect()
	if stats.lanes_parked > 0 then
		self:look_at_lanes()
	end
	if stats.held > 0 then
		self:say_paused()
	end
	local dead = stats.dead - self.dead_before
	if dead > DEAD_SHOWN then
		terminal.say("warning", ("dead: %s messages in all"):format(terminal.count(dead)))
	end
end

return { new = new }
