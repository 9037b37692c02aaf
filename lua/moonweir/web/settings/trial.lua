--- trial -- the test event: sent on its account's own way to Segment, counted like any other, and watched.
---
--- Five a minute and account, over all processes (claims). An account's messages come to their end in the order in which
--- they were accepted. So once the test event is accepted, `mark` is how many must have come to theirs; then it was
--- delivered, unless one of them died and the dead letter has its messageId. Letters are written a moment after they are
--- counted. Only the process that sent it knows what came of it.

local core = require "moonweir.core"

local trial = {}

local A_MINUTE, WINDOW = 5, 60
local KEPT = 600 -- seconds for which an outcome is told
local COMMIT = 2 -- seconds in which a message is surely accepted, even if others hide that
local LETTERS = 10 -- seconds in which a dead letter is surely written
local REMEMBERED = 10000 -- tests at most

---@class moonweir.Trial
local Trial = {}
Trial.__index = Trial

---@param client moonweir.Client
---@param claims table
---@param about {name: string, slug: string}
function trial.new(client, claims, about)
	return setmetatable({ client = client, claims = claims, about = about, tests = {}, count = 0 }, Trial)
end

local function slot(self, account, now)
	for i = 1, A_MINUTE do
		local taken, message, code = self.claims:take(("test %d %s"):format(i, account), now + WINDOW, now)
		if taken or taken == nil then
			return taken, message, code
		end
	end
	return nil, "Five test events a minute are the most. Please wait a moment.", "too_many"
end

local function forget_old(self, now)
	for account, test in pairs(self.tests) do
		if now - test.at > KEPT then
			self.tests[account], self.count = nil, self.count - 1
		end
	end
end

--- Send one.
---@return true|nil
---@return string? message
---@return string? code
function Trial:send(account, now)
	local taken, message, code = slot(self, account, now)
	if not taken then
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
	if self.count >= REMEMBERED then
		forget_old(self, now)
	end
	if not self.tests[account] then
		self.count = self.count + 1
	end
	self.tests[account] = { id = id, at = now, outcome = "waiting", before = lane or { accepted = 0, dead = 0 } }
	return true
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

--- It came to its end: which?
local function settle(self, account, test, lane, now)
	local died = lane.dead > test.before.dead
	test.answer = died and refusal(self.client, account, test) or nil
	test.settled_at = test.settled_at or now
	if test.answer then
		test.outcome = "refused"
	elseif not died or now - test.settled_at > LETTERS then
		test.outcome = "delivered"
	end
end

--- What came of the last one.
---@return {id: string, at: number, outcome: "waiting"|"delivered"|"refused", answer: string?}|nil
function Trial:outcome(account, now)
	local test = self.tests[account]
	if not test or now - test.at > KEPT then
		return nil
	end
	if test.outcome == "waiting" then
		local is_accepted = test.mark or now - test.at > COMMIT or self.client:sync(0)
		local lane = self.client:lane(account)
		if lane and is_accepted and lane.accepted > test.before.accepted then
			test.mark = test.mark or lane.accepted
			if lane.delivered + lane.dead >= test.mark then
				settle(self, account, test, lane, now)
			end
		end
	end
	return test
end

--- A new write key, or none: what the old one did is of no interest any more.
---@param still_waits? boolean keep one that waits: it will be sent with the new key
function Trial:forget(account, still_waits)
	local test = self.tests[account]
	if test and not (still_waits and test.outcome == "waiting") then
		self.tests[account], self.count = nil, self.count - 1
	end
end

return trial
