local process = require("moonweir.core").process
local child = require "spec.support.child"

describe("core.process", function()
	teardown(child.clean)

	it("reads a key file that only its owner may read", function()
		assert.equal("secret\n", process.read_private(child.file("key", "secret\n", "600")))
		assert.equal("", process.read_private(child.file("key", "", "400")))
	end)

	for _, mode in ipairs { "640", "604", "660", "777" } do
		it("refuses a key file of mode " .. mode .. " and says what to do", function()
			local path = child.file("key", "secret", mode)
			local text, message, code = process.read_private(path)
			assert.is_nil(text)
			assert.matches("chmod 600", message)
			assert.not_matches("secret", message)
			assert.equal("io", code)
		end)
	end

	it("refuses folders and files that are not there", function()
		assert.is_nil((process.read_private "/"))
		local _, message = process.read_private "/nowhere"
		assert.matches("No such file", message)
	end)

	it("says of a folder that can't be made what is there in its place", function()
		local path = child.file("taken", "")
		local _, message = process.make_directory(path)
		assert.equal(path .. ": Not a directory", message)
		assert.is_true(process.make_directory(child.folder()))
	end)

	it("tells a file from a folder and from what is neither", function()
		assert.equal("file", process.file_kind(child.file("plain", "")))
		assert.equal("directory", process.file_kind(child.folder()))
		assert.equal("other", process.file_kind "/dev/null")
		assert.is_nil(process.file_kind(child.folder() .. "/none"))
	end)

	it("has a clock that does not run backwards", function()
		local before = process.monotonic()
		assert.is_true(process.wait(0))
		assert.is_true(process.monotonic() >= before)
		assert.is_true(math.abs(process.wall() - os.time()) < 60)
	end)

	it("knows that a file is no terminal", function()
		assert.is_false(process.is_terminal(99))
		assert.is_true(process.width() >= 1)
	end)

	it("overwrites a secret among its arguments, and only that", function()
		local script = child.file("scrub.lua", [[
			local process = require("moonweir.core").process
			print(process.scrub(arg[2]), process.scrub "is not there", process.scrub "")
			for text in io.open("/proc/self/cmdline"):read("*a"):gmatch "[^%z]+" do print(text) end
		]])
		local pipe = io.popen(("%s %s first --key=canary canary last"):format(child.lua, script))
		pipe:close()
		pipe = io.popen(("%s %s first canary --key=canary last"):format(child.lua, script))
		local out = pipe:read "*a"
		pipe:close()
		assert.matches("^2\t0\t0\n", out)
		assert.matches("\nfirst\n%*%*%*%*%*%*\n%-%-key=%*%*%*%*%*%*\nlast\n", out)
	end)
end)
