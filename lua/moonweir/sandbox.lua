--- sandbox -- where mapping scripts run: an environment of their own, under limits.
---
---     local definition, message, code = sandbox.load "acme.lua"
---
--- A script can compute, read the event it is given and describe calls; nothing else is within its reach. Not offered,
--- each for its reason: load and its kin (bytecode can crash the VM), debug, package, io, the rest of os, coroutine and
--- xpcall (their functions run where limits do not), collectgarbage, math.randomseed (shared with the host),
--- string.pack and utf8 (not on both VMs).

local core = require "moonweir.core"
local definition = require "moonweir.definition"
local identity = require "moonweir.identity"
local place = require "moonweir.place"
local source = require "moonweir.source"
local strings = require "moonweir.strings"

local sandbox = {}

--- A script is text that people write; a megabyte is far beyond that.
sandbox.SCRIPT_MAX = 1024 * 1024

--- What a script may require: names, and what makes the module for one script.
---@type table<string, fun(state: table): any>
sandbox.modules = {
	["moonweir.identity"] = identity.language,
	["moonweir.source"] = source.language,
}

local real_type, real_next, real_ipairs = type, next, ipairs
local find = string.find -- the plain one: while a script runs, those reached through a text are the sandbox's
local relay = strings.relay

-- Views of the event are userdata that behave like read-only tables, and digits like numbers; these make the
-- resemblance whole.

local registry = debug.getregistry()
local metatable_of = debug.getmetatable

local function view_type(...)
	local kind = real_type((...))
	if kind == "nil" and select("#", ...) == 0 then
		return relay("type", false, "bad argument #1 to '?' (value expected)")
	end
	if kind ~= "userdata" then
		return kind
	end
	local metatable = metatable_of((...))
	return metatable ~= nil and metatable == registry["moonweir.view"] and "table"
		or strings.is_digits((...)) and "number" or kind
end

local function digits_tonumber(value, base)
	if strings.is_digits(value) then
		value = tostring(value)
	elseif real_type(value) == "string" and #value > strings.COSTLY then
		core.guard_look()
	end
	if base == nil then
		return tonumber(value)
	end
	return relay("tonumber", pcall(tonumber, value, base))
end

local function check_table(name, list)
	if real_type(list) ~= "table" then
		error(("%s: expected a table, got %s; is the field missing from the event?"):format(name, real_type(list)), 3)
	end
end

local function view_next(list, key)
	if real_type(list) == "userdata" then
		return core.view_next(list, key)
	end
	check_table("next", list)
	return real_next(list, key)
end

local function view_pairs(list)
	if real_type(list) == "userdata" then
		return core.view_next, list, nil
	end
	check_table("pairs", list)
	return real_next, list, nil
end

local function view_step(list, i)
	local value = list[i + 1]
	if value ~= nil then
		return i + 1, value
	end
end

local function view_ipairs(list)
	if real_type(list) == "userdata" then
		return view_step, list, 0
	end
	check_table("ipairs", list)
	return real_ipairs(list)
end

-- Metatables: only those of the script's own tables. A finalizer would run outside of every limit.

local function guarded_setmetatable(object, metatable)
	if real_type(object) ~= "table" then
		error("setmetatable: expected a table", 2)
	elseif real_type(metatable) == "table" and (rawget(metatable, "__gc") ~= nil or rawget(metatable, "__mode") ~= nil) then
		error("setmetatable: __gc and __mode are not for mapping scripts", 2)
	end
	return relay("setmetatable", pcall(setmetatable, object, metatable))
end

local function guarded_getmetatable(object)
	if real_type(object) == "table" then
		return getmetatable(object)
	end
	return nil
end

-- What the language made stays as it was made.
local function guarded_rawset(object, key, value)
	if real_type(object) == "table" and real_type(getmetatable(object)) == "string" then
		error("rawset: this can't be changed", 2)
	end
	return relay("rawset", pcall(rawset, object, key, value))
end

-- A script that catches "stack overflow" only to call itself again runs for ever, and on LuaJIT unseen: so near to the end
-- of its stack that VM has no room to call a hook. So this error goes through every pcall.

local function is_overflow(message)
	return find(message, "stack overflow$") or find(message, "stack overflow (", 1, true)
		or find(message, "error in error handling$")
end

