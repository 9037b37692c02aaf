--- letter -- why an entry is dead: what stands in the dead stream in front of the fields that it came with.
---
---     moonweir-id       the entry's own id
---     moonweir-group    whose it was
---     moonweir-code     "mapping", "no_user", "refused" …: the codes of push, or refused for what Segment did not take
---     moonweir-reason   a sentence, with the script's line or Segment's answer
---     moonweir-failed   how many of its events or messages; the others were delivered
---     moonweir-message  the first message that Segment refused

local letter = {}

local REASON_MAX = 1000

---@class moonweir.worker.Letter
---@field code string
---@field reason string
---@field failed integer
---@field message? string

local function short(text)
	return #text <= REASON_MAX and text or text:sub(1, REASON_MAX) .. "…"
end

--- One more thing that failed; the first gives code and reason.
---@param self? moonweir.worker.Letter
---@return moonweir.worker.Letter
function letter.add(self, code, reason, count, message)
	self = self or { code = code, reason = short(reason), failed = 0, message = message }
	self.failed = self.failed + (count or 1)
	return self
end

--- A message that Segment refused.
---@param self? moonweir.worker.Letter
---@param report moonweir.Report
function letter.refused(self, report)
	local answer = report.answer and ": " .. report.answer or ""
	return letter.add(self, "refused", ("status %d%s"):format(report.status, answer), 1, report.message)
end

--- The fields of the dead stream that are ours.
---@param self moonweir.worker.Letter
---@param group string
---@return string[]
function letter.fields(self, group)
	local list = { "moonweir-group", group, "moonweir-code", self.code, "moonweir-reason", self.reason,
		"moonweir-failed", ("%d"):format(self.failed) }
	if self.message then
		list[#list + 1], list[#list + 2] = "moonweir-message", self.message
	end
	return list
end

return letter
