--- source -- what can be seen of a source without running it: its settings, and the calls that it declares.
---
--- Each call is judged as the message that it is going to make (sketch.lua). What a function sends, and what :apply gives,
--- is not declared; it is judged on examples (trace.lua), and `report.functions` says which entries have one.

local around = require "moonweir.check.context"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local fields = require "moonweir.check.fields"
local findings = require "moonweir.check.findings"
local identity = require "moonweir.check.identity"
local message = require "moonweir.check.message"
local owner = require "moonweir.check.owner"
local place = require "moonweir.place"
local sketch = require "moonweir.check.sketch"
local sorted = require "moonweir.sorted"
local spec = require "moonweir.spec"
local style = require "moonweir.check.style"
local value = require "moonweir.check.value"

local source = {}

-- Settings -------------------------------------------------------------------------------------------

local function has_own_id(context)
	for field in next, context or {} do
		if around.is_own(field) then
			return true
		end
	end
	return false
end

-- What Moonweir writes itself.
local function check_stamps(found, context, line, entry)
	for _, field in ipairs { "integration", "library" } do
		if type(context) == "table" and rawget(context, field) ~= nil then
			found:add("integration-replaced", "context." .. field, ("context.%s is written by Moonweir"):format(field),
				"leave it out; slug and version in source.define are what integration says",
				{ line = place.of_field(field, line) or line, entry = entry })
		end
	end
end

local function check_settings(found, made)
	local about = { line = made.line }
	if made.user then
		owner.check(found, made.user, made.context, made.line)
	end
	check_stamps(found, made.context, made.line)
	if made.missing_user == "anonymous" then
		found:add("user-anonymous", "userId", 'missing_user is "anonymous": calls may have an anonymousId and no userId',
			'leave it out: events without a user are then kept as dead letters, to be sent when the user is known', about)
	end
	if not made.id then
		found:add("message-id-missing", "messageId",
			"there is no id, so messageIds are random: an event that the tool sends twice counts twice",
			'name the field of the event that holds its id: id = get "event_id"', about)
	end
	if not made.time then
		found:add("time-missing", "timestamp", "there is no time, so events happen when they are sent",
			'name the field that says when it was: time = get "occurred_at"', about)
	end
	if not has_own_id(made.context) then
		local field = identity.tool_id(made.slug)
		found:add("tool-id-missing", "context." .. field, "no field of context has the tool's own id",
			("send it: context = { %s = get \"…\" }"):format(field), about)
	end
end

-- Calls ----------------------------------------------------------------------------------------------

local function parent(path)
	return path:match "^(.*)%[%d+%]$" or path:match "^(.*)%.[^.]*$"
end

-- The line of what stands at `path`: expressions know theirs, plain values are looked for in the script, from the line of
-- what they stand in up to where the next call begins.
local function line_of(places, path, from, to)
	while path do
		if places[path] then
			return places[path]
		end
		local written = place.of_field(path == "userId" and "user" or path:match "[^.%[%]]+$", from)
		if written and (not to or written < to) then
			return written
		end
		path = parent(path)
	end
	return from
end

