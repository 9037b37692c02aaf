--- lesson -- what one of Segment's calls says of who is who, as facts for the identity store.
---
---     identify  userId u1, traits.email ann@…, anonymousId a1      email ann@… is u1, anonymous_id a1 is u1
---     identify  anonymousId a2, traits.email bob@…                 email bob@… is a2, until a userId is known
---     alias     previousId a2, userId u2                           user_id and anonymous_id a2 are u2
---     delete    userId u1                                          forget u1
---
--- Any call that carries ids together teaches them, not identify alone. Traits of a group are not a user's.

local core = require "moonweir.core"

local lesson = {}

local CALLS = { identify = true, alias = true, group = true, track = true, page = true, screen = true, delete = true }

--- An id as text, byte for byte; one that came as a number as its digits.
local function text(value)
	if type(value) == "string" then
		return value ~= "" and value or nil
	elseif type(value) == "number" or type(value) == "userdata" and value ~= core.null then
		return core.encode(value)
	end
	return nil
end

local function object(value)
	return type(value) == "table" and value or {}
end

-- A delete's date is written as Go prints it: "2026-11-23 21:58:00.123456789 +0000 UTC m=+0.01".
local function time_of(value)
	if type(value) ~= "string" then
		return nil
	end
	local day, clock, zone = value:match "^(%d+%-%d+%-%d+) (%d+:%d+:[%d.]+) ([+-]%d%d%d%d)"
	return core.timestamp(day and day .. "T" .. clock .. zone or value)
end

--- When it was said. Nothing is believed to come from the future: it would count against all that is said until then.
local function said_at(message, now)
	for _, name in ipairs { "timestamp", "originalTimestamp", "sentAt", "receivedAt" } do
		local at = time_of(message[name])
		if at then
			return math.min(at, now)
		end
	end
	return now
end

--- "acme-mail" -> acmeMailId, acme_mail_id: the tool's id of the user in a context.
local function names_of(slug)
	if not slug then
		return {}
	end
	local camel = slug:gsub("%-+(%w)", string.upper)
	return { camel .. "Id", (slug:gsub("%-+", "_")) .. "_id" }
end

---@class moonweir.LessonOptions
---@field account string
---@field slug? string         the tool's own: what it sent itself is not believed
---@field tool_ids? string[]   more names of the tool's id of a user, in context and traits
---@field now integer          ms since 1970

-- What is said besides userId and anonymousId: { { kind, id }, … }
local function ids_of(message, options)
	local context = object(message.context)
	local places = { object(context.traits) }
	if message.type == "identify" then
		places[2] = object(message.traits)
	end
	local found = {}
	local function add(kind, value)
		local id = text(value)
		if id then
			found[#found + 1] = { kind, id }
		end
	end
	for _, traits in ipairs(places) do
		add("email", traits.email)
		add("phone", traits.phone)
	end
	places[#places + 1] = context
	for _, names in ipairs { names_of(options.slug), options.tool_ids or {} } do
		for _, name in ipairs(names) do
			for _, place in ipairs(places) do
				add("tool_id", place[name])
			end
		end
	end
	return found
end

--- The facts of one call, in an order that does not matter.
---@param message table decoded
---@param options moonweir.LessonOptions
---@return moonweir.Fact[]|nil facts
---@return string? reason
---@return "unsupported"|"invalid"|"own"|nil code
function lesson.of(message, options)
	if type(message) ~= "table" or type(message.type) ~= "string" then
		return nil, "not a call: it has no type", "invalid"
	elseif not CALLS[message.type] then
		return nil, "calls of this type are not supported", "unsupported"
	end
	local integration = object(object(message.context).integration)
	if options.slug and integration.name == options.slug then
		return nil, "sent by ourselves", "own"
	end
	local at = said_at(message, options.now)
	local user, anonymous, previous = text(message.userId), text(message.anonymousId), text(message.previousId)
	local facts = {}
	local function say(kind, id, who, fallback)
		facts[#facts + 1] = { account = options.account, kind = kind, id = id, user = who, at = at, fallback = fallback }
	end
	if message.type == "delete" then
		if not user then
			return nil, "a delete without userId", "invalid"
		end
		return { { account = options.account, user = user, at = at, forget = true } }
	elseif not user and not anonymous then
		return nil, "neither userId nor anonymousId", "invalid"
	elseif message.type == "alias" then
		if not (user and previous) then
			return nil, "an alias needs previousId and userId", "invalid"
		end
		if previous ~= user then
			say("user_id", previous, user)
			say("anonymous_id", previous, user)
		end
	end
	if user and anonymous then
		say("anonymous_id", anonymous, user)
	end
	for _, id in ipairs(ids_of(message, options)) do
		say(id[1], id[2], user or anonymous, not user or nil)
	end
	return facts
end

return lesson
