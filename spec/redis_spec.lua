--- moonweir.redis: events into a stream, over whatever connection a program has.

local child = require "spec.support.child"
local redis = require "moonweir.redis"
local resty = require "spec.support.resty"
local servers = require "spec.support.redis"

--- Debian's redis-lua, which it installs for Luas up to 5.3.
local function redis_lua(port)
	local before = package.path
	package.path = before .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.1/?.lua"
	local ok, library = pcall(require, "redis")
	package.path = before
	return ok and library.connect("127.0.0.1", port) or nil
end

describe("moonweir.redis", function()
	local server, red

	lazy_setup(function()
		server = servers.start { port = true }
		red = server:client()
	end)
	lazy_teardown(function()
		servers.clean()
		child.clean()
	end)
	before_each(function()
		red:call "FLUSHALL"
	end)

	local EVENT = { account = "acme", body = '{"type":"x"}\r\n\0', content_type = "application/json",
		headers = { ["X-Topic"] = 'a "quoted"\n' } }

	local kinds = {
		["moonweir.hiredis"] = function() return red end,
		["lua-resty-redis's convention"] = function() return resty.new(red) end,
		["redis-lua"] = function() return redis_lua(server.port) end,
	}
	for name, connect in pairs(kinds) do
		it("pushes through " .. name, function()
			local connection = connect()
			if not connection then
				return pending "redis-lua is not installed here"
			end
			local id = assert(redis.push(connection, "events", EVENT))
			assert.same({ { id, { "account", "acme", "content_type", "application/json", "headers",
				'{"X-Topic":"a \\u0022quoted\\u0022\\u000a"}', "body", EVENT.body } } }, red:call("XRANGE", "events", "-", "+"))
			for _ = 1, 300 do
				assert(redis.push(connection, "events", { body = "x" }, { max_length = 100 }))
			end
			assert.truthy(red:call("XLEN", "events") < 300)
		end)

		it("gives nil, message, code through " .. name, function()
			local connection = connect()
			if not connection then
				return pending "redis-lua is not installed here"
			end
			red:call("SET", "text", "x")
			local id, message, code = redis.push(connection, "text", EVENT)
			assert.is_nil(id)
			assert.truthy(message:find "WRONGTYPE", message)
			assert.equal("redis", code)
		end)

		it("puts dead entries back through " .. name, function()
			local connection = connect()
			if not connection then
				return pending "redis-lua is not installed here"
			end
			for i = 1, 250 do
				red:call("XADD", "{events}:dead", "*", "moonweir-id", i .. "-0", "moonweir-group", i % 50 == 0 and "other" or "g",
					"moonweir-code", "mapping", "body", i)
			end
			assert.equal(10, redis.replay(connection, "events", "g", 10))
			assert.equal(235, redis.replay(connection, "events", "g"))
			assert.equal(5, red:call("XLEN", "{events}:dead"))
			local first = red:call("XRANGE", "events", "-", "+", "COUNT", 1)[1][2]
			assert.same({ "moonweir-id", "1-0", "body", "1" }, first)
		end)
	end

	it("raises for what is no event", function()
		for _, event in ipairs { "text", { body = 5 }, { body = "x", headers = { 1 } } } do
			assert.has_error(function()
				redis.push(red, "events", event)
			end)
		end
	end)

	it("refuses a stream whose name is half a hash tag", function()
		local count, _, code = redis.replay(red, "a{b", "g")
		assert.is_nil(count)
		assert.equal("usage", code)
	end)

	-- What the README shows.
	it("has a Redis function in the README that works", function()
		local readme = child.read "README.md"
		local library = readme:match "```lua\n(#!lua name=moonweir.-)```"
		assert.equal("moonweir", red:call("FUNCTION", "LOAD", "REPLACE", library))
		local id = red:call("FCALL", "moonweir_push", 1, "events", "acme", '{"type":"x"}')
		assert.same({ { id, { "account", "acme", "body", '{"type":"x"}' } } }, red:call("XRANGE", "events", "-", "+"))
	end)
end)
