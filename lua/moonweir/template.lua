--- template -- properties, traits or context as a script writes them: names, and behind each an expression, a plain value
--- or a template again.
---
---     { id = get "id", place = { city = get "city" }, lines = get "lines":map { sku = get "sku" } }
---     id, lines, lines[].sku, place.city                                 the paths of what stands in it

local definition = require "moonweir.definition"
local expression = require "moonweir.expression"

local template = {}

--- Is it an object with names, neither a list nor an expression?
function template.is(value)
	return type(value) == "table" and not expression.is(value) and definition.shape(value) == "object"
end

--- Visit what stands in a template, in the order of names, what is inside a list before the list. What `visit` gives takes
--- the value's place in the template that is returned.
---@param from table
---@param line? integer where it is written, for what does not know its own line
---@param visit fun(path: string, value: any, line: integer?): any
---@param path? string put before each path
---@return table made
function template.walk(from, line, visit, path)
	local made, names = {}, {}
	for name in next, from do
		names[#names + 1] = name
	end
	table.sort(names)
	for _, name in ipairs(names) do
		local value = from[name]
		local here = path and path .. "." .. name or name
		local its_line = expression.is(value) and rawget(value, "line") or line
		local mapped = expression.is(value) and rawget(value, "op") == "map" and rawget(value, "args")
		if template.is(value) and next(value) ~= nil then
			value = template.walk(value, its_line, visit, here)
		elseif mapped and template.is(mapped[2]) then
			local inner = template.walk(mapped[2], its_line, visit, here .. "[]")
			value = visit(here, expression.on(value, { mapped[1], inner }), its_line)
		else
			value = visit(here, value, its_line)
		end
		made[name] = value
	end
	return made
end

return template
