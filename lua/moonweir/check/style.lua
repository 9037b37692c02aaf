--- style -- how names are written, how many there are, how long the texts: what needs no knowledge of the event.

local date = require "moonweir.check.date"
local fields = require "moonweir.check.fields"
local sorted = require "moonweir.sorted"
local spec = require "moonweir.spec"
local value = require "moonweir.check.value"

local style = {}

local PROPERTIES_MAX = spec.limits.properties_per_event.value
local PROPERTIES_SHOWN = spec.limits.schema_properties.value
local TEXT_MAX = spec.limits.warehouse_characters.value
local DEPTH_MAX = 32

-- Columns that warehouses have for themselves. `id` is not among them here: events of the Spec have such properties.
local COLUMNS = {}
for _, column in ipairs { "user_id", "anonymous_id", "received_at", "sent_at", "original_timestamp", "timestamp", "event",
	"event_text", "uuid_ts" } do
	COLUMNS[column] = true
end

--- "snake" and "camel" exclude each other; "plain" is a single lower-case word, as either has it.
---@param text string
---@return "plain"|"snake"|"camel"|"other"
function style.casing(text)
	if text:find "^%l[%l%d]*$" then
		return "plain"
	elseif text:find "^%l[%l%d]*[_%l%d]*$" then
		return "snake"
	elseif text:find "^%l[%a%d]*$" then
		return "camel"
	end
	return "other"
end

local function snake(text)
	text = text:gsub("(%l)(%u)", "%1_%2"):gsub("(%u)(%u%l)", "%1_%2"):gsub("[^%w\128-\255]+", "_"):gsub("^_+", ""):gsub("_+$", "")
	return text:lower()
end
style.snake = snake

local function characters(text)
	return #text - select(2, text:gsub("[\128-\191]", ""))
end

local function check_text(findings, path, text, known)
	if #text > TEXT_MAX and characters(text) > TEXT_MAX then
		findings:add("long-text", path, ("%s has %d characters"):format(path, characters(text)), "send what is needed of it")
	elseif not known and #text < 40 and date.look(text) == "unzoned" then
		findings:add("date-without-zone", path, ("%s has no time zone"):format(path), "write 2026-01-31T12:00:00Z: get(…):time()")
	end
end

-- Counts members and collects how they are written; `known` are the fields that the Spec has here.
local function walk(state, path, object, known, depth)
	local alike = {}
	for _, given in ipairs(sorted(object)) do
		local v = object[given]
		state.count = state.count + 1
		local field = known and known[given]
		local plain = fields.plain(given)
		if alike[plain] then
			state.findings:add("names-alike", path .. "." .. given, ("%s has %s and %s"):format(path, alike[plain], given),
				"keep one of them")
		end
		alike[plain] = given
		local is_counted = not field and not (known and fields.spelling(known, given)) -- the Spec's spelling is told elsewhere
		if is_counted or state.either and depth == 1 then
			local casing = style.casing(given)
			if casing ~= "plain" then
				state[casing][#state[casing] + 1] = given
			end
			if not field and COLUMNS[given] and depth == 1 then
				state.findings:add("reserved-column", path .. "." .. given,
					("%s is named like a column of the warehouse's own"):format(given),
					"give it another name")
			end
		end
		local kind = type(v)
		if kind == "string" then
			check_text(state.findings, path .. "." .. given, v, field)
		elseif kind == "table" and not value.is_later(v) and depth < DEPTH_MAX then
			local inner = field and (field.properties or field.items and field.items.properties)
			if value.kind(v) == "object" then
				walk(state, path .. "." .. given, v, inner, depth + 1)
			else
				for i, item in ipairs(v) do
					if value.members(item) then
						walk(state, ("%s.%s[%d]"):format(path, given, i), item, inner, depth + 1)
					end
				end
			end
		end
	end
end

local function listed(names)
	table.sort(names)
	local unique = {}
	for i, given in ipairs(names) do
		if given ~= names[i - 1] then
			unique[#unique + 1] = given
		end
	end
	local shown = table.concat(unique, ", ", 1, math.min(#unique, 3))
	return #unique > 3 and ("%s and %d more"):format(shown, #unique - 3) or shown
end

--- One object of properties or traits.
---@param findings moonweir.check.Findings
---@param path "properties"|"traits"
---@param object table
---@param known? table<string, moonweir.spec.Field> the Spec's own, which are as they are
---@param either? boolean camelCase is as good, but not both: so it is with traits, with Segment's own, too
function style.check(findings, path, object, known, either)
	local state = { findings = findings, either = either, count = 0, snake = {}, camel = {}, other = {} }
	walk(state, path, object, known, 1)
	local wrong = {}
	for _, list in ipairs { not either and state.camel or {}, state.other } do
		for _, given in ipairs(list) do
			wrong[#wrong + 1] = given
		end
	end
	if #state.snake > 0 and #state.camel > 0 then
		findings:add("casing-mixed", path, ("some names are in snake_case (%s), others in camelCase (%s)"):format(listed(state.snake),
			listed(state.camel)), "write all in snake_case")
	elseif #wrong > 0 then
		findings:add("property-casing", path, ("not in snake_case: %s"):format(listed(wrong)), ("write %s"):format(snake(wrong[1])))
	end
	if state.count > PROPERTIES_MAX then
		findings:add("too-many-properties", path, ("there are %d"):format(state.count), "send what is needed")
	elseif state.count > PROPERTIES_SHOWN then
		findings:add("many-properties", path, ("there are %d"):format(state.count), "send what is needed; are names made of data?")
	end
end

return style
