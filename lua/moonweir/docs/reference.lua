--- reference -- the page about a source for the tool's own help center: how to connect it, and every event with its
--- properties and an example, the first of the golden files.

local about = require "moonweir.about"
local markdown = require "moonweir.markdown"
local parts = require "moonweir.docs.parts"
local pretty = require "moonweir.pretty"
local spec = require "moonweir.spec"

local code, text, sentence = markdown.code, markdown.text, markdown.sentence

local TITLES = {
	identify = "Identify calls", group = "Group calls", page = "Page calls", screen = "Screen calls", alias = "Alias calls",
}

local ORDER = { "type", "event", "name", "category", "userId", "anonymousId", "previousId", "groupId", "messageId", "timestamp",
	"properties", "traits", "context" }

-- Liquid would look into JSON as well; inside a text a brace may be written by its number.
local function example_of(message)
	local shown = {}
	for member, value in pairs(message) do
		shown[member] = value
	end
	local context = {}
	for member, value in pairs(type(message.context) == "table" and message.context or {}) do
		context[member] = member ~= "library" and value or nil
	end
	shown.context = context
	return "```json\n" .. pretty.encode(pretty.of_json(shown, ORDER)):gsub("{([{%%])", "\\u007b%1") .. "\n```"
end

local function intro(subject, add)
	local texts, name = subject.texts, text(parts.name(subject))
	local described = texts.description and text(texts.description):gsub("%.$", "")
	add(("# %s events in Segment"):format(name))
	add(("%s sends its events to [Segment](https://segment.com), which passes them on to analytics tools, warehouses, and "
		.. "whatever else is connected to it. This page says how to connect the two, and what is sent."):format(
		described and ("%s is %s. It"):format(name, described) or name))
end

local function connect(subject, add)
	local texts, name = subject.texts, text(parts.name(subject))
	local menu = {}
	for i, item in ipairs(texts.write_key_menu or { "Settings" }) do
		menu[i] = text(item)
	end
	local steps = {
		("In Segment, go to **Connections > Catalog > Sources**, search for **%s**, and add it."):format(name),
		"Copy the write key from **Settings > API Keys** of the new source.",
		("In %s, go to **%s** and paste the write key."):format(name, table.concat(menu, " > ")),
	}
	local regions = table.concat(texts.regions or {}, " ")
	if regions:find "us" and regions:find "eu" then
		steps[#steps + 1] = "Select the region of your Segment workspace, US or EU."
	end
	steps[#steps + 1] = "Save, and watch the **Debugger** of the source in Segment: the next event appears there."
	for i, said in ipairs(steps) do
		steps[i] = ("%d. %s"):format(i, said)
	end
	add(("## Connect %s to Segment"):format(name))
	add(table.concat(steps, "\n"))
	if texts.regions and not (regions:find "us" and regions:find "eu") then
		add(("%s sends to Segment workspaces in the %s only."):format(name, regions:find "eu" and "EU" or "US"))
	end
	add "## Who an event is about"
	add(parts.user(subject))
end

local function one_call(subject, event, title, add)
	local said = about.event(subject.texts, event.key)
	add("### " .. title)
	local words = { said and sentence(said) or nil }
	if event.spec then
		words[#words + 1] = ("It's an event of Segment's [%s Spec](%s)."):format(spec.category(event.spec.category).title,
			spec.url(event.spec.page))
	elseif event.call ~= "track" then
		words[#words + 1] = ("It's sent as %s [%s call](%s)."):format(event.call:find "^[ai]" and "an" or "a", event.call,
			spec.url(spec.calls[event.call].page))
	end
	if #event.names > 0 then
		words[#words + 1] = ("Names: %s."):format(parts.series(parts.codes(event.names)))
	end
	if #words > 0 then
		add(table.concat(words, " "))
	end
	local rows = parts.properties(subject, event)
	if #rows > 0 then
		add(markdown.table({ event.word == "traits" and "Trait" or "Property", "Type", "Description" }, rows))
	elseif event.word then
		add(("It has no %s."):format(event.word))
	end
	if event.example then
		add(example_of(event.example))
	end
end

local function events(subject, add)
	local list, others = parts.events(subject), {}
	for _, word in ipairs { "identify", "group", "page", "screen", "alias" } do
		others[#others + 1] = parts.call(subject, word)
	end
	if #list > 0 then
		add "## Events"
		add "A property that an event has no value for is left out."
		for _, event in ipairs(list) do
			one_call(subject, event, code(event.name), add)
		end
	end
	if #others > 0 then
		add "## People, companies, pages, and screens"
		for _, event in ipairs(others) do
			one_call(subject, event, TITLES[event.call], add)
		end
	end
end

local function context(subject, add)
	local rows = parts.context(subject)
	if #rows > 0 then
		add "## Context"
		add "Beside their properties, calls have these fields when they're known:"
		add(markdown.table({ "Field", "Type", "Description" }, rows))
	end
end

local function not_sent(subject, add)
	local rows = {}
	for i, event in ipairs(subject.stream.ignored) do
		local why = (subject.texts.ignored or {})[event]
		rows[i] = { code(event), why and sentence(why) or "" }
	end
	if #rows > 0 then
		add "## Not sent"
		add(("These events of %s aren't sent to Segment:"):format(text(parts.name(subject))))
		add(markdown.table({ "Event", "Reason" }, rows))
	end
end

local function trouble(subject, add)
	local texts, name = subject.texts, text(parts.name(subject))
	add "## If no events arrive"
	local points = {
		("Compare the write key in %s with the one in Segment. When Segment refuses it, events are kept, and sent once the right "
			.. "key is saved."):format(name),
		"Look at **Source Overview** in Segment: it counts the events that Segment took, refused, or filtered.",
	}
	local regions = table.concat(texts.regions or {}, " ")
	if regions:find "us" and regions:find "eu" then
		table.insert(points, 2, "Check the region: a workspace in the EU doesn't get what is sent to the US.")
	end
	if texts.support then
		points[#points + 1] = ("Write to [%s support](mailto:%s)."):format(text(texts.maintainer or parts.name(subject)),
			markdown.url(texts.support))
	end
	add("- " .. table.concat(points, "\n- "))
end

--- The page as Markdown.
---@param subject moonweir.docs.Subject
---@return string
return function(subject)
	local page = {}
	local function add(block)
		page[#page + 1] = block
	end
	for _, section in ipairs { intro, connect, events, context, not_sent, trouble } do
		section(subject, add)
	end
	return table.concat(page, "\n\n")
end
