local child = require "spec.support.child"

describe("moonweir", function()
	teardown(child.clean)

	it("runs the tree that it stands in, also one that was moved", function()
		local command = os.getenv "MW_COMMAND"
		local inside = command:match "/(build/.*)$" -- with sanitizers a folder further down
		local tree = child.folder() .. "/moved"
		os.execute(("mkdir -p %s/%s %s/lua/moonweir/cli"):format(tree, inside:match "^(.*)/", tree))
		os.execute(("cp %s %s/%s"):format(command, tree, inside))
		local file = assert(io.open(tree .. "/lua/moonweir/cli/moonweir.lua", "w"))
		file:write 'print "moved"'
		file:close()
		local pipe = io.popen(("cd / && MOONWEIR_LUA=%s %s/%s 2>&1"):format(child.lua, tree, inside))
		assert.equal("moved\n", pipe:read "*a")
		pipe:close()
	end)

	it("shows help with an example, for itself and each command", function()
		local code, out = child.run { "--help" }
		assert.equal(0, code)
		for _, name in ipairs { "map", "run", "send", "accounts", "debugger" } do
			assert.matches("\n +" .. name .. " ", out)
			local code_of, help = child.run { name, "--help" }
			assert.equal(0, code_of)
			assert.matches("Usage: moonweir " .. name, help, 1, true)
			assert.matches("Example", help)
			assert.matches("--endpoint", help, 1, true)
		end
	end)

	it("tells its version", function()
		local code, out = child.run { "--version" }
		assert.equal(0, code)
		assert.matches("^moonweir %d+%.%d+%.%d+\n$", out)
	end)

	local wrong = {
		{ { "rnu" }, "unknown command 'rnu'; did you mean \"run\"?" },
		{ { "debuggr" }, "did you mean \"debugger\"?" },
		{ { "run", "--endpont", "us" }, "unknown option '--endpont'; did you mean \"--endpoint\"?" },
		{ { "debugger", "--max-request", "1" }, "did you mean \"--max-requests\"?" },
		{ { "map" }, "source" },
		{ {}, "a command is required" },
		{ { "run", "a", "--rate", "x" }, "a number from 0 up, not 'x'" },
		{ { "map", "a", "b", "c" }, "too many arguments" },
		{ { "map", "a", "--format", "yaml" }, "ndjson" },
	}
	for _, case in ipairs(wrong) do
		it("refuses `moonweir " .. table.concat(case[1], " ") .. "`", function()
			local code, out, err = child.run(case[1])
			assert.equal(2, code)
			assert.equal("", out)
			assert.matches(case[2], err, 1, true)
			assert.matches("Try: moonweir", err, 1, true)
		end)
	end

	it("colours nothing that is no terminal", function()
		for _, arguments in ipairs { { "--help" }, { "nonsense" }, { "run", "nowhere.lua" } } do
			local _, out, err = child.run(arguments)
			assert.not_matches("\27", out .. err)
		end
	end)

	it("never repeats a key that stands in the wrong place", function()
		for _, arguments in ipairs {
			{ "run", "--writekey=canary", "a" },
			{ "run", "--write-key=canary" },
			{ "--write-key", "canary", "nonsense" },
			{ "run", "nowhere.lua", "--write-key", "canary" },
		} do
			local code, out, err = child.run(arguments)
			assert.not_equal(0, code)
			assert.not_matches("canary", out .. err)
		end
	end)
end)
