--- The tutorial in examples/README.md: its commands are run as they are printed, and print what it says.
--
-- Two of them run until they are stopped, the debugger and the daemon: here on free ports, which take the place of the printed
-- ones. What stands between dots ("…") has to be there, in this order.

local child = require "spec.support.child"
local daemon = require "spec.support.daemon"

-- "sh" and "" blocks, in their order.
local function blocks_of(page)
	local blocks = {}
	for kind, text in page:gmatch "\n```(%l*)\n(.-)\n```" do
		blocks[#blocks + 1] = { kind = kind, text = text }
	end
	return blocks
end

local function shell(dir, text)
	local script = child.file("step.sh", text .. "\n")
	local pipe = io.popen(("cd %s && PATH=%s/bin:$PATH MOONWEIR_LUA=%s sh -e %s 2>&1; echo \"exit $?\""):format(
		dir, child.folder(), child.lua, script))
	local out = pipe:read "*a"
	pipe:close()
	return out:match "^(.-)exit (%d+)\n$"
end

describe("the tutorial", function()
	teardown(child.clean)

	it("works as it is printed", function()
		local command = os.getenv "MW_COMMAND" or "build/moonweir"
		os.execute(("mkdir %s/bin && ln -s \"$(realpath %s)\" %s/bin/moonweir"):format(child.folder(), command, child.folder()))
		local dir, out = child.folder(), ""
		local ports, steps, debugger = {}, 0, nil
		for _, block in ipairs(blocks_of(child.read "examples/README.md")) do
			local text = block.text:gsub("http://127%.0%.0%.1:(%d+)", function(port)
				return "http://127.0.0.1:" .. assert(ports[port], "nothing listens on " .. port)
			end)
			if text == "moonweir debugger" then
				debugger, _, ports["4400"] = child.debugger()
			elseif text == "moonweir serve serve.lua" then
				-- In the folder of the source, where the paths of serve.lua lead.
				local config = child.read(dir .. "/serve.lua"):gsub('"(%l[%l.]*)"', function(name)
					return ("%q"):format(dir .. "/" .. name)
				end):gsub("return {", '%0 listen = "127.0.0.1:0", operations = "127.0.0.1:0",')
				ports["8080"] = daemon.start(child.file("serve_here.lua", config)).port
			elseif block.kind == "sh" then
				local code
				out, code = shell(dir, text)
				assert.is_truthy(code == "0" or text:find "^moonweir check", text .. "\n" .. out)
				steps = steps + 1
				local into = text:match "\ncd (%l+)"
				dir = into and dir .. "/" .. into or dir
			else
				local at = 1
				for piece in (text:gsub("%s*…%s*", "\1") .. "\1"):gmatch "([^\1]*)\1" do
					local _, last = out:find(piece, at, true)
					assert.is_truthy(last, ("expected %s\ngot %s"):format(piece, out))
					at = last + 1
				end
			end
		end
		assert.equal(10, steps)
		debugger:wait_for 'track "Order Completed" user%-17'
		debugger:wait_for "identify user%-17"
	end)

	it("leads to files that are there", function()
		for path in child.read("examples/README.md"):gmatch "%]%(([^#)]+)%)" do
			assert.is_truthy(child.read("examples/" .. path), path)
		end
	end)
end)
