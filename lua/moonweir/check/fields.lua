--- fields -- properties and traits: do they have the names and types that the Spec gives them?

local date = require "moonweir.check.date"
local distance = require "moonweir.check.distance"
local spec = require "moonweir.spec"
local value = require "moonweir.check.value"

local fields = {}

local WORDS = { string = "text", number = "a number", integer = "a whole number", boolean = "true or false",
	date = "a date (ISO 8601)",
	object = "an object", array = "a list" }

local function expected(field)
	local words = {}
	for i, kind in ipairs(field.types) do
		words[i] = WORDS[kind]
	end
	return table.concat(words, " or ")
end

-- Types ---------------------------------------------------------------------------------------------

local function fits(kind, v, wanted)
	if wanted == "string" then
		return kind == "string"
	elseif wanted == "date" then
		return kind == "string" or value.is_later(v) and kind == "unknown"
	elseif wanted == "number" or wanted == "integer" then
		return kind == "number"
	end
	return kind == wanted
end

local function wanted_of(field, kind, v)
	for _, wanted in ipairs(field.types) do
		if fits(kind, v, wanted) then
			return wanted
		end
	end
	return field.also and fits(kind, v, field.also) and field.also or nil
end

-- What to do about a value of a wrong type.
local function fix_type(field, kind, v)
	local wanted = field.types[1]
	if wanted == "object" and kind == "array" then
		return #v == 0 and "send {}: in Lua an empty table is one, and source.array {} is []" or "send an object with named members"
	elseif wanted == "array" and kind == "object" then
		return not value.is_later(v) and next(v) == nil and "send source.array {}, which is []: in Lua an empty table is {}"
			or "send a list of such objects, even if there is one"
	elseif (wanted == "number" or wanted == "integer") and kind == "string" then
		return "send the number without quotes: get(…):number()"
	elseif wanted == "string" and kind == "number" then
		return "send it as text: get(…):string()"
	end
	return ("send %s"):format(expected(field))
end

-- Ids in digits where the Spec has text lose nothing but their type; texts in place of amounts are not added up.
local function type_severity(rule, field, kind)
	if rule == "property-type" and field.types[1] == "string" and (kind == "number" or kind == "boolean") then
		return { severity = "warning" }
	end
end

local function check_date(findings, path, v, kind, rule)
	if type(v) == "string" then
		local found = date.look(v)
		if found == "unzoned" then
			findings:add("date-without-zone", path, ("%s has no time zone"):format(path), "write 2026-01-31T12:00:00Z: get(…):time()")
		elseif not found then
			findings:add("date-unreadable", path, ("%s is no date"):format(path), "write 2026-01-31T12:00:00Z: get(…):time()")
		end
	elseif kind == "number" then
		findings:add(rule, path, ("%s is %s, not a date"):format(path, value.describe(v)),
			"write 2026-01-31T12:00:00Z: get(…):time()")
	end
end

local function among(list, v)
	for _, item in ipairs(list) do
		if item == v then
			return true
		end
	end
	return false
end

local function check_bounds(findings, path, field, v)
	for _, one in ipairs(value.is_later(v) and v.values or { v }) do
		if field.enum and type(one) ~= "table" and not among(field.enum, one) then
			findings:add("property-value", path, ("%s is none of the values that the Spec has for it"):format(path),
				"send one of " .. table.concat(field.enum, ", "))
		elseif type(one) == "number" and (field.min and one < field.min or field.max and one > field.max) then
			findings:add("property-value", path, ("%s is too low or too high"):format(path),
				("send a number from %d to %d"):format(field.min, field.max))
		elseif type(one) == "number" and field.types[1] == "integer" and one % 1 ~= 0 then
			findings:add("property-value", path, ("%s is not a whole number"):format(path), "send a whole number")
		end
	end
end

-- Names ---------------------------------------------------------------------------------------------

--- "orderId", "Order ID", "order_id" to "orderid".
---@param text string
---@return string
function fields.plain(text)
	return (text:lower():gsub("[^%w\128-\255]", ""))
