--- value -- what kind of JSON value a Lua value is, if that is known.
---
--- Checks look at messages that are finished, and at sketches of messages that a source is going to make (sketch.lua).
--- In a sketch a value may be missing yet: then it stands as `value.later`, of which sometimes the kind is known.

local core = require "moonweir.core"

local value = {}

local null = core.null
local array_metatable = debug.getmetatable(core.array {})
local Later = {}

---@alias moonweir.check.Kind "string"|"number"|"boolean"|"object"|"array"|"null"|"unknown"

---@class moonweir.check.Later
---@field kind moonweir.check.Kind
---@field date? true text in ISO 8601, in UTC
---@field values? any[] one of these

--- A value that is not there before an event comes.
---@param kind moonweir.check.Kind
---@param facts? table
---@return moonweir.check.Later
function value.later(kind, facts)
	local made = { kind = kind }
	for name, fact in pairs(facts or {}) do
		made[name] = fact
	end
	return setmetatable(made, Later)
end

---@param v any
---@return boolean
function value.is_later(v)
	return type(v) == "table" and debug.getmetatable(v) == Later
end

--- A number with more digits than Lua's numbers keep is a userdata of ours. An empty table is an object, unless our own
--- decoder or core.array made it a list.
---@param v any
---@return moonweir.check.Kind
function value.kind(v)
	local t = type(v)
	if t == "string" or t == "number" or t == "boolean" then
		return t
	elseif t == "table" then
		local metatable = debug.getmetatable(v)
		if metatable == array_metatable then
			return "array"
		elseif metatable == Later then
			return v.kind
		end
		return type(next(v)) == "number" and "array" or "object"
	elseif v == null then
		return "null"
	end
	return t == "userdata" and "number" or "unknown"
end

--- An object with its members, as far as they are known.
function value.members(v)
	return value.kind(v) == "object" and not value.is_later(v) and v or nil
end

local ARTICLES = { string = "text", number = "a number", boolean = "true or false", object = "an object", array = "a list",
	null = "null",
	unknown = "something" }

--- For sentences: "a list", "an empty text". Never the value itself: what is found ends up in logs, and values are people's.
---@param v any
---@return string
function value.describe(v)
	if v == "" then
		return "an empty text"
	elseif type(v) == "boolean" then
		return tostring(v)
	end
	return ARTICLES[value.kind(v)]
end

--- A name in quotes, not too much of it.
---@param text string
function value.quote(text)
	if #text > 60 then
		text = text:sub(1, 57):gsub("[\192-\255][\128-\191]*$", "") .. "…"
	end
	return '"' .. text .. '"'
end

return value
