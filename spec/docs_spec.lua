--- The pages about a source: the example's read like real ones, and no name or text breaks out of where it stands.

local core = require "moonweir.core"
local fixtures = require "moonweir.cli.fixtures"
local goldens = require "moonweir.cli.goldens"
local missing = require "moonweir.docs.missing"
local shape = require "moonweir.shape"
local source = require "moonweir.source"
local stream = require "moonweir.stream"

local get = source.get

local pages = { segment = require "moonweir.docs.segment", reference = require "moonweir.docs.reference" }

local function subject(fields, messages)
	local all = { slug = "tiny-tool", version = "1.0.0", event = get "type", user = source.user { get "user" }, on = {} }
	for name, value in pairs(fields) do
		all[name] = value
	end
	local definition = source.define(all)
	return { source = definition, stream = stream.read(definition, messages), texts = definition.about or {} }
end

local function example()
	local script = assert(fixtures.load "examples/acme-mail/acme-mail.lua")
	local messages = goldens.messages("examples/acme-mail/fixtures/", error)
	return { source = script.definition, stream = stream.read(script.definition, messages), texts = script.definition.about }
end

--- Without code, where other rules hold.
local function prose(page)
	return (page:gsub("```.-```", ""):gsub("`[^`\n]*`", "CODE"):gsub("%]%b()", "]"))
end

