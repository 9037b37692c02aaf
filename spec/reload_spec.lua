local reload = require "moonweir.reload"

local SCRIPT = [[
local source = require "moonweir.source"
return source.define { slug = "acme", version = %q, event = source.get "type", on = { x = source.ignore } }
]]

local function write(path, text)
	local file = assert(io.open(path, "wb"))
	file:write(text)
	file:close()
end

describe("a reloading source", function()
	local path

	before_each(function()
		path = os.tmpname()
		write(path, SCRIPT:format "1")
	end)

	after_each(function()
		os.remove(path)
	end)

	it("is loaded once as long as the file stays as it is", function()
		local loader = assert(reload.new(path))
		local map = loader.map
		assert.is_false(loader:check())
		assert.equal(map, loader.map)
		assert.equal("1", loader.definition.version)
	end)

	it("takes over whole when the file changes", function()
		local loader = assert(reload.new(path))
		local map = loader.map
		write(path, SCRIPT:format "2")
		assert.is_true(loader:check())
		assert.equal("2", loader.definition.version)
		assert.not_equal(map, loader.map)
		assert.is_false(loader:check())
	end)

	it("keeps the old one while the new one fails, and says so each time", function()
		local loader = assert(reload.new(path))
		local map = loader.map
		write(path, "return nothing.here")
		for _ = 1, 2 do
			local changed, message, code = loader:check()
			assert.is_nil(changed)
			assert.matches(":1: ", message)
			assert.equal("mapping", code)
			assert.equal(map, loader.map)
			assert.equal("1", loader.definition.version)
		end
		write(path, SCRIPT:format "3")
		assert.is_true(loader:check())
		assert.equal("3", loader.definition.version)
	end)

	it("keeps the old one while the file is gone", function()
		local loader = assert(reload.new(path))
		os.remove(path)
		local changed, message = loader:check()
		assert.is_nil(changed)
		assert.is_string(message)
		assert.equal("1", loader.definition.version)
		write(path, SCRIPT:format "1")
		assert.is_false(loader:check())
	end)

	it("keeps the old one when the new one loads but can't be compiled", function()
		local loader = assert(reload.new(path))
		write(path, SCRIPT:format "2" :gsub("source.ignore", 'source.track "\\255"'))
		local changed, message, code = loader:check()
		assert.is_nil(changed)
		assert.is_string(message)
		assert.equal("mapping", code)
		assert.equal("1", loader.definition.version)
	end)

	it("that can't be loaded at first is not there", function()
		local loader, message, code = reload.new "/nowhere/acme.lua"
		assert.is_nil(loader)
		assert.is_string(message)
		assert.equal("mapping", code)
		write(path, "x")
		loader, message, code = reload.new(path)
		assert.is_nil(loader)
		assert.is_string(message)
		assert.equal("mapping", code)
	end)
end)
