--- Nothing of the reference catalogue is missing from Segment's Spec as data, and nothing differs.
---
--- Reads $MW_SHARED/spec/catalog.json and aliases.json, and turns them, key by key, into the shape that the data should
--- have; a key that is not known here fails. Left aside are wordings alone: titles, notes, how a page calls an element.

local cjson = require "cjson"
local make = require "moonweir.spec.make"
local spec = require "moonweir.spec"

local shared = os.getenv "MW_SHARED" or "../shared"

local function read(name)
	local file = io.open(shared .. "/spec/" .. name)
	if file then
		local text = file:read "*a"
		file:close()
		return cjson.decode(text)
	end
end

local catalog, aliases = read "catalog.json", read "aliases.json"

local function absent()
	if not (catalog and aliases) then
		pending("skipped: no catalog.json and aliases.json in " .. shared .. "/spec")
		return true
	end
end

-- What the data says beyond the catalogue's keys: facts that stand in its notes.
local beyond = {
	["identify userId"] = { min_length = 1 }, ["identify anonymousId"] = { min_length = 1 },
	["track userId"] = { min_length = 1 }, ["track anonymousId"] = { min_length = 1 },
	["page userId"] = { min_length = 1 }, ["page anonymousId"] = { min_length = 1 },
	["screen userId"] = { min_length = 1 }, ["screen anonymousId"] = { min_length = 1 },
	["group userId"] = { min_length = 1 }, ["group anonymousId"] = { min_length = 1 },
	["page name"] = { min_length = 1 }, ["page category"] = { min_length = 1 },
	["screen name"] = { min_length = 1 }, ["screen category"] = { min_length = 1 },
	["group traits employees"] = { also = "number" },
	["video Video Playback Seek Started seek_position"] = { example = true },
}

local ids = {
	["email"] = "email", ["live-chat"] = "live_chat", ["ab-testing"] = "ab_testing", ["b2b-saas"] = "b2b", ["mobile"] = "mobile",
	["ecommerce-v2"] = "ecommerce", ["ecommerce-v1"] = "ecommerce_v1", ["video"] = "video", ["ai-copilot"] = "copilot",
}

-- Each key of `entry` through its function in `known`.
local function translate(entry, known, where)
	local made = {}
	for key, value in pairs(entry) do
		assert(known[key], where .. ": nobody compares " .. key)
		known[key](made, value, where)
	end
	return made
end

local function as(name, convert)
	return function(made, value, where)
		if convert then
			made[name] = convert(value, where)
		else
			made[name] = value
		end
	end
end

local function aside() end

local field_keys
local used = {}

local function field(entry, where)
	local made = translate(entry, field_keys, where)
	for key, value in pairs(beyond[where] or {}) do
		assert(made[key] == nil, where .. ": the catalogue has " .. key .. " by now")
		made[key], used[where] = value, true
	end
	return made
end

local function fields(map, where)
	local made = {}
	for name, entry in pairs(map) do
		made[name] = field(entry, where .. " " .. name)
	end
	return made
end

local required = {
	[true] = { "required", true },
	["one_of:userId,anonymousId"] = { "either", { "userId", "anonymousId" } },
	["implicit"] = { "filled", "ingest" },
	["server"] = { "filled", "segment" },
	["sdk"] = { "filled", "library" },
}

