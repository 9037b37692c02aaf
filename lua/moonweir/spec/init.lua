--- spec -- Segment's Spec as data: events and their properties, calls, reserved names, limits, and what is lost in silence.
---
---     local spec = require "moonweir.spec"
---     spec.event("Order Completed").page         -- "src/connections/spec/ecommerce/v2.md"
---     spec.properties("Order Completed").total   -- { types = { "number" } }
---     spec.alias("Purchase")                     -- "Order Completed", { kind = "rejected", page = … }
---
--- One file a category, each naming the page it comes from; make.lua says what a field looks like, and aliases.lua holds
--- the other names. No page calls a property of an event required, so none is; of calls and context some are. Pages are paths in
--- the repository of Segment's documentation, at the commit of `spec.edition`; spec.url makes an address of one.
---
--- Everything handed out is shared: read it, don't write to it.

local aliases = require "moonweir.spec.aliases"
local calls = require "moonweir.spec.calls"
local drops = require "moonweir.spec.drops"
local limits = require "moonweir.spec.limits"
local reserved = require "moonweir.spec.reserved"

local spec = {
	edition = { repository = "segmentio/segment-docs", commit = "747b35d8f5f1889b041f2101185d562d7c4c016e", date = "2025-11-07" },
	calls = calls.calls,
	common = calls.common,
	common_page = calls.common_page,
	context = calls.context,
	reserved = reserved,
	limits = limits,
	drops = drops,
	aliases = aliases,
}

--- In the order in which they are looked through: of a name that two have, the first counts.
---@type moonweir.spec.Category[]
spec.categories = {}
for i, name in ipairs { "email", "live_chat", "ab_testing", "b2b", "mobile", "ecommerce", "video", "copilot", "ecommerce_v1" } do
	spec.categories[i] = require("moonweir.spec." .. name)
end

local by_id, by_name, names = {}, {}, {}
for _, category in ipairs(spec.categories) do
	by_id[category.id] = { category = category, events = {} }
	for _, event in ipairs(category.events) do
		by_id[category.id].events[event.name] = event
		if not by_name[event.name] then
			by_name[event.name] = event
			table.insert(names, event.name)
		end
	end
end
table.sort(names)

---@param id string "email", "ecommerce", …
---@return moonweir.spec.Category?
function spec.category(id)
	return by_id[id] and by_id[id].category
end

--- The event of exactly this name. "Order Completed" is in two categories: without one it is the newer.
---@param name string
---@param category? string its id
---@return moonweir.spec.Event?
function spec.event(name, category)
	if category then
		return by_id[category] and by_id[category].events[name]
	end
	return by_name[name]
end

--- The names of all events, the deprecated ones too, sorted.
---@return string[]
function spec.events()
	local copy = {}
	for i, name in ipairs(names) do
		copy[i] = name
	end
	return copy
end

---@param event string
---@return table<string, moonweir.spec.Field>?
function spec.properties(event)
	return by_name[event] and by_name[event].properties
end

--- What event another name stands for: exactly this name, as it is written.
---@param name string
---@return string? event
---@return moonweir.spec.Alias? alias why, and where it is said
function spec.alias(name)
	local alias = aliases.events[name]
	if alias then
		return alias.name, alias
	end
end

--- What property of a spec event another name stands for.
---@param event string
---@param name string
---@param fields? table<string, moonweir.spec.Field> where it stands, if that is inside a property: those of one product, say
---@return string? property
---@return moonweir.spec.PropertyAlias? alias
function spec.property_alias(event, name, fields)
	local known = by_name[event]
	fields = fields or known and known.properties
	if not known or fields[name] then
		return nil
	end
	for _, alias in ipairs(aliases.properties) do
		local applies = alias.event == event or alias.category == known.category
		if alias.from == name and applies and fields[alias.to] then
			return alias.to, alias
		end
	end
end

--- The names of fields, sorted.
---@param fields table<string, moonweir.spec.Field>
---@return string[]
function spec.names(fields)
	local sorted = {}
	for name in pairs(fields) do
		table.insert(sorted, name)
	end
	table.sort(sorted)
	return sorted
end

--- Visit fields and those inside them, sorted, each with its path: "products", "products[].sku".
---@param fields table<string, moonweir.spec.Field>
---@param visit fun(path: string, field: moonweir.spec.Field)
---@param prefix? string put before each path
function spec.each(fields, visit, prefix)
	for _, name in ipairs(spec.names(fields)) do
		local field, path = fields[name], (prefix or "") .. name
		visit(path, field)
		if field.properties then
			spec.each(field.properties, visit, path .. ".")
		end
		if field.items and field.items.properties then
			spec.each(field.items.properties, visit, path .. "[].")
		end
	end
end

--- The address of a page: in Segment's documentation, or of the file where that has no page of its own.
---@param page string "src/connections/spec/email.md"
---@return string
function spec.url(page)
	local repository, path = page:match "^(%S+) (%S+)$"
	if repository then
		return ("https://github.com/%s/blob/HEAD/%s"):format(repository, path)
	end
	local public = page:match "^src/([^_].*)%.md$"
	if public then
		return ("https://segment.com/docs/%s/"):format((public:gsub("/index$", "")))
	end
	return ("https://github.com/%s/blob/%s/%s"):format(spec.edition.repository, spec.edition.commit, page)
end

return spec
