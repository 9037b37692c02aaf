local server = require "moonweir.server"
local child = require "spec.support.child"
local process = require("moonweir.core").process

describe("moonweir.server", function()
	local s
	before_each(function()
		s = assert(server.open { port = 0, body_max = 1000 })
	end)
	after_each(function()
		s:close()
	end)
	teardown(child.clean)

	local clients = 0

	--- Send bytes from a process of its own; the answer will be in a file.
	local function client(bytes)
		clients = clients + 1
		local request = child.file("bytes" .. clients, bytes)
		local answer = child.folder() .. "/answer" .. clients
		os.execute(
			("bash -c '{ exec 3<>/dev/tcp/127.0.0.1/%d; cat %s >&3; timeout 30 cat <&3 >%s.tmp; mv %s.tmp %s; } 2>/dev/null' &"):format(
				s:port(), request, answer, answer, answer
			)
		)
		return answer
	end

	local function next_exchange()
		return assert(s:next(30), "no request came")
	end

	--- Keep serving until the client has its answer.
	local function answer_of(path)
		local until_ = process.monotonic() + 30
		while process.monotonic() < until_ do
			local text = child.read(path)
			if text then
				return text
			end
			assert.is_nil(s:next(0.01))
		end
		error "the client got no answer"
	end

	local GET = "GET /a%20b/c?x=%41&y HTTP/1.1\r\nHost: h\r\nX-Foo: bar\r\nx-foo-two: 2\r\nConnection: close\r\n\r\n"

	it("hands out method, path, raw query, headers and body", function()
		local answer = client(GET)
		local x = next_exchange()
		assert.equal("GET", x.method)
		assert.equal("/a b/c", x.path)
		assert.equal("x=%41&y", x.query)
		assert.equal("", x.body)
		assert.equal("bar", x:header "x-FOO")
		assert.is_nil(x:header "X-None")
		assert.equal("2", x.headers["x-foo-two"])
		assert.is_nil(x.nothing)
		assert.is_true(x:answer(201, { ["X-Answer"] = "yes" }, "hello"))
		local text = answer_of(answer)
		assert.matches("^HTTP/1.1 201 ", text)
		assert.matches("X-Answer: yes\r\n", text, 1, true)
		assert.matches("\r\n\r\nhello$", text)
	end)

	local function post(length, body, more)
		return ("POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"):format(more or "", length, body)
	end

	it("takes bodies up to the limit, bytes and all", function()
		local body = ("\0\r\n\255x"):rep(200)
		local answer = client(post(1000, body))
		local x = next_exchange()
		assert.equal(body, x.body)
		x:answer(200)
		assert.matches("^HTTP/1.1 200 ", answer_of(answer))
	end)

	it("answers 413 to larger ones without waking the caller", function()
		assert.matches("^HTTP/1.1 413 ", answer_of(client(post(1001, ("x"):rep(1001)))))
		assert.matches("^HTTP/1.1 413 ", answer_of(client(post(100000, ""))))
	end)

	it("takes a chunked body, and cuts one without end", function()
		local head = "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
		local answer = client(head .. "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
		local x = next_exchange()
		assert.equal("hello world", x.body)
		x:answer(200)
		assert.matches("^HTTP/1.1 200 ", answer_of(answer))
		assert.equal("", answer_of(client(head .. ("3e8\r\n" .. ("x"):rep(1000) .. "\r\n"):rep(50))))
	end)

	it("answers out of order", function()
		local first_answer = client(GET)
		local first = next_exchange()
		local second_answer = client(GET)
		local second = next_exchange()
		second:answer(200, nil, "second")
		assert.matches("second$", answer_of(second_answer))
		assert.is_nil(child.read(first_answer))
		first:answer(200, nil, "first")
		assert.matches("first$", answer_of(first_answer))
	end)

	it("answers 500 for a request that the caller forgot", function()
		local answer = client(GET)
		next_exchange() -- and dropped
		collectgarbage()
		collectgarbage()
		assert.matches("^HTTP/1.1 500 ", answer_of(answer))
	end)

	it("takes no path with a NUL for the one before it", function()
		assert.matches("^HTTP/1.1 400 ", answer_of(client((GET:gsub("/c%?", "/c%%00d?")))))
		local answer = client((GET:gsub("%%41", "%%00")))
		local x = next_exchange()
		assert.equal("x=%00&y", x.query)
		x:answer(200)
		answer_of(answer)
	end)

	it("survives broken requests", function()
		assert.matches("^HTTP/1.1 400 ", answer_of(client "GET / HTTP/1.1\r\nbroken\r\n\r\n"))
		assert.matches("^HTTP/1.1 4", answer_of(client("GET /" .. ("x"):rep(100000) .. " HTTP/1.1\r\n\r\n")))
		local answer = client(GET)
		next_exchange():answer(200)
		assert.matches("^HTTP/1.1 200 ", answer_of(answer))
	end)

	it("keeps the time it was given when nothing comes", function()
		assert.is_nil(s:next(0))
		assert.is_nil(s:next(0.01))
	end)

	it("closes with requests unanswered and answers on their way", function()
		client(GET)
		local held = next_exchange()
		local answer = client(GET)
		next_exchange():answer(200, nil, "late")
		s:close()
		local until_ = process.monotonic() + 30
		while not child.read(answer) and process.monotonic() < until_ do
			process.wait(0.01)
		end
		assert.matches("late$", child.read(answer))
		assert.has_error(function()
			held:answer(200)
		end, "the server of this request is closed")
		s:close()
	end)

	it("refuses misuse", function()
		client(GET)
		local x = next_exchange()
		assert.has_error(function() x:answer(99) end)
		assert.has_error(function() x:answer(200, { ["A"] = 1 }) end)
		x:answer(200)
		assert.has_error(function() x:answer(200) end, "this request is answered already")
		assert.has_error(function() server.open { port = 70000 } end)
	end)

	it("never lets a header value end the header", function()
		local answer = client(GET)
		local ok, _, code = next_exchange():answer(200, { ["X-A"] = "b\r\nX-Evil: 1" })
		assert.is_nil(ok)
		assert.equal("invalid", code)
		assert.equal("", answer_of(answer))
	end)

	it("says why it can't listen", function()
		local other, message, code = server.open { port = s:port() }
		assert.is_nil(other)
		assert.matches("Address already in use", message)
		assert.equal("io", code)
		other, message = server.open { host = "localhost" }
		assert.is_nil(other)
		assert.matches("127.0.0.1", message)
	end)
end)
