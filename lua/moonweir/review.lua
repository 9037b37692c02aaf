--- review -- messages against Segment's Spec while they are sent.
---
---     local kinds = review.new { strict = false }     -- kinds.core goes to core.mapper and core.client
---     kinds:findings()                                 -- what was found since the last call, for a log
---     kinds:stats()                                    -- the same as counters
---
--- C knows which kinds of messages were judged (csrc/core/review.h) and asks here about those that are new. What is wrong
--- with a kind is its verdict, a number; C counts the messages of each. Notes are left to `moonweir check`.
---
--- Bounded: there are core.verdicts_max verdicts. The last stands for what else is wrong, the one before it for nothing.

local core = require "moonweir.core"

local review = {}

local FINDINGS_MAX = 16 -- of one verdict: what is wrong with so many things is wrong altogether
local NAME_MAX = 100 -- bytes of an event's name that are kept
local LOG_STEP = 100 -- a finding is told at the first message, then when there are so many times as many

local OTHERS = core.verdicts_max - 1

---@class moonweir.Finding
---@field rule string      "event-renamed"; `moonweir check --rules` lists them
---@field severity "error"|"warning"
---@field call string      "track"
---@field event? string    of a track
---@field path string      "properties.total"
---@field what string
---@field why string
---@field fix string
---@field source string    the address of the page that says so
---@field count integer    messages so far

---@class moonweir.Review
---@field core userdata
local Review = {}
Review.__index = Review

-- The end of a name that is cut off must not leave half a character.
local function short(text)
	if #text <= NAME_MAX then
		return text
	end
	return (text:sub(1, NAME_MAX):gsub("[\192-\255][\128-\191]*$", "")) .. "…"
end

-- "properties.products[3].price" to "properties.products[].price": the same thing is wrong with each.
local function of_all(path)
	return (path:gsub("%[%d+%]", "[]"))
end

--- One finding as a sentence, as an error of a strict source has it.
---@param finding moonweir.check.Finding|moonweir.Finding
---@return string
function review.sentence(finding)
	local about = finding.what:find(finding.path, 1, true) and "" or finding.path .. ": "
	return ("%s%s (%s): %s"):format(about, finding.what, finding.rule, finding.fix)
end

