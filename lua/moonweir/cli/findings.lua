--- findings -- what messages break of Segment's Spec, said on stderr: a line for each event and rule, not for each message.
---
--- Errors are said as they come. Of warnings a person at a terminal is told that there are some: `moonweir check` is where
--- to read them.

local process = require("moonweir.core").process
local review = require "moonweir.review"
local terminal = require "moonweir.cli.terminal"

local findings = {}

local SHOWN = 20 -- lines; a source with more is better looked at by `moonweir check`

function findings.define(parser)
	parser:flag("--strict", "Don't send messages with an error by Segment's Spec: their events fail, with the code spec.")
end

---@class moonweir.cli.Findings
local Findings = {}
Findings.__index = Findings

---@param strict? boolean errors are told with the events that fail of them, so not here
---@return moonweir.cli.Findings
function findings.new(strict)
	return setmetatable({ strict = strict, shown = 0, more = 0, warnings = 0, known = {} }, Findings)
end

local function line(finding)
	local name = finding.event and (' "%s"'):format(finding.event) or ""
	local count = finding.count > 1 and (" [%s messages so far]"):format(terminal.count(finding.count)) or ""
	return terminal.safe(("%s%s: %s%s"):format(finding.call, name, review.sentence(finding), count), 600)
end

--- What client:findings or source:findings gave.
---@param list moonweir.Finding[]
---@param before? fun() called before the first line, if there is one
function Findings:say(list, before)
	for _, finding in ipairs(list) do
		if finding.severity == "warning" then
			local key = ("%s\0%s\0%s"):format(finding.call, finding.event or "", finding.rule)
			self.warnings = self.warnings + (self.known[key] and 0 or 1)
			self.known[key] = true
		elseif not self.strict and self.shown < SHOWN then
			if before then
				before()
			end
			terminal.say("warning", line(finding))
			self.shown = self.shown + 1
		elseif not self.strict then
			self.more = self.more + 1
		end
	end
end

--- The last words.
---@param source string the script's path
function Findings:finish(source)
	local parts = {}
	if self.more > 0 then
		parts[1] = ("%d more error%s"):format(self.more, self.more == 1 and "" or "s")
	end
	if self.warnings > 0 and process.is_terminal(2) then
		parts[#parts + 1] = ("%d warning%s"):format(self.warnings, self.warnings == 1 and "" or "s")
	end
	if #parts > 0 then
		terminal.say("note", ("%s by Segment's Spec; moonweir check %s tells all"):format(table.concat(parts, " and "),
			terminal.safe(source, 200)))
	end
end

return findings
