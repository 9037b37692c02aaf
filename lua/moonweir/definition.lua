--- definition -- what `source.define` checks and returns: the whole source as a description.

local about = require "moonweir.about"
local call = require "moonweir.call"
local core = require "moonweir.core"
local expression = require "moonweir.expression"
local place = require "moonweir.place"
local sorted = require "moonweir.sorted"
local verification = require "moonweir.verification"
place.is_own()

---@class moonweir.Definition
---@field slug string
---@field version string
---@field account? moonweir.Expression|string
---@field each? moonweir.Expression
---@field event? moonweir.Expression|string
---@field id? moonweir.Expression
---@field time? moonweir.Expression
---@field user? moonweir.User
---@field context? table template
---@field integrations? table template
---@field verify? moonweir.Verification
---@field query string[] the parameters of the URL that it reads
---@field missing_user "dead_letter"|"drop"|"anonymous"
---@field unmatched "dead_letter"|"count"|"ignore"
---@field entries moonweir.Entry[] sorted by event
---@field examples? table kept as it is
---@field about? moonweir.About
---@field script? string
---@field line? integer

---@class moonweir.Entry
---@field event string "customer.created", or "customer.*" for all that begin so
---@field kind "calls"|"ignore"|"function"
---@field calls? moonweir.Call[]
---@field run? fun(event: table, emit: fun(call: moonweir.Call, fields?: table))
---@field line? integer

---@class moonweir.User
---@field ids (moonweir.Expression|string)[] tried in this order
---@field email? moonweir.Expression|string by these the identity store may know the user
---@field phone? moonweir.Expression|string
---@field anonymous_id? moonweir.Expression|string
---@field tool_id? moonweir.Expression|string
---@field line? integer

local Definition = { __metatable = "moonweir.definition" }
local User = { __metatable = "moonweir.user" }
local Ignore = { __metatable = "moonweir.ignore", __tostring = function() return "source.ignore" end }

local definition = {
	ignore = setmetatable({}, Ignore), -- `source.ignore`: known and not sent
}

--- A template nests this deep at most: the program's own limit, found here with a better message.
local DEPTH_MAX = 30

function definition.is(value)
	return type(value) == "table" and debug.getmetatable(value) == Definition
end

local function kind_of(value)
	if expression.is(value) then
		return "an expression"
	elseif call.is(value) then
		return "a call"
	end
	local kind = type(value)
	return kind == "nil" and "nil" or (kind:find("^[aeiou]") and "an " or "a ") .. kind
end

-- How a check of `field` fails: fail(why, where inside the field, line if it is known).
local function at(field, line, separator)
	return function(why, where, nearer)
		local inside = where and where:match("[^.%[%]]+$")
		place.fail((where and field .. (where:find("^%[") and "" or separator or ".") .. where or field) .. ": " .. why,
			place.script, nearer or place.of_field(inside, line) or line or place.of_field(field) or place.of_field("slug"))
	end
end

-- Templates -----------------------------------------------------------------------------------------

--- Is the table a sequence (for JSON an array), an object, or neither? Read raw: a script's metamethods never run here.
---@return "array"|"object"|nil kind
---@return string? why neither
function definition.shape(template)
	local n, named, example = 0, 0, nil
	for key in next, template do
		if type(key) == "number" then
			n = n + 1
		elseif type(key) == "string" then
			named, example = named + 1, key
		else
			return nil, "a key is a " .. type(key) .. "; keys are texts"
		end
	end
	if n == 0 then
		return "object"
	elseif named > 0 then
		return nil, ('it mixes numbered values with the field "%s"'):format(example)
	end
	for i = 1, n do
		if rawget(template, i) == nil then
			return nil, ("element %d is nil; is a name misspelt?"):format(i)
		end
	end
	return "array"
end

local check_value

local function check_operands(e, fail, path, depth)
	for _, operand in next, rawget(e, "args") do
		check_value(operand, fail, path, depth + 1, rawget(e, "line"))
	end
end

function check_value(value, fail, path, depth, line)
	local kind = type(value)
	if depth > DEPTH_MAX then
		fail("nested too deep", path, line)
	elseif expression.is(value) then
		check_operands(value, fail, path, depth)
	elseif kind == "table" then
		if call.is(value) or debug.getmetatable(value) ~= nil then
			fail(kind_of(value) .. " can't be a value here", path, line)
		end
		local shape, why = definition.shape(value)
		if not shape then
			fail(why, path, line)
		end
		for i, member in ipairs(value) do
			check_value(member, fail, ("%s[%d]"):format(path or "", i), depth + 1, line)
		end
		for _, name in ipairs(sorted(value)) do
			check_value(value[name], fail, path and path .. "." .. name or name, depth + 1, line)
		end
	elseif kind == "function" then
		fail("a function can't be a value; for one field there is get(…):apply(function)", path, line)
	elseif kind == "userdata" or kind == "thread" or kind == "cdata" then
		if value ~= core.null then
			fail("a " .. kind .. " can't be a value", path, line)
		end
	elseif kind == "number" and (value ~= value or value == math.huge or value == -math.huge) then
		fail("JSON has no NaN or infinity", path, line)
	end