-- For each line on which a call begins, that of the next one.
local function next_lines(made)
	local lines, following = { made.line or 0 }, {}
	for _, entry in ipairs(made.entries) do
		lines[#lines + 1] = entry.line
		for _, call in ipairs(entry.calls or {}) do
			lines[#lines + 1] = call.line
		end
	end
	table.sort(lines)
	for i, line in ipairs(lines) do
		if lines[i - 1] ~= line then
			following[lines[i - 1] or 0] = line
		end
	end
	return following
end

-- What stands in the source and not in the call is found once, and not with each.
local function is_settled(call, path)
	local refined = call.refined or {}
	local field = path:match "^%a+"
	return field == "integrations" and not refined.integrations or field == "context" and not refined.context
		or field == "userId" and not refined.user
end

local function check_call(found, state, made, entry, call)
	local sketched, places = sketch.message(made, call)
	local seen = state.seen
	if call.call == "track" and value.is_later(sketched.event) and not sketched.event.values then
		found:add("event-dynamic", "event", ("the event's name comes from the event (%s)"):format(tostring(call.name)),
			'give each its entry and its name, or map the values: get "kind":lookup { a = "Thing Done" }',
			{ line = places.event or call.line, entry = entry.event })
	end
	for _, it in ipairs(message.check(sketched)) do
		local settled = is_settled(call, it.path)
		local from = settled and made.line or call.line or entry.line
		it.line = line_of(places, it.path, from, state.following[from])
		it.entry = not settled and entry.event or nil
		if it.rule == "user-missing" then
			it.fix = 'name the field that holds the customer\'s own id of the person: user = source.user { get "user_id" }'
		end
		it.path, it.what = it.path:gsub("%[1%]", "[]"), it.what:gsub("%[1%]", "[]")
		local key = table.concat({ it.rule, it.path, it.what, tostring(it.line), it.entry or "" }, "\0")
		if not seen[key] then
			seen[key] = true
			found[#found + 1] = it
		end
	end
	check_stamps(found, call.refined and call.refined.context, call.line, entry.event)
	if call.refined and call.refined.user then
		owner.check(found, call.refined.user, made.context, call.line, entry.event)
	end
end

-- Names over all calls ----------------------------------------------------------------------------------

local function each_name(template, visit)
	for _, given in ipairs(sorted(template)) do
		visit(given)
	end
	for _, v in next, template do
		local inner = expression.is(v) and rawget(v, "op") == "map" and rawget(v, "args")[2] or v
		if type(inner) == "table" and not expression.is(inner) and debug.getmetatable(inner) == nil then
			each_name(inner, visit)
		end
	end
end

-- Two of one call are told where that call is looked at.
local function note_alike(found, known, kind, given, about, call)
	local plain = fields.plain(given)
	local before = known[plain]
	if not before then
		known[plain] = { given = given, call = call }
	elseif before.given ~= given and before.call ~= call and not known[before.given .. "\0" .. given] then
		known[before.given .. "\0" .. given] = true
		found:add("names-alike", kind, ("%s and %s differ in their writing alone"):format(value.quote(before.given),
			value.quote(given)), "write both in one way", about)
	end
end

local function check_names(found, made)
	local events, properties, first = {}, {}, {}
	for _, entry in ipairs(made.entries) do
		for _, call in ipairs(entry.calls or {}) do
			local about = { line = call.line or entry.line, entry = entry.event }
			local is_spec = type(call.name) == "string" and spec.event(call.name)
			if call.call == "track" and type(call.name) == "string" then
				note_alike(found, events, "event", call.name, about, call)
			end
			if call.call ~= "identify" and call.call ~= "group" then
				each_name(call.payload or {}, function(given)
					note_alike(found, properties, "properties", given, about, call)
					local casing = style.casing(given)
					if not (is_spec and is_spec.properties[given]) and (casing == "snake" or casing == "camel") then
						first[casing] = first[casing] or { given, about, call }
					end
				end)
			end
		end
	end
	if first.snake and first.camel and first.snake[3] ~= first.camel[3] then
		found:add("casing-mixed", "properties",
			("some properties are in snake_case (%s), others in camelCase (%s)"):format(first.snake[1],
			first.camel[1]), "write all in snake_case", first.camel[2])
	end
end

-- All ------------------------------------------------------------------------------------------------

local function has_apply(template)
	if expression.is(template) and rawget(template, "op") == "apply" then
		return true
	end
	for _, v in next, expression.is(template) and rawget(template, "args") or template do
		if type(v) == "table" and (expression.is(v) or debug.getmetatable(v) == nil) and has_apply(v) then
			return true
		end
	end
	return false
end

---@class moonweir.check.Report
---@field findings moonweir.check.Finding[]
---@field functions string[] entries that are a function: nothing of them could be looked at
---@field applies string[] entries in which :apply makes a value: of that nothing is known
---@field calls integer how many declared calls were looked at

--- Check what a script declares.
---@param made moonweir.Definition
---@param text? string the script, to find the lines of plain values
---@return moonweir.check.Report
function source.check(made, text)
	assert(definition.is(made))
	local outer = place.text
	place.text = text
	local found = findings.new()
	local state = { seen = {}, following = next_lines(made) }
	local report = { findings = found, functions = {}, applies = {}, calls = 0 }
	check_settings(found, made)
	for _, entry in ipairs(made.entries) do
		if entry.kind == "function" then
			table.insert(report.functions, entry.event)
		end
		local applies = false
		for _, call in ipairs(entry.calls or {}) do
			report.calls = report.calls + 1
			check_call(found, state, made, entry, call)
			applies = applies or has_apply(call.payload or {})
		end
		if applies then
			table.insert(report.applies, entry.event)
		end
	end
	check_names(found, made)
	for _, it in ipairs(found) do
		it.script = made.script
	end
	place.text = outer
	return report
end

return source
