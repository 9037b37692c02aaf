--- shape -- what values may stand in a place: their types, and what is inside objects and lists.
---
---     shape.of(get "code":lookup { ["4"] = "soft", ["5"] = "hard" })   a string, one of two
---     shape.of(get "lines":map { sku = get "sku":string() })           a list of objects with a string
---     shape.of(get "subject")                                          not known: the event decides
---
--- What an expression leaves open, the Spec's word for the same property fills in, and then what golden files show
--- (shape.complete). Nothing is run.

local core = require "moonweir.core"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local sorted = require "moonweir.sorted"

local shape = {}

-- LuaJIT 2.1.0-beta3, which Debian 12 has, crashes now and then in the compiled form of these loops: they walk a table with
-- next, recurse, and call string.match inside (a trace goes on across the C function). Nothing here is worth compiling.
if rawget(_G, "jit") then
	jit.off(true, true)
end

---@alias moonweir.ShapeType "string"|"date"|"number"|"integer"|"boolean"|"object"|"array"|"null"

---@class moonweir.Shape
---@field types? table<moonweir.ShapeType, true> nil: not known. A date is an ISO 8601 text with its time zone
---@field enum? any[] the only values there are
---@field properties? table<string, moonweir.Shape> of objects, as far as they are known
---@field items? moonweir.Shape of lists
---@field is_empty? boolean a list that has no items, which is more than not to know them
---@field always? boolean whatever the event is like, the value is there
---@field from? "script"|"spec"|"fixtures" who knows the types

local function types(...)
	local set = {}
	for _, word in ipairs { ... } do
		set[word] = true
	end
	return set
end

-- What an operation gives, where that does not hang on its operands.
local results = {
	header = "string", query = "string", concat = "string", lower = "string", upper = "string", trim = "string",
	string = "string", hash = "string", before = "string", after = "string",
	add = "number", sub = "number", mul = "number", div = "number", number = "number", money = "number", sum = "number",
	boolean = "boolean", is = "boolean", all = "boolean", none = "boolean",
	above = "boolean", below = "boolean", contains = "boolean", time = "date",
	snake_case = "object", without = "object",
}

local function is_object(value)
	return type(value) == "table" and definition.shape(value) == "object"
end

-- A date among texts is a text, a whole number among numbers a number.
local function widen(set)
	if set.string then
		set.date = nil
	end
	if set.number then
		set.integer = nil
	end
	return set
end

