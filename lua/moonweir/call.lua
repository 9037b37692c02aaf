--- call -- the six Segment calls, as a script writes them.
---
---     source.track "Email Opened" { email_id = get "id" } :with { when = get "first_open" }
---
--- At load a call is a description and knows its line. In a function entry the same words make calls from plain
--- values, once for each event: there they cost one table, and `emit` says for whom.

local core = require "moonweir.core"
local expression = require "moonweir.expression"
local place = require "moonweir.place"
place.is_own()

---@class moonweir.Call
---@field call "track"|"identify"|"page"|"screen"|"group"|"alias"
---@field name? string|moonweir.Expression of track, page and screen
---@field category? string|moonweir.Expression of page and screen
---@field group_id? string|moonweir.Expression
---@field previous_id? string|moonweir.Expression
---@field payload? table properties or traits: a template of expressions and plain values
---@field refined? table<string, any> what :with said
---@field script? string
---@field line? integer
---@field ready? boolean made outside of loading: calling it needs no checks

local Call = core.call_metatable()
Call.__metatable = "moonweir.call"
local methods = {}

local call = {}

function call.is(value)
	return type(value) == "table" and debug.getmetatable(value) == Call
end

-- What :with may say, and of which kind it must be.
local refinements = { "account", "context", "each", "id", "integrations", "time", "user", "when" }

local payload_word = {
	track = "properties",
	page = "properties",
	screen = "properties",
	identify = "traits",
	group = "traits",
}

local function check_payload(kind, payload)
	local got = type(payload)
	if got == "userdata" then -- a view of the event, in a function entry
		return
	elseif got ~= "table" then
		place.fail(("source.%s: %s are a table, not a %s"):format(kind, payload_word[kind], got))
	elseif expression.is(payload) or call.is(payload) then
		place.fail(("source.%s: %s are a table like { name = … }, not an expression"):format(kind, payload_word[kind]))
	end
end

-- { shared, name = get "name" }: tables of properties that several calls share are put together; of two values for one name
-- the later counts, and those with a name of their own count as the last.
local function put_together(kind, payload)
	if type(payload) ~= "table" or rawget(payload, 1) == nil then
		return payload
	end
	local made = {}
	for i, part in ipairs(payload) do
		if type(part) ~= "table" or debug.getmetatable(part) ~= nil then
			place.fail(("source.%s: number %d of its %s is no table; expected names like { name = … }, or tables of them"):format(kind, i,
				payload_word[kind]))
		end
		for name, value in next, put_together(kind, part) do
			made[name] = value
		end
	end
	for name, value in next, payload do
		if type(name) ~= "number" then
			made[name] = value
		end
	end
	return made
end

-- A call that is `ready` and gets its properties is on the way of every message that a function makes. It is made in C
-- (call.c), as a list of its name and its payload.
local quick = { name = 1, payload = 2 }

-- `source.track "Name" {…}` is two calls: the first makes a call without properties, the second adds them.
local function add_payload(first, payload, extra)
	local kind = first.call
	if kind == "alias" then
		place.fail("source.alias: it has no traits; send them with source.identify")
	elseif first.payload ~= nil then
		place.fail(("source.%s: it has its %s already"):format(kind, payload_word[kind]))
	elseif extra ~= nil then
		place.fail(("source.%s: one table of %s, please"):format(kind, payload_word[kind]))
	end
	check_payload(kind, payload)
	local full = {}
	for key, value in next, first do
		full[key] = value
	end
	full.payload = put_together(kind, payload)
	return setmetatable(full, Call)
end

Call.__call = core.call_of_both(Call, add_payload)

