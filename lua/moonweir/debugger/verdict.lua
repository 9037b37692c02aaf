--- verdict -- what there is to be said about a message: what Segment does with it, and what is wrong by the Spec and by the
--- rules for partners.
---
---     verdict.of(entry) -> "dropped", { { severity = "error", path = "userId", what = …, fix = …, why = … }, … }
---
--- dropped: answered with 200 and lost; error, warning: taken, but the checks find something; ok: nothing, or notes at most;
--- refused: the whole request was, and the sender knows; fault: one that was asked for.

local batch = require "moonweir.check.batch"
local core = require "moonweir.core"
local message = require "moonweir.check.message"
local spec = require "moonweir.spec"

local verdict = {}

verdict.WORDS = { "refused", "fault", "dropped", "error", "warning", "ok" }

local sources = spec.url "src/partners/sources.md"
local http = spec.url "src/connections/sources/catalog/libraries/server/http-api/index.md"

-- What to do about faults that no rule of the checks stands for.
local FIXES = {
	duplicate_message_id = "give each event an id of its own; if this is a repeat of one event, all is well: ids are for that",
	too_many_messages    = "send at most 2,500 messages in a batch",
	empty_batch          = "send messages in batch: [ … ]",
	message_not_object   = "send each message as an object",
	type_not_known       = "send identify, track, page, screen, group or alias as type",
	message_too_large    = "send what is needed, in at most 32 KB",
}

-- The same by another name in the checks.
local SAME = {
	type_not_known = "call-unknown", message_not_object = "call-unknown", message_too_large = "too-large",
	message_id_too_long = "message-id-long",
}

local function drop_finding(entry)
	local known = spec.drops.ingest[entry.fault]
	return {
		severity = "error", rule = entry.fault, code = entry.fault, path = "", what = entry.reason or entry.fault,
		why = known and "Segment answers 200 and drops it: " .. known.why or "Segment answers 200 and drops it",
		source = known and spec.url(known.page) or http, fix = FIXES[entry.fault] or "mend it, and send it again",
	}
end

-- Is the reason for the drop among the findings?
local function is_told(found, fault)
	for _, finding in ipairs(found) do
		if finding.code == fault or finding.rule == SAME[fault] then
			return true
		end
	end
	return false
end

local function decoded(text)
	return text and core.decode(text)
end

--- The envelope is one for all messages of a batch, and decoded once.
local function shared(envelope)
	if not envelope.decoded then
		envelope.decoded = { context = decoded(envelope.context), integrations = decoded(envelope.integrations) }
	end
	return envelope.decoded
end

local function request_findings(request, found)
	if request.authorization == "body" then
		table.insert(found, {
			severity = "warning", rule = "key-in-body", path = "", partner = "R8", source = sources,
			what = "the request has its write key in the body alone", fix = "send it in the header: Basic, the key as user name",
			why = "partners are asked to send the write key in the header of each request",
		})
	end
	if request.content_type and not request.content_type:lower():find "^application/json" then
		table.insert(found, {
			severity = "warning", rule = "content-type", path = "", source = http,
			what = "the request's Content-Type is not application/json", fix = "send Content-Type: application/json",
			why = "the Tracking API's page asks for it",
		})
	end
end

-- Routes of one call need no type in the message; to the checks it has one.
local function with_type(call, entry)
	if type(call) == "table" and call.type == nil and entry.type and not entry.is_batch then
		call.type = entry.type
	end
	return call
end

local function look(entry)
	local call = with_type(decoded(entry.raw), entry)
	local found = {}
	if call ~= nil then
		local whole = entry.envelope and batch.complete(call, shared(entry.envelope)) or call
		for i, finding in ipairs(message.check(whole, { bytes = #entry.raw })) do
			found[i] = finding
		end
	end
	request_findings(entry.request, found)
	if entry.fault and not is_told(found, entry.fault) then
		table.insert(found, 1, drop_finding(entry))
	end
	return found, type(call) == "table" and call or {}
end

local function worst(found)
	local word = "ok"
	for _, finding in ipairs(found) do
		if finding.severity == "error" then
			return "error"
		elseif finding.severity == "warning" then
			word = "warning"
		end
	end
	return word
end

--- What is to be said about a message, an entry of the ring. Costs some tens of microseconds: for those that are looked at.
---@param entry table
---@return string word
---@return moonweir.check.Finding[] findings worst first
---@return table call the message, decoded; {} if it can't be
function verdict.of(entry)
	if entry.kind == "request" then
		local request = entry.request
		local word = request.injected and "fault" or entry.fault and "dropped" or request.status == 200 and "ok" or "refused"
		return word, entry.fault and { drop_finding(entry) } or {}, {}
	end
	local found, call = look(entry)
	return entry.fault and "dropped" or worst(found), found, call
end

return verdict
