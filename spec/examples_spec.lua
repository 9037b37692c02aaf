--- Each source of examples/: what the review finds, whether its golden files are true, and whether page and plan are of today.

local child = require "spec.support.child"

-- A folder with a script of its name in it is a source.
local function sources()
	local names = {}
	local pipe = io.popen "ls examples"
	for name in pipe:lines() do
		names[#names + 1] = child.read(("examples/%s/%s.lua"):format(name, name)) and name
	end
	pipe:close()
	return names
end

describe("the examples", function()
	teardown(child.clean)

	it("are found", function()
		assert.is_true(#sources() > 4)
	end)

	for _, name in ipairs(sources()) do
		local dir = ("examples/%s/"):format(name)
		local script = dir .. name .. ".lua"

		it(name .. " passes the strict review, every entry of it looked at", function()
			local code, out, err = child.run { "check", "--strict", script }
			assert.equal(0, code, out .. err)
			assert.is_nil(out:find("No example", 1, true), out)
		end)

		it(name .. " makes of its fixtures what its golden files say, and none of its entries is left out", function()
			local code, out, err = child.run { "test", script }
			assert.equal(0, code, out .. err)
			local exercised, of = out:match "entries exercised: (%d+) of (%d+)"
			assert.equal(of, exercised, out)
		end)

		it(name .. " is described: page and plan are what the commands write now, and nothing is missing", function()
			local code, out, err = child.run { "docs", script }
			assert.equal(0, code, err)
			assert.is_true(out == child.read(dir .. "docs.md"), ("stale: moonweir docs %s -o %sdocs.md"):format(script, dir))
			code, out, err = child.run { "plan", script }
			assert.equal(0, code, err)
			assert.is_true(out == child.read(dir .. "plan.json"), ("stale: moonweir plan %s > %splan.json"):format(script, dir))
		end)

		it(name .. " tells people how it is set up", function()
			assert.is_truthy(child.read(dir .. "README.md"))
		end)
	end
end)
