--- plan -- a source's tracking plan: rules as Segment's Public API takes them.
---
---     PUT https://api.segmentapis.com/tracking-plans/{id}/rules      { "rules": [ … ] }
---
--- A rule has a type, a key (the event's name; null where one rule is for all calls of its kind), a version and a JSON
--- Schema, draft 07, over the whole message: an event's properties are at properties.properties.properties, the traits of
--- identify and group at properties.traits.properties. There is no rule for alias.
--- Source: segmentio/public-api-sdk-typescript, models of tracking plans; src/protocols/tracking-plan/create.md.
---
--- `required` is only what is always sent. A declared property is not: it is left out when the tool's event lacks it. It is
--- when it is a constant or has a default, and no golden message is without it.

local about = require "moonweir.about"
local core = require "moonweir.core"
local pretty = require "moonweir.pretty"
local shape = require "moonweir.shape"

local plan = {}

plan.TYPES = { track = "TRACK", identify = "IDENTIFY", group = "GROUP", page = "PAGE", screen = "SCREEN" }

--- Of a rule's own version; Segment counts from 1.
plan.VERSION = 1

local DRAFT = "http://json-schema.org/draft-07/schema#"

-- Type words of JSON Schema, in a fixed order; a date is a text with a format.
local WORDS = { "string", "number", "integer", "boolean", "object", "array", "null" }

local function type_of(of)
	local words = {}
	for _, word in ipairs(of.types and WORDS or {}) do
		if of.types[word] or word == "string" and of.types.date then
			words[#words + 1] = word
		end
	end
	if #words > 1 then
		return pretty.list(words)
	end
	return words[1]
end

local function required(of)
	local names = {}
	for name, inner in pairs(of.properties or {}) do
		names[#names + 1] = inner.always and name or nil
	end
	table.sort(names)
	return #names > 0 and pretty.list(names) or nil
end

-- `describe(path)` says what a property is for; the path of an array's elements is that of the array with "[]".
local function schema(of, path, describe)
	local types = of.types or {}
	local members = types.object and pretty.members(of.properties or {}, function(inner, name)
		return schema(inner, path == "" and name or path .. "." .. name, describe)
	end)
	return pretty.object(
		"description", path ~= "" and describe(path) or nil,
		"type", type_of(of),
		"format", types.date and "date-time" or nil,
		"enum", of.enum and pretty.list(of.enum) or nil,
		"properties", members or nil,
		"required", types.object and required(of) or nil,
		-- Without items Segment takes what is inside for unplanned.
		"items", types.array and schema(of.items or {}, path .. "[]", describe) or nil
	)
end

local function rule(event, texts)
	local body = schema(event.shape, "", function(path)
		return about.field(texts, event.key, event.word, path)
	end)
	return pretty.object(
		"type", plan.TYPES[event.call],
		"key", event.name or core.null,
		"version", plan.VERSION,
		"jsonSchema", pretty.object(
			"$schema", DRAFT,
			"type", "object",
			"description", about.event(texts, event.key),
			"labels", pretty.object(),
			"properties", pretty.object(
				"context", pretty.object(),
				"traits", event.word == "traits" and body or pretty.object(),
				"properties", event.word == "properties" and body or pretty.object()
			)
		)
	)
end

--- The rules of a source as JSON.
---@param it moonweir.Stream
---@param texts moonweir.About
---@return string json
---@return integer count
function plan.json(it, texts)
	local rules = {}
	for _, event in ipairs(it.events) do
		if plan.TYPES[event.call] then
			rules[#rules + 1] = rule(event, texts)
		end
	end
	return pretty.encode(pretty.object("rules", pretty.list(rules))), #rules
end

-- As tables for people ---------------------------------------------------------------------------------------

---@class moonweir.plan.Row
---@field call string "track"; "" for the tool's events that are not declared to send anything
---@field event string
---@field kind "spec"|"custom"|"fixtures"|"ignored"|"function"|"unnamed"
---@field page? string of the Spec
---@field description? string
---@field entries string[] the tool's events
---@field properties {path: string, type: string, always: boolean, enum: any[]?, from: string?, description: string?}[]

local function row_of(event, texts)
	local is_own = event.call == "track" and not event.spec
	local row = { call = event.call, event = event.name or "", kind = is_own and "custom" or "spec",
		page = event.spec and event.spec.page, description = about.event(texts, event.key), entries = event.entries,
		is_declared = event.is_declared, properties = {} }
	local inside = {} -- a property is always sent if what it stands in is, too
	shape.each(event.shape, function(path, inner)
		local parent = path:match "^(.*)%.[^.]*$"
		inside[path] = inner.always and (not parent or inside[parent:gsub("%[%]$", "")]) or false
		table.insert(row.properties, { path = path, type = shape.describe(inner), always = inside[path], enum = inner.enum,
			from = inner.from, description = about.field(texts, event.key, event.word, path) })
	end)
	return row
end

--- What a source sends and what it does not, a row an event.
---@param it moonweir.Stream
---@param texts moonweir.About
---@return moonweir.plan.Row[]
function plan.rows(it, texts)
	local rows = {}
	for _, event in ipairs(it.events) do
		rows[#rows + 1] = row_of(event, texts)
	end
	for _, list in ipairs { { "function", it.functions }, { "unnamed", it.unnamed }, { "ignored", it.ignored } } do
		for _, event in ipairs(list[2]) do
			rows[#rows + 1] = { call = "", event = "", kind = list[1], entries = { event }, properties = {}, is_declared = true,
				description = list[1] == "ignored" and (texts.ignored or {})[event] or nil }
		end
	end
	return rows
end

return plan
