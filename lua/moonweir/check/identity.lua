--- identity -- whose call it is: userId, anonymousId, groupId, previousId.

local value = require "moonweir.check.value"

local identity = {}

-- What Unify drops in its suggested setting (src/unify/identity-resolution/identity-resolution-settings.md).
local function is_ignored(id)
	return id:find "^[0-]*$" ~= nil or id == "-1" or id == "null" or id == "anonymous"
end

-- What programs write where there is nothing.
local PLACEHOLDERS = {}
for _, word in ipairs { "undefined", "none", "nil", "nan", "null", "(null)", "(none)", "n/a", "na", "unknown", "false",
	"true", "[object object]",
	"anonymous", "guest", "test", "{}", "[]" } do
	PLACEHOLDERS[word] = true
end

---@param text string
function identity.is_email(text)
	return text:find "^[^%s@]+@[^%s@]+%.[^%s@]+$" ~= nil
end

--- "acme-mail" to "acmeMailId": where the tool's own id goes in context.
---@param slug string
---@return string
function identity.tool_id(slug)
	return (slug:gsub("%-+(%w)", string.upper):gsub("%-", "")) .. "Id"
end

local function check_id(findings, field, id)
	local kind = value.kind(id)
	if kind == "unknown" or kind == "string" and value.is_later(id) then
		return
	elseif kind ~= "string" or id == "" then
		findings:add("id-not-text", field, ("%s is %s"):format(field, value.describe(id)),
			kind == "number" and "send it as text: get(…):string()"
			or ("send the id as text, or leave %s out"):format(field))
	elseif is_ignored(id) then
		findings:add("id-ignored", field, ("%s is %s"):format(field, value.quote(id)), "send the real id, or none of this event")
	elseif PLACEHOLDERS[id:lower()] then
		findings:add("id-placeholder", field, ("%s is %s"):format(field, value.quote(id)), "send the real id, or none of this event")
	elseif field == "userId" and identity.is_email(id) then
		findings:add("id-email", field, "the userId is an e-mail address",
			"send the customer's own id, and the address as traits.email (identify) or context.traits.email")
	end
end

-- The same id once more in a field of context that is none of Segment's: the tool's own.
local function check_owner(findings, message, is_own)
	local id, context = message.userId, value.members(message.context)
	if type(id) ~= "string" or not context then
		return
	end
	local stamp = value.members(context.integration)
	local own = stamp and type(stamp.name) == "string" and identity.tool_id(stamp.name)
	for field, other in next, context do
		if other == id and is_own(field) then
			findings:add(field == own and "id-of-tool" or "id-maybe-of-tool", "userId",
				("the userId is the same as context.%s, the tool's own id"):format(field),
				"send the id that the customer knows the person by; leave the tool's own in context")
		end
	end
end

--- Everything about who it is.
---@param findings moonweir.check.Findings
---@param message table
---@param is_own fun(field: any): boolean is it a field of context that is the tool's own?
function identity.check(findings, message, is_own)
	local user, anonymous = message.userId, message.anonymousId
	if user == nil and anonymous == nil then
		if message.user_id ~= nil or message.user ~= nil then
			findings:add("user-missing", "userId", "there is no userId", "the field is spelt userId")
		else
			findings:add("user-missing", "userId", "there is neither a userId nor an anonymousId",
				"send the customer's own id of the person as userId")
		end
	end
	for _, field in ipairs { "userId", "anonymousId" } do
		if message[field] ~= nil then
			check_id(findings, field, message[field])
		end
	end
	if user == nil and anonymous ~= nil then
		findings:add("user-anonymous", "userId", "there is an anonymousId, but no userId",
			"find the customer's own id of the person: the one that Segment sent to the tool, or that the customer gave it")
	end
	check_owner(findings, message, is_own)
	for call, field in pairs { group = "groupId", alias = "previousId" } do
		local id = message[field]
		if message.type == call then
			local kind = value.kind(id)
			if id == nil or id == "" or kind ~= "string" and kind ~= "unknown" then
				findings:add(call == "group" and "group-id-missing" or "previous-id-missing", field,
					id == nil and ("there is no %s"):format(field) or ("%s is %s"):format(field, value.describe(id)),
					("send %s as text"):format(field))
			else
				check_id(findings, field, id)
			end
		end
	end
end

return identity
