--- make -- the words that Segment's catalogue is written in.
---
---     event "Order Completed" {
---     	order_id = "string",                               -- a type
---     	query    = "string|object",                        -- one of several
---     	name     = "string!",                              -- required
---     	length   = "integer?",                             -- null is fine
---     	sound    = field("integer", { min = 0, max = 100 }), -- a type and more facts
---     	campaign = object { name = "string" },
---     	products = array { sku = "string" },               -- of objects; array "string": of strings
---     }
---
--- What they make are plain tables in one shape, the classes below. A mistake in the data raises when it is loaded.

---@alias moonweir.spec.Type "string"|"number"|"integer"|"boolean"|"date"|"object"|"array"

---@class moonweir.spec.Field
---@field types moonweir.spec.Type[]  what a value may be; mostly one
---@field required? true
---@field either? string[]            one of these fields is required
---@field filled? "ingest"|"segment"|"library"  who sets it: ingest where it is left out; Segment always; a client library
---@field nullable? true              null has a meaning, and sources send it
---@field optional? true              the page says in so many words that it may be absent
---@field example? true               not in the page's table, only in its example or prose
---@field enum? any[]                 what a value that is neither object nor array may be
---@field default? string
---@field min? number
---@field max? number
---@field min_length? integer         characters
---@field max_length? integer         characters
---@field format? "iso8601"
---@field properties? table<string, moonweir.spec.Field>  of an object
---@field additional? true|moonweir.spec.Type  an object may have other keys; a type: with values of it
---@field items? moonweir.spec.Field  of an array
---@field canonical? string           how the common fields spell the same thing
---@field also? moonweir.spec.Type    not in the table, but in every example: no reason to complain
---@field doc_type? string            the page's own word, where it is none of ours
---@field page? string                where it is described, if elsewhere than its neighbours

---@class moonweir.spec.Event
---@field name string
---@field category string             the category's id
---@field group? string               the section of the page
---@field page string
---@field properties table<string, moonweir.spec.Field>
---@field context? table<string, moonweir.spec.Field>  what the page wants in context
---@field deprecated? true            an event of a superseded category
---@field replaced_by? string         the event to send in its place
---@field former? string              how it was called before
---@field example? true               only in the page's example
---@field properties_of? string       the page's prose wants what this other event has

---@class moonweir.spec.Category
---@field id string
---@field title string
---@field page string
---@field events moonweir.spec.Event[]
---@field audience? "partners"        written for tools that send to Segment
---@field deprecated? true
---@field superseded_by? string       a category's id
---@field minimum? { page: string, properties: string[] }  without these many destinations ignore a product event
---@field heartbeat_s? integer        seconds between two "Playing" events
---@field identifiers? string[]       properties that belong on any event of the kind

local make = {}

make.types = { string = true, number = true, integer = true, boolean = true, date = true, object = true, array = true }

local Field = {}

--- A field of one type or several, with more facts if there are any.
---@param text string "string", "string|object"; a "!" behind it: required, a "?": nullable
---@param facts? table further fields of moonweir.spec.Field
---@return moonweir.spec.Field
function make.field(text, facts)
	local words, mark = text:match "^([%a|]+)([!?]?)$"
	if not words then
		error(("%q is no type"):format(text), 2)
	end
	local made = setmetatable({ types = {}, required = mark == "!" or nil, nullable = mark == "?" or nil }, Field)
	for word in words:gmatch "[^|]+" do
		if not make.types[word] then
			error(("%q is no type"):format(word), 2)
		end
		table.insert(made.types, word)
	end
	for key, value in pairs(facts or {}) do
		made[key] = value
	end
	return made
end

local function one(value)
	return getmetatable(value) == Field and value or make.field(value)
end

--- Fields by name, each of which may be written as its type alone.
---@param map table<string, string|moonweir.spec.Field>
---@return table<string, moonweir.spec.Field>
function make.fields(map)
	local made = {}
	for name, value in pairs(map) do
		made[name] = one(value)
	end
	return made
end

---@param map table<string, string|moonweir.spec.Field>
---@param facts? table
---@return moonweir.spec.Field
function make.object(map, facts)
	local made = make.field("object", facts)
	made.properties = make.fields(map)
	return made
end

---@param items string|table a type, a field, or the fields of an object
---@param facts? table
---@return moonweir.spec.Field
function make.array(items, facts)
	local made = make.field("array", facts)
	local is_map = type(items) == "table" and getmetatable(items) ~= Field
	made.items = is_map and make.object(items) or one(items)
	return made
end

--- What all of some maps have together; later ones win.
---@param ... table
---@return table
function make.with(...)
	local made = {}
	for _, map in ipairs { ... } do
		for name, value in pairs(map) do
			made[name] = value
		end
	end
	return made
end

--- `event "Name" { properties }` or `event "Name" (properties, more fields of moonweir.spec.Event)`.
---@param name string
---@return fun(properties: table, about?: table): moonweir.spec.Event
function make.event(name)
	return function(properties, about)
		local made = make.with(about or {}, { name = name, properties = make.fields(properties) })
		made.context = made.context and make.fields(made.context)
		return made
	end
end

--- Events of one section of a page.
---@param name string
---@return fun(events: moonweir.spec.Event[]): moonweir.spec.Event[]
function make.group(name)
	return function(events)
		for _, event in ipairs(events) do
			event.group = name
		end
		return events
	end
end

--- A category; its events, or groups of them, are the list part of `about`.
---@param about table
---@return moonweir.spec.Category
function make.category(about)
	local made = { events = {} }
	local function add(event)
		event.category, event.page, event.deprecated = about.id, about.page, about.deprecated
		table.insert(made.events, event)
	end
	for key, value in pairs(about) do
		if type(key) == "string" then
			made[key] = value
		end
	end
	for _, item in ipairs(about) do
		if item.name then
			add(item)
		else
			for _, event in ipairs(item) do
				add(event)
			end
		end
	end
	return made
end

return make
