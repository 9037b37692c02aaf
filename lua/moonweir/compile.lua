--- compile -- a description becomes the C program that maps events.
---
---     local map, message, code = compile(definition)
---
--- Every expression is built once through the binding (core.map) and known from then on by its number. A script
--- holds its description too and may have put anything into it, so this runs under the limits of loading.

local core = require "moonweir.core"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local place = require "moonweir.place"
local sorted = require "moonweir.sorted"

--- No description is this large by accident.
local VALUES_MAX = 200000
local DEPTH_MAX = 64

---@class moonweir.Compiler
---@field map userdata
---@field script? string
---@field inside integer how many lists around what is built have `get` start at their elements
local Compiler = {}
Compiler.__index = Compiler

--- Give up. The code goes beside the message, because what leaves the guard is text.
function Compiler:fail(message, code)
	self.code = code
	error(message, 0)
end

--- "acme.lua:14: Order Completed: total", of what is being built.
function Compiler:here()
	return ("%s: %s"):format(place.name(self.script, self.line), self.field)
end

--- The number that the binding returned, or the end.
function Compiler:need(number, message, code)
	if not number then
		self:fail(("%s: %s"):format(self:here(), message), code == "no_memory" and code or "mapping")
	end
	return number
end

local unary = {
	lower = "lower", upper = "upper", trim = "trim", first = "first", last = "last", time = "time",
	string = "string", number = "number", boolean = "boolean", hash = "sha256", snake_case = "snake_case",
}

local binary = {
	concat = true, add = true, sub = true, mul = true, div = true, default = true, is = true, money = true,
	map = true, filter = true, lookup = true, before = true, after = true, sum = true,
	above = true, below = true, contains = true, when = true,
}

-- Their second operand is written for each element, where paths start at the element.
local per_element = { map = true, filter = true, sum = true }

local lists = { any = true, array = true, all = true, none = true }

-- From 0, as C counts; from the end it stays.
local function place_in_array(step)
	return step > 0 and step - 1 or step
end

-- Where no element is at hand the item is the event, and is called so: what a source says of all events must not start at
-- the element that one call is made for.
function Compiler:path(e)
	local scope = rawget(e, "scope")
	local at = self:need(self.map:scope(scope == "item" and self.inside == 0 and "event" or scope))
	for _, step in ipairs(rawget(e, "path")) do
		if type(step) == "number" then
			at = self:need(self.map:element(at, place_in_array(step)))
		else
			at = self:need(self.map:member(at, step))
		end
	end
	return at
end

-- What goes with the value: a value, names, or a path.
function Compiler:second(op, second)
	local map = self.map
	if op == "json" then
		local steps = {}
		for i, step in ipairs(second) do
			steps[i] = self:need(map:constant(type(step) == "number" and place_in_array(step) or step))
		end
		return self:need(map:list("array", steps))
	elseif op == "without" then
		local yes = self:need(map:constant(true))
		local values = {}
		for i = 1, #second do
			values[i] = yes
		end
		return self:need(map:object(second, values))
	end
	local element = per_element[op] and 1 or 0
	self.inside = self.inside + element
	local made = self:value(second)
	self.inside = self.inside - element
	return made
end

function Compiler:operation(e)
	local map, op, args = self.map, rawget(e, "op"), rawget(e, "args")
	local outer = self.line
	self.line = rawget(e, "line") or outer
	local made
	if op == "path" then
		made = self:path(e)
	elseif op == "header" then
		made = self:need(map:header(rawget(e, "name")))
	elseif op == "query" then
		made = self:need(map:header("?" .. rawget(e, "name"))) -- as receive passes it on
	elseif op == "money" and args[2] == nil then
		made = self:need(map:binary("div", self:value(args[1]), self:need(map:constant(100))))
	elseif unary[op] then
		made = self:need(map:unary(unary[op], self:value(args[1])))
	elseif binary[op] or op == "json" or op == "without" then
		local a = self:value(args[1])
		made = self:need(map:binary(op, a, self:second(op, args[2])))
	elseif op == "except" then
		local value = self:value(args[1])
		local is_one = self:need(map:binary("is", value, self:value(args[2])))
		made = self:need(map:binary("when", value, self:need(map:list("none", { is_one }))))
	elseif lists[op] then
		local items = {}
		for i, item in ipairs(args) do
			items[i] = self:value(item)
		end
		made = self:need(map:list(op, items))
	elseif op == "apply" then
		made = self:need(map:apply(self:value(args[1]), rawget(e, "run")))
	else
		self:fail(("%s: there is no operation %q"):format(self:here(), tostring(op)))
	end
	map:place(made, self:here())
	self.line = outer
	return made
end