local function settle(ok, ...)
	local message = ...
	if not ok and real_type(message) == "string" and is_overflow(message) then
		error(message, 0)
	end
	return ok, ...
end

local function guarded_pcall(...)
	if select("#", ...) == 0 then
		return relay("pcall", false, "bad argument #1 to '?' (value expected)")
	end
	return settle(pcall(...))
end

-- Table functions: C loops over what __len claims do not end, so tables with a metatable are refused.

local function check_plain(name, list)
	if real_type(list) ~= "table" then
		error(("table.%s: expected a table, got %s"):format(name,
			real_type(list) == "userdata" and "a part of the event, which is read-only" or real_type(list)), 3)
	elseif getmetatable(list) ~= nil and metatable_of(list) ~= registry["moonweir.array"] then
		error(("table.%s: the table has a metatable"):format(name), 3)
	elseif #list > 1e6 then -- or full of holes: with 1, 2, 4, 8, … set, Lua may take any of them for the length
		error(("table.%s: the list has more than a million elements"):format(name), 3)
	end
end

-- LuaJIT moves whatever lies between a place and the end, and ends after seconds.
local function check_place(name, place_given, first, last)
	local at = tonumber(place_given)
	if at and not (at >= first and at <= last) then
		error(("bad argument #2 to '%s' (position out of bounds)"):format(name), 3)
	end
end

