--- segment -- the page about a source that Segment asks its partners for, in the order and style of its template.
---
--- It belongs at src/connections/sources/catalog/cloud-apps/{slug}/index.md of segmentio/segment-docs, in a pull request.
--- Sources: templates/partners/source.md, styleguide.md. A section of which nothing is known is left out.

local about = require "moonweir.about"
local core = require "moonweir.core"
local markdown = require "moonweir.markdown"
local parts = require "moonweir.docs.parts"
local spec = require "moonweir.spec"

local code, text, sentence = markdown.code, markdown.text, markdown.sentence

local NEW_TAB = '{:target="_blank"}'

-- Pages of Segment's documentation are linked from its root.
local function spec_link(title, page)
	return ("[%s](%s)"):format(title, (spec.url(page):gsub("^https://segment%.com", "")))
end

local CALL_TITLES = { track = "Track", identify = "Identify", group = "Group", page = "Page", screen = "Screen", alias = "Alias" }

local function call_link(word)
	return spec_link(CALL_TITLES[word], spec.calls[word].page)
end

local function front_matter(name)
	local title = name:gsub("[{}<>%[%]|*`\\]", "") .. " Source"
	if title:find "[^%w .&-]" or title:find "^[^%w]" or title:find ": " then
		title = core.encode(title)
	end
	return ("---\ntitle: %s\n---"):format(title)
end

-- The company's page with the marks by which its visits are counted.
local function company(subject, name)
	local website = subject.texts.website
	if not website then
		return text(name)
	end
	local url, fragment = website:match "^([^#]*)(#?.*)$"
	url = url:find "^https?://[^/?]+$" and url .. "/" or url
	url = url .. (url:find("?", 1, true) and "&" or "?") .. "utm_source=segmentio&utm_medium=docs&utm_campaign=partners" .. fragment
	return ("[%s](%s)%s"):format(text(name), markdown.url(url), NEW_TAB)
end

local function intro(subject, add)
	local texts, name = subject.texts, parts.name(subject)
	local described = texts.description and text(texts.description):gsub("%.$", "")
	add((described and "%s is %s." or "%s sends its events to Segment."):format(company(subject, name), described))
	add(("The %s source is an [Event Cloud Source](/docs/connections/sources/#event-cloud-sources): it sends events to Segment as "
		.. "they happen, and Segment passes them on to the connected destinations and warehouses."):format(text(name)))
	local maintained = ("%s maintains this source."):format(text(texts.maintainer or name))
	if texts.support then
		maintained = maintained .. (" For help with it, [contact %s support](mailto:%s)."):format(text(texts.maintainer or name),
			markdown.url(texts.support))
	end
	add(maintained)
	if texts.destination then
		local slug = texts.destination == true and subject.source.slug or texts.destination
		add(('> info "Good to know"\n> This page is about the %s source, which sends data to Segment. Segment also sends data to %s: '
			.. "see the [%s destination](/docs/connections/destinations/catalog/%s/)."):format(text(name), text(name), text(name), slug))
	end
	local regions = texts.regions and table.concat(texts.regions, " ") or ""
	if texts.regions and not regions:find "eu" then
		add "{% include content/source-region-unsupported.md %}"
	end
end

