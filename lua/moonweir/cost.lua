--- cost -- what a source takes of a CPU for each event: as events come, and by the entry that they reach.
---
---     local report = cost.measure(definition, { '{"type":"opened","id":"1"}' }, { format = "ndjson", seconds = 1 })
---     print(report.ns)      -- 540.2: nanoseconds an event, from its bytes to the bytes of its messages
---
--- Time is the CPU time of this process, so what else the machine does counts only where it takes caches or clock rate away.
--- Messages are checked by Segment's Spec as they are when they are sent; nothing is queued.

local compile = require "moonweir.compile"
local core = require "moonweir.core"
local coverage = require "moonweir.coverage"
local declared = require "moonweir.declared"
local review = require "moonweir.review"

local cost = {}

local RUNS = 5 -- of each figure; the median is taken

---@class moonweir.Cost
---@field ns number an event, the median
---@field low number ns, the fastest run
---@field high number ns, the slowest
---@field bodies integer of those that were given, so many were looked at
---@field events integer in them
---@field messages integer made of them
---@field failed integer of the events
---@field event_bytes number of an event, on average
---@field message_bytes number of a message, on average; 0 if there is none
---@field problems table[] of events that failed, each once
---@field entries moonweir.cost.Entry[] the dearest first

---@class moonweir.cost.Entry
---@field entry? string the name in `on`; several if a body holds events for several; nil if its events reach none
---@field by? "function"|"declaration"|"ignore"
---@field events integer
---@field messages integer
---@field ns number an event
---@field share number of the time that all take, 0 to 1

local function mapper_of(definition, checked)
	local map, message, code = compile(definition)
	if not map then
		return nil, message, code
	end
	return core.mapper(map, { review = checked and review.new().core or nil })
end

--- Nanoseconds an event of `body`: median, least, most.
local function time(mapper, body, events, options, seconds)
	local rounds, took = 1, 0
	local function run()
		local start = os.clock()
		for _ = 1, rounds do
			mapper:tally(body, options)
		end
		took = os.clock() - start
	end
	run()
	while took < seconds / RUNS / 2 do
		rounds = rounds * 2
		run()
	end
	local times = {}
	for i = 1, RUNS do
		collectgarbage()
		run()
		times[i] = took / rounds / events * 1e9
	end
	table.sort(times)
	return times[(RUNS + 1) / 2], times[1], times[RUNS]
end

-- Which entries the bodies reach --------------------------------------------------------------------

--- A watched run of each body by itself, in the order in which they came; no more of them than `seconds` allow.
---@return table[] groups by entry: { entry, bodies, events, messages }
---@return moonweir.Cost report without times
local function sort_out(mapper, probe, covered, bodies, options, seconds)
	local groups, by_name = {}, {}
	local report = { bodies = 0, events = 0, messages = 0, failed = 0, event_bytes = 0, message_bytes = 0, problems = {} }
	local start = os.clock()
	for _, body in ipairs(bodies) do
		probe:tally(body, options)
		local entry = table.concat(covered:take(), ", ")
		local messages, tally, problems = mapper:map(body, options)
		local group = by_name[entry]
		if not group then
			group = { entry = entry ~= "" and entry or nil, bodies = {}, events = 0, messages = 0 }
			by_name[entry] = group
			groups[#groups + 1] = group
		end
		group.bodies[#group.bodies + 1] = body
		group.events = group.events + tally.events
		group.messages = group.messages + #messages
		for _, problem in ipairs(problems or {}) do
			problem.index = report.events + problem.index
			table.insert(report.problems, problem)
		end
		for _, made in ipairs(messages) do
			report.message_bytes = report.message_bytes + #made.message
		end
		report.bodies = report.bodies + 1
		report.events = report.events + tally.events
		report.messages = report.messages + #messages
		report.failed = report.failed + tally.failed
		report.event_bytes = report.event_bytes + #body
		if os.clock() - start > seconds then
			break
		end
	end
	report.event_bytes = report.event_bytes / math.max(report.events, 1)
	report.message_bytes = report.message_bytes / math.max(report.messages, 1)
	return groups, report
end

local function kinds_of(definition)
	local kinds = {}
	for _, entry in ipairs(declared.read(definition)) do
		kinds[entry.event] = entry.kind == "calls" and "declaration" or entry.kind
	end
	return kinds
end

--- Maps bodies over and over.
---@param definition moonweir.Definition
---@param bodies string[] each an event, or several as `format` has them
---@param options {format?: "json"|"ndjson"|"form"|"xml", account?: string, seconds?: number, progress?: fun(share: number)}
---  seconds: about so long is taken for all together, and as long for the entries; default 1
---@return moonweir.Cost|nil
---@return string? message
---@return "mapping"|nil code
function cost.measure(definition, bodies, options)
	local seconds = options.seconds or 1
	local mapping = { format = options.format, account = options.account or "default" }
	local covered = coverage.new(definition)
	local mapper, message, code = mapper_of(definition, true)
	local probe = mapper and mapper_of(covered:probe(definition), false)
	if not probe then
		return nil, message, code
	end
	local groups, report = sort_out(mapper, probe, covered, bodies, mapping, seconds)
	local function text_of(some)
		return table.concat(some, "\n", 1, math.min(#some, report.bodies))
	end
	report.entries = {}
	if report.events == 0 then
		return report
	end
	report.ns, report.low, report.high = time(mapper, text_of(bodies), report.events, mapping, seconds)
	local kinds, total = kinds_of(definition), 0
	for i, group in ipairs(groups) do
		if options.progress then
			options.progress(i / (#groups + 1))
		end
		if group.events > 0 then
			local ns = time(mapper, text_of(group.bodies), group.events, mapping, seconds / #groups)
			total = total + ns * group.events
			table.insert(report.entries, { entry = group.entry, by = group.entry and kinds[group.entry], events = group.events,
				messages = group.messages, ns = ns })
		end
	end
	for _, entry in ipairs(report.entries) do
		entry.share = entry.ns * entry.events / total
	end
	table.sort(report.entries, function(a, b)
		return a.share > b.share
	end)
	return report
end

return cost
