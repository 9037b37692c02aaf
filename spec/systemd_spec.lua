--- The unit of examples/systemd: as closed as it says, and open enough for what it runs.

local child = require "spec.support.child"

local UNIT = "examples/systemd/moonweir.service"

local function has_analyze()
	local found = os.execute "command -v systemd-analyze >/dev/null 2>&1"
	return found == true or found == 0
end

describe("the systemd unit", function()
	teardown(child.clean)

	it("scores at most 1.5, also without the line that LuaJIT can't have", function()
		if not has_analyze() then
			return pending "skipped: no systemd-analyze here"
		end
		local text = child.read(UNIT)
		for _, unit in ipairs { text, (text:gsub("\nMemoryDenyWriteExecute=yes", "")) } do
			local path = child.file("moonweir.service", unit, "644")
			local pipe = io.popen(("systemd-analyze security --offline=yes --no-pager %s 2>&1"):format(path))
			local said = pipe:read "*a"
			pipe:close()
			local score = tonumber(said:match "exposure level[^:]*: ([%d.]+)")
			assert.is_true(score ~= nil and score <= 1.5, said:sub(-300))
		end
	end)

	it("comes with a config that is good", function()
		local config = require("moonweir.serve.config")
		local made, message = config.load "examples/systemd/moonweir.lua"
		assert.is_nil(message)
		assert.equal("/var/lib/moonweir/spool", made.values.spool)
	end)
end)
