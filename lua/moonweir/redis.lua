--- redis -- events into the stream that `moonweir worker` reads, from a program that already has a connection to Redis.
---
---     local redis = require "moonweir.redis"
---     local id, message = redis.push(red, "events", { account = "acme", body = '{"type":"message.opened"}' })
---
--- `red` is whatever the program has: a client of redis-lua (`require "redis"`) or of lua-resty-redis, or a connection of
--- moonweir.hiredis. Nothing of Moonweir's C code is needed.

local names = require "moonweir.worker.names"
local scripts = require "moonweir.worker.scripts"

local redis = {}

---@class moonweir.redis.Event
---@field body string                     the event as the tool sent it
---@field account? string                 whose event it is, if the mapping does not say
---@field content_type? string            of the body; default: JSON
---@field headers? table<string, string>  the webhook's, for get.header

---@class moonweir.redis.PushOptions
---@field id? string          of the entry; default "*"
---@field max_length? integer entries beyond it are cut off the stream's old end, about. Undelivered ones, too: leave it away
---                           unless that is what you want, and let `moonweir worker --delete` keep the stream short

local function quote(text)
	return '"' .. text:gsub('[%c"\\]', function(c)
		return ("\\u%04x"):format(c:byte())
	end) .. '"'
end

local function encode_headers(headers)
	local list = {}
	for name, value in pairs(headers) do
		if type(name) ~= "string" or type(value) ~= "string" then
			error("headers are texts by name", 3)
		end
		list[#list + 1] = quote(name) .. ":" .. quote(value)
	end
	table.sort(list)
	return "{" .. table.concat(list, ",") .. "}"
end

--- The arguments of XADD, for a client of any other kind, or a pipeline.
---@param stream string
---@param event moonweir.redis.Event
---@param options? moonweir.redis.PushOptions
---@return string[]
function redis.arguments(stream, event, options)
	if type(stream) ~= "string" or type(event) ~= "table" or type(event.body) ~= "string" then
		error("a stream's name and an event with a body are needed", 2)
	end
	local list = { stream }
	if options and options.max_length then
		for _, word in ipairs { "MAXLEN", "~", ("%d"):format(options.max_length) } do
			list[#list + 1] = word
		end
	end
	list[#list + 1] = options and options.id or "*"
	for _, name in ipairs { "account", "content_type" } do
		if event[name] ~= nil then
			list[#list + 1], list[#list + 2] = name, tostring(event[name])
		end
	end
	if event.headers then
		list[#list + 1], list[#list + 2] = "headers", encode_headers(event.headers)
	end
	list[#list + 1], list[#list + 2] = "body", event.body
	return list
end

local unpack = table.unpack or unpack -- luacheck: ignore

--- redis-lua knows XADD only where it was told of it: Debian's does not.
local function raw(red, name, ...)
	local ok, kind = pcall(function()
		return red.raw_cmd ~= nil and red.network ~= nil
	end)
	if not (ok and kind) then
		return nil, "this client has no method " .. name
	end
	local parts = { "*", select("#", ...) + 1, "\r\n$", #name, "\r\n", name, "\r\n" }
	for _, argument in ipairs { ... } do
		argument = tostring(argument)
		for _, piece in ipairs { "$", #argument, "\r\n", argument, "\r\n" } do
			parts[#parts + 1] = piece
		end
	end
	return red:raw_cmd((table.concat(parts):gsub("\r\n$", ""))) -- which ends it itself
end

--- A reply, or nil and a message, whichever way the client says so: redis-lua raises, lua-resty-redis gives nil, or false
--- where Redis refused.
local function call(red, name, ...)
	local arguments, count = { ... }, select("#", ...)
	local ok, reply, message = pcall(function()
		if type(red) == "userdata" then
			return red:call(name, unpack(arguments, 1, count))
		end
		local method = red[name:lower()]
		if not method then
			return raw(red, name, unpack(arguments, 1, count))
		end
		return method(red, unpack(arguments, 1, count))
	end)
	if not ok then
		return nil, tostring(reply)
	elseif reply == nil or reply == false then
		return nil, message and tostring(message) or "Redis gave no answer"
	end
	return reply
end

--- Add one event to the stream.
---@param red table|userdata
---@param stream string
---@param event moonweir.redis.Event
---@param options? moonweir.redis.PushOptions
---@return string|nil id of the entry
---@return string? message
---@return "redis"|nil code
function redis.push(red, stream, event, options)
	local id, message = call(red, "XADD", unpack(redis.arguments(stream, event, options)))
	if not id then
		return nil, message, "redis"
	end
	return id
end

local ROUND = 100

--- Put a group's dead entries back into its stream, once what they died of is mended. They keep the messageIds that they
--- would have had, so what had come through is not counted twice.
---@param red table|userdata
---@param stream string
---@param group string
---@param limit? integer at most so many; default all
---@return integer|nil count
---@return string? message
---@return "redis"|"usage"|nil code
function redis.replay(red, stream, group, limit)
	local keys, wrong = names.of(stream)
	if not keys then
		return nil, wrong, "usage"
	end
	local went, from = 0, "-"
	while went < (limit or math.huge) do
		local count = math.min(ROUND, (limit or math.huge) - went)
		local reply, message = call(red, "EVAL", scripts.replay, "2", keys.stream, keys.dead, group, ("%d"):format(count), from)
		if not reply then
			return nil, message, "redis"
		end
		went = went + reply[1]
		if reply[2] < count then
			break
		end
		from = "(" .. reply[3]
	end
	return went
end

return redis
