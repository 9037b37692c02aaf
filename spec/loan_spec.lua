--- Functions that keep working memory from call to call, called by finalizers in the middle of a call.

local core = require "moonweir.core"
local litter = require "spec.support.litter"

local function objects(count, text)
	local list = {}
	for i = 1, count do
		list[i] = ('{"type":"track","userId":"u%d","event":"%s %d","n":[%d,"a\\nb"]}'):format(i, text, i, i)
	end
	return list
end

describe("core.decode, core.encode and core.intake", function()
	it("are disturbed by no finalizer that calls them", function()
		local list = objects(100, "Paid")
		local text = "[" .. table.concat(list, ",") .. "]"
		local batch = '{"writeKey":"k","batch":' .. text .. "}"
		litter.among(function(n)
			local other = "[" .. table.concat(objects(n * 37 % 300, ("x"):rep(n * 91 % 900)), ",") .. "]"
			assert.equal(n * 37 % 300, #core.decode(other))
			assert(core.intake('{"writeKey":"other","batch":' .. other .. "}", "batch"))
			assert.equal(n * 91 % 900 + 2, #core.encode(("y"):rep(n * 91 % 900)))
			assert.is_nil((core.decode "{"))
			assert.is_nil((core.encode(print)))
		end, function(drop)
			drop()
			local values = core.decode(text)
			assert.equal(100, #values)
			for i, value in ipairs(values) do
				assert.equal("Paid " .. i, value.event)
				assert.equal("a\nb", value.n[2])
			end
			drop()
			local messages = core.intake(batch, "batch")
			assert.equal("k", messages.key)
			assert.equal(list[100], messages[100].raw)
			assert.equal("Paid 100", messages[100].name)
			drop()
			local sevens = "[" .. ("[7],"):rep(299) .. "[7]]"
			assert.equal(sevens, core.encode(core.decode(sevens)))
		end)
	end)
end)