local function headings(page)
	local list = {}
	for marks, title in ("\n" .. page:gsub("```.-```", "")):gmatch "\n(#+) ([^\n]+)" do
		list[#list + 1] = { level = #marks, title = title }
	end
	return list
end

-- What stands between a heading and the next one, of whatever level.
local function each_section(page, visit)
	local title, lines = nil, {}
	local function close()
		if title then
			visit(title, table.concat(lines, "\n"))
		end
		lines = {}
	end
	for line in (page .. "\n"):gmatch "([^\n]*)\n" do
		if line:find "^#+ " then
			close()
			title = line
		elseif line:find "%S" then
			lines[#lines + 1] = line
		end
	end
	close()
end

local function each_row(page, visit)
	for line in page:gmatch "[^\n]+" do
		if line:find "^|" and not line:find "^| %-%-%-" and not line:find "^| %u[%l ]+ |" then
			local cells = {}
			for cell in line:gmatch "|%s*([^|]*[^|%s])%s*%f[|]" do
				cells[#cells + 1] = cell
			end
			visit(cells, line)
		end
	end
end

describe("the example's pages", function()
	local about_it = example()
	local made = { segment = pages.segment(about_it), reference = pages.reference(about_it) }

	it("are complete: nothing is left to be written", function()
		assert.same({}, missing(about_it))
	end)

	it("name every event and property there is, and tell what each is", function()
		for _, page in pairs(made) do
			for _, event in ipairs(about_it.stream.events) do
				if event.name then
					assert.matches("`" .. event.name .. "`", page, 1, true)
				end
				shape.each(event.shape, function(path)
					assert.matches("| `" .. path .. "` |", page, 1, true)
				end)
			end
			shape.each(about_it.stream.context, function(path, inner)
				if path ~= "traits" then
					assert.is_nil(inner.properties)
					assert.matches("| `context." .. path .. "` |", page, 1, true)
				end
			end)
			local count = 0
			each_row(page, function(cells, line)
				count = count + 1
				for _, cell in ipairs(cells) do
					assert.is_true(#cell > 1, line)
				end
				assert.is_true(#cells == select(2, line:gsub("|", "")) - 1, line)
				assert.is_true(#cells >= 2, line)
			end)
			assert.is_true(count > 50)
		end
		for _, word in ipairs { "Identify", "Group", "Page", "Screen", "Alias" } do
			assert.matches(("- [%s](/docs/connections/spec/%s/): "):format(word, word:lower()), made.segment, 1, true)
		end
		assert.matches("| `message.queued` | Nothing has reached the recipient yet. |", made.reference, 1, true)
	end)

	it("have no empty section and no type that is not known", function()
		for _, page in pairs(made) do
			local count = 0
			each_section(page, function(title, text)
				count = count + 1
				assert.is_true(#text > 20 or title == "## People, companies, pages, and screens", title) -- that one holds others
			end)
			assert.is_true(count >= 11)
			assert.not_matches("| Any |", page, 1, true)
		end
	end)

	it("follow Segment's template: sections in its order, and no others on top", function()
		local top = {}
		for _, heading in ipairs(headings(made.segment)) do
			if heading.level < 3 then
				top[#top + 1] = heading.level .. " " .. heading.title
			end
		end
		assert.same({ "2 Getting started", "2 Stream", "2 Events", "2 Event properties", "2 Adding destinations" }, top)
		assert.matches("^%-%-%-\ntitle: Acme Mail Source\n%-%-%-\n\n%[Acme Mail%]", made.segment)
		assert.matches("acme-mail.example/?utm_source=segmentio&utm_medium=docs&utm_campaign=partners){:target=\"_blank\"} is an email",
			made.segment, 1, true)
		assert.matches("Event Cloud Source", made.segment, 1, true)
		assert.matches("mailto:help@acme-mail.example", made.segment, 1, true)
		assert.matches("_Prod`, `_Staging`, or `_Dev", made.segment, 1, true)
		assert.matches("go to **Settings > Integrations > Segment** and paste the write key", made.segment, 1, true)
		assert.matches("US or EU", made.segment, 1, true)
		assert.matches("see the [Acme Mail destination](/docs/connections/destinations/catalog/acme-mail/)", made.segment, 1, true)
		assert.matches("Event Delivery", made.segment, 1, true)
	end)

	it("keep Segment's style: third person, plain words, headings in sentence case, outside links in a new tab", function()
		for format, page in pairs(made) do
			local text = " " .. prose(page):gsub("%s+", " ") .. " "
			for _, word in ipairs { "[Ww]e", "[Ww]e're", "[Oo]ur", "[Oo]urs", "I", "I'm", "[Mm]y", "[Mm]e", "us", "[Vv]ia", "[Ee]asily",
				"[Ss]imply", "[Uu]tilize", "[Pp]lease", "e%.g%.", "i%.e%." } do
				assert.not_matches("[^%w']" .. word .. "[^%w']", text, format)
			end
			for _, heading in ipairs(headings(page)) do
				for word in heading.title:gsub("`[^`]*`", ""):gsub("Acme Mail", ""):gsub("Segment", ""):gsub("IDs", ""):gmatch " (%a+)" do
					assert.matches("^%l", word, heading.title)
				end
			end
		end
		for link in made.segment:gmatch "%]%((https?://[^)]*%)[^%s,.]*)" do
			assert.matches('){:target="_blank"}', link, 1, true)
		end
		for click in made.segment:gmatch "click (%S+)" do
			assert.matches("^%*%*", click)
		end
	end)

	it("show examples that are Segment calls, without Moonweir's own stamp", function()
		local count = 0
		for json in made.reference:gmatch "```json\n(.-)\n```" do
			local message = assert(core.decode(json))
			count = count + 1
			assert.is_string(message.userId)
			assert.is_nil(message.context.library)
		end
		assert.equal(#about_it.stream.events, count)
	end)
end)

describe("a page about a source", function()
	it("leaves out sections of which nothing is known", function()
		local page = pages.segment(subject { on = { a = source.ignore } })
		for _, heading in ipairs(headings(page)) do
			assert.is_true(heading.title == "Getting started" or heading.title == "Adding destinations", heading.title)
		end
		assert.matches("\ntitle: Tiny Tool Source\n", page, 1, true)
		assert.not_matches("## Not sent\n\n\n", pages.reference(subject { on = {} }), 1, true)
		page = pages.segment(subject { on = { a = source.identify { plan = get "p" } } })
		assert.not_matches("## Events", page, 1, true)
		assert.matches("### Identify traits", page, 1, true)
		page = pages.segment(subject { on = { a = source.track "A" {} } })
		assert.not_matches("## Event properties", page, 1, true)
	end)

	it("says in which table of a warehouse an event is", function()
		local tables = { ["Email Marked as Spam"] = "email_marked_as_spam", orderPaid = "order_paid", ["A/B!"] = "a_b" }
		for name, table_name in pairs(tables) do
			local page = pages.segment(subject { on = { a = source.track(name) {} } })
			assert.matches(("`%s` is in `%s`."):format(name, table_name), page, 1, true)
		end
	end)

	it("says how userId comes about, from the script where nobody says it better", function()
		local function said(fields)
			return pages.segment(subject(fields))
		end
		local on = { a = source.track "A" {} }
		local page = said { on = on, user = source.user { get "a.b" } }
		assert.matches("It's the value of `a.b` in Tiny Tool. Tiny Tool doesn't send", page, 1, true)
		page = said { on = on, user = source.user { get "a", get "b":string() } }
		assert.matches("It's the first of `a` or `b` that has a value", page, 1, true)
		page = said { on = on, user = source.user { get "a", email = get "e" }, missing_user = "anonymous" }
		assert.matches("email address is sent as the `anonymousId`", page, 1, true)
		assert.not_matches("Every call has a `userId`", page, 1, true)
		assert.not_matches("Each event includes", page, 1, true)
	end)

	it("has the notice for workspaces in the EU where only the US is sent to", function()
		local function said(regions)
			return pages.segment(subject { on = {}, about = { regions = regions } })
		end
		assert.matches("{% include content/source-region-unsupported.md %}", said { "us" }, 1, true)
		assert.not_matches("region-unsupported", said { "us", "eu" }, 1, true)
		assert.matches("doesn't send to workspaces in the US", said { "eu" }, 1, true)
	end)

	it("keeps every name and text in its place", function()
		local evil = 'x|y `z` {{ site.url }} {% include a %} <script>alert(1)</script> [l](javascript:1) **b** \\'
		local it = subject({
			on = { a = source.track(evil) { [evil] = get "a", list = get "l":lookup { a = evil } }, b = source.identify { [evil] = 1 },
				[evil] = source.ignore, p = source.page(evil) {} },
			user = source.user { get(('["%s"]'):format(evil)) }, context = { [evil] = get "c" },
			about = { name = evil, description = evil, maintainer = evil, website = "https://x.example/(a)?b=c#d", support = "a@b.c",
				write_key_menu = { evil }, events = { [evil] = evil .. "\n\n# Heading\n| a |" }, properties = { [evil] = evil },
				traits = { [evil] = evil }, context = { [evil] = evil }, ignored = { [evil] = evil }, user = evil },
		}, { core.decode('{"type":"track","event":"E","properties":{"{{ a }}":"{% b %}"},"context":{}}') })
		local function lacks(page, text)
			assert.is_nil(page:find(text, 1, true), text)
		end
		for format, page in pairs { segment = pages.segment(it), reference = pages.reference(it) } do
			lacks(page, "{{")
			lacks(page, "{%")
			lacks(page, "<script")
			lacks(page, "](javascript")
			lacks(page, "\n# Heading")
			lacks(page, "**b**")
			local columns
			for line in (page .. "\n"):gmatch "([^\n]*)\n" do
				local count = line:find "^|" and select(2, line:gsub("|", "")) or nil
				assert.is_true(count == nil or columns == nil or count == columns, format .. ": " .. line)
				columns = count
			end
			assert.matches("(https://x.example/%28a%29?b=c", page .. pages.segment(it), 1, true)
		end
		assert.matches('^%-%-%-\ntitle: "[^"{}<>%[%]]+ Source"\n%-%-%-\n', pages.segment(it))
	end)
end)

describe("what is missing", function()
	local function gaps(it)
		local found = {}
		for i, gap in ipairs(missing(it)) do
			found[i] = gap.where .. ": " .. gap.why
		end
		return table.concat(found, "\n") .. "\n"
	end

	it("is told field by field, each with where it goes", function()
		local said = gaps(subject { on = {
			a = source.track "Order Completed" { total = get "t" }, b = source.track "Order Refunded" { total = get "t" },
			c = source.identify { plan = get "p" }, d = source.ignore, ["e-f"] = source.ignore,
		}, context = { ip = get "ip" } })
		for _, line in ipairs { 'about.name: ', 'about.website: ', 'about.support: ', 'about.write_key_menu: ', 'about.regions: ',
			'about.user: ', 'about.categories: ', 'about.description: ', 'about.events["Order Completed"]: when is it sent?\n',
			"about.events.identify: when is it sent?\n",
			"about.properties.total: what is it? Sent with Order Completed, Order Refunded\n",
			"about.traits.plan: what is it? Sent with identify\n", "about.context.ip: what is it?\n",
			"fixtures/: the type of identify: plan is not known: neither script nor Spec fixes it",
			"about.ignored.d: why isn't it sent?\n", 'about.ignored["e-f"]: why isn\'t it sent?\n' } do
			assert.matches(line, said, 1, true)
		end
		assert.equal(2, select(2, said:gsub("total", "")) + 1)
	end)

	it("counts descriptions of what is not sent, a category there is not, and what the style guide turns down", function()
		local said = gaps(subject { on = { a = source.track "Order Completed" { total = get "t" } }, about = {
			events = { ["Order Complete"] = "x", ["Order Completed"] = { "We send it, e.g. soon.", toal = "x" } },
			properties = { total = "Ours, via I.", other = "x" }, ignored = { gone = "x" }, categories = { "E-mail Marketing" },
			traits = { plan = "for us in the US" },
		} })
		for _, line in ipairs {
			'about.events["Order Complete"]: nothing sends it, nor does a golden file show it, did you mean "Order Completed"?\n',
			'about.events["Order Completed"].toal: nothing sends it, nor does a golden file show it, did you mean "total"?\n',
			"about.properties.other: nothing sends it, nor does a golden file show it\n",
			"about.ignored.gone: no such entry is source.ignore\n",
			'about.categories: Segment\'s catalog has no "E-mail Marketing", did you mean "Email Marketing"?\n',
			'about.events["Order Completed"]: Segment\'s style guide wants it written with no first person (we)\n',
			'about.events["Order Completed"]: Segment\'s style guide wants it written "for example" in place of "e.g."\n',
			"about.properties.total: Segment's style guide wants it written with no first person (our)\n",
			"about.traits.plan: Segment's style guide wants it written with no first person (us)\n",
		} do
			assert.matches(line, said, 1, true)
		end
	end)

	it("takes a tool's own name for a name, though it may have a word of the first person in it", function()
		local said = gaps(subject { on = { a = source.track "Order Completed" {} }, about = {
			name = "My (Us) Tool", user = "The ID in My (Us) Tool.", events = { ["Order Completed"] = "My tool, not My (Us) Tool." },
		} })
		assert.not_matches("about.user: Segment", said, 1, true)
		assert.matches('about.events["Order Completed"]: Segment\'s style guide wants it written with no first person (my)', said,
			1, true)
	end)

	it("says that nothing is known of a function without golden files", function()
		local fields = { on = { f = function() end, n = source.track(get "name") {} } }
		local said = gaps(subject(fields))
		assert.matches('what the function of "f" sends is known from golden files only, and none shows it', said, 1, true)
		assert.matches('how "n" is called in Segment', said, 1, true)
		assert.not_matches("golden files only", gaps(subject(fields, { core.decode '{"type":"track","event":"E"}' })), 1, true)
	end)
end)