end

-- names of a set of fields by what is left of them without case and underscores
local plain_names = setmetatable({}, { __mode = "k" })

local function plain_of(known)
	if not plain_names[known] then
		local made = {}
		for _, field_name in ipairs(spec.names(known)) do
			made[fields.plain(field_name)] = field_name
		end
		plain_names[known] = made
	end
	return plain_names[known]
end

--- How the Spec spells a name of which only case and underscores are different.
---@param known table<string, moonweir.spec.Field>
---@param given string
---@return string?
function fields.spelling(known, given)
	return plain_of(known)[fields.plain(given)]
end

local function nearest(known, given, object)
	local letters = fields.plain(given)
	local allowed = #letters >= 9 and 2 or #letters >= 4 and 1 or 0
	local best, best_distance
	for plain, field_name in pairs(plain_of(known)) do
		if object[field_name] == nil and plain:byte() == letters:byte() then -- whoever misspells a word begins it right
			local d = distance(letters, plain, best_distance or allowed)
			if d and (not best or d < best_distance or field_name < best) then
				best, best_distance = field_name, d
			end
		end
	end
	return best
end

-- A name that the Spec does not have here. Sources may add properties; not in place of the Spec's.
local function check_name(findings, path, known, given, object, event)
	local right = fields.spelling(known, given)
	if not right and event then
		right = spec.property_alias(event, given, known)
	end
	if right then
		if object[right] == nil then
			findings:add("property-renamed", path, ("%s is called %s in the Spec"):format(path, right), ("call it %s"):format(right))
		end
		return
	end
	right = nearest(known, given, object)
	if right then
		findings:add("property-near", path, ("%s is spelt much like %s"):format(path, right),
			("if it means the same, call it %s"):format(right))
	end
end

-- Walking -------------------------------------------------------------------------------------------

local check_object

local function check_value(findings, path, field, v, event, rule)
	local kind = value.kind(v)
	if kind == "unknown" or kind == "null" and (field.nullable or field.types[1] ~= "object" and field.types[1] ~= "array") then
		return
	end
	local wanted = wanted_of(field, kind, v)
	if not wanted then
		if field.types[1] == "date" and kind == "number" then
			return check_date(findings, path, v, kind, rule)
		end
		findings:add(rule, path, ("%s is %s, not %s"):format(path, value.describe(v), expected(field)), fix_type(field, kind, v),
			type_severity(rule, field, kind))
	elseif wanted == "date" then
		check_date(findings, path, v, kind, rule)
	elseif wanted == "object" then
		if field.properties and value.members(v) then
			check_object(findings, path, field.properties, v, event, rule)
		end
	elseif wanted == "array" then
		if field.items and not value.is_later(v) then
			for i, item in ipairs(v) do
				check_value(findings, ("%s[%d]"):format(path, i), field.items, item, event, rule)
			end
		end
	elseif field.enum or field.min or field.types[1] == "integer" then
		check_bounds(findings, path, field, v)
	end
end

--- Every member of an object against the fields that the Spec has for it. `event`: other names are looked for, too.
function check_object(findings, path, known, object, event, rule)
	for given, v in next, object do
		if type(given) == "string" then
			local field = known[given]
			if field then
				check_value(findings, path .. "." .. given, field, v, event, rule)
			elseif event then
				check_name(findings, path .. "." .. given, known, given, object, event)
			end
		end
	end
end

--- Properties of an event of the Spec.
---@param findings moonweir.check.Findings
---@param path string
---@param known table<string, moonweir.spec.Field>
---@param object table
---@param event string
function fields.check_event(findings, path, known, object, event)
	check_object(findings, path, known, object, event, "property-type")
end

--- Fields that may be missing or more, but have a type: traits, context.
---@param rule "trait-type"|"context-type"|"reserved-type"
function fields.check_types(findings, path, known, object, rule)
	check_object(findings, path, known, object, nil, rule)
end

return fields
