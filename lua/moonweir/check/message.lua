--- message -- is a finished Segment call right by the Spec and by what is asked of partners?
---
---     message.check(core.decode(json))
---     --> { { rule = "event-renamed", severity = "error", path = "event", what = '"Purchase" is …', why = …, fix = …, … } }
---
--- A pure function of the decoded call, a tenth of a millisecond or so. Give it what moonweir.core.decode makes of the JSON:
--- each empty table of other decoders, which may have been {} or [], it takes for {}. What the whole batch, the customer's
--- settings or earlier calls decide is not in one message: see batch.lua, and `moonweir check --rules`.

local context = require "moonweir.check.context"
local date = require "moonweir.check.date"
local fields = require "moonweir.check.fields"
local findings = require "moonweir.check.findings"
local identity = require "moonweir.check.identity"
local name = require "moonweir.check.name"
local spec = require "moonweir.spec"
local style = require "moonweir.check.style"
local subject = require "moonweir.check.subject"
local value = require "moonweir.check.value"

local message = {}

local BYTES_MAX = spec.limits.event_bytes.keep
local MESSAGE_ID_MAX = spec.limits.message_id_characters.keep

-- The name of a track ---------------------------------------------------------------------------------

local HOW = {
	spelling = "in other letters",
	form     = "in another form",
	order    = "in another order",
}

local function check_suggestion(found, given, it)
	local quoted = value.quote(given)
	local fix = ('call it "%s"'):format(it.event)
	if it.how == "deprecated" then
		found:add("event-deprecated", "event", ('%s is an old name; now it is "%s"'):format(quoted, it.event), fix)
	elseif it.how == "alias" then
		local alias = it.alias
		if it.sure then
			found:add("event-renamed", "event", ('%s is "%s" in the Spec'):format(quoted, it.event), fix,
				{ source = spec.url(alias.page) })
		else
			local when = alias.when and (", when %s"):format(alias.when) or ""
			found:add("event-near", "event", ('%s may be what the Spec calls "%s"%s'):format(quoted, it.event, when),
				("if it means the same, %s"):format(fix))
		end
	elseif it.sure then
		found:add("event-renamed", "event", ('%s is "%s" %s'):format(quoted, it.event, HOW[it.how]), fix)
	else
		found:add("event-near", "event", (it.how == "likely" and '%s may be what the Spec calls "%s"' or '%s is close to "%s"')
			:format(quoted,
			it.event), ("if it means the same, %s"):format(fix))
	end
end

local function check_event_name(found, given)
	local reserved = spec.reserved.events[given]
	if reserved then
		if reserved.by ~= "consent" then
			found:add("event-reserved", "event", ("%s is an event of Segment's own"):format(value.quote(given)),
				reserved.by == "calls" and "send a page or screen call, or call it something else" or "call it something else",
				{ source = spec.url(reserved.page) })
		end
		return
	end
	local it = name.look(given)
	if it then
		check_suggestion(found, given, it)
	elseif not spec.event(given) then
		local data = name.data_in(given)
		if data then
			found:add("event-dynamic", "event", ("the event's name has %s in it"):format(data),
				"send what varies as a property")
		elseif not name.is_proper_case(given) then
			found:add("event-casing", "event", ("%s is not in Proper Case"):format(value.quote(given)), 'write it like "Ticket Created"')
		end
	end
end

local function check_event(found, event)
	local kind = value.kind(event)
	if event == nil or event == "" then
		found:add("event-missing", "event", event == nil and "the track call has no event" or "event is an empty text",
			"name the event")
	elseif value.is_later(event) and event.values then
		for _, one in ipairs(event.values) do
			check_event_name(found, one)
		end
	elseif kind ~= "string" and kind ~= "unknown" then
		found:add("event-not-text", "event", ("event is %s"):format(value.describe(event)), "name the event with text")
	elseif type(event) == "string" then
		check_event_name(found, event)
	end
end

-- What it is about ------------------------------------------------------------------------------------

-- Events of AI assistants have names like Message Sent, which other tools send in earnest and mean something else by.
local MEANT_ELSEWHERE = { copilot = true }

local function check_properties(found, m, properties)
	if m.type ~= "track" then
		local known = spec.reserved.properties[m.type]
		fields.check_types(found, "properties", known, properties, "reserved-type")
		style.check(found, "properties", properties, known)
		return
	end
	local event = type(m.event) == "string" and spec.event(m.event)
	if event then
		local before = #found
		fields.check_event(found, "properties", event.properties, properties, event.name)
		for i = MEANT_ELSEWHERE[event.category] and before + 1 or #found + 1, #found do
			found[i].severity = "warning"
		end
		subject.check(found, event, properties)
	else
		fields.check_types(found, "properties", spec.reserved.properties.track, properties, "reserved-type")
	end
	style.check(found, "properties", properties, event and event.properties or spec.reserved.properties.track)