field_keys = {
	type = as("types", function(value)
		return type(value) == "table" and value or { value }
	end),
	required = function(made, value, where)
		if value ~= false then
			local pair = assert(required[value], where)
			made[pair[1]] = pair[2]
		end
	end,
	anyOf = function(made, value, where)
		assert(#value == 2 and value[1].type == "string" and value[2].type == "array", where)
		made.types, made.enum, made.items = { "string", "array" }, value[1].enum, field(value[2].items, where .. "[]")
	end,
	same_as = function(made, value)
		assert(value == "reserved_traits.identify")
		made.properties = fields(catalog.reserved_traits.identify, "identify traits")
	end,
	properties = as("properties", fields),
	items = as("items", function(value, where)
		return field(value, where .. "[]")
	end),
	additional = as("additional", function(value)
		return make.types[value] and value or true
	end),
	nullable = as "nullable", doc_optional = as "optional", from_example = as "example", enum = as "enum", default = as "default",
	minimum = as "min", maximum = as "max", min_length = as "min_length", max_length = as "max_length", format = as "format",
	doc_type = as "doc_type", canonical = as "canonical", source = as "page",
	note = aside, item_name = aside, ref = aside,
}

local event_keys = {
	properties = as("properties", fields),
	context = as("context", function(value, where)
		return fields(value, where .. " context")
	end),
	group = as "group", replaced_by = as "replaced_by", legacy_name = as "former", from_example = as "example",
	same_properties_as = as "properties_of",
	aliases = function(_, value, where)
		for _, other in ipairs(value) do
			assert.equal(where, "ecommerce " .. tostring(spec.alias(other)))
		end
	end,
	example_only = function(_, value, where)
		for _, other in ipairs(value) do
			assert.is_string(spec.property_alias(where:match "^%S+ (.*)$", other))
		end
	end,
	note = aside,
}

local category_keys = {
	source = as "page", deprecated = as "deprecated", heartbeat_seconds = as "heartbeat_s", any_track_identifiers = as "identifiers",
	audience = as("audience", function(value)
		return value == "partner sources" and "partners" or value
	end),
	superseded_by = as("superseded_by", function(value)
		return ids[value]
	end),
	practical_minimum = as("minimum", function(value)
		return { properties = value.properties, page = value.source }
	end),
	non_events = function(_, value)
		for _, name in ipairs(value) do
			assert.is_nil(spec.event(name))
		end
	end,
	title = aside, note = aside, events = aside,
}

local function keys(map)
	local set = {}
	for key in pairs(map) do
		set[key] = true
	end
	return set
end

describe("the reference catalogue", function()
	it("has no part that is not compared", function()
		if absent() then return end
		assert.same(keys {
			meta = 1, calls = 1, common = 1, context = 1, reserved_traits = 1, reserved_properties = 1, limits = 1, ingest_errors = 1,
			categories = 1, system_events = 1, counts = 1,
		}, keys(catalog))
		assert.same(keys {
			kinds = 1, events = 1, permitted_variants = 1, details = 1, properties = 1, fields = 1, traits = 1, case_rule = 1,
		}, keys(aliases))
		assert.same(spec.edition,
			{ repository = catalog.meta.doc_repo, commit = catalog.meta.doc_commit, date = catalog.meta.doc_commit_date })
		local words = {}
		for _, word in ipairs(catalog.meta.type_words) do
			words[word] = true
		end
		assert.same(words, make.types)
	end)

	for name, id in pairs(ids) do
		it("has the events of " .. name, function()
			if absent() then return end
			local theirs, ours = catalog.categories[name], spec.category(id)
			local expected = translate(theirs, category_keys, name)
			expected.id, expected.title, expected.events = id, ours.title, ours.events
			assert.same(expected, ours)

			local seen = {}
			for _, event in ipairs(ours.events) do
				assert.is_nil(seen[event.name])
				seen[event.name] = true
				local wanted = translate(assert(theirs.events[event.name], event.name), event_keys, id .. " " .. event.name)
				wanted.name, wanted.category, wanted.page, wanted.deprecated = event.name, id, theirs.source, theirs.deprecated
				assert.same(wanted, event)
			end
			assert.same(keys(theirs.events), seen)
		end)
	end

	it("counts what the data counts", function()
		if absent() then return end
		local function count(map)
			local n = 0
			spec.each(map, function()
				n = n + 1
			end)
			return n
		end
		local events, all = 0, 0
		assert.same(keys(catalog.categories), keys(ids))
		for name, id in pairs(ids) do
			local top, nested, distinct, context = 0, 0, {}, 0
			for _, event in ipairs(spec.category(id).events) do
				events, nested, context = events + 1, nested + count(event.properties), context + count(event.context or {})
				for property in pairs(event.properties) do
					top, distinct[property] = top + 1, true
				end
			end
			all = all + nested
			assert.same(catalog.counts[name], {
				events = #spec.category(id).events, properties_top_level = top, properties_with_nested = nested,
				distinct_top_level_names = #spec.names(distinct), context_fields = context,
			})
		end
		assert.same(catalog.counts._total, {
			events = events, properties_with_nested = all, events_without_v1 = events - #spec.category("ecommerce_v1").events,
		})
	end)

	it("has the calls, the common fields and context", function()
		if absent() then return end
		assert.same(keys(catalog.calls), keys(spec.calls))
		for name, call in pairs(catalog.calls) do
			assert.same({ page = call.source, path = call.endpoint, fields = fields(call.fields, name) }, spec.calls[name])
		end
		assert.same(fields(catalog.common, "common"), spec.common)
		assert.same(fields(catalog.context, "context"), spec.context)
	end)

	it("has the reserved traits, properties and events", function()
		if absent() then return end
		for name, traits in pairs(catalog.reserved_traits) do
			if name ~= "_case" then
				assert.same(fields(traits, name .. " traits"), spec.reserved.traits[name])
			end
		end
		for name, properties in pairs(catalog.reserved_properties) do
			assert.same(fields(properties, name .. " properties"), spec.reserved.properties[name])
		end
		assert.same(keys(catalog.system_events), keys(spec.reserved.events))
		for name, entry in pairs(catalog.system_events) do
			local expected = translate(entry, {
				source = as "page", properties = as("properties", fields), context = as("context", fields), userId = as "user",
				reserved = aside, emitted_by = aside, note = aside,
			}, name)
			expected.by = entry.reserved and "consent" or entry.emitted_by and "segment" or "calls"
			assert.same(expected, spec.reserved.events[name])
		end
	end)

	it("has the limits and the codes of silent drops", function()
		if absent() then return end
		local names = {
			message_id_chars = "message_id_characters", partner_requests_per_second = "partner_rate",
			workspace_requests_per_second = "workspace_rate", schema_tab_events = "schema_events",
			schema_tab_properties = "schema_properties", schema_tab_traits = "schema_traits",
			warehouse_string_chars = "warehouse_characters",
		}
		local seen = {}
		for name, value in pairs(catalog.limits) do
			if not name:match "_note$" then
				local ours = names[name] or name
				seen[ours] = true
				assert.equal(value, spec.limits[ours].value, name)
			end
		end
		assert.same(seen, keys(spec.limits))
		assert.same(keys(catalog.ingest_errors), keys(spec.drops.ingest))
	end)

	it("needs every fact that the data was seen to add", function()
		if absent() then return end
		assert.same(keys(beyond), used)
	end)
end)

describe("the reference names", function()
	it("of events are known, with kind and page", function()
		if absent() then return end
		local seen = {}
		for _, detail in ipairs(aliases.details) do
			local note = detail.note or ""
			assert.same({
				name = detail.to, kind = detail.kind, page = detail.source, seen_in = detail.seen_in,
				inferred = note:match "inferred" and true or nil,
				when = note:match "only when" and spec.aliases.events[detail.from].when,
			}, spec.aliases.events[detail.from])
			assert.equal(ids[detail.category], spec.event(detail.to).category)
			assert.is_string(aliases.kinds[detail.kind])
			seen[detail.from] = true
		end
		assert.same(seen, keys(spec.aliases.events))
		for _, map in ipairs { aliases.events, aliases.permitted_variants } do
			for other, name in pairs(map) do
				assert.equal(name, (spec.alias(other)))
			end
		end
	end)

	it("of properties, traits and fields are known", function()
		if absent() then return end
		local scopes = {
			["ecommerce product"] = { category = "ecommerce" }, ["ecommerce order"] = { category = "ecommerce" },
			["email"] = { category = "email" },
		}
		local function key(alias)
			return table.concat({ alias.category or alias.event, alias.from, alias.to, alias.kind, alias.page }, " | ")
		end
		local theirs, ours = {}, {}
		for _, alias in ipairs(aliases.properties) do
			local scope = scopes[alias.scope] or { event = alias.scope }
			theirs[key(make.with(alias, scope, { page = alias.source }))] = true
		end
		for _, alias in ipairs(spec.aliases.properties) do
			ours[key(alias)] = true
		end
		assert.same(theirs, ours)

		local traits = {}
		for _, trait in ipairs(aliases.traits) do
			assert.equal("both-accepted", trait.kind)
			traits[trait.from] = { name = trait.to, page = trait.source, inferred = trait.note and true or nil }
		end
		assert.same(traits, spec.aliases.traits)

		local wanted, got = {}, {}
		for _, alias in ipairs(aliases.fields) do
			local name, remark = alias.from:match "^(.-) %((.*)%)$"
			local call = remark and remark:match "^alias" or ""
			local kind = remark == "string" and remark or ""
			assert(not remark or call ~= "" or kind ~= "", alias.from)
			wanted[table.concat({ name or alias.from, alias.to, alias.source, call, kind }, " | ")] = true
		end
		for _, alias in ipairs(spec.aliases.fields) do
			local to = type(alias.to) == "table" and table.concat(alias.to, " + ") or alias.to
			got[table.concat({ alias.from, to, alias.page, alias.call or "", alias.type or "" }, " | ")] = true
		end
		assert.same(wanted, got)
	end)
end)
