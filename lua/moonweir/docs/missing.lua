--- missing -- what a source's author has yet to write, and where; and what Segment's style guide asks to write otherwise.

local about = require "moonweir.about"
local place = require "moonweir.place"
local shape = require "moonweir.shape"
local stream = require "moonweir.stream"
local suggest = require "moonweir.suggest"

---@class moonweir.docs.Gap
---@field where string 'about.support'
---@field why string what to write, or what is wrong

-- For each field of `about`: what belongs there, with an example.
local FIELDS = {
	{ "name", 'the tool\'s name as people know it: name = "Acme Mail"' },
	{ "description", 'what the tool is, to complete "it is …": description = "an email marketing tool"' },
	{ "website", 'linked in the first sentence: website = "https://acme-mail.example"' },
	{ "support", 'where customers get help: support = "help@acme-mail.example"' },
	{ "write_key_menu", 'where customers paste the write key: write_key_menu = { "Settings", "Integrations", "Segment" }' },
	{ "regions", 'of Segment workspaces that can be sent to: regions = { "us", "eu" }' },
	{ "categories", 'of Segment\'s catalog, for the submission: categories = { "Email Marketing" }' },
	{ "user", 'what userId is, as customers know it: user = "The external ID of the contact."' },
}

-- What the style guide of Segment's documentation turns down. Patterns are looked for between spaces.
local STYLE = {
	{ "[^%w][Ww]e[^%w]", "no first person (we)" }, { "[^%w][Oo]urs?[^%w]", "no first person (our)" },
	{ "[^%w]I[^%w/]", "no first person (I)" }, { "[^%w][Mm]y[^%w]", "no first person (my)" },
	{ "[^%w]us[^%w]", "no first person (us)" },
	{ "e%.g%.", '"for example" in place of "e.g."' }, { "i%.e%.", '"that is" in place of "i.e."' },
	{ "[^%w][Vv]ia[^%w]", '"through" or "with" in place of "via"' },
	{ "[Uu]tili[sz]", '"use" in place of "utilize"' },
	{ "[^%w][Ee]asily[^%w]", 'without "easily"' }, { "[^%w][Ss]imply[^%w]", 'without "simply"' },
}

local Finder = {}
Finder.__index = Finder

function Finder:add(where, why, ...)
	table.insert(self.gaps, { where = where, why = why:format(...) })
end

local function key_of(name)
	return name:find "^[%a_][%w_]*$" and "." .. name or ("[%q]"):format(name)
end

function Finder:fields()
	local texts = self.subject.texts
	for _, field in ipairs(FIELDS) do
		if texts[field[1]] == nil then
			self:add("about." .. field[1], "%s", field[2])
		end
	end
	for _, category in ipairs(texts.categories or {}) do
		local known = false
		for _, name in ipairs(about.CATEGORIES) do
			known = known or name == category
		end
		if not known then
			self:add("about.categories", "Segment's catalog has no %q%s", category, place.nearest(category, about.CATEGORIES))
		end
	end
	for _, event in ipairs(self.subject.stream.ignored) do
		if not (texts.ignored or {})[event] then
			self:add("about.ignored" .. key_of(event), "why isn't it sent?")
		end
	end
end