end

local function check_object(value, fail)
	if type(value) ~= "table" or expression.is(value) or call.is(value) then
		fail("expected a table of fields, got " .. kind_of(value))
	end
	if definition.shape(value) == "array" then
		fail("expected named fields, got a list")
	end
	check_value(value, fail, nil, 1)
	return value
end

-- Parts ---------------------------------------------------------------------------------------------

local function one(example)
	return function(value, fail)
		if expression.is(value) then
			check_value(value, fail, nil, 1)
		elseif type(value) ~= "string" or value == "" then
			fail(("expected an expression like %s, got %s"):format(example, value == "" and "an empty text" or kind_of(value)))
		end
		return value
	end
end

local function only_expression(example)
	return function(value, fail)
		if not expression.is(value) then
			fail(("expected an expression like %s, got %s"):format(example, kind_of(value)))
		end
		check_value(value, fail, nil, 1)
		return value
	end
end

local function check_user(value, fail)
	if type(value) == "table" and debug.getmetatable(value) == User then
		return value
	elseif expression.is(value) then
		check_value(value, fail, nil, 1)
		return setmetatable({ ids = { value }, line = value.line }, User)
	end
	fail(('expected source.user { get "…" } or an expression, got %s'):format(kind_of(value)))
end

local function one_of(words)
	return function(value, fail)
		for _, word in ipairs(words) do
			if value == word then
				return value
			end
		end
		local shown = type(value) == "string" and ("%q"):format(value) or kind_of(value)
		fail(('expected "%s", got %s'):format(table.concat(words, '" or "'), shown))
	end
end

local function check_verify(value, fail)
	if verification.is(value) then
		return value
	elseif type(value) == "function" then
		fail('it is not called yet; write source.verify.… { secret = source.secret "NAME" }')
	end
	fail(('expected source.verify.… { secret = source.secret "NAME" }, got %s'):format(kind_of(value)))
end

local function plain_table(value, fail)
	if type(value) ~= "table" then
		fail("expected a table, got " .. kind_of(value))
	end
	return value
end

-- What may stand in source.define, and what each must be. `on` is checked apart.
local checks = {
	slug = function(value, fail)
		if type(value) ~= "string" or not value:find("^[a-z0-9][a-z0-9-]*$") then
			fail('expected lower-case letters, digits and "-", as in "acme-mail"' ..
				(type(value) == "string" and (", got %q"):format(value) or ", got " .. kind_of(value)))
		end
		return value
	end,
	version = function(value, fail)
		if type(value) ~= "string" or value == "" then
			fail('expected a text like "1.0.0", got ' .. (value == "" and "an empty one" or kind_of(value)))
		end
		return value
	end,
	account = one 'get "account_id"',
	each = only_expression 'get "events"',
	event = one 'get "type"',
	id = only_expression 'get "event_id"',
	time = only_expression 'get "occurred_at"',
	user = check_user,
	context = check_object,
	integrations = check_object,
	missing_user = one_of { "dead_letter", "drop", "anonymous" },
	verify = check_verify,
	unmatched = one_of { "dead_letter", "count", "ignore" },
	examples = plain_table,
	about = about.check,
}

