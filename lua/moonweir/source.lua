--- moonweir.source -- the language in which a tool's events are mapped to Segment calls.
---
---     local source = require "moonweir.source"
---     local get = source.get
---
---     return source.define {
---       slug = "acme-shop", version = "1.0.0",
---       event = get "type", id = get "id", user = source.user { get "customer.id" },
---       on = {
---         ["order.paid"] = source.track "Order Completed" { order_id = get "order.id", total = get "order.cents" / 100 },
---       },
---     }
---
--- Everything here describes and nothing runs: see expression.lua for what follows `get`, call.lua for the six
--- calls, definition.lua for what `define` takes, compile.lua for how it becomes a program.

local call = require "moonweir.call"
local core = require "moonweir.core"
local definition = require "moonweir.definition"
local expression = require "moonweir.expression"
local place = require "moonweir.place"
local verification = require "moonweir.verification"
place.is_own()

--- Each travels as a header: the mapping takes 128 of them, and a request has 100 at most.
local QUERY_MAX = 16

-- `get "a"`, and get.event, get.body, get.header, get.query with it. In a function entry there is an event to read instead.
local function make_get(state)
	local function checked(getter)
		return function(path)
			if not state.loading then
				place.fail("get describes a path while the script loads; in a function read the event itself: event.id")
			end
			return getter(path)
		end
	end
	local get = {
		event = checked(expression.getter "event"),
		body = checked(expression.getter "body"),
		header = checked(expression.header),
		query = checked(function(name)
			local made = expression.query(name)
			if not state.query[name] then
				table.insert(state.query, name)
				state.query[name] = true
			end
			if #state.query > QUERY_MAX then
				place.fail(("get.query: a source reads at most %d parameters"):format(QUERY_MAX))
			end
			return made
		end),
	}
	local item = checked(expression.getter "item")
	return setmetatable(get, {
		__metatable = "moonweir.get",
		__call = function(_, path)
			return item(path)
		end,
		__index = function(_, name)
			place.fail(('there is no get.%s; a path is get "%s"%s'):format(tostring(name), tostring(name),
				place.nearest(name, { "event", "body", "header", "query" })))
		end,
	})
end

---@alias moonweir.Value moonweir.Expression|string|number|boolean|table|lightuserdata

---@class moonweir.Get
---@field event fun(path: string|integer): moonweir.Expression from the event, wherever it stands
---@field body fun(path: string|integer): moonweir.Expression from the whole body, of which `each` made several events
---@field header fun(name: string): moonweir.Expression a header of the request
---@field query fun(name: string): moonweir.Expression a parameter of the URL that was called
---@overload fun(path: string|integer): moonweir.Expression from the event; inside :map, :filter and :sum, and in a call with
---  `each`, from the element

---@class moonweir.Language
---@field get moonweir.Get
---@field null lightuserdata a null that is sent; what is merely absent leaves its field out
---@field ignore table an entry for what is known and not sent
---@field any fun(...: moonweir.Value): moonweir.Expression the first of these that is present
---@field all fun(...: moonweir.Value): moonweir.Expression whether all of these are true
---@field none fun(...: moonweir.Value): moonweir.Expression whether none of these is true
---@field array fun(items: moonweir.Value[]): moonweir.Expression a JSON array of those that are present
---@field user fun(fields: table): moonweir.User { get "external_id", email = get "email" }
---@field track fun(name: string|moonweir.Expression): moonweir.Call call it with { properties }
---@field identify fun(traits: table): moonweir.Call
---@field page fun(name: any, second?: any): moonweir.Call "Name", ("Category", "Name"), or { properties }
---@field screen fun(name: any, second?: any): moonweir.Call like page
---@field group fun(id: string|moonweir.Expression): moonweir.Call call it with { traits }
---@field alias fun(previous_id: string|moonweir.Expression): moonweir.Call
---@field verify table<string, fun(fields: table): moonweir.Verification> how requests prove whose they are, by tool
---@field secret fun(name: string): moonweir.Secret one that the host finds by this name
---@field define fun(fields: table): moonweir.Definition

--- A language of its own for one script, so that what a script does to its `source` table stays with it.
---@param state {loading: boolean} true while the script declares; false once its functions run
---@return moonweir.Language
local function language(state)
	state.query = {}
	local source = call.constructors(state)
	local constructors = {}
	for name, constructor in pairs(source) do
		constructors[name] = constructor
	end

	source.get = make_get(state)
	source.null = core.null
	source.ignore = definition.ignore
	source.user = definition.user
	source.verify = verification.constructors()
	source.secret = verification.secret

	--- The first of these that is present.
	function source.any(...)
		return expression.list("any", ...)
	end

	--- Whether all of these are true: neither absent nor false, as in `when`.
	function source.all(...)
		return expression.list("all", ...)
	end

	--- Whether none of these is true. With one it is "not".
	function source.none(...)
		return expression.list("none", ...)
	end

	--- A JSON array of those that are present, even of one or none. In a function entry: mark a table as a list.
	function source.array(items)
		if not state.loading then
			return core.array(items)
		end
		if type(items) ~= "table" or expression.is(items) then
			place.fail('source.array: expected a list, as in source.array { get "email", get "phone" }')
		end
		return expression.list("array", items)
	end

	function source.define(fields)
		return definition.define(fields, constructors, state.query)
	end

	local names = {}
	for name in pairs(source) do
		names[#names + 1] = name
	end
	table.sort(names)
	return setmetatable(source, {
		__metatable = "moonweir.source",
		__index = function(_, name)
			place.fail(("there is no source.%s%s"):format(tostring(name), place.nearest(name, names)))
		end,
	})
end

local source = language { loading = true }
source.language = language

return source