--- The number of any value of a template: expression, object, array or constant.
---@return integer
function Compiler:value(value)
	self.values, self.depth = self.values + 1, self.depth + 1
	if self.values > VALUES_MAX or self.depth > DEPTH_MAX then
		self:fail(("%s: the description is too large or nested too deep"):format(self:here()))
	end
	local made
	if expression.is(value) then
		made = self:operation(value)
	elseif type(value) ~= "table" then
		made = self:need(self.map:constant(value))
	elseif definition.shape(value) == "array" then
		local items = {}
		for i = 1, #value do
			items[i] = self:value(rawget(value, i))
		end
		made = self:need(self.map:list("array", items))
	else
		made = self:object(value)
	end
	self.depth = self.depth - 1
	return made
end

function Compiler:object(template)
	local names, values = sorted(template), {}
	local field = self.field
	for i, name in ipairs(names) do
		self.field = field .. (self.top and ": " or ".") .. name
		local top = self.top
		self.top = false
		values[i] = self:value(rawget(template, name))
		self.top = top
	end
	self.field = field
	return self:need(self.map:object(names, values))
end

--- A value as the field `field` of what stands at `line`.
function Compiler:part(field, line, value, top)
	self.field, self.line, self.top, self.depth = field, line, top, 0
	return self:value(value)
end

-- A user's expressions become several parts: the id, and what else the user may be known by.
function Compiler:user(prefix, line, user, set)
	local items = {}
	for i, id in ipairs(user.ids) do
		items[i] = self:part(prefix .. "user", user.line or line, id)
	end
	set("user", #items == 1 and items[1] or self:need(self.map:list("any", items)))
	for _, name in ipairs(definition.identities) do
		if user[name] ~= nil then
			set(name, self:part(prefix .. "user." .. name, user.line or line, user[name]))
		end
	end
end

function Compiler:call(event, call)
	local name = type(call.name) == "string" and call.name or call.call
	local line = call.line
	local program = { call = call.call, place = place.name(call.script or self.script, line) .. ": " .. name }
	local each = call.refined and call.refined.each
	if each ~= nil then
		each = self:part(name .. ": each", line, each)
		self.inside = 1
	end
	for _, field in ipairs { "name", "category", "group_id", "previous_id" } do
		local value = rawget(call, field)
		if value ~= nil then
			program[field] = self:part(("%s: %s"):format(name, field), line, value)
		end
	end
	if rawget(call, "payload") ~= nil then
		program.payload = self:part(name, line, call.payload, true)
	end
	for _, field in ipairs(sorted(call.refined or {})) do
		local value = call.refined[field]
		if field == "each" then
			program.each = each
		elseif field == "user" then
			self:user(name .. ": ", line, value, function(part, number)
				program[part] = number
			end)
		else
			program[field] = self:part(("%s: %s"):format(name, field), line, value)
		end
	end
	self.inside = 0
	self.field, self.line = name, line
	self:need(self.map:call(event, program))
end

function Compiler:source(source)
	for _, field in ipairs { "account", "each", "event", "id", "time", "context", "integrations" } do
		local value = source[field]
		if value ~= nil then
			self.map:set(field, self:part(field, expression.is(value) and value.line or source.line, value))
		end
	end
	if source.user then
		self:user("", source.line, source.user, function(part, number)
			self.map:set(part, number)
		end)
	end
	self.map:policy(source.missing_user, source.unmatched)
	self.field, self.line = "on", source.line
	if type(source.entries) ~= "table" or debug.getmetatable(source.entries) ~= nil then
		self:fail(self:here() .. ": the script changed what source.define returned")
	end
	for _, entry in ipairs(source.entries) do
		self.field, self.line = entry.event, entry.line
		if entry.kind == "ignore" then
			self:need(self.map:ignore(entry.event))
		elseif entry.kind == "function" then
			self:need(self.map:entry(entry.event, entry.run, place.name(self.script, entry.line)))
		else
			for _, call in ipairs(entry.calls) do
				self:call(entry.event, call)
			end
		end
	end
end

--- Build the program of a source.
---@param source moonweir.Definition
---@param library? {name: string, version: string} what context.library says
---@return userdata|nil map
---@return string? message
---@return "mapping"|"no_memory"|nil code
local function compile(source, library)
	if not definition.is(source) then
		error("compile: expected what source.define returned", 2)
	end
	local map, message, code = core.map {
		slug = source.slug,
		version = source.version,
		library_name = library and library.name or "moonweir",
		library_version = library and library.version or core.version or "0",
	}
	if not map then
		return nil, message, code == "no_memory" and code or "mapping"
	end
	local compiler = setmetatable({
		map = map, script = source.script, field = source.slug, values = 0, depth = 0, inside = 0,
	}, Compiler)
	local ok, failure = core.guard_call(compiler.source, "load", compiler, source)
	if not ok then
		return nil, failure, compiler.code or "mapping"
	end
	return map
end

return compile
