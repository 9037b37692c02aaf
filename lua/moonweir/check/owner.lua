--- owner -- whose id does a source send as userId: the customer's, or the tool's own?
---
--- Nobody sees that in a path for sure. What context says is the tool's own is not the customer's; an e-mail address is no
--- id; and some
--- names are those under which tools have ids of theirs.

local around = require "moonweir.check.context"
local expression = require "moonweir.expression"
local fields = require "moonweir.check.fields"

local owner = {}

local KEEPS = { string = true, trim = true, lower = true, upper = true, default = true }

-- The path that an expression copies, as it is written: `get "contact.id":string()` gives "get "contact.id"".
local function copied(e)
	while expression.is(e) and KEEPS[rawget(e, "op")] do
		e = rawget(e, "args")[1]
	end
	if expression.is(e) and rawget(e, "op") == "path" then
		return tostring(e), rawget(e, "path")
	end
end

-- Names under which tools have their own ids of people. user_id and customer_id may be either's.
local OWN_NAMES = {}
for _, person in ipairs { "contact", "subscriber", "recipient", "lead", "profile", "requester", "visitor", "subscription",
	"agent", "actor" } do
	OWN_NAMES[person .. "id"] = true
end
local THEIRS = { external = true, identifiers = true, metadata = true, custom = true, hidden = true }

local function looks_own(path)
	local last = path[#path]
	if type(last) ~= "string" then
		return false
	end
	for _, step in ipairs(path) do
		for word in tostring(step):lower():gmatch "%a+" do
			if THEIRS[word] then
				return false
			end
		end
	end
	return last == "id" or OWN_NAMES[fields.plain(last)] or last == "customer" or false
end

local function each_id(id, visit)
	if expression.is(id) and (rawget(id, "op") == "any" or rawget(id, "op") == "default") then
		for _, operand in ipairs(rawget(id, "args")) do
			each_id(operand, visit)
		end
	else
		visit(id)
	end
end

--- Check what a source says of the user.
---@param found moonweir.check.Findings
---@param user moonweir.User
---@param context? table the source's template
---@param line? integer of what the user stands in
---@param entry? string if it is a call's own
function owner.check(found, user, context, line, entry)
	local own = {}
	for field, v in next, context or {} do
		local path = around.is_own(field) and copied(v)
		if path then
			own[path] = field
		end
	end
	for _, id in ipairs(user.ids) do
		each_id(id, function(one)
			local written, path = copied(one)
			local about = { line = expression.is(one) and rawget(one, "line") or user.line or line, entry = entry }
			if not written then
				return
			end
			local last = tostring(path[#path] or "")
			if own[written] then
				found:add("id-of-tool", "userId", ("the userId is %s, which is also context.%s: the tool's own id"):format(written,
					own[written]), "take the id that the customer gave the person; the tool's own stays in context", about)
			elseif fields.plain(last):find "email" then
				found:add("id-email", "userId", ("the userId is %s, an e-mail address"):format(written),
					"take the customer's own id, and write the address as source.user { …, email = … }", about)
			elseif looks_own(path) then
				found:add("id-maybe-of-tool", "userId", ("the userId is %s; is that the tool's own id?"):format(written),
					"take the id that the customer gave the person, often called external_id or user_id; the tool's own goes to context", about)
			end
		end)
	end
end

return owner
