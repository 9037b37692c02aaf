--- The live stream, with streams that remember what was written: slow readers, gone ones, too many of them.

local core = require "moonweir.core"
local feed = require "moonweir.debugger.feed"
local ring = require "moonweir.debugger.ring"

describe("the feed", function()
	local r, f, now, changes

	local function exchange()
		local stream = { written = {}, left = 0, open = true }
		function stream.write(s, bytes)
			s.written[#s.written + 1] = bytes
			return true
		end
		function stream.waiting(s)
			return s.left
		end
		function stream.is_open(s)
			return s.open
		end
		function stream.close(s)
			s.open = false
		end
		return { stream = function()
			return stream
		end }, stream
	end

	local function push(n, raw)
		for _ = 1, n do
			r:push { kind = "message", at = 1, raw = raw or '{"type":"page"}', type = "page", is_batch = true,
				request = { number = 1, path = "/v1/batch", status = 200, bytes = 1, messages = 1, dropped = 0, authorization = "basic" } }
		end
	end

	--- What was written of one event, decoded.
	local function got(stream, name)
		local list = {}
		for _, bytes in ipairs(stream.written) do
			local data = bytes:match("^event: " .. name .. "\ndata: (.*)\n\n$")
			if data then
				list[#list + 1] = assert(core.decode(data))
			end
		end
		stream.written = {}
		return list
	end

	local function numbers(stream)
		local list, skipped = {}, 0
		for _, message in ipairs(got(stream, "messages")) do
			skipped = skipped + message.skipped
			for _, entry in ipairs(message.entries) do
				list[#list + 1] = entry.number
			end
		end
		return list, skipped
	end

	local function tick(seconds)
		now = now + (seconds or 0.25)
		f:tick(now)
	end

	before_each(function()
		now, changes = 100, 0
		r = ring.new()
		f = feed.new { ring = r, state = function(at)
			return { at = at }
		end, changes = function()
			return changes
		end }
	end)

	it("brings what is there, then what comes, each once and in order", function()
		push(3)
		local x, stream = exchange()
		assert.is_true(f:add(x, 1))
		tick()
		assert.same({ 2, 3 }, (numbers(stream)))
		tick()
		assert.same({}, (numbers(stream)))
		push(2)
		tick()
		assert.same({ 4, 5 }, (numbers(stream)))
	end)

	it("writes some times a second, however often it is called", function()
		local x, stream = exchange()
		f:add(x, 0)
		for _ = 1, 100 do
			push(1)
			tick(0.01)
		end
		assert.is_true(#stream.written <= 8)
		tick()
		assert.equal(100, #(numbers(stream)))
	end)

	it("brings the state each second, and at once when it has changed", function()
		local x, stream = exchange()
		f:add(x, 0)
		tick()
		assert.equal(1, #got(stream, "state"))
		tick()
		assert.equal(0, #got(stream, "state"))
		changes = 1
		tick()
		assert.equal(1, #got(stream, "state"))
		tick(1)
		assert.equal(1, #got(stream, "state"))
	end)

	it("tells a reader that is too slow how much it missed, and keeps nothing for it", function()
		local x, stream = exchange()
		f:add(x, 0)
		tick()
		numbers(stream)
		stream.left = 10000000
		for _ = 1, 20 do
			push(100)
			tick(1)
		end
		assert.same({}, stream.written)
		stream.left = 0
		tick()
		local list, skipped = numbers(stream)
		assert.same({ 1501, 2000, 500, 1500 }, { list[1], list[500], #list, skipped })
	end)

	it("writes a megabyte at a time, and larger messages alone", function()
		local x, stream = exchange()
		f:add(x, 0)
		push(6, '{"type":"page","x":"' .. ("x"):rep(300000) .. '"}')
		push(1, '{"type":"page","x":"' .. ("x"):rep(2000000) .. '"}')
		tick()
		assert.same({ 1, 2, 3 }, (numbers(stream)))
		tick()
		assert.same({ 4, 5, 6 }, (numbers(stream)))
		tick()
		assert.same({ 7 }, (numbers(stream)))
	end)

	it("forgets readers that have gone, and takes 8 at a time", function()
		local streams = {}
		for i = 1, feed.READERS do
			local x, stream = exchange()
			streams[i] = stream
			assert.is_true(f:add(x, 0))
		end
		assert.is_false(f:add(exchange(), 0))
		streams[3].open = false
		assert.is_true(f:add(exchange(), 0))
		f:close()
		assert.is_false(streams[1].open)
	end)

	it("knows a reader from before a restart, whose number is too high", function()
		push(2)
		local x, stream = exchange()
		f:add(x, 900)
		push(1)
		tick()
		assert.same({ 3 }, (numbers(stream)))
	end)

	it("costs nothing when nobody looks", function()
		push(1)
		tick()
		assert.is_nil(r.entries[1].json)
	end)
end)
