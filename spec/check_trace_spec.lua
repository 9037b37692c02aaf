--- Which entry made a message; and what comes of a script that does not load each time.

local golden = require "moonweir.golden"
local trace = require "moonweir.check.trace"

local TEXT = [[
local source = require "moonweir.source"
local get = source.get
return source.define { slug = "tiny", version = "1.0.0", event = get "type", user = source.user { get "user" },
	on = {
		a = { source.identify {}, source.track "Thing Done" {} },
		f = function(_, emit) emit(source.track "Thing Seen" {}) end,
	} }
]]
local FIXTURE = { name = "x", file = "x.json", kind = "json" }

local function load()
	return golden.load("tiny.lua", TEXT)
end

describe("a trace", function()
	it("tells which call of which entry made a message, or that a function did", function()
		local traced = trace.map(load, FIXTURE, '[{"type":"f","user":"u"},{"type":"a","user":"u"}]')
		local made = {}
		for i, it in ipairs(traced) do
			made[i] = ("%s %s:%s"):format(it.message.type, it.origin.entry, it.origin.call or "function")
			assert.is_nil(it.message.integrations) -- the mark is not in what is judged
		end
		assert.same({ "track f:function", "identify a:1", "track a:2" }, made)
	end)

	it("says why a script does not load, the first time or the second", function()
		for good = 0, 1 do
			local left = good
			local traced, message = trace.map(function()
				left = left - 1
				if left < 0 then
					return nil, "tiny.lua: not enough memory"
				end
				return load()
			end, FIXTURE, '{"type":"a","user":"u"}')
			assert.same({ nil, "tiny.lua: not enough memory" }, { traced, message })
		end
	end)
end)
