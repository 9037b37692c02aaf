--- parts -- what the pages about a source have in common: names, the rule for userId, tables of properties.

local about = require "moonweir.about"
local core = require "moonweir.core"
local expression = require "moonweir.expression"
local markdown = require "moonweir.markdown"
local shape = require "moonweir.shape"
local spec = require "moonweir.spec"

local code, text, sentence = markdown.code, markdown.text, markdown.sentence

local parts = {}

--- What a page is made from.
---@class moonweir.docs.Subject
---@field source moonweir.Definition
---@field stream moonweir.Stream
---@field texts moonweir.About

--- The tool's name: without one in `about`, its slug in title case.
---@param subject moonweir.docs.Subject
---@return string plain text
function parts.name(subject)
	return subject.texts.name or subject.source.slug:gsub("%-", " "):gsub("%f[%w]%l", string.upper)
end

--- Track events, those of the Spec and the source's own, in their order.
function parts.events(subject)
	local events = {}
	for _, event in ipairs(subject.stream.events) do
		events[#events + 1] = event.call == "track" and event or nil
	end
	return events
end

--- The one event of another call, if the source makes such calls.
function parts.call(subject, word)
	for _, event in ipairs(subject.stream.events) do
		if event.call == word and word ~= "track" then
			return event
		end
	end
end

--- "a, b, and c" of Markdown.
---@param items string[]
---@param last? string "and", or another word
function parts.series(items, last)
	local word = " " .. (last or "and") .. " "
	if #items < 3 then
		return table.concat(items, word)
	end
	return table.concat(items, ", ", 1, #items - 1) .. "," .. word .. items[#items]
end

function parts.codes(names)
	local made = {}
	for i, name in ipairs(names) do
		made[i] = code(name)
	end
	return made
end

-- userId ----------------------------------------------------------------------------------------------------

-- Paths of the tool's event that an expression reads, as they are written.
local function paths_of(value, found)
	if expression.is(value) then
		if rawget(value, "op") == "path" then
			found[#found + 1] = tostring(value):match '"(.*)"$'
		end
		for _, operand in ipairs(rawget(value, "args")) do
			paths_of(operand, found)
		end
	end
	return found
end

--- How calls get their userId, in sentences.
---@param subject moonweir.docs.Subject
---@return string
function parts.user(subject)
	local source, name = subject.source, text(parts.name(subject))
	local said = {}
	local is_anonymous = source.missing_user == "anonymous"
	said[1] = is_anonymous and "Calls have a `userId` wherever it's known." or "Every call has a `userId`."
	local paths = {}
	for _, id in ipairs(source.user and source.user.ids or {}) do
		paths_of(id, paths)
	end
	if subject.texts.user then
		said[#said + 1] = sentence(subject.texts.user)
	elseif #paths == 1 then
		said[#said + 1] = ("It's the value of %s in %s."):format(code(paths[1]), name)
	elseif #paths > 1 then
		said[#said + 1] = ("It's the first of %s that has a value in %s."):format(parts.series(parts.codes(paths), "or"), name)
	end
	if source.user and is_anonymous and source.user.email ~= nil then
		said[#said + 1] = "Where it isn't, the person's email address is sent as the `anonymousId`."
	elseif source.user and not is_anonymous then
		said[#said + 1] = ("%s doesn't send events of people who don't have this ID."):format(name)
	end
	return table.concat(said, " ")
end

-- Properties --------------------------------------------------------------------------------------------------

--- "String", "Array of objects"; nothing where it isn't known.
function parts.type(inner)
	local said = shape.describe(inner)
	return said == "any" and "Any" or (said:gsub("^%l", string.upper))
end

local function values(inner)
	if not inner.enum then
		return nil
	end
	local names = {}
	for i, value in ipairs(inner.enum) do
		names[i] = code(type(value) == "string" and value or core.encode(value))
	end
	if #names == 1 then
		return (inner.always and "Always %s." or "The only value is %s."):format(names[1])
	end
	return ("One of %s."):format(parts.series(names, "or"))
end

--- What a property is for, and which values there are.
---@param subject moonweir.docs.Subject
---@param event moonweir.stream.Event
---@param path string
---@param inner moonweir.Shape
---@return string Markdown
function parts.purpose(subject, event, path, inner)
	local said = about.field(subject.texts, event.key, event.word, path)
	local words = { said and sentence(said) or nil }
	words[#words + 1] = values(inner)
	return table.concat(words, " ")
end

--- Rows of an event's properties: name, type, purpose.
function parts.properties(subject, event)
	local rows = {}
	shape.each(event.shape, function(path, inner)
		rows[#rows + 1] = { code(path), parts.type(inner), parts.purpose(subject, event, path, inner) }
	end)
	return rows
end

--- Rows of all track events' properties: those that are the same everywhere are one row, which says with which events
--- they come.
function parts.all_properties(subject)
	local rows, by_id = {}, {}
	local events = parts.events(subject)
	for _, event in ipairs(events) do
		shape.each(event.shape, function(path, inner)
			local row = { code(path), parts.type(inner), parts.purpose(subject, event, path, inner), {}, path = path, rank = #rows }
			local id = table.concat({ path, row[2], row[3] }, "\0")
			if not by_id[id] then
				by_id[id] = row
				rows[#rows + 1] = row
			end
			table.insert(by_id[id][4], code(event.name))
		end)
	end
	table.sort(rows, function(a, b)
		if a.path ~= b.path then
			return a.path < b.path
		end
		return a.rank < b.rank
	end)
	for _, row in ipairs(rows) do
		row[4] = #row[4] == #events and #events > 1 and "All events" or table.concat(row[4], ", ")
	end
	return rows
end

--- Rows of the context that the source sends: name, type, purpose.
function parts.context(subject)
	local rows = {}
	shape.each(subject.stream.context, function(path, inner)
		local said = (subject.texts.context or {})[path]
		if not (inner.types and inner.types.object and inner.properties and next(inner.properties)) then
			local words = { said and sentence(said) or nil }
			words[#words + 1] = values(inner)
			rows[#rows + 1] = { code("context." .. path), parts.type(inner), table.concat(words, " ") }
		end
	end)
	return rows
end

-- The Spec ------------------------------------------------------------------------------------------------------

--- Which events follow which part of the Spec: a title, a page and names, in the order of the Spec's categories.
---@return {title: string, page: string, names: string[]}[]
function parts.by_spec(subject)
	local found = {}
	for _, category in ipairs(spec.categories) do
		local names = {}
		for _, event in ipairs(parts.events(subject)) do
			names[#names + 1] = event.spec and event.spec.category == category.id and event.name or nil
		end
		if #names > 0 then
			found[#found + 1] = { title = category.title, page = category.page, names = names }
		end
	end
	return found
end

return parts
