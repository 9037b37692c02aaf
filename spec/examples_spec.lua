--- Each source in examples/ that has a documentation page: right by the strictest check, wholly exercised by its fixtures,
--- and its page and plan are those that the script makes now (`make examples` writes them).

local cjson = require "cjson"
local child = require "spec.support.child"

local function sources()
	local names, pipe = {}, io.popen "ls examples"
	for name in pipe:lines() do
		if child.read(("examples/%s/docs.md"):format(name)) then
			names[#names + 1] = name
		end
	end
	pipe:close()
	return names
end

describe("the example", function()
	teardown(child.clean)

	for _, name in ipairs(sources()) do
		local folder = ("examples/%s/"):format(name)
		local script = folder .. name .. ".lua"

		it(name .. " passes the strict check", function()
			local code, out, err = child.run { "check", "--strict", script }
			assert.equal(0, code, out .. err)
		end)

		it(name .. " is wholly exercised by its fixtures", function()
			local code, out, err = child.run { "test", "--json", script }
			assert.equal(0, code, err)
			for kind, it in pairs(cjson.decode(out).coverage) do
				assert.same({}, it.missing or {}, kind)
			end
		end)

		it(name .. " has the page and the plan that its script makes: else run `make examples`", function()
			local code, page, err = child.run { "docs", script }
			assert.equal(0, code, err)
			assert.equal("", err)
			assert.equal(page, child.read(folder .. "docs.md"))
			local plan
			code, plan = child.run { "plan", "--format", "markdown", script }
			assert.equal(0, code)
			assert.equal(plan, child.read(folder .. "plan.md"))
		end)

		it(name .. " has a README that says where the customer's own id rides", function()
			assert.matches("\n## Whose event it is\n", child.read(folder .. "README.md") or "", 1, true)
		end)
	end
end)
