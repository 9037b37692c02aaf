--- batch -- what can be wrong with calls that come together, beside what is wrong with each.
---
--- Moonweir itself sends no empty batch, no call that it knows to be invalid, and at most 2,500 in one. This is for whoever
--- looks at other senders' requests, as the debugger does.

local findings = require "moonweir.check.findings"
local message = require "moonweir.check.message"
local spec = require "moonweir.spec"
local value = require "moonweir.check.value"

local batch = {}

local EVENTS_MAX = spec.limits.batch_events.value

local function merged(outer, inner)
	if not value.members(outer) then
		return inner
	end
	local made = {}
	for _, members in ipairs { outer, value.members(inner) or {} } do
		for name, v in next, members do
			made[name] = v
		end
	end
	return made
end

--- context and integrations may stand once, beside the calls, for all of them.
---@param call any decoded
---@param body {context: any, integrations: any}
---@return any call with what is the batch's in it; the one given is not changed
function batch.complete(call, body)
	if not value.members(call) or body.context == nil and body.integrations == nil then
		return call
	end
	local made = {}
	for name, v in next, call do
		made[name] = v
	end
	made.context = merged(body.context, call.context)
	made.integrations = merged(body.integrations, call.integrations)
	return made
end

--- Check the body of a request to /v1/batch.
---@param body table decoded by moonweir.core.decode
---@return moonweir.check.Finding[] findings of the batch; their path begins with "batch"
---@return moonweir.check.Finding[][] each those of each call
function batch.check(body)
	local found, each, dropped, ids = findings.new(), {}, 0, {}
	local calls = value.members(body) and body.batch
	if value.kind(calls) ~= "array" or #calls == 0 then
		found:add("batch-empty", "batch", "the batch holds no call", "send calls in batch: [ … ]")
		return found, each
	end
	for i, call in ipairs(calls) do
		each[i] = message.check(batch.complete(call, body))
		local is_dropped = false
		for _, finding in ipairs(each[i]) do
			is_dropped = is_dropped or finding.code ~= nil
		end
		dropped = dropped + (is_dropped and 1 or 0)
		local id = value.members(call) and call.messageId
		if type(id) == "string" then
			if ids[id] then
				found:add("message-id-repeated", ("batch[%d].messageId"):format(i),
					("calls %d and %d have the same messageId"):format(ids[id], i),
					"give each call its own")
			end
			ids[id] = ids[id] or i
		end
	end
	if dropped == #calls then
		found:add("batch-invalid", "batch", "no call of the batch is valid", "mend the calls")
	elseif dropped > 0 then
		found:add("batch-part-invalid", "batch", ("%d of %d calls are not valid"):format(dropped, #calls), "mend these calls")
	end
	if #calls > EVENTS_MAX then
		found:add("batch-too-long", "batch", ("the batch has %d calls"):format(#calls), ("send at most %d in one"):format(EVENTS_MAX))
	end
	found:sort()
	return found, each
end

return batch