-- What is wrong with a message, without what is only worth a note; and how it is called.
local function sum_up(message, found)
	local event = message.type == "track" and type(message.event) == "string" and short(message.event) or nil
	local verdict = { call = message.type, event = event, errors = 0, warnings = 0 }
	local key = { message.type, event or "" }
	for _, finding in ipairs(found) do
		if finding.severity ~= "note" and #verdict < FINDINGS_MAX then
			local path = of_all(finding.path)
			verdict[#verdict + 1] = {
				rule = finding.rule, severity = finding.severity, call = message.type, event = event, path = short(path),
				what = of_all(finding.what), why = finding.why, fix = finding.fix, source = finding.source,
			}
			verdict.errors = verdict.errors + (finding.severity == "error" and 1 or 0)
			verdict.warnings = verdict.warnings + (finding.severity == "warning" and 1 or 0)
			key[#key + 1] = finding.rule .. " " .. path
		end
	end
	return verdict, table.concat(key, "\0")
end

local function first_error(found)
	for _, finding in ipairs(found) do
		if finding.severity == "error" then
			return finding
		end
	end
end

-- The number of a verdict like this one.
local function number_of(verdicts, verdict, key)
	local number = verdicts.by_key[key]
	if not number then
		if #verdicts >= OTHERS - 1 then
			return OTHERS
		end
		number = #verdicts + 1
		verdicts[number], verdicts.by_key[key] = verdict, number
	end
	return number
end

---@param options? {strict: boolean?, check: (fun(message: table): moonweir.check.Finding[])?}
---@return moonweir.Review
function review.new(options)
	options = options or {}
	local check = options.check or require("moonweir.check.message").check
	local strict = options.strict
	local verdicts = { by_key = {} } -- held by the registry through `judge`, so not to hold the userdata
	local function judge(message)
		local found = check(message)
		if #found == 0 then
			return 0
		end
		local verdict, key = sum_up(message, found)
		if #verdict == 0 then
			return 0
		end
		local wrong = strict and first_error(found)
		return number_of(verdicts, verdict, key), wrong and review.sentence(wrong) or nil
	end
	return setmetatable({ core = core.review(judge, strict), verdicts = verdicts, told = {} }, Review)
end

-- Counts of each event and rule, in the order in which the rules were first broken.
local function by_rule(verdicts, counts)
	local list, known = {}, {}
	for number, verdict in ipairs(verdicts) do
		local seen = {}
		for _, finding in ipairs(verdict) do
			local key = ("%s\0%s\0%s"):format(finding.call, finding.event or "", finding.rule)
			local one = known[key]
			if not one then
				one = { key = key, finding = finding, count = 0 }
				known[key], list[#list + 1] = one, one
			end
			if not seen[key] then -- a message with two such findings is one message
				one.count = one.count + (counts[number] or 0)
				seen[key] = true
			end
		end
	end
	return list
end

--- What was found since the last call: one finding for each event and rule when it is first met, then when there are a
--- hundred times as many messages, and so on. Errors first.
---@return moonweir.Finding[]
function Review:findings()
	local news = {}
	for _, one in ipairs(by_rule(self.verdicts, self.core:counts())) do
		local due = self.told[one.key] or 1
		if one.count >= due then
			while due <= one.count do
				due = due * LOG_STEP
			end
			self.told[one.key] = due
			local copy = {}
			for name, value in pairs(one.finding) do
				copy[name] = value
			end
			copy.count = one.count
			news[#news + 1] = copy
		end
	end
	local sorted = {}
	for _, severity in ipairs { "error", "warning" } do
		for _, finding in ipairs(news) do
			if finding.severity == severity then
				sorted[#sorted + 1] = finding
			end
		end
	end
	return sorted
end

---@class moonweir.ReviewStats
---@field checked integer    messages looked at
---@field errors integer     messages that break a rule for which Segment drops them or turns down a partner
---@field warnings integer   messages that break another
---@field unchecked integer  messages of kinds so many that not each was judged
---@field judged integer     messages judged one by one: about as many as there are kinds
---@field failed integer     judgements that the check itself failed in; `why` has the last reason
---@field why? string
---@field others integer     messages with something wrong beyond the 254 things that are told apart
---@field rules table<string, integer>   messages, by rule
---@field events table<string, {errors: integer, warnings: integer}>  messages, by the name of a track or else the call

---@return moonweir.ReviewStats
function Review:stats()
	local counts = self.core:counts()
	local stats = {
		checked = counts.messages, errors = 0, warnings = 0, unchecked = counts.unjudged, judged = counts.judged,
		failed = counts.failed, why = counts.why, others = counts[OTHERS] or 0, rules = {}, events = {},
	}
	for number, verdict in ipairs(self.verdicts) do
		local count = counts[number] or 0
		local name = verdict.event or verdict.call
		local event = stats.events[name] or { errors = 0, warnings = 0 }
		stats.events[name] = event
		for _, field in ipairs { "errors", "warnings" } do
			if verdict[field] > 0 then
				stats[field] = stats[field] + count
				event[field] = event[field] + count
			end
		end
	end
	for _, one in ipairs(by_rule(self.verdicts, counts)) do
		local rule = one.finding.rule
		stats.rules[rule] = (stats.rules[rule] or 0) + one.count
	end
	return stats
end

-- Clients ---------------------------------------------------------------------------------------------

local of_client = setmetatable({}, { __mode = "k" }) -- by the userdata, which they don't hold
local Client = core.Client
local stats_of = Client.stats

--- A client's review is found again by its core.
---@param kinds moonweir.Review
function review.keep(kinds)
	of_client[kinds.core] = { verdicts = kinds.verdicts, told = kinds.told }
end

local function find(client)
	local kinds = client:review()
	local kept = kinds and of_client[kinds]
	return kept and setmetatable({ core = kinds, verdicts = kept.verdicts, told = kept.told }, Review)
end

function Client:stats()
	local stats, message, code = stats_of(self)
	if not stats then
		return nil, message, code
	end
	local kinds = find(self)
	stats.spec = kinds and kinds:stats() or nil
	return stats
end

function Client:findings()
	local kinds = find(self)
	return kinds and kinds:findings() or {}
end

return review