--- Say something differently for this call than the source does.
--- With `each` a call is made for every element of a list, and inside the call `get` starts at the element.
---@param refined {user?: any, time?: any, id?: any, account?: any, context?: table, integrations?: table, when?: any, each?: any}
---@return moonweir.Call
function methods:with(refined)
	if not self.line and not place.script then
		place.fail(":with is for declared calls; in a function it is emit's second argument: emit(call, { user = … })")
	elseif type(refined) ~= "table" or expression.is(refined) then
		place.fail(":with: expected a table, as in :with { time = get \"sent_at\" }")
	end
	local full = {}
	for key, value in next, self do
		full[key] = value
	end
	full.refined = {}
	for key, value in next, self.refined or {} do
		full.refined[key] = value
	end
	local known = {}
	for _, name in ipairs(refinements) do
		known[name] = true
	end
	for key, value in next, refined do
		if not known[key] then
			place.fail((':with: unknown field "%s"%s'):format(tostring(key), place.nearest(key, refinements)))
		end
		full.refined[key] = value
	end
	return setmetatable(full, Call)
end

local fields = {
	call = true, name = true, category = true, group_id = true, previous_id = true,
	payload = true, refined = true, script = true, line = true, ready = true,
}

function Call.__index(self, name)
	if methods[name] then
		return methods[name]
	elseif quick[name] then
		return rawget(self, quick[name])
	elseif name == "call" then
		return rawget(self, quick.name) and "track"
	elseif fields[name] then
		return nil
	end
	place.fail(('source.%s: a call has no method "%s"; there is :with {…}'):format(self.call, tostring(name)))
end

function Call.__newindex()
	place.fail("a call can't be changed; use :with { … }")
end

function Call.__tostring(self)
	local name = self.name
	return ("source.%s%s"):format(self.call, type(name) == "string" and (" %q"):format(name) or "")
end

--- Names that a function entry makes up are remembered up to this many.
local CACHE_MAX = 1000

--- The constructors of one script.
---@param state {loading: boolean} calls made while `loading` remember their line
---@return table<string, function>
function call.constructors(state)
	local constructors = {}

	local function new(fields_of_call)
		if state.loading then
			fields_of_call.script, fields_of_call.line = place.here()
		end
		return setmetatable(fields_of_call, Call)
	end

	-- A text, or an expression for one.
	local function check_text(kind, what, value, example)
		local got = type(value)
		if got == "string" and value ~= "" or expression.is(value) then
			return value
		elseif not state.loading and (got == "number" or got == "userdata") then
			return value
		end
		place.fail(('source.%s: %s must be a text or an expression, not %s; write %s'):format(kind, what,
			value == "" and "an empty text" or "a " .. got, example))
	end

	local cache, cached = {}, 0

	function constructors.track(name)
		local known = cache[name]
		if known then
			return known
		end
		check_text("track", "the event's name", name, 'source.track "Order Completed" {…}')
		local made = new { call = "track", name = name }
		if not state.loading and type(name) == "string" then
			if cached >= CACHE_MAX then
				cache, cached = {}, 0
			end
			rawset(made, "ready", true)
			cache[name], cached = made, cached + 1
		end
		return made
	end

	function constructors.identify(traits)
		check_payload("identify", traits)
		return new { call = "identify", payload = put_together("identify", traits) }
	end

	local function page_or_screen(kind)
		local example = ('source.%s "Home" {…}'):format(kind)
		return function(name, second)
			if type(name) == "table" and not expression.is(name) then
				check_payload(kind, name)
				return new { call = kind, payload = put_together(kind, name) }
			elseif second == nil then
				return new { call = kind, name = check_text(kind, "the name", name, example) }
			end
			return new {
				call = kind,
				category = check_text(kind, "the category", name, example),
				name = check_text(kind, "the name", second, example),
			}
		end
	end
	constructors.page = page_or_screen "page"
	constructors.screen = page_or_screen "screen"

	function constructors.group(id)
		return new {
			call = "group",
			group_id = check_text("group", "the group's id", id, 'source.group(get "company.id") {…}'),
		}
	end

	function constructors.alias(previous)
		return new {
			call = "alias",
			previous_id = check_text("alias", "the previous id", previous, 'source.alias(get "old_id")'),
		}
	end

	return constructors
end

call.payload_word = payload_word

return call
