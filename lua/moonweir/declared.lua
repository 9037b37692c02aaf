--- declared -- what a source's script declares, read without running anything.
---
---     for _, entry in ipairs(declared.read(source)) do
---     	for _, call in ipairs(entry.calls) do
---     		print(entry.event, call.label, #call.fields)     -- "message.opened", "Email Opened", 4
---     	end
---     end
---
--- What a function entry sends is not declared: its entry has no calls here.

local shape = require "moonweir.shape"
local template = require "moonweir.template"

local declared = {}

---@class moonweir.declared.Entry
---@field event string the tool's
---@field kind "calls"|"ignore"|"function"
---@field line? integer
---@field calls moonweir.declared.Call[]

---@class moonweir.declared.Call
---@field call "track"|"identify"|"page"|"screen"|"group"|"alias"
---@field label string its event's name, or what kind of call it is
---@field names string[] the names it may have; none: it has no name, or the event decides
---@field line? integer
---@field payload table properties or traits: a template
---@field context table templates, of the source and of the call
---@field fields moonweir.declared.Field[] what stands in the payload, by path

---@class moonweir.declared.Field
---@field path string "products[].sku"
---@field value any expression or plain value
---@field line? integer

-- An expression for a name may still say which there are: a lookup does.
local function names_of(name)
	local names = {}
	for _, value in ipairs(name ~= nil and shape.of(name).enum or {}) do
		names[#names + 1] = type(value) == "string" and value or nil
	end
	table.sort(names)
	return names
end

--- The fields of a template, by path: "lines" before "lines[].sku".
---@param from table
---@param line? integer
---@return moonweir.declared.Field[]
function declared.fields(from, line)
	local fields = {}
	template.walk(from, line, function(path, value, its_line)
		fields[#fields + 1] = { path = path, value = value, line = its_line }
		return value
	end)
	table.sort(fields, function(a, b)
		return a.path < b.path
	end)
	return fields
end

local function read_call(source, call)
	local name = rawget(call, "name")
	local payload, refined = rawget(call, "payload") or {}, rawget(call, "refined") or {}
	return {
		call = call.call,
		label = type(name) == "string" and name or call.call,
		names = names_of(name),
		line = call.line,
		payload = payload,
		context = { source.context, refined.context },
		fields = declared.fields(payload, call.line),
	}
end

--- All entries of a source, sorted by the tool's events.
---@param source moonweir.Definition
---@return moonweir.declared.Entry[]
function declared.read(source)
	local entries = {}
	for n, entry in ipairs(source.entries) do
		local calls = {}
		for i, call in ipairs(entry.calls or {}) do
			calls[i] = read_call(source, call)
		end
		entries[n] = { event = entry.event, kind = entry.kind, line = entry.line, calls = calls }
	end
	return entries
end

return declared
