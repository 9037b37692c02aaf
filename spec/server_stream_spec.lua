--- Answers without an end, and connections that are cut.

local server = require "moonweir.server"
local child = require "spec.support.child"
local process = require("moonweir.core").process

local DEADLINE = 120

describe("a stream", function()
	local s
	local clients = 0
	local CLIENT = [[bash -c '{ exec 3<>/dev/tcp/127.0.0.1/%d; printf "GET /s HTTP/1.1\r\nHost: h\r\n\r\n" >&3; ]]
		.. [[timeout %d %s <&3 >%s; exec 3>&-; touch %s.end; } 2>/dev/null' &]]
	before_each(function()
		s = assert(server.open { port = 0 })
	end)
	after_each(function()
		s:close()
	end)
	teardown(child.clean)

	--- A client in a process of its own; what it reads goes to a file. With `lines` it leaves after so many.
	local function client(lines)
		clients = clients + 1
		local got = child.folder() .. "/stream" .. clients
		local read = lines and ("head -n %d"):format(lines) or "cat"
		os.execute(CLIENT:format(s:port(), DEADLINE, read, got, got))
		return got
	end

	local function serve_until(what, condition)
		local until_ = process.monotonic() + DEADLINE
		while true do
			local value = condition()
			if value then
				return value
			end
			assert(process.monotonic() < until_, "waited in vain for " .. what)
			assert.is_nil(s:next(0.005))
		end
	end

	local function reads(got, text)
		return serve_until(text, function()
			return (child.read(got) or ""):find(text, 1, true)
		end)
	end

	local function ended(got)
		return serve_until("its end", function()
			return child.read(got .. ".end")
		end)
	end

	local function open(waiting_max, lines)
		local got = client(lines)
		local x = assert(s:next(DEADLINE), "no request came")
		return assert(x:stream(200, { ["Content-Type"] = "text/event-stream" }, waiting_max)), got, x
	end

	it("brings each piece as it is written, long after the request, and then its end", function()
		local stream, got, x = open()
		assert.is_true(stream:is_open())
		reads(got, "text/event-stream")
		for i = 1, 3 do
			assert.is_true(stream:write("data: " .. i .. "\n\n"))
			reads(got, "data: " .. i)
		end
		assert.has_error(function() x:answer(200) end, "this request is answered already")
		stream:close()
		assert.is_false(stream:is_open())
		reads(got, "\r\n0\r\n\r\n")
		local ok, _, code = stream:write "more"
		assert.same({ nil, "closed" }, { ok, code })
		stream:close()
	end)

	it("keeps order and bytes of much that is written at once", function()
		local stream, got = open()
		local lines = {}
		for i = 1, 20000 do
			lines[i] = ("line %d \0\255\n"):format(i)
			assert.is_true(stream:write(lines[i]))
		end
		stream:close()
		reads(got, "\r\n0\r\n\r\n")
		local body = child.read(got):match "\r\n\r\n(.*)$"
		local parts = {}
		while true do
			local size, rest = body:match "^(%x+)\r\n(.*)$"
			local n = tonumber(size, 16)
			if n == 0 then
				break
			end
			parts[#parts + 1], body = rest:sub(1, n), rest:sub(n + 3)
		end
		assert.is_true(table.concat(parts) == table.concat(lines))
	end)

	it("is full when its client takes nothing, and takes all or nothing", function()
		local stream = open(1000)
		assert.is_true(stream:write(("x"):rep(600)))
		assert.equal(600, stream:waiting())
		local ok, message, code = stream:write(("y"):rep(401))
		assert.same({ nil, "full" }, { ok, code })
		assert.matches("slow", message)
		assert.equal(600, stream:waiting())
		assert.is_true(stream:write(("y"):rep(400)))
		serve_until("room", function()
			return stream:waiting() == 0
		end)
		assert.is_true(stream:write(("z"):rep(1000)))
	end)

	it("notices that its client has gone, once it is written to", function()
		local stream, got = open(nil, 1)
		ended(got)
		serve_until("the loss of the client", function()
			stream:write ":\n\n"
			return not stream:is_open()
		end)
		local _, _, code = stream:write "x"
		assert.equal("closed", code)
	end)

	it("does not keep others waiting", function()
		local stream, got = open()
		local other = client()
		assert(s:next(DEADLINE)):answer(200, nil, "other")
		reads(other, "other")
		stream:write "still"
		reads(got, "still")
	end)

	it("can be cut in the middle", function()
		local stream, got = open()
		stream:write "data: 1\n\n"
		reads(got, "data: 1")
		stream:cut()
		ended(got)
		assert.not_matches("\r\n0\r\n\r\n$", child.read(got))
	end)

	it("ends with its server, and may outlive it", function()
		local stream, got = open()
		stream:write "data: last\n\n"
		s:close()
		assert.is_false(stream:is_open())
		local until_ = process.monotonic() + DEADLINE
		while not (child.read(got) or ""):find("\r\n0\r\n\r\n", 1, true) do
			assert(process.monotonic() < until_)
			process.wait(0.01)
		end
		assert.matches("data: last", child.read(got))
		stream:close()
	end)

	it("is closed when nobody holds it", function()
		local stream, got = open()
		stream:write "data: 1\n\n"
		stream = nil -- luacheck: ignore
		collectgarbage()
		collectgarbage()
		reads(got, "\r\n0\r\n\r\n")
	end)

	it("refuses headers that would end the header, and misuse", function()
		local got = client()
		local x = assert(s:next(DEADLINE))
		assert.has_error(function() x:stream(99) end)
		assert.has_error(function() x:stream(200, { A = 1 }) end)
		assert.has_error(function() x:stream(200, nil, 0) end)
		local ok, _, code = x:stream(200, { ["X-A"] = "b\r\nX-Evil: 1" })
		assert.same({ nil, "invalid" }, { ok, code })
		ended(got)
		assert.equal("", child.read(got))
	end)

	it("or a cut: a connection without an answer", function()
		local got = client()
		local x = assert(s:next(DEADLINE))
		x:cut()
		ended(got)
		assert.equal("", child.read(got))
		assert.has_error(function() x:cut() end, "this request is answered already")
	end)
end)
