--- review -- a whole source: what it declares, and what it makes of its examples, as one list.
---
---     local review = review.new(definition, text)
---     review:example("paid.json", trace.map(…))
---     review:finish()  --> findings, and what could not be looked at

local fields = require "moonweir.check.fields"
local findings = require "moonweir.check.findings"
local message = require "moonweir.check.message"
local name = require "moonweir.check.name"
local source = require "moonweir.check.source"
local spec = require "moonweir.spec"
local trace = require "moonweir.check.trace"
local value = require "moonweir.check.value"

---@class moonweir.check.Review
---@field findings moonweir.check.Findings
---@field definition moonweir.Definition
---@field calls integer declared calls that were looked at
---@field applies string[] entries in which :apply makes a value
---@field messages integer examples' messages that were looked at
---@field failed integer examples' events of which nothing became
---@field custom table<string, true> names of events that the Spec does not have
local Review = {}
Review.__index = Review

local review = {}

-- How bad it is that nothing became of an example; other codes are warnings. What is invalid or too large Segment would not take.
local FAILURES = { invalid = "error", too_large = "error", no_user = "note", unmatched = "note" }

local function same(finding, entry)
	local path = finding.path:gsub("%[%d*%]", "[]")
	local what = finding.what:gsub("%[%d*%]", "[]")
	return table.concat({ finding.rule, entry or "", path }, "\0"), table.concat({ finding.rule, entry or "", path, what }, "\0")
end

local function add(self, finding, origin, example)
	local entry = origin and origin.entry
	if self.declared[same(finding, entry)] or self.declared[same(finding)] then
		return -- told already
	end
	local _, key = same(finding, entry)
	local before = self.found[key]
	if before then
		before.times = before.times + 1
		return
	end
	finding.entry, finding.line, finding.script = entry, origin and origin.line, origin and self.definition.script
	finding.example, finding.times = example, 1
	self.found[key] = finding
	table.insert(self.findings, finding)
end

---@param definition moonweir.Definition
---@param text? string the script
---@return moonweir.check.Review
function review.new(definition, text)
	local report = source.check(definition, text)
	local self = setmetatable({
		findings = report.findings, definition = definition, calls = report.calls, applies = report.applies,
		messages = 0, failed = 0, custom = {}, spelt = {}, declared = {}, found = {}, made = {},
	}, Review)
	for _, finding in ipairs(self.findings) do
		self.declared[same(finding, finding.entry)] = true
	end
	for _, entry in ipairs(definition.entries) do
		for _, call in ipairs(entry.calls or {}) do
			if call.call == "track" and type(call.name) == "string" then
				self:note_event(call.name)
			end
		end
	end
	return self
end

-- Of two spellings that an example shows, or an example and a declaration; of two declared ones source.lua tells.
function Review:note_event(event, origin, example)
	if not spec.event(event) and not spec.reserved.events[event] and not name.look(event) then
		self.custom[event] = true
	end
	local plain = fields.plain(event)
	local before = self.spelt[plain]
	if before and before ~= event and example then
		local one = findings.new()
		one:add("names-alike", "event", ("%s and %s differ in their writing alone"):format(value.quote(before), value.quote(event)),
			"write both in one way")
		add(self, one[1], origin, example)
	end
	self.spelt[plain] = before or event
end

--- What came of one example.
---@param file string its name
---@param traced moonweir.check.Traced[]
---@param problems? table[]
function Review:example(file, traced, problems)
	for _, it in ipairs(traced) do
		self.messages = self.messages + 1
		if it.origin then
			self.made[it.origin.entry .. "\0" .. (it.origin.call or 0)] = true
		end
		if it.message.type == "track" and type(it.message.event) == "string" then
			self:note_event(it.message.event, it.origin, file)
		end
		for _, finding in ipairs(message.check(it.message, { bytes = it.bytes })) do
			add(self, finding, it.origin, file)
		end
	end
	for _, problem in ipairs(problems or {}) do
		self.failed = self.failed + 1
		local severity = FAILURES[problem.code]
		local one = findings.new()
		one:add("event-failed", "", ("event %.0f fails (%s): %s"):format(problem.index, problem.code, problem.message),
			severity == "note" and "if that is meant, all is well" or "mend the script, or take the example away", { severity = severity })
		add(self, one[1], nil, file)
	end
end

---@class moonweir.check.Unseen
---@field entry string
---@field call? string its name
---@field line? integer
---@field is_function boolean nothing at all is known of it
---@field has_apply boolean :apply makes some of its values

--- The end: all findings in order, and what no example has shown.
---@return moonweir.check.Findings findings
---@return moonweir.check.Unseen[] unseen
function Review:finish()
	local custom = {}
	for event in pairs(self.custom) do
		custom[#custom + 1] = '"' .. event .. '"'
	end
	table.sort(custom)
	if #custom > 0 then
		self.findings:add("event-custom", "event", ("not in the Spec: %s"):format(table.concat(custom, ", ")),
			"tell Segment of them before you submit the source", { script = self.definition.script, line = self.definition.line })
	end
	local unseen, applies = {}, {}
	for _, entry in ipairs(self.applies) do
		applies[entry] = true
	end
	local _, origins = trace.mark(self.definition)
	for _, origin in ipairs(origins) do
		if not self.made[origin.entry .. "\0" .. (origin.call or 0)] then
			unseen[#unseen + 1] = { entry = origin.entry, call = origin.call, line = origin.line, is_function = origin.call == nil,
				has_apply = applies[origin.entry] or false }
		end
	end
	self.findings:sort(true)
	return self.findings, unseen
end

return review
