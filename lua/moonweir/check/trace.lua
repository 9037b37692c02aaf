--- trace -- the messages that a source makes of a fixture, and which entry made which.
---
--- The fixture is mapped twice: for the messages, and once more with each call's number in its integrations. Both give the
--- same messages in the same order, for the clock stands still and chance repeats itself (golden.lua).

local core = require "moonweir.core"
local definition = require "moonweir.definition"
local golden = require "moonweir.golden"

local trace = {}

local MARK = "moonweir"

---@class moonweir.check.Origin
---@field entry string which of `on`
---@field call? integer which of its calls; nil: its function made it
---@field line? integer

--- The same source, whose messages say in `integrations` which of the origins they are from.
---@param source moonweir.Definition
---@return moonweir.Definition marked
---@return moonweir.check.Origin[] origins
function trace.mark(source)
	local entries, origins = {}, {}
	local function mark(entry, call, line)
		origins[#origins + 1] = { entry = entry.event, call = call, line = line or entry.line }
		return { [MARK] = { at = #origins } }
	end
	for n, entry in ipairs(source.entries) do
		local made = {}
		for name, v in next, entry do
			made[name] = v
		end
		if entry.kind == "function" then
			local mine = mark(entry)
			made.run = function(event, emit)
				return entry.run(event, function(call, fields)
					local marked = {}
					for name, v in next, type(fields) == "table" and fields or {} do
						marked[name] = v
					end
					marked.integrations = mine
					return emit(call, marked)
				end)
			end
		elseif entry.kind == "calls" then
			made.calls = {}
			for i, call in ipairs(entry.calls) do
				local copy, refined = {}, {}
				for name, v in next, call do
					copy[name] = v
				end
				for name, v in next, call.refined or {} do
					refined[name] = v
				end
				refined.integrations = mark(entry, i, call.line)
				copy.refined = refined
				made.calls[i] = copy
			end
		end
		entries[n] = made
	end
	return definition.with_entries(source, entries), origins
end

---@class moonweir.check.Traced
---@field message table decoded
---@field bytes integer
---@field origin? moonweir.check.Origin nil: not known

--- Map one fixture. Each gets a definition of its own from golden.load, as scripts may remember things.
---@param load fun(): moonweir.Definition|nil, string?
---@param fixture moonweir.Fixture
---@param body string
---@param headers? table<string, string>
---@return moonweir.check.Traced[]|nil traced
---@return table|string tally or message
---@return table[]? problems
---@return moonweir.check.Origin[]? origins all there are
function trace.map(load, fixture, body, headers)
	local fresh, message = load()
	if not fresh then
		return nil, message
	end
	local messages, tally, problems = golden.map(fresh, fixture, body, headers)
	if not messages then
		return nil, tally
	end
	fresh, message = load()
	if not fresh then
		return nil, message
	end
	local again, origins = trace.mark(fresh)
	local marked = golden.map(again, fixture, body, headers)
	local is_same = marked and #marked == #messages
	local traced = {}
	for i, m in ipairs(messages) do
		local mark = is_same and core.decode(marked[i].message).integrations
		local at = type(mark) == "table" and type(mark[MARK]) == "table" and mark[MARK].at
		traced[i] = { message = core.decode(m.message), bytes = #m.message, origin = at and origins[at] or nil }
	end
	return traced, tally, problems, origins
end

return trace