local function getting_started(subject, add)
	local texts, name = subject.texts, text(parts.name(subject))
	local steps = {
		("In the Segment app, open the [Sources catalog](https://app.segment.com/goto-my-workspace/sources/catalog)%s, "
			.. "search for **%s**, select it, and click **Add Source**."):format(NEW_TAB, name),
		"Enter a name for the source. It's the label in the Segment app, and the warehouse schema is named after it. A suffix such "
			.. "as `_Prod`, `_Staging`, or `_Dev` tells environments apart.",
		"Click **Save**.",
		"Copy the write key from **Settings > API Keys** of the new source.",
	}
	local function step(said, ...)
		steps[#steps + 1] = said:format(...)
	end
	if texts.write_key_menu then
		local menu = {}
		for i, item in ipairs(texts.write_key_menu) do
			menu[i] = text(item)
		end
		step("In %s, go to **%s** and paste the write key.", name, table.concat(menu, " > "))
	else
		step("In %s, open the settings of the Segment integration and paste the write key.", name)
	end
	local regions = table.concat(texts.regions or {}, " ")
	if regions:find "us" and regions:find "eu" then
		step("Select the region of the Segment workspace, US or EU. A workspace in the EU takes no data that's sent to the US.")
	elseif regions:find "eu" then
		step("Check that the Segment workspace is in the EU: %s doesn't send to workspaces in the US.", name)
	end
	step("Save the settings in %s. The next event appears in the **Debugger** of the source.", name)
	for i, said in ipairs(steps) do
		steps[i] = ("%d. %s"):format(i, said)
	end
	add "## Getting started"
	add(table.concat(steps, "\n"))
end

local function stream(subject, add)
	local name = text(parts.name(subject))
	local calls = {}
	if #parts.events(subject) > 0 then
		calls[1] = ("- %s for each of the [events](#events) below."):format(call_link "track")
	end
	for _, word in ipairs { "identify", "group", "page", "screen", "alias" } do
		local event = parts.call(subject, word)
		if event then
			local said = about.event(subject.texts, word)
			local line = ("- %s%s"):format(call_link(word), said and ": " .. sentence(said) or "")
			if #event.names > 0 then
				line = line .. (" Names: %s."):format(parts.series(parts.codes(event.names)))
			end
			calls[#calls + 1] = line
		end
	end
	if #calls == 0 then
		return
	end
	add "## Stream"
	add(("%s sends these calls to Segment's [HTTP Tracking API](/docs/connections/sources/catalog/libraries/server/http-api/), "
		.. "from its own servers:"):format(name))
	add(table.concat(calls, "\n"))
	add "### User IDs"
	add(parts.user(subject))
	add "### Context"
	add(("Every call has `context.integration`, with the name %s and the version of the source.%s"):format(code(subject.source.slug),
		#parts.context(subject) > 0 and " These fields are there when they're known:" or ""))
	if #parts.context(subject) > 0 then
		add(markdown.table({ "Field name", "Type", "Description" }, parts.context(subject)))
	end
end

local function table_name(event)
	return (event:gsub("(%l)(%u)", "%1_%2"):lower():gsub("[^%w]+", "_"):gsub("^_", ""):gsub("_$", ""))
end

local function events(subject, add)
	local list, rows = parts.events(subject), {}
	for i, event in ipairs(list) do
		local said = about.event(subject.texts, event.key)
		local fallback = event.spec and ("See the %s."):format(spec_link(spec.category(event.spec.category).title .. " Spec",
			event.spec.page)) or ""
		rows[i] = { code(event.name), said and sentence(said) or fallback }
	end
	if #list == 0 then
		return
	end
	add "## Events"
	local has_user = subject.source.missing_user ~= "anonymous" and "Each event includes a `userId`. " or ""
	add(("%sIn a warehouse, each event has a table of its own in the schema of the source: %s is in %s. The `tracks` table "
		.. "has all of them."):format(has_user, code(list[1].name), code(table_name(list[1].name))))
	add(markdown.table({ "Event name", "Description" }, rows))
	local follow = {}
	for i, part in ipairs(parts.by_spec(subject)) do
		follow[i] = ("%s follow%s the %s."):format(parts.series(parts.codes(part.names)), #part.names == 1 and "s" or "",
			spec_link(part.title .. " Spec", part.page))
	end
	if #follow > 0 then
		add(table.concat(follow, " "))
	end
end

local function properties(subject, add)
	local rows = parts.all_properties(subject)
	local tables = {}
	if #rows > 0 then
		tables[1] = markdown.table({ "Property name", "Type", "Description", "Sent with" }, rows)
	end
	for _, word in ipairs { "identify", "group", "page", "screen" } do
		local event = parts.call(subject, word)
		local of_call = event and parts.properties(subject, event) or {}
		if #of_call > 0 then
			tables[#tables + 1] = ("### %s %s"):format(CALL_TITLES[word], event.word)
			tables[#tables + 1] = markdown.table({ event.word == "traits" and "Trait name" or "Property name", "Type", "Description" },
				of_call)
		end
	end
	if #tables == 0 then
		return
	end
	add "## Event properties"
	add "A property that the event has no value for is left out."
	for _, one in ipairs(tables) do
		add(one)
	end
end

local function destinations(subject, add)
	local texts, name = subject.texts, parts.name(subject)
	add "## Adding destinations"
	add(("Now that %s sends its events to Segment, connect [destinations](/docs/connections/destinations/) that use them: in the "
		.. "Segment app, open the source and click **Add Destination**."):format(text(name)))
	local help = ("Segment's [Event Delivery](/docs/connections/event-delivery/) shows whether a destination takes the events. "
		.. "If none arrive in Segment, compare the write key and the region in %s with those of the source"):format(text(name))
	add(help .. (texts.support and (", or [contact %s support](mailto:%s)."):format(text(texts.maintainer or name),
		markdown.url(texts.support)) or "."))
end

--- The page as Markdown.
---@param subject moonweir.docs.Subject
---@return string
return function(subject)
	local page = { front_matter(parts.name(subject)) }
	local function add(block)
		page[#page + 1] = block
	end
	for _, section in ipairs { intro, getting_started, stream, events, properties, destinations } do
		section(subject, add)
	end
	return table.concat(page, "\n\n")
end
