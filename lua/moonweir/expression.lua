--- expression -- a value that is not there yet: where in the event it is, and what to do with it.
---
---     get "order.amount" / 100      { op = "div", args = { { op = "path", path = { "order", "amount" } }, 100 } }
---
--- Expressions are descriptions. The compiler turns them into the C program; `check`, `docs` and `plan` read them as they are.

local place = require "moonweir.place"
place.is_own()

local unpack = table.unpack or unpack

---@class moonweir.Expression
---@field op string "path", "header", "query", "any", "array", "all", "none", "apply", or the name of a method or operator
---@field args any[] operands: expressions, or plain values (constants, templates); none for path and header
---@field scope? "item"|"event"|"body" of a path: from where
---@field path? (string|integer)[] of a path: names, and places counted from 1 (negative: from the end)
---@field name? string of a header or of a parameter of the URL
---@field run? function of apply
---@field script? string
---@field line? integer where it was written

local Expression = { __metatable = "moonweir.expression" }

local expression = {}

local function new(fields)
	fields.script, fields.line = place.here()
	return setmetatable(fields, Expression)
end

--- Is it an expression? (Scripts cannot make one by other means.)
function expression.is(value)
	return type(value) == "table" and debug.getmetatable(value) == Expression
end

--- The same operation on other operands; what is read of a description may be changed and compiled anew.
---@param e moonweir.Expression
---@param args any[]
---@return moonweir.Expression
function expression.on(e, args)
	return setmetatable({ op = rawget(e, "op"), args = args, script = rawget(e, "script"), line = rawget(e, "line") }, Expression)
end

--- Calls `seen` whenever `value`, an expression or a plain value, is there; gives true then.
---@param value any
---@param seen fun()
---@return moonweir.Expression
function expression.watch(value, seen)
	local line = expression.is(value) and rawget(value, "line") or nil
	return setmetatable({ op = "apply", args = { value }, line = line, run = function()
		seen()
		return true
	end }, Expression)
end

local function operation(op, ...)
	return new { op = op, args = { ... } }
end