-- One gap a property, however many events have it.
function Finder:properties()
	local gaps, by_place = {}, {}
	for _, event in ipairs(self.subject.stream.events) do
		shape.each(event.shape, function(path)
			if not about.field(self.subject.texts, event.key, event.word, path) then
				local where = ("about.%s%s"):format(event.word, key_of(path))
				if not by_place[where] then
					by_place[where] = {}
					gaps[#gaps + 1] = where
				end
				table.insert(by_place[where], event.key)
			end
		end)
	end
	for _, where in ipairs(gaps) do
		self:add(where, "what is it? Sent with %s", table.concat(by_place[where], ", "))
	end
	shape.each(self.subject.stream.context, function(path, inner)
		local is_group = inner.properties and next(inner.properties)
		if not is_group and not (self.subject.texts.context or {})[path] then
			self:add("about.context" .. key_of(path), "what is it?")
		end
	end)
end

function Finder:events()
	for _, event in ipairs(self.subject.stream.events) do
		if not about.event(self.subject.texts, event.key) then
			self:add("about.events" .. key_of(event.key), "when is it sent?")
		end
	end
	local it = self.subject.stream
	local are_seen = {}
	for _, event in ipairs(it.events) do
		are_seen[#are_seen + 1] = not event.is_declared and event.key or nil
	end
	for _, property in ipairs(stream.untyped(it)) do
		self:add("fixtures/", "the type of %s: %s is not known: neither script nor Spec fixes it, and no golden file has it",
			property.event, property.path)
	end
	for _, entry in ipairs(#are_seen == 0 and it.functions or {}) do
		self:add("fixtures/", "what the function of %q sends is known from golden files only, and none shows it", entry)
	end
	for _, entry in ipairs(#are_seen == 0 and it.unnamed or {}) do
		self:add("fixtures/", "how %q is called in Segment is known from golden files only, and none shows it", entry)
	end
end

--- Descriptions of what is not sent: a name is misspelt, or it is no longer there.
function Finder:unknown()
	local it, texts = self.subject.stream, self.subject.texts
	local events, paths = {}, { properties = {}, traits = {}, context = {}, ignored = {} }
	for _, event in ipairs(it.events) do
		events[event.key] = {}
		shape.each(event.shape, function(path)
			events[event.key][path] = true
			paths[event.word][path] = true
		end)
	end
	shape.each(it.context, function(path)
		paths.context[path] = true
	end)
	for _, event in ipairs(it.ignored) do
		paths.ignored[event] = true
	end
	local function look(where, said, known)
		local names = {}
		for name in pairs(type(said) == "table" and said or {}) do
			names[#names + 1] = name ~= 1 and not known[name] and name or nil
		end
		table.sort(names)
		for _, name in ipairs(names) do
			local why = where == "about.ignored" and "no such entry is source.ignore" or "nothing sends it, nor does a golden file show it"
			self:add(where .. key_of(name), "%s%s", why, suggest(name, known))
		end
	end
	look("about.events", texts.events, events)
	for key, said in pairs(texts.events or {}) do
		if events[key] then
			look("about.events" .. key_of(key), said, events[key])
		end
	end
	for word, known in pairs(paths) do
		look("about." .. word, texts[word], known)
	end
end

function Finder:style(said, where)
	if type(said) == "table" then
		for key, inner in pairs(said) do
			self:style(inner, type(key) == "number" and where or where .. key_of(tostring(key)))
		end
	elseif type(said) == "string" then
		local name = self.subject.texts.name
		said = name and said:gsub(name:gsub("%p", "%%%0"), "") or said -- My Tool is called so
		for _, rule in ipairs(STYLE) do
			if (" " .. said .. " "):find(rule[1]) then
				self:add(where, "Segment's style guide wants it written %s", (rule[2]:gsub("^no ", "with no ")))
			end
		end
	end
end

--- Everything that is missing or should be otherwise, in the order of `about`.
---@param subject moonweir.docs.Subject
---@return moonweir.docs.Gap[]
return function(subject)
	local finder = setmetatable({ subject = subject, gaps = {} }, Finder)
	finder:fields()
	finder:events()
	finder:properties()
	local gaps = finder.gaps
	finder.gaps = {}
	finder:unknown()
	for _, field in ipairs { "description", "user", "events", "properties", "traits", "context", "ignored" } do
		finder:style(subject.texts[field], "about." .. field)
	end
	table.sort(finder.gaps, function(a, b)
		return a.where .. a.why < b.where .. b.why
	end)
	for _, gap in ipairs(finder.gaps) do
		gaps[#gaps + 1] = gap
	end
	return gaps
end