local function table_insert(list, ...)
	check_plain("insert", list)
	if select("#", ...) == 2 then
		check_place("insert", (...), 1, #list + 1)
	end
	return relay("insert", pcall(table.insert, list, ...))
end

local function table_remove(list, ...)
	check_plain("remove", list)
	if (...) ~= nil then
		check_place("remove", (...), #list == 0 and 0 or 1, #list + 1) -- remove(t, #t), as Lua has it
	end
	return relay("remove", pcall(table.remove, list, ...))
end

local function ascending(a, b)
	return a < b
end

-- What `ascending` throws names its line, which says nothing to the author of a script.
local own_name = debug.getinfo(1, "S").short_src .. ":"

local function without_own_line(message)
	if real_type(message) == "string" and message:sub(1, #own_name) == own_name then
		return (message:sub(#own_name + 1):gsub("^%d+: ", ""))
	end
	return message
end

-- Always with a comparing function in Lua: the limits see that one run, where what C does is out of their sight.
local function table_sort(list, before)
	check_plain("sort", list)
	if before == nil then
		local ok, message = pcall(table.sort, list, ascending)
		return relay("sort", ok, not ok and without_own_line(message))
	end
	if real_type(before) == "function" and debug.getinfo(before, "S").what == "C" then
		local compare = before
		before = function(a, b)
			return (compare(a, b))
		end
	end
	return relay("sort", pcall(table.sort, list, before))
end

-- What a script sees of the world outside of the event. Golden files need one that stands still.
---@class moonweir.World
---@field time fun(table: table?): integer as os.time
---@field date fun(form: string, time: integer): string|table as os.date
---@field random fun(m: integer?, n: integer?): number as math.random
local REAL = { time = os.time, date = os.date, random = math.random }

local function os_date_in(world)
	return function(form, time)
		if form ~= nil and (real_type(form) ~= "string" or #form > 200) then
			error("os.date: expected a format of up to 200 characters", 2)
		end
		return relay("date", pcall(world.date, form or "%c", time or world.time()))
	end
end

-- Of a table with a metatable its fields are asked for here, not in C: an __index that calls os.time again would fill C's
-- stack, which LuaJIT lets overflow.
local function tell_time(time, fields)
	if real_type(fields) == "table" and metatable_of(fields) ~= nil then
		local given = fields
		fields = {}
		for _, name in real_ipairs { "year", "month", "day", "hour", "min", "sec", "isdst" } do
			fields[name] = given[name]
		end
	end
	return time(fields)
end

local function os_time_in(world)
	return function(fields)
		return relay("time", pcall(tell_time, world.time, fields))
	end
end

local function copy(library, names)
	local copied = {}
	for _, name in ipairs(names) do
		copied[name] = library[name]
	end
	return copied
end

--- The environment of one script.
---@param state {loading: boolean}
---@param world? moonweir.World
---@return table<string, any>
function sandbox.environment(state, world)
	world = world or REAL
	local loaded = {}
	local function guarded_require(name)
		local make = real_type(name) == "string" and rawget(sandbox.modules, name)
		if not make then
			local names = {}
			for known in pairs(sandbox.modules) do
				names[#names + 1] = known
			end
			table.sort(names)
			local asked = tostring(name)
			asked = #asked <= 40 and asked or asked:sub(1, 40) .. "…"
			error(("require: %q is not for mapping scripts%s"):format(asked, place.nearest(asked, names)), 2)
		end
		loaded[name] = loaded[name] or make(state)
		return loaded[name]
	end

	local numbers = copy(math, { "abs", "acos", "asin", "atan", "ceil", "cos", "exp", "floor", "fmod", "huge", "log", "max",
		"min", "modf", "pi", "sin", "sqrt", "tan" })
	numbers.random = world.random

	return {
		assert = assert,
		error = error,
		getmetatable = guarded_getmetatable,
		ipairs = view_ipairs,
		math = numbers,
		next = view_next,
		os = { date = os_date_in(world), difftime = os.difftime, time = os_time_in(world) },
		pairs = view_pairs,
		pcall = guarded_pcall,
		rawequal = rawequal,
		rawget = rawget,
		rawset = guarded_rawset,
		require = guarded_require,
		select = select,
		setmetatable = guarded_setmetatable,
		string = strings.library(),
		table = {
			concat = strings.concat, insert = table_insert, remove = table_remove, sort = table_sort, unpack = strings.unpack,
		},
		tonumber = digits_tonumber,
		tostring = tostring,
		type = view_type,
		unpack = strings.unpack,
	}
end

--- The text of a script file, or as much of it as is already too much.
---@param path string
---@return string|nil text
---@return string? message
function sandbox.read(path)
	local file, why = io.open(path, "rb")
	if not file then
		return nil, why
	end
	local text, failure = file:read(sandbox.SCRIPT_MAX + 1)
	file:close()
	if failure then
		return nil, ("%s: %s"):format(path, failure)
	end
	return text or ""
end

-- A "#!" line and a byte order mark are no Lua; the line stays, so that numbers stay right.
local function plain_text(text)
	text = text:gsub("^\239\187\191", "")
	return (text:gsub("^#", "--#"))
end

-- What the VM raises for want of stack or memory names no script.
local function placed(name, message)
	return message:sub(1, #name + 1) == name .. ":" and message or name .. ": " .. message
end

--- Run a script once and take what it defines.
---@param path string the file, or just a name for messages if `text` is given
---@param text? string
---@param world? moonweir.World clock and chance; the real ones if left out
---@return moonweir.Definition|nil definition
---@return string? message begins with the script's name and line
---@return "mapping"|nil code
function sandbox.load(path, text, world)
	if type(path) ~= "string" or (text ~= nil and type(text) ~= "string") then
		error("sandbox.load: expected a path, or a name and a text", 2)
	end
	if not text then
		local message
		text, message = sandbox.read(path)
		if not text then
			return nil, message, "mapping"
		end
	end
	local name = path:match("[^/]+$") or path
	if #text > sandbox.SCRIPT_MAX then
		return nil, ("%s: longer than %d bytes"):format(name, sandbox.SCRIPT_MAX), "mapping"
	elseif text:find("\27", 1, true) == 1 then
		return nil, name .. ": compiled Lua is not taken; give the script as text", "mapping"
	end

	local state = { loading = true }
	-- In a pcall, because Lua 5.4 may pass what the parser throws through the message handler of the host.
	local _, chunk, message = pcall(load, plain_text(text), "@" .. name, "t", sandbox.environment(state, world))
	if type(chunk) ~= "function" then
		return nil, placed(name, tostring(message or chunk)), "mapping"
	end
	if jit then
		jit.off(chunk, true) -- compiled loops look at no limit
	end

	local outer_script, outer_text = place.script, place.text
	place.script, place.text = name, text
	local ok, made = core.guard_call(chunk, "load")
	place.script, place.text = outer_script, outer_text
	state.loading = false
	if not ok then
		return nil, placed(name, made), "mapping"
	elseif not definition.is(made) then
		return nil, name .. ": the script must end with: return source.define { … }", "mapping"
	end
	return made
end

core.guard_strings(strings.library())

return sandbox
