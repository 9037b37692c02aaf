--- context -- what stands around a call: the partner's stamp, where it goes, consent, and the rest of context.

local fields = require "moonweir.check.fields"
local spec = require "moonweir.spec"
local value = require "moonweir.check.value"

local context = {}

local CONSENT_EVENT = "Segment Consent Preference Updated"

-- Old and misspelt names, inside of context and beside it. Some of them depend on the call (alias has a from and a to).
local INNER, OUTER = {}, {}
for _, alias in ipairs(spec.aliases.fields) do
	local inner = alias.from:match "^context%.([^.]+)$"
	if inner then
		INNER[inner] = alias
	elseif not alias.from:find(".", 1, true) then
		OUTER[#OUTER + 1] = alias
	end
end

local function target(alias)
	return type(alias.to) == "table" and table.concat(alias.to, " and ") or alias.to
end

local function has(message, path)
	local at = message
	for step in path:gmatch "[^.]+" do
		at = value.members(at) and at[step]
	end
	return at ~= nil
end

local function check_renamed(findings, message)
	for _, alias in ipairs(OUTER) do
		local v = message[alias.from]
		local applies = (not alias.call or alias.call == message.type) and (not alias.type or value.kind(v) == alias.type)
		local to = type(alias.to) == "table" and alias.to[1] or alias.to
		if v ~= nil and applies and not (has(message, to) and alias.from == "from") then
			findings:add("field-renamed", alias.from, ("%s is called %s"):format(alias.from, target(alias)),
				("call it %s"):format(target(alias)),
				{ source = spec.url(alias.page) })
		end
	end
end

-- integration, singular and in context: {"name":"acme-mail","version":"1.0.0"}.
local function looks_like_stamp(v)
	local members = value.members(v)
	return members and value.kind(members.name) == "string" and members.version ~= nil
end

local function check_stamp(findings, message, members)
	local stamp = members and members.integration
	local mistaken
	for _, place in ipairs { { "integrations", message.integrations }, { "integration", message.integration },
		{ "context.integrations", members and members.integrations } } do
		if looks_like_stamp(place[2]) then
			mistaken = true
			findings:add("integrations-mistaken", place[1],
				("%s has name and version, which belong in context.integration"):format(place[1]),
				"write context.integration; integrations holds destinations")
		end
	end
	local fix = 'send {"name":"<slug>","version":"1.0.0"}; Moonweir does, from slug and version'
	if stamp == nil then
		if not mistaken then
			findings:add("integration-missing", "context.integration", "there is no context.integration", fix)
		end
		return
	elseif value.kind(stamp) ~= "object" then
		findings:add("integration-missing", "context.integration", ("context.integration is %s"):format(value.describe(stamp)), fix)
		return
	elseif value.is_later(stamp) then
		return
	end
	for _, field in ipairs { "name", "version" } do
		local v = stamp[field]
		if v == nil or v == "" or value.kind(v) ~= "string" and value.kind(v) ~= "unknown" then
			findings:add("integration-missing", "context.integration." .. field,
				v == nil and ("context.integration has no %s"):format(field) or ("context.integration.%s is %s"):format(field,
					value.describe(v)), fix)
		end
	end
	if type(stamp.version) == "string" and stamp.version ~= "" and not stamp.version:find "^%d+%.%d+%.%d+$" then
		findings:add("integration-version", "context.integration.version", ("the version is %s"):format(value.quote(stamp.version)),
			'write it like "1.0.0"')
	end
end

local function check_integrations(findings, v)
	local kind = value.kind(v)
	if kind == "unknown" then
		return
	elseif kind ~= "object" then
		findings:add("integrations-shape", "integrations", ("integrations is %s"):format(value.describe(v)),
			'send an object like {"All":true}')
		return
	elseif value.is_later(v) or looks_like_stamp(v) then
		return
	end
	for destination, wanted in next, v do
		local its = value.kind(wanted)
		if its ~= "boolean" and its ~= "object" and its ~= "unknown" then
			findings:add("integrations-shape", "integrations." .. tostring(destination),
				("integrations.%s is %s"):format(destination, value.describe(wanted)), "send true, false or an object of options")
		elseif type(destination) == "string" and destination ~= "All" and destination:lower() == "all" then
			findings:add("integrations-shape", "integrations." .. destination, "names of destinations are told apart by case", "write All")
		end
	end
end

local function check_consent(findings, message, members)
	local consent = members and members.consent
	local preferences = value.members(consent) and consent.categoryPreferences
	if preferences == nil then
		if message.event == CONSENT_EVENT and not value.is_later(consent) then
			findings:add("consent-missing", "context.consent.categoryPreferences", "there is no context.consent.categoryPreferences",
				"send each category with true or false")
		end
	elseif value.kind(preferences) == "unknown" then
		return
	elseif value.kind(preferences) ~= "object" then
		findings:add("consent-not-object", "context.consent.categoryPreferences",
			("categoryPreferences is %s"):format(value.describe(preferences)), 'send an object like {"Advertising":false}')
	elseif not value.is_later(preferences) then
		if next(preferences) == nil then
			findings:add("consent-empty", "context.consent.categoryPreferences", "categoryPreferences is empty", "leave it out")
		end
		for category, choice in next, preferences do
			local kind = value.kind(choice)
			if kind ~= "boolean" and kind ~= "unknown" then
				findings:add("consent-not-boolean", "context.consent.categoryPreferences." .. tostring(category),
					("it is %s"):format(value.describe(choice)), "send true or false")
			end
		end
	end
	local version = value.members(consent) and consent.version
	if version ~= nil and version ~= false and value.kind(version) ~= "number" and value.kind(version) ~= "unknown" then
		findings:add("consent-version", "context.consent.version", ("the version is %s"):format(value.describe(version)),
			"send a number")
	end
end

local function check_external_ids(findings, list)
	for i, item in ipairs(value.kind(list) == "array" and not value.is_later(list) and list or {}) do
		local known = spec.context.externalIds.items.properties
		for _, field in ipairs(spec.names(known)) do
			local v = value.members(item) and item[field]
			if v == nil or v == false then
				findings:add("external-id", ("context.externalIds[%d].%s"):format(i, field), ("it has no %s"):format(field),
					known[field].enum and "send " .. table.concat(known[field].enum, " or ") or "send it as text")
			end
		end
	end
end

local checked_apart = { integration = true, consent = true, externalIds = true, direct = true }
local typed = {}
for field, facts in pairs(spec.context) do
	typed[field] = not checked_apart[field] and facts or nil
end

--- Is it none of Segment's fields of context, under no name? Then it is the tool's own.
---@param field any
function context.is_own(field)
	return type(field) == "string" and not spec.context[field] and not INNER[field]
end

--- context, integrations, and fields that stand beside them under a wrong name.
---@param findings moonweir.check.Findings
---@param message table
function context.check(findings, message)
	local members = value.members(message.context)
	if message.context ~= nil and value.kind(message.context) ~= "object" and value.kind(message.context) ~= "unknown" then
		findings:add("context-type", "context", ("context is %s, not an object"):format(value.describe(message.context)),
			"send an object")
	end
	check_stamp(findings, message, members)
	check_consent(findings, message, members)
	check_renamed(findings, message)
	if message.integrations ~= nil then
		check_integrations(findings, message.integrations)
	end
	if not members then
		return
	end
	fields.check_types(findings, "context", typed, members, "context-type")
	for from, alias in pairs(INNER) do
		if members[from] ~= nil then
			findings:add("field-renamed", "context." .. from, ("context.%s is called %s"):format(from, alias.to),
				("call it %s"):format(alias.to),
				{ source = spec.url(alias.page) })
		end
	end
	if members.direct == true then
		findings:add("context-direct", "context.direct", "context.direct is true",
			"leave it out; send the person's address as context.ip")
	end
	local device = value.members(members.device)
	local advertising = device and device.advertisingId
	if advertising ~= nil and value.kind(advertising) ~= "string" and value.kind(advertising) ~= "unknown" then
		findings:add("advertising-id-not-text", "context.device.advertisingId",
			("context.device.advertisingId is %s"):format(value.describe(advertising)), "send it as text, or leave it out")
	end
	check_external_ids(findings, members.externalIds)
end

return context
