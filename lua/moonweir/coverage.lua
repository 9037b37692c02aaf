--- coverage -- which entries and declared properties of a source no fixture exercises.
---
---     local coverage = coverage.new(definition)
---     local probe = coverage:probe(definition)      -- the same source, with watchers; map a fixture with it
---     coverage:missing()                            -- what none of them has reached
---
--- An entry is exercised when one of its calls was made, when its function came to its end, or, with source.ignore, when
--- its event came. A property is when its call was made with it: one that is absent from every fixture is not. What a
--- function sends is not declared, so only its entry counts.

local declared = require "moonweir.declared"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local template = require "moonweir.template"

---@class moonweir.Declared
---@field event string
---@field call? string 'Email Opened', or 'identify'
---@field property? string "products[].sku"
---@field line? integer

---@class moonweir.Coverage
---@field seen table<string, boolean> by key
local Coverage = {}
Coverage.__index = Coverage

local coverage = {}

local function key(entry, call, property)
	return table.concat({ entry, call or "", property or "" }, "\0")
end

---@param source moonweir.Definition
---@return moonweir.Coverage
function coverage.new(source)
	local self = setmetatable({ seen = {}, entries = {}, calls = {}, properties = {}, functions = {} }, Coverage)
	for _, entry in ipairs(declared.read(source)) do
		table.insert(self.entries, { event = entry.event, line = entry.line, key = key(entry.event) })
		if entry.kind == "function" then
			table.insert(self.functions, entry.event)
		end
		for i, call in ipairs(entry.calls) do
			local call_key = key(entry.event, i)
			table.insert(self.calls, { event = entry.event, call = call.label, line = call.line, key = call_key })
			for _, field in ipairs(call.fields) do
				local list = field.path:match "^(.*)%[%]"
				table.insert(self.properties, { event = entry.event, call = call.label, property = field.path, line = field.line,
					key = key(entry.event, i, field.path), call_key = call_key, list_key = list and key(entry.event, i, list) })
			end
		end
	end
	return self
end

-- A call's integrations are written last: a watcher there knows that nothing before it has failed, and only then do the
-- properties count that were seen on the way.
local function watched_call(self, entry, i, call)
	local made, pending = {}, {}
	for name, value in next, call do
		made[name] = value
	end
	if call.payload then
		made.payload = template.walk(call.payload, call.line, function(path, value)
			local property = key(entry.event, i, path)
			return expression.watch(value, function()
				pending[property] = true
			end)
		end)
		made.payload["\0"] = expression.watch(true, function() -- names are written in order: before all others
			pending = {}
		end)
	end
	made.refined = {}
	for name, value in next, call.refined or {} do
		made.refined[name] = value
	end
	local call_key, entry_key = key(entry.event, i), key(entry.event)
	made.refined.integrations = { watched = expression.watch(true, function()
		for property in next, pending do
			self.seen[property] = true
		end
		self.seen[call_key], self.seen[entry_key] = true, true
	end) }
	return made
end

--- The same source, with watchers. What it makes is good for nothing else.
---@param source moonweir.Definition a fresh one for each fixture, if its functions remember anything
---@return moonweir.Definition
function Coverage:probe(source)
	local entries = {}
	for n, entry in ipairs(source.entries) do
		local made = { event = entry.event, line = entry.line, kind = "function" }
		if entry.kind == "calls" then
			made.kind, made.calls = "calls", {}
			for i, call in ipairs(entry.calls) do
				made.calls[i] = watched_call(self, entry, i, call)
			end
		else
			local entry_key = key(entry.event)
			made.run = function(event, emit)
				if entry.run then
					entry.run(event, emit)
				end
				self.seen[entry_key] = true
			end
		end
		entries[n] = made
	end
	return definition.with_entries(source, entries)
end

--- The entries that were reached since the last call, by the tool's events, in the order of their names; and forget
--- what was seen.
---@return string[]
function Coverage:take()
	local reached = {}
	for _, entry in ipairs(self.entries) do
		reached[#reached + 1] = self.seen[entry.key] and entry.event or nil
	end
	self.seen = {}
	return reached
end

--- What no fixture exercised.
---@return {entries: moonweir.Declared[], calls: moonweir.Declared[], properties: moonweir.Declared[]} missing
---@return {entries: integer, calls: integer, properties: integer} declared
function Coverage:missing()
	local missing, counts = {}, {}
	for _, kind in ipairs { "entries", "calls", "properties" } do
		missing[kind], counts[kind] = {}, #self[kind]
		for _, it in ipairs(self[kind]) do
			if not self.seen[it.key] then
				table.insert(missing[kind], it)
			end
		end
	end
	return missing, counts
end

--- Was what this stands in exercised: the entry, the call, the list? Then it is worth naming on its own.
---@param it moonweir.Declared
function Coverage:is_reached(it)
	return self.seen[it.list_key or it.call_key or key(it.event)] == true
end

return coverage
