--- about -- what people are told about a source, for `moonweir docs` and `moonweir plan`. Mapping never looks at it.
---
---     about = {
---       name = "Acme Mail", website = "https://acme-mail.example", support = "help@acme-mail.example",
---       description = "an e-mail marketing tool for small shops",              -- completes "Acme Mail is …"
---       write_key_menu = { "Settings", "Integrations", "Segment" },            -- where the write key is pasted
---       regions = { "us", "eu" }, categories = { "Email Marketing" }, destination = true,
---       user = "The external ID of the contact, as the customer's own database has it.",
---       events = {
---         ["Email Opened"] = "The recipient opened the message.",
---         ["Email Bounced"] = { "The message came back.", reason = "What the mail server said." },
---         identify = "A contact was added or changed.",
---       },
---       properties = { email_id = "The message's ID.", ["products[].sku"] = "…" },  -- wherever it is sent
---       traits = { plan = "…" }, context = { ip = "…" },
---       ignored = { ["message.queued"] = "Nothing has happened yet." },
---     }
---
--- All of it may be left out; docs lists what is missing. Texts are plain: only `code` between backticks is kept.

local core = require "moonweir.core"
local place = require "moonweir.place"

local about = {}

---@class moonweir.About
---@field name? string the tool's, as people know it
---@field website? string
---@field description? string without a full stop
---@field support? string an e-mail address
---@field maintainer? string who looks after the source; the tool's name if left out
---@field write_key_menu? string[] the way through the tool's menus
---@field regions? ("us"|"eu")[] of Segment workspaces that the tool can send to
---@field destination? true|string Segment also sends to the tool: its page there, if that is not called as the source is
---@field categories? string[] of Segment's catalogue: the first is the primary one, a second may follow
---@field user? string what userId is
---@field events? table<string, string|table<string|integer, string>> by event, or by the call's word: identify, page, …
---@field properties? table<string, string> by path
---@field traits? table<string, string> by path
---@field context? table<string, string> by path
---@field ignored? table<string, string> by the tool's event: why it is not sent

--- Segment's categories for sources: src/_data/catalog/source_categories.yml.
about.CATEGORIES = {
	"A/B Testing", "Advertising", "Analytics", "Attribution", "CRM", "Custom", "Customer Success", "Email Marketing",
	"Enrichment", "Experimentation", "Feature Flagging", "Helpdesk", "Learning Management System", "Livechat",
	"Marketing Automation", "Mobile", "Ott", "Payments", "Performance Marketing", "Performance Monitoring", "Personalization",
	"Raw Data", "Referrals", "SMS & Push Notifications", "Server", "Surveys", "Virtual Assistant", "Warehouse", "Website",
}

--- Longer than any sentence about an event.
about.TEXT_MAX = 1000

local function text(value, fail, where)
	if type(value) ~= "string" or not value:find "%S" then
		fail("expected a text, got " .. (type(value) == "string" and "an empty one" or "a " .. type(value)), where)
	elseif #value > about.TEXT_MAX then
		fail(("longer than %d bytes"):format(about.TEXT_MAX), where)
	elseif not core.encode(value) then
		fail("it is not UTF-8", where)
	elseif value:find "[%z\1-\8\11\12\14-\31\127]" then
		fail("it has control characters in it", where)
	end
	return value
end

local function one_text(form, example)
	return function(value, fail, where)
		text(value, fail, where)
		if not value:find(form) then
			fail(("expected one like %q, got %q"):format(example, value), where)
		end
	end
end

local function list(check, example)
	return function(value, fail, where)
		if type(value) ~= "table" or #value == 0 then
			fail(("expected a list like %s"):format(example), where)
		end
		for key, item in next, value do
			if type(key) ~= "number" then
				fail(("it is a list; what is %q doing there? Expected one like %s"):format(tostring(key), example), where)
			end
			check(item, fail, where)
		end
	end
end

local function one_of(known)
	return function(value, fail, where)
		for _, word in ipairs(known) do
			if value == word then
				return
			end
		end
		text(value, fail, where)
		fail(("there is no %q%s"):format(value, place.nearest(value, known)), where)
	end
end

--- Texts by name; `check` is for each of them.
local function by_name(check, what)
	return function(value, fail, where)
		if type(value) ~= "table" then
			fail(("expected a table of texts by %s, got a %s"):format(what, type(value)), where)
		end
		for name, item in next, value do
			if type(name) ~= "string" then
				fail(("its keys are texts: the %s by its name, not %ss"):format(what, type(name)), where)
			end
			check(item, fail, ("%s.%s"):format(where, name))
		end
	end
end

local function event(value, fail, where)
	if type(value) ~= "table" then
		text(value, fail, where)
		return
	end
	for key, item in next, value do
		if key ~= 1 and type(key) ~= "string" then
			fail("expected one description, then descriptions of properties: { \"…\", reason = \"…\" }", where)
		end
		text(item, fail, key == 1 and where or where .. "." .. key)
	end
end

local checks = {
	name = text,
	website = one_text("^https?://[%w.%-]+[%w%-._~:/?#@!$&'()*+,;=%%]*$", "https://acme-mail.example"),
	description = text,
	support = one_text("^[^%s@<>()]+@[%w.%-]+$", "help@acme-mail.example"),
	maintainer = text,
	write_key_menu = list(text, '{ "Settings", "Integrations", "Segment" }'),
	regions = list(one_of { "us", "eu" }, '{ "us", "eu" }'),
	destination = function(value, fail, where)
		if value ~= true and (type(value) ~= "string" or not value:find "^[a-z0-9][a-z0-9-]*$") then
			fail('expected true, or the page\'s name in Segment\'s catalogue like "acme-mail"', where)
		end
	end,
	categories = list(text, '{ "Email Marketing" }'),
	user = text,
	events = by_name(event, "event"),
	properties = by_name(text, "property"),
	traits = by_name(text, "trait"),
	context = by_name(text, "context field"),
	ignored = by_name(text, "event"),
}

local known = {}
for name in pairs(checks) do
	known[#known + 1] = name
end
table.sort(known)

--- Check what a script says; `fail(why, where)` raises.
---@param value any
---@param fail fun(why: string, where?: string)
---@return moonweir.About
function about.check(value, fail)
	if type(value) ~= "table" then
		fail("expected a table, got a " .. type(value))
	end
	local unknown
	for name in next, value do
		if not checks[name] and (not unknown or tostring(name) < tostring(unknown)) then
			unknown = name
		end
	end
	if unknown ~= nil then
		fail(("unknown field%s"):format(place.nearest(unknown, known)), tostring(unknown))
	end
	for _, name in ipairs(known) do
		if value[name] ~= nil then
			checks[name](value[name], fail, name)
		end
	end
	return value
end

--- What is said of an event: its own words, or those for a call of its kind.
---@param from moonweir.About
---@param key string the event's name, or the call's word
---@return string?
function about.event(from, key)
	local said = (from.events or {})[key]
	return type(said) == "table" and said[1] or type(said) == "string" and said or nil
end

--- What is said of a property or trait of an event: its own words first, then those for wherever it is sent.
---@param from moonweir.About
---@param key string the event's name, or the call's word
---@param word "properties"|"traits"
---@param path string
---@return string?
function about.field(from, key, word, path)
	local said = (from.events or {})[key]
	return type(said) == "table" and said[path] or (from[word] or {})[path]
end

return about