local known = { "on" }
for name in pairs(checks) do
	known[#known + 1] = name
end
table.sort(known)

-- What :with may say: the same checks, `when`, and what the call is made for.
local refinement_checks = {
	account = checks.account,
	context = checks.context,
	each = only_expression 'get "recipients"',
	id = checks.id,
	integrations = checks.integrations,
	time = checks.time,
	user = checks.user,
	when = only_expression 'get "status":is("paid")',
}

-- Entries -------------------------------------------------------------------------------------------

local function check_call(c, event)
	local name = type(c.name) == "string" and c.name or c.call
	local fail = at(event .. ": " .. name, c.line, ": ")
	for _, field in ipairs { "name", "category", "group_id", "previous_id" } do
		local value = rawget(c, field)
		if value ~= nil then
			one('get "…"')(value, function(why)
				fail(field .. ": " .. why)
			end)
		end
	end
	if rawget(c, "payload") ~= nil then
		check_object(c.payload, fail)
	end
	for field, value in next, c.refined or {} do
		c.refined[field] = refinement_checks[field](value, function(why, where)
			fail(("with.%s%s: %s"):format(field, where and "." .. where or "", why))
		end)
	end
	return c
end

local function check_entry(event, value, constructors)
	local line = place.of_field(event)
	local fail = at(event, line)
	if event:find "^[%w_.:/ -]*%*[%w_.:/* -]+$" then
		fail 'a star stands for the end of a name alone, as in ["order.*"]'
	end
	if value == definition.ignore then
		return { event = event, kind = "ignore", line = line }
	elseif call.is(value) then
		return { event = event, kind = "calls", calls = { check_call(value, event) }, line = line or value.line }
	elseif type(value) == "function" then
		for name, constructor in pairs(constructors) do
			if value == constructor then
				fail(("source.%s is not called yet; write source.%s %s"):format(name, name,
					name == "identify" and "{ … }" or '"…" { … }'))
			end
		end
		return { event = event, kind = "function", run = value, line = debug.getinfo(value, "S").linedefined }
	elseif type(value) == "table" and not expression.is(value) and debug.getmetatable(value) == nil
			and definition.shape(value) == "array" then
		local calls = {}
		for i, each in ipairs(value) do
			if not call.is(each) then
				fail(("number %d of the list is %s; expected calls like source.track \"…\" {…}"):format(i, kind_of(each)))
			end
			calls[i] = check_call(each, event)
		end
		return { event = event, kind = "calls", calls = calls, line = line or calls[1].line }
	end
	fail(('expected a call like source.track "…" {…}, a list of calls, source.ignore or a function, got %s'):format(
		kind_of(value)), nil, expression.is(value) and value.line)
end

local function check_entries(on, constructors)
	local fail = at("on")
	if type(on) ~= "table" or expression.is(on) or call.is(on) then
		fail(('expected a table like { ["order.paid"] = source.track "Order Completed" {…} }, got %s'):format(kind_of(on)))
	end
	local entries, values = {}, {}
	for event, value in next, on do
		if type(event) == "number" and event % 1 == 0 then
			event = ("%d"):format(event)
		end
		if type(event) ~= "string" or event == "" then
			fail("its keys are the names of events, not " .. (event == "" and "an empty text" or kind_of(event)))
		elseif values[event] ~= nil then
			fail(('"%s" is there twice, as a number and as a text'):format(event))
		end
		values[event] = value
	end
	for i, event in ipairs(sorted(values)) do
		entries[i] = check_entry(event, values[event], constructors)
	end
	return entries
end

-- Constructors --------------------------------------------------------------------------------------

--- What a user may be known by where no expression gives an id.
definition.identities = { "email", "phone", "anonymous_id", "tool_id" }

local is_identity = {}
for _, name in ipairs(definition.identities) do
	is_identity[name] = true
end

--- `source.user { get "external_id", email = get "email" }`: expressions for the user's id, first present one wins; then
--- who the identity store knows by the address or id that has a name.
---@param fields table
---@return moonweir.User
function definition.user(fields)
	local function fail(why)
		place.fail("source.user: " .. why)
	end
	if type(fields) ~= "table" or expression.is(fields) then
		fail('expected a table like { get "external_id", email = get "email" }')
	end
	local script, line = place.here()
	local user = { ids = {}, script = script, line = line }
	local count = 0
	for key, value in next, fields do
		if not is_identity[key] and type(key) ~= "number" then
			fail(('unknown field "%s"%s; beside the expressions for the user id there are %s'):format(tostring(key),
				place.nearest(key, definition.identities), table.concat(definition.identities, ", ")))
		end
		count = count + (is_identity[key] and 0 or 1)
		one('get "contact.external_id"')(value, fail)
	end
	for i = 1, count do
		user.ids[i] = fields[i] or fail(("expression %d is nil; is a name misspelt?"):format(i))
	end
	for _, name in ipairs(definition.identities) do
		user[name] = fields[name]
	end
	if next(fields) == nil then
		fail('there is no expression for the user id, and nothing that a user may be known by')
	end
	return setmetatable(user, User)
end

--- `source.define`, for one script's constructors.
---@param fields table
---@param constructors table<string, function>
---@param query? string[] names of the parameters that were asked for
---@return moonweir.Definition
function definition.define(fields, constructors, query)
	if type(fields) ~= "table" or expression.is(fields) or call.is(fields) then
		place.fail("source.define: expected a table, got " .. kind_of(fields))
	end
	for key in next, fields do
		if key ~= "on" and (type(key) ~= "string" or not checks[key]) then
			local shown = type(key) == "number" and "value number " .. key or ('unknown field "%s"'):format(tostring(key))
			place.fail(("source.define: %s%s"):format(shown, place.nearest(key, known)), place.script, place.of_field(key))
		end
	end
	local script, line = place.here()
	local made = { script = script, line = line or place.of_field("slug"), query = query or {} }
	for _, required in ipairs { "slug", "version", "on" } do
		if fields[required] == nil then
			place.fail(("source.define: %s is missing"):format(required), place.script, made.line)
		end
	end
	for _, name in ipairs(known) do
		local value = rawget(fields, name)
		if value ~= nil and name ~= "on" then
			made[name] = checks[name](value, at(name, expression.is(value) and value.line or place.of_field(name)))
		end
	end
	made.entries = check_entries(rawget(fields, "on"), constructors)
	if #made.entries > 0 and made.event == nil then
		place.fail('source.define: event is missing: which field names the kind of event? event = get "type"',
			place.script, made.line)
	end
	made.missing_user = made.missing_user or "dead_letter"
	made.unmatched = made.unmatched or "dead_letter"
	return setmetatable(made, Definition)
end

--- The same source with other entries.
---@param source moonweir.Definition
---@param entries moonweir.Entry[]
---@return moonweir.Definition
function definition.with_entries(source, entries)
	local made = {}
	for name, value in next, source do
		made[name] = value
	end
	made.entries = entries
	return setmetatable(made, Definition)
end

return definition