--- "order.lines[1]", `["a.b"].c`, "." (the item itself) to { "order", "lines", 1 }.
---@param text string|integer
---@return (string|integer)[]
local function parse_path(text)
	if type(text) == "number" then
		text = ("[%d]"):format(text)
	elseif type(text) ~= "string" then
		place.fail(("get: expected a path like \"order.id\", got a %s"):format(type(text)))
	end
	if text == "." then
		return {}
	end
	local path, at = {}, 1
	local function wrong(why)
		place.fail(("get %q: %s"):format(text, why))
	end
	repeat
		local name, index, after
		if text:sub(at, at) == "[" then
			index, after = text:match("^%[(%-?%d+)%]()", at)
			if not index then
				name, after = text:match('^%["([^"]*)"%]()', at)
			end
			if not after then
				name, after = text:match("^%['([^']*)'%]()", at)
			end
			if not after then
				wrong('after "[" comes a number or a quoted name: [1], [-1], ["a.b"]')
			end
		else
			name, after = text:match("^([^.%[%]]+)()", at)
			if not name then
				wrong(text == "" and 'the path is empty; the item itself is get "."' or ("a name is missing at character %d"):format(at))
			end
		end
		index = index and tonumber(index)
		if index == 0 then
			wrong("counting starts at 1, as in Lua; from the end it is [-1]")
		elseif index and (index > 16777215 or index < -16777215) then
			wrong("no array is that long")
		end
		path[#path + 1] = index and math.floor(index) or name
		local separator = text:sub(after, after)
		at = after
		if separator == "." then
			at = after + 1
			if at > #text then
				wrong("it ends in a dot")
			end
		elseif separator ~= "[" and separator ~= "" then
			wrong(("a dot is missing at character %d"):format(after))
		end
	until at > #text
	return path
end

--- Make a getter: a function from a path to an expression.
---@param scope "item"|"event"|"body"
---@return fun(path: string|integer): moonweir.Expression
function expression.getter(scope)
	return function(path)
		return new { op = "path", scope = scope, path = parse_path(path), args = {} }
	end
end

---@param name string a request header; case does not matter
---@return moonweir.Expression
function expression.header(name)
	if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
		place.fail('get.header: expected the name of a header, as in get.header "X-Topic"')
	end
	return new { op = "header", name = name, args = {} }
end

--- A parameter of the URL that was called. Case does matter.
---@param name string
---@return moonweir.Expression
function expression.query(name)
	if type(name) ~= "string" or name == "" or #name > 100 then
		place.fail('get.query: expected the name of a parameter of the URL, as in get.query "user_id"')
	end
	return new { op = "query", name = name, args = {} }
end

--- Expressions and plain values as the operands of a list operation.
function expression.list(op, ...)
	local n = select("#", ...)
	local args = { ... }
	if n == 1 and type(args[1]) == "table" and debug.getmetatable(args[1]) == nil then
		args, n = args[1], #args[1]
	end
	if n == 0 and op ~= "array" then
		place.fail(("source.%s: give it at least one expression"):format(op))
	end
	for i = 1, n do
		if args[i] == nil then
			place.fail(("source.%s: argument %d is nil; is a name misspelt?"):format(op, i))
		end
	end
	return new { op = op, args = { unpack(args, 1, n) } }
end

-- Methods -------------------------------------------------------------------------------------------

---@class moonweir.Expression
local methods = {}

local function expect_none(name)
	return function(self, extra)
		if extra ~= nil then
			place.fail((":%s() takes no argument"):format(name))
		end
		return operation(name, self)
	end
end

for _, name in ipairs { "lower", "upper", "trim", "first", "last", "time", "string", "number", "boolean", "snake_case" } do
	methods[name] = expect_none(name)
end

--- `value` where the expression finds nothing.
function methods:default(value)
	if value == nil or type(value) == "function" then
		place.fail(":default(value): expected a value or an expression, got " .. (value == nil and "nil" or "a function"))
	end
	return operation("default", self, value)
end

--- Each element of an array as `template` says; inside it `get` starts at the element.
function methods:map(template)
	if type(template) ~= "table" then
		place.fail(':map: expected a table or an expression, as in :map { sku = get "sku" }')
	end
	return operation("map", self, template)
end

--- The elements for which `condition` is true; inside it `get` starts at the element.
function methods:filter(condition)
	if not expression.is(condition) then
		place.fail(':filter: expected an expression, as in :filter(get "type":is("card"))')
	end
	return operation("filter", self, condition)
end

-- One value or several, as one operand.
local function values_of(name, ...)
	local n = select("#", ...)
	for i = 1, math.max(n, 1) do
		local value = (select(i, ...))
		local kind = type(value)
		if kind ~= "string" and kind ~= "number" and kind ~= "boolean" and not expression.is(value) then
			place.fail((":%s(value): expected a string, number, boolean or expression, got a %s"):format(name, kind))
		end
	end
	return n == 1 and (...) or expression.list("array", ...)
end

--- True if it is this text, number or boolean, or one of several.
function methods:is(...)
	return operation("is", self, values_of("is", ...))
end

--- Nothing if it is this text, number or boolean, or one of several: :except("0", "-1").
function methods:except(...)
	return operation("except", self, values_of("except", ...))
end

--- Nothing unless `condition` is true.
function methods:when(condition)
	if not expression.is(condition) then
		place.fail(':when: expected an expression, as in :when(get "kind":is "person")')
	end
	return operation("when", self, condition)
end

-- True if the number is larger, or smaller, than another.
for _, name in ipairs { "above", "below" } do
	methods[name] = function(self, number)
		if type(number) ~= "number" and not expression.is(number) then
			place.fail((':%s: expected a number or an expression, as in :%s(0)'):format(name, name))
		end
		return operation(name, self, number)
	end
end

-- What stands on one side of the first `mark`; all of the text where there is none. Or whether there is one.
for _, name in ipairs { "before", "after", "contains" } do
	methods[name] = function(self, mark)
		if type(mark) ~= "string" or mark == "" then
			place.fail((':%s: expected a text, as in :%s "."'):format(name, name))
		end
		return operation(name, self, mark)
	end
end

--- What stands at `path` in the JSON that this text holds; all of it without a path.
---@param path? string
function methods:json(path)
	return operation("json", self, path == nil and {} or parse_path(path))
end

--- An object without these members.
---@param names string[]
function methods:without(names)
	if type(names) ~= "table" or expression.is(names) or next(names) == nil then
		place.fail(':without: expected a list of names, as in :without { "email", "timestamp" }')
	end
	local copy = {}
	for key, name in next, names do
		if type(key) ~= "number" or type(name) ~= "string" then
			place.fail(':without: expected a list of names, as in :without { "email", "timestamp" }')
		end
		copy[key] = name
	end
	return operation("without", self, copy)
end

--- The sum of `value` over the elements of an array; inside it `get` starts at the element. :sum(1) counts them.
---@param value moonweir.Expression|number
function methods:sum(value)
	if not expression.is(value) and type(value) ~= "number" then
		place.fail(':sum: expected an expression, as in :sum(get "amount")')
	end
	return operation("sum", self, value)
end

--- The value that the table has for it; nothing if it has none.
function methods:lookup(values)
	if type(values) ~= "table" or expression.is(values) then
		place.fail(':lookup: expected a table of values, as in :lookup { ["1"] = "bronze" }')
	end
	local copy = {}
	for key, value in next, values do
		if type(key) == "number" then
			key = ("%d"):format(key)
		end
		if type(key) ~= "string" then
			place.fail(":lookup: its keys are texts or whole numbers, not " .. type(key) .. "s")
		end
		local kind = type(value)
		if expression.is(value) or kind == "table" or kind == "function" then
			place.fail((':lookup: the value of "%s" must be a plain value'):format(key))
		end
		copy[key] = value
	end
	if next(copy) == nil then
		place.fail(":lookup: the table is empty")
	end
	return operation("lookup", self, copy)
end

--- An amount in minor units (cents) in the unit of its currency; two decimals if no currency is given.
---@param currency? string|moonweir.Expression "USD", or where to find it
function methods:money(currency)
	if currency ~= nil and not expression.is(currency) and (type(currency) ~= "string" or not currency:find("^%a%a%a$")) then
		place.fail(':money: expected a currency like "USD", or get "currency"')
	end
	return operation("money", self, currency)
end

---@param algorithm "sha256"
function methods:hash(algorithm)
	if algorithm ~= "sha256" then
		place.fail(':hash: the only one there is is "sha256"')
	end
	return operation("hash", self, algorithm)
end

--- A Lua function for this one value: gets it, returns what to send (nil leaves the field out).
---@param run fun(value: any): any
function methods:apply(run)
	if type(run) ~= "function" then
		place.fail(":apply: expected a function, got a " .. type(run))
	end
	return new { op = "apply", args = { self }, run = run }
end

local method_names = {}
for name in pairs(methods) do
	method_names[#method_names + 1] = name
end
table.sort(method_names)

for _, name in ipairs(method_names) do
	local method = methods[name]
	methods[name] = function(self, ...)
		if not expression.is(self) then
			place.fail(("%s belongs behind an expression and a colon, as in get \"a\":%s(…)"):format(name, name))
		end
		return method(self, ...)
	end
end

-- Operators -----------------------------------------------------------------------------------------

local fields = { op = true, args = true, scope = true, path = true, name = true, run = true, script = true, line = true }

function Expression.__index(_, name)
	if methods[name] then
		return methods[name]
	elseif fields[name] then
		return nil
	end
	place.fail(('an expression has no method "%s"%s'):format(tostring(name), place.nearest(name, method_names)))
end

function Expression.__newindex(_, name)
	place.fail(("an expression can't be changed (%s)"):format(tostring(name)))
end

local function operator(op, allowed)
	return function(a, b)
		for _, operand in ipairs { a, b } do
			if not expression.is(operand) and not allowed[type(operand)] then
				place.fail(("%s: can't combine an expression with a %s"):format(op, type(operand)))
			end
		end
		if a == nil or b == nil then
			place.fail(op .. ": can't combine an expression with nil")
		end
		return operation(op, a, b)
	end
end

Expression.__concat = operator("concat", { string = true, number = true })
Expression.__add = operator("add", { number = true })
Expression.__sub = operator("sub", { number = true })
Expression.__mul = operator("mul", { number = true })
Expression.__div = operator("div", { number = true })

function Expression.__unm(a)
	return operation("mul", a, -1)
end

local function refuse(what, instead)
	return function()
		place.fail(("an expression is not a value yet, so %s does not work; %s"):format(what, instead))
	end
end

Expression.__len = refuse("#", "of a list it is :sum(1)")
Expression.__lt = refuse("comparing", "use :above(0), :below(0)")
Expression.__le = Expression.__lt
Expression.__mod = refuse("%", "use :apply(function(number) … end)")
Expression.__pow = refuse("^", "use :apply(function(number) … end)")
Expression.__idiv = refuse("//", "use :apply(function(number) … end)")
Expression.__call = refuse("calling it", "methods are called with a colon: :lower()")

--- For error messages and for reading: `get "order.amount" / 100`, shortened.
function Expression.__tostring(e)
	local op, path = rawget(e, "op"), rawget(e, "path")
	if type(path) ~= "table" then
		return ("expression (%s)"):format(tostring(op))
	end
	local parts = {}
	for i, step in ipairs(path) do
		if type(step) == "number" then
			parts[i] = ("[%d]"):format(step)
		elseif step:find("[.%[%]]") then
			parts[i] = ("[%q]"):format(step)
		else
			parts[i] = (i > 1 and "." or "") .. step
		end
	end
	local scope = rawget(e, "scope")
	return ("get%s %q"):format(scope == "item" and "" or "." .. tostring(scope), table.concat(parts))
end

expression.methods = method_names

return expression
