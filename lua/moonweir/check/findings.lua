--- findings -- what a check has found, in the order in which it was found.

local rules = require("moonweir.check.rules").by_name
local spec = require "moonweir.spec"

---@class moonweir.check.Finding
---@field rule string stable; see rules.lua
---@field severity "error"|"warning"|"note"
---@field path string where in the message: "properties.products[1].price", counted from 1
---@field what string
---@field why string
---@field source? string the address of the page that says so; nil: nobody but Moonweir does
---@field fix string
---@field code? string Segment's word for what it drops
---@field partner? string the requirement made of partners: "R5"
---@field script? string where in a script
---@field line? integer
---@field entry? string which entry of `on`

---@class moonweir.check.Findings
local Findings = {}
Findings.__index = Findings

local findings = {}

function findings.new()
	return setmetatable({}, Findings)
end

--- One more. `about` may say `severity`, and what belongs to a place in a script.
---@param name string of the rule
---@param path string
---@param what string
---@param fix string
---@param about? table
function Findings:add(name, path, what, fix, about)
	local rule = rules[name] or error("no rule " .. tostring(name))
	local made = {
		rule = name, severity = rule.severity, path = path, what = what, why = rule.why, source = rule.page and spec.url(rule.page),
			fix = fix,
		code = rule.code, partner = rule.partner,
	}
	for key, value in pairs(about or {}) do
		made[key] = value
	end
	self[#self + 1] = made
end

local WEIGHT = { error = 1, warning = 2, note = 3 }

--- Errors first, then by place: in the script, or in the message. Those of one place stay as they were found.
---@param by_line? boolean
function Findings:sort(by_line)
	if #self < 2 then
		return
	end
	local found_at = {}
	for i, finding in ipairs(self) do
		found_at[finding] = i
	end
	table.sort(self, function(a, b)
		if a.severity ~= b.severity then
			return WEIGHT[a.severity] < WEIGHT[b.severity]
		elseif by_line and a.line ~= b.line then
			return (a.line or math.huge) < (b.line or math.huge)
		elseif not by_line and a.path ~= b.path then
			return a.path < b.path
		end
		return found_at[a] < found_at[b]
	end)
end

findings.SEVERITIES = { "error", "warning", "note" }

--- How many there are of each severity.
---@param list moonweir.check.Finding[]
---@return {error: integer, warning: integer, note: integer}
function findings.count(list)
	local count = { error = 0, warning = 0, note = 0 }
	for _, finding in ipairs(list) do
		count[finding.severity] = count[finding.severity] + 1
	end
	return count
end

return findings
