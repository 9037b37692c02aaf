--- trial -- the test event: sent on its account's own way to Segment, counted like any other, and watched.
---
---     local test = trial:send("acme", now)       { id, at, by }, which the session of the page carries
---     trial:outcome("acme", test, now)           in any process
---
--- Five a minute and account (allowance.lua). An account's messages come to their end in the order in which
--- they were accepted. So once the test event is accepted, `mark` is how many must have come to theirs; then it was
--- delivered, unless one of them died and the dead letter has its messageId. Letters are written a moment after they are
--- counted. The process that sent it sees that, and claims what came of it, so that all can tell. While it has any to
--- watch it claims that, too, each half minute: of a process that is gone nobody awaits news for long.

local allowance = require "moonweir.web.settings.allowance"
local core = require "moonweir.core"

local trial = {}

local KEPT = 600 -- seconds for which an outcome is told
local COMMIT = 2 -- seconds in which a message is surely accepted, even if others hide that
local LETTERS = 10 -- seconds in which a dead letter is surely written
local WATCHED = 1000 -- tests at most; of more, nobody is told what came of the oldest
local AT_ONCE = 16 -- that have ended are written down in a tick: each is a synced commit, for which whoever ticks waits
local WATCH = 30 -- seconds: who says in one such span that it watches is believed until the next is over
local OUTCOMES = { "delivered", "refused" }

---@class moonweir.Trial
local Trial = {}
Trial.__index = Trial

---@param client moonweir.Client
---@param claims table
---@param about {name: string, slug: string}
function trial.new(client, claims, about)
	return setmetatable({
		client = client, claims = claims, about = about, name = core.random_id(), tests = {}, count = 0, sent = 0, looked = 0,
	}, Trial)
end

local function forget(self, id)
	self.tests[id], self.count = nil, self.count - 1
end

-- By their number: a clock that was set back makes the new ones seem old.
local function forget_oldest(self)
	local oldest, least
	for id, test in pairs(self.tests) do
		if not least or test.number < least then
			oldest, least = id, test.number
		end
	end
	forget(self, oldest)
end

-- The clock was set back, if it lies far ahead.
local function is_over(test, now)
	return math.abs(now - test.at) > KEPT
end

local function watch_of(name, span)
	return ("watching %.0f %s"):format(span, name)
end

-- What can't be written down now is tried again at the next tick.
local function keep_watch(self, now)
	local span = math.floor(now / WATCH)
	if span ~= self.span and self.claims:take(watch_of(self.name, span), (span + 2) * WATCH, now) ~= nil then
		self.span = span
	end
end

local function is_watched(self, test, now)
	if test.by == self.name then
		return self.tests[test.id] ~= nil
	end
	local span = math.floor(now / WATCH)
	return self.claims:holds(watch_of(test.by, span), now) or self.claims:holds(watch_of(test.by, span - 1), now)
end

--- Send one.
---@return {id: string, at: number, by: string}|nil test by: whoever watches it
---@return string? message
---@return string? code
function Trial:send(account, now)
	local taken, message, code = allowance.take(self.claims, "test", account, now)
	if taken == false then
		return nil, "Five test events a minute are the most. Please wait a moment.", "too_many"
	elseif not taken then
		return nil, message, code
	end
	local id = "test-" .. core.random_id()
	local lane = self.client:lane(account)
	local ok
	ok, message, code = self.client:track(account, {
		userId = self.about.slug .. "-test-user",
		messageId = id,
		event = "Connection Tested",
		properties = { sent_from = self.about.name .. " settings page" },
	})
	if not ok then
		return nil, message, code
	end
	if self.count >= WATCHED then
		forget_oldest(self)
	end
	self.sent = self.sent + 1
	self.tests[id] = { account = account, at = now, number = self.sent, before = lane or { accepted = 0, dead = 0 } }
	self.count = self.count + 1
	keep_watch(self, now)
	return { id = id, at = now, by = self.name }
end

--- Segment's answer, if it refused the message with this id.
local function refusal(client, account, test)
	if not client:spool_dir() then
		return nil
	end
	for _, letter in ipairs(client:dead { account = account, since = test.at - 5, limit = 1000 } or {}) do
		if letter.message and letter.message:find(test.id, 1, true) then
			return letter.answer or ""
		end
	end
	return nil
end

-- Have as many messages of its account come to their end as were accepted with it?
local function has_ended(self, test, now)
	local is_accepted = test.mark or now - test.at > COMMIT or self.client:sync(0)
	local lane = self.client:lane(test.account)
	if not lane or not is_accepted or lane.accepted <= test.before.accepted then
		return false
	end
	test.mark = test.mark or lane.accepted
	if lane.delivered + lane.dead < test.mark then
		return false
	end
	test.has_died = lane.dead > test.before.dead
	return true
end

--- Of one that has ended: what came of it, nil: that is not known yet.
local function settled(self, id, test, now)
	test.settled_at = test.settled_at or now
	if test.has_died and refusal(self.client, test.account, { id = id, at = test.at }) then
		return "refused"
	end
	return (not test.has_died or math.abs(now - test.settled_at) > LETTERS) and "delivered" or nil
end

local function claim_of(outcome, id)
	return ("tested %s %s"):format(outcome, id)
end

-- False: it could not be written down just now, and is told a little later.
local function write_down(self, id, now)
	local test = self.tests[id]
	local outcome = settled(self, id, test, now)
	if not outcome then
		return true
	elseif self.claims:take(claim_of(outcome, id), test.at + KEPT, now) == nil then
		return false
	end
	forget(self, id)
	return true
end

--- To be called often: what came of tests is seen though nobody asks here.
function Trial:tick(now)
	if self.count == 0 or math.abs(now - self.looked) < 1 then
		return
	end
	self.looked = now
	keep_watch(self, now)
	local left = AT_ONCE
	for id, test in pairs(self.tests) do
		if is_over(test, now) then
			forget(self, id)
		elseif left > 0 and has_ended(self, test, now) then
			left = write_down(self, id, now) and left - 1 or 0
		end
	end
end

--- What came of one.
---@param test {id: string, at: number, by: string} what `send` gave
---@return {outcome: "waiting"|"delivered"|"refused"|"unwatched", answer: string?}|nil
function Trial:outcome(account, test, now)
	if now - test.at > KEPT then
		return nil
	end
	local own = self.tests[test.id]
	if own and has_ended(self, own, now) then
		write_down(self, test.id, now)
	end
	for _, outcome in ipairs(OUTCOMES) do
		if self.claims:holds(claim_of(outcome, test.id), now) then
			return { outcome = outcome, answer = outcome == "refused" and refusal(self.client, account, test) or nil }
		end
	end
	return { outcome = is_watched(self, test, now) and "waiting" or "unwatched" }
end

return trial