local function both_enums(a, b)
	if not a or not b then
		return nil
	end
	local all, seen = {}, {}
	for _, value in ipairs { a, b } do
		for _, item in ipairs(value) do
			if not seen[item] then
				seen[item] = true
				all[#all + 1] = item
			end
		end
	end
	return all
end

-- May it be a list, or an object, whose inside is not known? Then neither is that of what it may be instead.
local function is_open(one, word, inside)
	return one.types and one.types[word] and not one[inside] and not one.is_empty
end

--- What may be one or the other.
---@param a moonweir.Shape
---@param b moonweir.Shape
---@return moonweir.Shape
function shape.either(a, b)
	local made = { always = a.always and b.always or false, from = a.from or b.from, is_empty = a.is_empty and b.is_empty }
	if a.types and b.types then
		made.types = {}
		for _, set in ipairs { a.types, b.types } do
			for word in next, set do
				made.types[word] = true
			end
		end
		widen(made.types)
		made.enum = both_enums(a.enum, b.enum)
	end
	if (a.properties or b.properties) and not is_open(a, "object", "properties") and not is_open(b, "object", "properties") then
		made.properties = {}
		local ours, theirs = a.properties or {}, b.properties or {}
		for _, name in ipairs(sorted(ours, theirs)) do
			local mine, other = ours[name], theirs[name]
			made.properties[name] = mine and other and shape.either(mine, other) or shape.with(mine or other, { always = false })
		end
	end
	if (a.items or b.items) and not is_open(a, "array", "items") and not is_open(b, "array", "items") then
		made.items = a.items and b.items and shape.either(a.items, b.items) or a.items or b.items
	end
	return made
end

--- The same with other fields.
---@param from moonweir.Shape
---@param fields table
---@return moonweir.Shape
function shape.with(from, fields)
	local made = {}
	for _, given in ipairs { from, fields } do
		for name, value in next, given do
			made[name] = value
		end
	end
	return made
end

-- Of what a script declares ---------------------------------------------------------------------------

local function of_any(values)
	local made, always
	for _, value in ipairs(values) do
		local one = shape.of(value)
		always = always or one.always
		made = made and shape.either(made, one) or one
	end
	return made and shape.with(made, { always = always or false }) or {}
end

local function of_lookup(values)
	local made = { types = {}, enum = {}, always = false, from = "script" }
	for _, name in ipairs(sorted(values)) do
		local one = shape.of(values[name])
		for word in next, one.types do
			made.types[word] = true
		end
		made.enum = both_enums(made.enum, one.enum or {})
	end
	table.sort(made.enum, function(a, b)
		return tostring(a) < tostring(b)
	end)
	widen(made.types)
	return made
end

local function of_list(items)
	local made = { types = types "array", items = #items > 0 and of_any(items) or nil, always = true, from = "script" }
	made.items = made.items and shape.with(made.items, { always = false })
	made.is_empty = #items == 0 or nil
	return made
end

local function of_expression(e)
	local op, args = rawget(e, "op"), rawget(e, "args")
	if results[op] then
		return { types = types(results[op]), always = op == "all" or op == "none", from = "script" }
	elseif op == "default" or op == "any" then
		return of_any(args)
	elseif op == "when" or op == "except" then
		return shape.with(shape.of(args[1]), { always = false })
	elseif op == "lookup" then
		return of_lookup(args[2])
	elseif op == "array" then
		return of_list(args)
	elseif op == "map" then
		local list = shape.of(args[1])
		return { types = types "array", items = shape.of(args[2]), always = list.always or false, from = "script" }
	elseif op == "filter" then
		local list = shape.of(args[1])
		return { types = types "array", items = list.items, always = list.always or false, from = "script" }
	elseif op == "first" or op == "last" then
		local items = shape.of(args[1]).items
		return items and shape.with(items, { always = false }) or { always = false }
	end
	return { always = false } -- a path, or a function: the event decides
end

local function of_object(template)
	local made = { types = types "object", properties = {}, always = false, from = "script" }
	for name, value in next, template do
		local one = shape.of(value)
		made.properties[name] = one
		made.always = made.always or one.always or false -- an object of which nothing is there is left out
	end
	return made
end

--- Of an expression, a template or a plain value.
---@param value any
---@return moonweir.Shape
function shape.of(value)
	if expression.is(value) then
		return of_expression(value)
	elseif type(value) == "table" then
		return is_object(value) and of_object(value) or of_list(value)
	elseif type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
		return { types = types(type(value)), enum = { value }, always = true, from = "script" }
	end
	return { types = types "null", enum = { core.null }, always = true, from = "script" }
end

-- Of the Spec's words and of messages -------------------------------------------------------------------

local function types_of_field(field)
	local set = {}
	for _, word in ipairs(field.types) do
		set[word == "date" and field.format ~= "iso8601" and "string" or word] = true
	end
	if field.also then
		set[field.also] = true
	end
	set.null = field.nullable
	return widen(set)
end

-- What date-time means in a JSON Schema: RFC 3339, with a zone.
local function is_date(text)
	local zone = text:match "^%d%d%d%d%-%d%d%-%d%d[Tt]%d%d:%d%d:%d%d%.?%d*(.+)$"
	return zone ~= nil and (zone:find "^[Zz]$" or zone:find "^[+-]%d%d:%d%d$") ~= nil
end

local function type_of_value(value)
	local kind = type(value)
	if kind == "string" then
		return is_date(value) and "date" or "string"
	elseif kind == "number" then
		return value % 1 == 0 and "integer" or "number"
	elseif kind == "table" then
		return getmetatable(value) ~= nil and "array" or "object"
	elseif kind == "userdata" then
		return value == core.null and "null" or "integer" -- or digits, of which there are too many for a number
	end
	return kind
end

--- Of a value that was read from JSON.
---@param value any
---@return moonweir.Shape
function shape.of_json(value)
	local word = type_of_value(value)
	local made = { types = types(word), always = true, from = "fixtures" }
	if word == "object" then
		made.properties = {}
		for name, member in next, value do
			made.properties[name] = shape.of_json(member)
		end
	elseif word == "array" then
		for _, item in ipairs(value) do
			local one = shape.of_json(item)
			made.items = made.items and shape.either(made.items, one) or one
		end
		made.is_empty = #value == 0 or nil
	end
	return made
end

-- Completing ---------------------------------------------------------------------------------------------

-- Traits may be written in camelCase or in snake_case.
local function field_named(fields, name)
	if not fields then
		return nil
	end
	return fields[name] or fields[(name:gsub("_(%l)", string.upper))]
end

local function covers(set, word)
	return set[word] or word == "integer" and set.number or word == "date" and set.string
end

local function words(set)
	return table.concat(sorted(set), " or ")
end

--- What is known of a place in all: by the script, else by the Spec, else by golden files. What they show beyond that is
--- let in, and told to `note`: the plan of a source must take the source's own messages.
---@param known moonweir.Shape
---@param field? moonweir.spec.Field
---@param seen? moonweir.Shape
---@param path string
---@param note fun(path: string, why: string)
---@return moonweir.Shape
function shape.complete(known, field, seen, path, note)
	local made = shape.with(known, {})
	if not made.types and field then
		made.types, made.from, made.enum = types_of_field(field), "spec", nil
	elseif not made.types and seen then
		made.types, made.from = {}, "fixtures"
		for word in next, seen.types do -- that none had a fraction is chance, and that all look like dates may be
			made.types[word == "integer" and "number" or word == "date" and "string" or word] = true
		end
		widen(made.types)
	end
	for _, word in ipairs(made.types and seen and sorted(seen.types) or {}) do
		if not covers(made.types, word) then
			if word ~= "null" then
				note(path, ("golden files show %s, %s has %s"):format(word, made.from == "spec" and "Segment's Spec" or "the script",
					words(made.types)))
			end
			made.types = widen(shape.with(made.types, { [word] = true }))
			made.enum = nil
		end
	end
	if not made.types then
		return made
	end
	if made.types.object then
		local ours, theirs = made.properties or {}, seen and seen.properties or {}
		made.properties = {}
		for _, name in ipairs(sorted(ours, theirs)) do
			local here = path == "" and name or path .. "." .. name
			local one = shape.complete(ours[name] or { always = false }, field_named(field and field.properties, name),
				theirs[name], here, note)
			local was_absent = seen and seen.properties and not (theirs[name] and theirs[name].always)
			one.always = one.always and not was_absent or false
			made.properties[name] = one
		end
	end
	if made.types.array then
		made.items = shape.complete(made.items or { always = false }, field and field.items, seen and seen.items, path .. "[]", note)
	end
	return made
end

local IN_WORDS = { "string", "date", "number", "integer", "boolean", "object", "array", "null" }
local MANY = { array = "arrays", date = "dates", null = "nulls" }

--- "string", "array of objects", "number or null"; "any" if it is not known.
---@param of moonweir.Shape
---@param many? boolean "strings"
---@return string
function shape.describe(of, many)
	local parts = {}
	for _, word in ipairs(of.types and IN_WORDS or {}) do
		local inner = word == "array" and of.items and shape.describe(of.items, true)
		local said = many and (MANY[word] or word .. "s") or word
		parts[#parts + 1] = of.types[word] and (inner and inner ~= "any" and said .. " of " .. inner or said) or nil
	end
	return #parts > 0 and table.concat(parts, " or ") or "any"
end

--- Visit what is inside an object, by path: "lines" before "lines[].sku".
---@param from moonweir.Shape
---@param visit fun(path: string, inner: moonweir.Shape)
---@param prefix? string put before each path
function shape.each(from, visit, prefix)
	for _, name in ipairs(sorted(from.properties or {})) do
		local inner, path = from.properties[name], (prefix or "") .. name
		visit(path, inner)
		shape.each(inner, visit, path .. ".")
		if inner.items then
			shape.each(inner.items, visit, path .. "[].")
		end
	end
end

return shape
