--- stream -- what a source sends: its events with the properties of each, as far as it can be known without running it.
---
---     local it = stream.read(source, messages)      -- messages: those of the source's golden files
---     it.events[1].name                             -- "Contact Created"
---     it.events[1].shape.properties.list_ids        -- a list of texts
---
--- Calls with the same event are one here, whichever entries make them; identify, group, page, screen and alias are one
--- event each. What function entries send is known from golden files only, and so is what is named by the tool's event.

local call_words = require "moonweir.call".payload_word
local declared = require "moonweir.declared"
local shape = require "moonweir.shape"
local spec = require "moonweir.spec"

local stream = {}

--- In this order calls are listed.
stream.CALLS = { "track", "identify", "group", "page", "screen", "alias" }

---@class moonweir.stream.Event
---@field call "track"|"identify"|"group"|"page"|"screen"|"alias"
---@field key string the event's name, or the call's word: about.events calls it so
---@field name? string of track
---@field names string[] of page and screen, those that are known
---@field entries string[] the tool's events that it is declared for
---@field is_declared boolean false: known from golden files only
---@field shape moonweir.Shape of its properties or traits
---@field word? "properties"|"traits"
---@field spec? moonweir.spec.Event
---@field example? table the first golden message of it

---@class moonweir.Stream
---@field events moonweir.stream.Event[] by call, then by name
---@field context moonweir.Shape
---@field ignored string[] the tool's events that are known and not sent
---@field functions string[] the tool's events that a function answers
---@field unnamed string[] the tool's events whose own data name the Segment event
---@field stale string[] events that only golden files show, with no function there that could send them
---@field notes {event: string, path: string, why: string}[] where golden files contradict the Spec or the script

-- Events in the making ------------------------------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

function Reader:event(call, name)
	local key = call == "track" and name or call
	local id = call .. "\0" .. key
	local event = self.by_id[id]
	if not event then
		event = { call = call, key = key, name = call == "track" and name or nil, names = {}, entries = {}, is_declared = false,
			word = call_words[call], spec = call == "track" and spec.event(name) or nil, seen_names = {} }
		self.by_id[id] = event
		table.insert(self.events, event)
	end
	return event
end

local function add_once(list, item)
	if list[#list] ~= item then
		table.insert(list, item)
	end
end

local function merged(a, b)
	return a and shape.either(a, b) or b
end

function Reader:declare(entry, call)
	local payload = shape.of(call.payload)
	for _, context in pairs(call.context) do
		self.context = merged(self.context, shape.of(context))
	end
	if call.call == "track" and #call.names == 0 then
		add_once(self.unnamed, entry.event)
		self.unnamed_payload = merged(self.unnamed_payload, payload)
		return
	end
	for _, name in ipairs(call.call == "track" and call.names or { "" }) do
		local event = self:event(call.call, name)
		event.is_declared = true
		event.known = merged(event.known, payload)
		add_once(event.entries, entry.event)
	end
	local event = call.call ~= "track" and self:event(call.call) or nil
	for _, name in ipairs(event and call.names or {}) do
		if not event.seen_names[name] then
			event.seen_names[name] = true
			table.insert(event.names, name)
		end
	end
end

function Reader:see(message)
	local call, name = message.type, message.event
	if not spec.calls[call] or call == "track" and type(name) ~= "string" then
		return
	end
	local event = self:event(call, name)
	event.example = event.example or message
	if event.word then
		event.seen = merged(event.seen, shape.of_json(message[event.word] or {}))
	end
	self.seen_context = merged(self.seen_context, shape.of_json(message.context or {}))
end

-- What the Spec says of an event's properties or traits, as one field.
local function field_of(event)
	local fields = {}
	local reserved = spec.reserved[event.word] and spec.reserved[event.word][event.call]
	for _, known in ipairs { reserved or {}, event.spec and event.spec.properties or {} } do
		for name, field in pairs(known) do
			fields[name] = field
		end
	end
	return { types = { "object" }, properties = fields }
end

local NOTHING = { types = { object = true }, properties = {}, always = false, from = "fixtures" }

function Reader:complete(event)
	local known = event.known
	if not known then -- then its name is in no script; with no functions there, it must be one of those that events name
		known = #self.functions == 0 and self.unnamed_payload or NOTHING
	end
	if event.word then
		event.shape = shape.complete(known, field_of(event), event.seen, "", function(path, why)
			table.insert(self.notes, { event = event.key, path = path, why = why })
		end)
	end
	event.shape = event.shape or NOTHING
	table.sort(event.names)
	event.known, event.seen, event.seen_names = nil, nil, nil
end

-- What Moonweir itself puts into context says nothing of the source.
function Reader:complete_context()
	local seen = self.seen_context
	if seen then
		seen = shape.with(seen, { properties = shape.with(seen.properties, {}) })
		seen.properties.integration, seen.properties.library = nil, nil
	end
	return shape.complete(self.context or NOTHING, { types = { "object" }, properties = spec.context }, seen, "",
		function(path, why)
			table.insert(self.notes, { event = "context", path = path, why = why })
		end)
end

local function order_of(call)
	for i, word in ipairs(stream.CALLS) do
		if word == call then
			return i
		end
	end
end

--- Properties of which not even the type is known: neither script nor Spec fixes it, and no golden file has them.
---@param it moonweir.Stream
---@return {event: string, path: string}[]
function stream.untyped(it)
	local found = {}
	for _, event in ipairs(it.events) do
		shape.each(event.shape, function(path, inner)
			if not inner.types then
				table.insert(found, { event = event.key, path = path })
			end
		end)
	end
	return found
end

---@param source moonweir.Definition that compiles
---@param messages? table[] decoded Segment calls
---@return moonweir.Stream
function stream.read(source, messages)
	local reader = setmetatable({ events = {}, by_id = {}, functions = {}, unnamed = {}, notes = {} }, Reader)
	local ignored = {}
	for _, entry in ipairs(declared.read(source)) do
		if entry.kind == "ignore" then
			table.insert(ignored, entry.event)
		elseif entry.kind == "function" then
			table.insert(reader.functions, entry.event)
		end
		for _, call in ipairs(entry.calls) do
			reader:declare(entry, call)
		end
	end
	for _, message in ipairs(messages or {}) do
		reader:see(message)
	end
	table.sort(reader.events, function(a, b)
		if a.call ~= b.call then
			return order_of(a.call) < order_of(b.call)
		end
		return a.key < b.key
	end)
	local events, stale = {}, {}
	for _, event in ipairs(reader.events) do
		local could_be_sent = event.is_declared or #reader.functions > 0 or event.call == "track" and #reader.unnamed > 0
		table.insert(could_be_sent and events or stale, could_be_sent and event or event.key)
	end
	for _, event in ipairs(events) do
		reader:complete(event)
	end
	return {
		events = events,
		stale = stale,
		context = reader:complete_context(),
		ignored = ignored,
		functions = reader.functions,
		unnamed = reader.unnamed,
		notes = reader.notes,
	}
end

return stream