end

-- A reserved trait may be written either way: firstName and first_name.
local trait_fields = {}
for call, known in pairs(spec.reserved.traits) do
	trait_fields[call] = {}
	for field_name, field in pairs(known) do
		trait_fields[call][field_name] = field
		trait_fields[call][style.snake(field_name)] = field
	end
end

local function check_payload(found, m, field, rule)
	local payload = m[field]
	local kind = value.kind(payload)
	if payload == nil or kind == "unknown" then
		payload = field == "properties" and m.type == "track" and payload == nil and {} or nil
	elseif kind ~= "object" then
		found:add(rule, field, ("%s is %s"):format(field, value.describe(payload)),
			kind == "array" and #payload == 0 and "send {}: in Lua an empty table is one, and source.array {} is []"
			or ("send an object, or leave %s out"):format(field))
		return
	end
	if not payload or value.is_later(payload) then
		return
	elseif field == "properties" then
		check_properties(found, m, payload)
	else
		fields.check_types(found, "traits", trait_fields[m.type], payload, "trait-type")
		style.check(found, "traits", payload, trait_fields[m.type], true)
	end
end

local function check_page_name(found, m)
	for field, rule in pairs { name = "name-not-text", category = "category-not-text" } do
		local v = m[field]
		if v ~= nil and (v == "" or value.kind(v) ~= "string" and value.kind(v) ~= "unknown") then
			found:add(rule, field, ("%s is %s"):format(field, value.describe(v)), ("send text, or leave %s out"):format(field))
		end
	end
end

-- The rest --------------------------------------------------------------------------------------------

local function check_stamps(found, m)
	local id = m.messageId
	if id == nil then
		found:add("message-id-missing", "messageId", "there is no messageId",
			"send one that is the same when the event is sent again; Moonweir makes it of the source's id")
	elseif type(id) == "string" and #id > MESSAGE_ID_MAX then
		found:add("message-id-long", "messageId", ("messageId has %d characters"):format(#id), "send a hash of it")
	elseif value.kind(id) ~= "string" and value.kind(id) ~= "unknown" then
		found:add("message-id-missing", "messageId", ("messageId is %s"):format(value.describe(id)), "send it as text")
	end
	for _, field in ipairs { "timestamp", "sentAt", "originalTimestamp" } do
		local time = m[field]
		if type(time) == "string" then
			local look = date.look(time)
			if look == "unzoned" then
				found:add("date-without-zone", field, ("%s has no time zone"):format(field), "write 2026-01-31T12:00:00Z")
			elseif look ~= "zoned" then
				found:add("date-unreadable", field, ("%s is no time"):format(field), "write 2026-01-31T12:00:00Z")
			end
		elseif time ~= nil and value.kind(time) ~= "string" and value.kind(time) ~= "unknown" then
			found:add("date-unreadable", field, ("%s is %s"):format(field, value.describe(time)), "write 2026-01-31T12:00:00Z")
		end
	end
end

local function check_email_context(found, m)
	local event = m.type == "track" and type(m.event) == "string" and spec.event(m.event)
	if not event or event.category ~= "email" then
		return
	end
	local members = value.members(m.context)
	local traits = members and value.members(members.traits)
	if not (traits and traits.email ~= nil) and not (members and value.is_later(members.traits)) then
		found:add("context-email-missing", "context.traits.email", "there is no context.traits.email",
			"send the recipient's address there: context = { traits = { email = … } }")
	end
end

--- Check one call.
---@param m table as moonweir.core.decode gives it; nothing in it is changed
---@param options? {bytes: integer?} how long its JSON is; without it that is not checked
---@return moonweir.check.Finding[] findings errors first; empty if nothing is wrong
function message.check(m, options)
	local found = findings.new()
	if value.kind(m) ~= "object" then
		found:add("call-unknown", "", ("the call is %s, not an object"):format(value.describe(m)), "send an object")
		return found
	end
	local call = type(m.type) == "string" and spec.calls[m.type]
	if not call then
		found:add("call-unknown", "type", m.type == nil and "there is no type" or ("type is %s"):format(value.describe(m.type)),
			"send identify, track, page, screen, group or alias")
	end
	identity.check(found, m, context.is_own)
	if m.type == "track" then
		check_event(found, m.event)
	elseif m.type == "page" or m.type == "screen" then
		check_page_name(found, m)
	end
	if call and call.fields.properties then
		check_payload(found, m, "properties", "properties-not-object")
	elseif call and call.fields.traits then
		check_payload(found, m, "traits", "traits-not-object")
	end
	context.check(found, m)
	check_email_context(found, m)
	check_stamps(found, m)
	if options and options.bytes and options.bytes > BYTES_MAX then
		found:add("too-large", "", ("the call has %d bytes"):format(options.bytes), "send what is needed")
	end
	found:sort()
	return found
end

return message
