--- sketch -- the message that a declared call is going to make, with gaps for what only an event can fill.
---
---     source.track "Order Completed" { total = get "cents" / 100, coupon = "X" }
---     --> { type = "track", event = "Order Completed", properties = { total = <a number, later>, coupon = "X" }, … }
---
--- So that what is declared is judged by the very rules that judge finished messages (message.lua). Nothing of the script
--- runs: of an expression it is only known what kind of value its last operation gives.

local core = require "moonweir.core"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local value = require "moonweir.check.value"

local sketch = {}

-- Operations whose result is of one kind, whatever they work on.
local KINDS = {
	lower = "string", upper = "string", trim = "string", string = "string", hash = "string", concat = "string", time = "string",
	header = "string", query = "string", before = "string", after = "string",
	number = "number", add = "number", sub = "number", mul = "number", div = "number", money = "number", sum = "number",
	boolean = "boolean", is = "boolean", all = "boolean", none = "boolean",
	above = "boolean", below = "boolean", contains = "boolean",
	filter = "array", map = "array", array = "array",
	snake_case = "object", without = "object",
}

local DEPTH_MAX = 40

---@class moonweir.check.Places
---@field [string] integer the line of what stands at a path of the message

local make

local function one_of(values)
	local kind
	for _, v in ipairs(values) do
		local its = value.kind(v)
		if kind and kind ~= its then
			return value.later "unknown"
		end
		kind = its
	end
	return value.later(kind or "unknown", { values = values })
end

local function look_up(args, more)
	local values = { more }
	for _, v in next, args[2] do
		values[#values + 1] = v
	end
	table.sort(values, function(a, b)
		return tostring(a) < tostring(b)
	end)
	return one_of(values)
end

-- The kind that all of some operands have; what may be anything makes the whole anything.
local function common_kind(operands, places, path, depth)
	local kind
	for _, operand in ipairs(operands) do
		local its = value.kind(make(operand, places, path, depth + 1))
		if its == "unknown" or kind and kind ~= its then
			return value.later "unknown"
		end
		kind = its
	end
	return value.later(kind or "unknown")
end

local function of_expression(e, places, path, depth)
	local op, args = rawget(e, "op"), rawget(e, "args") or {}
	places[path] = places[path] or rawget(e, "line")
	if op == "map" and type(args[2]) == "table" then
		return core.array { make(args[2], places, path .. "[1]", depth + 1) }
	elseif op == "array" then
		local items = {}
		for i, item in ipairs(args) do
			items[i] = make(item, places, ("%s[%d]"):format(path, i), depth + 1)
		end
		return core.array(items)
	elseif op == "lookup" then
		return look_up(args)
	elseif op == "default" and expression.is(args[1]) and rawget(args[1], "op") == "lookup" and not expression.is(args[2]) then
		return look_up(rawget(args[1], "args"), args[2])
	elseif (op == "when" or op == "except") and expression.is(args[1]) then
		return of_expression(args[1], places, path, depth + 1)
	elseif op == "default" or op == "any" then
		return common_kind(args, places, path, depth)
	end
	return value.later(KINDS[op] or "unknown", { date = op == "time" or nil })
end

function make(v, places, path, depth)
	if depth > DEPTH_MAX then
		return value.later "unknown"
	elseif expression.is(v) then
		return of_expression(v, places, path, depth)
	elseif type(v) ~= "table" then
		return v
	end
	local shape, made = definition.shape(v), {}
	for key, member in next, v do
		made[key] = make(member, places, type(key) == "number" and ("%s[%d]"):format(path, key) or path .. "." .. key, depth + 1)
	end
	return shape == "array" and core.array(made) or made
end

--- A template or expression as far as it is known before an event comes.
---@param v any
---@param places moonweir.check.Places gets the lines of expressions
---@param path string
function sketch.value(v, places, path)
	return make(v, places, path, 1)
end

local text_fields = { group_id = "groupId", previous_id = "previousId", category = "category" }

--- Of texts Moonweir makes texts, also where the event has a number.
local function text(v, places, path)
	local made = sketch.value(v, places, path)
	if value.is_later(made) and not made.values then
		return value.later "string"
	end
	return made
end
sketch.text = text

--- What one declared call of a source makes.
---@param source moonweir.Definition
---@param call moonweir.Call
---@return table message
---@return moonweir.check.Places places
function sketch.message(source, call)
	local places = {}
	local refined = call.refined or {}
	local user = refined.user or source.user
	local message = {
		type = call.call,
		messageId = value.later "string",
		timestamp = value.later("string", { date = true }),
		-- Where only the identity store can tell, it is as good as a field that holds it.
		userId = user and (user.ids[1] == nil and value.later "string" or text(user.ids[1], places, "userId")),
		context = {},
	}
	for _, template in ipairs { source.context or {}, refined.context or {} } do
		for name, v in next, template do
			message.context[name] = sketch.value(v, places, "context." .. name)
		end
	end
	message.context.integration = { name = source.slug, version = source.version }
	local integrations = refined.integrations or source.integrations
	message.integrations = integrations and sketch.value(integrations, places, "integrations")
	if call.name ~= nil then
		local field = call.call == "track" and "event" or "name"
		message[field] = text(call.name, places, field)
	end
	for from, to in pairs(text_fields) do
		if rawget(call, from) ~= nil then
			message[to] = text(call[from], places, to)
		end
	end
	if rawget(call, "payload") ~= nil then
		local field = (call.call == "identify" or call.call == "group") and "traits" or "properties"
		message[field] = sketch.value(call.payload, places, field)
	end
	return message, places
end

return sketch
