local core = require "moonweir.core"
local child = require "spec.support.child"

local process = core.process

local BLOCK = 256 * 1024

describe("core.reader", function()
	teardown(child.clean)

	--- Everything a reader gives: blocks, lines, and the codes of what it refused.
	local function read_all(path)
		local r = assert(core.reader(path))
		local blocks, lines, refused = {}, 0, {}
		while true do
			local block, n, code = r:next(30)
			if block then
				blocks[#blocks + 1] = block
				lines = lines + n
			elseif code == "eof" then
				r:close()
				return blocks, lines, refused
			else
				refused[#refused + 1] = code
			end
		end
	end

	it("cuts blocks at newlines and loses no byte", function()
		local parts = {}
		for i = 1, 20000 do
			parts[i] = ("%d:%s\n"):format(i, ("x"):rep(i % 97))
		end
		local text = table.concat(parts) .. "no newline at the end"
		local blocks, lines = read_all(child.file("lines", text))
		assert.equal(text, table.concat(blocks))
		assert.equal(20000, lines)
		assert.is_true(#blocks > 2)
		for i = 1, #blocks - 1 do
			assert.equal("\n", blocks[i]:sub(-1))
			assert.is_true(#blocks[i] >= BLOCK)
		end
	end)

	it("gives nothing for an empty file", function()
		assert.same({}, (read_all(child.file("empty", ""))))
	end)

	it("takes a line just as long as an event may be and skips a longer one", function()
		local longest = 16 * 1024 * 1024 - 1
		local text = "a\n" .. ("x"):rep(longest - 1) .. "\n" .. "b\n" .. ("y"):rep(longest + BLOCK * 3) .. "\nc\nd"
		local blocks, lines, refused = read_all(child.file("long", text))
		assert.same({ "too_large" }, refused)
		assert.equal(4, lines)
		assert.equal("a\n" .. ("x"):rep(longest - 1) .. "\nb\nc\nd", table.concat(blocks))
	end)

	it("says so when the last line is too long", function()
		local _, lines, refused = read_all(child.file("long", ("y"):rep(17 * 1024 * 1024)))
		assert.same({ "too_large" }, refused)
		assert.equal(0, lines)
	end)

	it("hands over a pipe's lines as they come, not when a block is full", function()
		local fifo = child.folder() .. "/fifo"
		os.execute("mkfifo " .. fifo)
		-- Holds the pipe open until told to end.
		local script = 'exec 3>%s; printf "one\\ntw" >&3; while [ -e %s ]; do sleep 0.01; done; printf "o\\n" >&3'
		os.execute("sh -c '" .. script:format(fifo, fifo) .. "' &")
		local r = assert(core.reader(fifo))
		assert.is_nil(r:size())
		local started = process.monotonic()
		local block, lines = r:next(30)
		assert.is_true(process.monotonic() - started < 29) -- it did not wait for more
		assert.equal("one\n", block)
		assert.equal(1, lines)
		local nothing, _, code = r:next(0.01)
		assert.is_nil(nothing)
		assert.equal("timeout", code)
		os.remove(fifo)
		assert.equal("two\n", (r:next(30)))
		local _, _, at_end = r:next(30)
		assert.equal("eof", at_end)
		r:close()
	end)

	it("refuses what is no file", function()
		local r, message, code = core.reader "/nowhere/at/all"
		assert.is_nil(r)
		assert.matches("/nowhere/at/all: No such file", message)
		assert.equal("io", code)
		assert.is_nil((core.reader "/"))
	end)

	it("is closed once", function()
		local r = assert(core.reader(child.file("x", "x")))
		assert.equal(1, r:size())
		r:close()
		r:close()
		assert.has_error(function() r:next() end, "this reader is closed")
	end)
end)
