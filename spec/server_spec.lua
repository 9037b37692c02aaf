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

	local send_of = client

	local function next_exchange()
		return assert(s:next(30), "no request came")
	end

	--- Keep serving until the client has its answer.
	local function answer_of(path)
		local until_ = process.monotonic() + 120
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

	it("holds answers until they are released, in the order in which they were given", function()
		local answers, exchanges = {}, {}
		for i = 1, 3 do
			answers[i] = client(GET)
			exchanges[i] = next_exchange()
		end
		for i = 1, 3 do
			assert.is_true(exchanges[i]:hold(200, { ["X-N"] = tostring(i) }, "held"))
			assert.has_error(function()
				exchanges[i]:answer(200)
			end)
		end
		assert.is_nil(s:next(0.05))
		assert.is_nil(child.read(answers[1]))
		s:release(1)
		assert.matches("X-N: 1\r\n.*held$", answer_of(answers[1]))
		assert.is_nil(child.read(answers[2]))
		s:refuse(1, 503, { ["Retry-After"] = "10" }, "later")
		assert.matches("^HTTP/1.1 503 .*later$", answer_of(answers[2]))
		s:release(9)
		assert.matches("X-N: 3\r\n.*held$", answer_of(answers[3]))
	end)

	it("keeps answers apart that differ in anything", function()
		local kinds = { { 200 }, { 200, { A = "1" } }, { 200, { A = "1" }, "x" }, { 200, { A = "x" } }, { 200, { A = "12" } }, { 400 },
			{ 200, nil, ("y"):rep(300) } }
		for i = 1, 20 do -- more than are kept
			kinds[#kinds + 1] = { 200, nil, "n" .. i }
		end
		for _ = 1, 2 do
			for _, kind in ipairs(kinds) do
				local answer = client((GET:gsub("Connection: close\r\n", "")) .. GET)
				for _ = 1, kind[1] < 400 and 2 or 1 do
					next_exchange():answer(kind[1], kind[2], kind[3])
				end
				local text = answer_of(answer)
				assert.equal(kind[1] < 400 and 2 or 1, select(2, text:gsub("HTTP/1.1 " .. kind[1], "")))
				assert.equal(kind[3] or "", text:match ".*\r\n\r\n(.*)$")
				assert.equal(kind[2] and kind[2].A, text:match "\r\nA: ?([^\r]*)\r\n")
				assert.equal(kind[1] >= 400, text:match "HTTP.-\r\n\r\n":lower():find "connection: close" ~= nil)
			end
		end
	end)

	-- A client that is gone before it is answered: resets its connection, so that the server sees it at once.
	local function vanish(bytes)
		local request = child.file("vanish", bytes)
		os.execute(([[python3 -c 'import socket,struct,sys
s = socket.create_connection(("127.0.0.1", %d))
s.sendall(open(sys.argv[1], "rb").read())
sys.stdin.read(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
open(sys.argv[2], "w").write("gone")' %s %s.done <%s &]]):format(s:port(), request, request, child.folder() .. "/go"))
		os.remove(request .. ".done")
		return request .. ".done"
	end

	it("is not harmed by clients that are gone before they are answered, in whatever state", function()
		os.execute(("mkfifo '%s/go' 2>/dev/null"):format(child.folder()))
		for _, finish in ipairs { "answer", "hold", "cut", "stream", "nothing", "untaken" } do
			local done = vanish "GET /gone HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"
			local go = assert(io.open(child.folder() .. "/go", "w"))
			local x
			if finish ~= "untaken" then
				x = next_exchange()
			else
				s:wait(30)
			end
			go:close() -- now it resets; the server does not look meanwhile, or it would suspend the connection
			local until_ = process.monotonic() + 120
			while child.read(done) ~= "gone" and process.monotonic() < until_ do
				process.wait(0.01)
			end
			while s:stats().connections > 0 and process.monotonic() < until_ do
				s:wait(0.01)
			end
			assert.equal(0, s:stats().connections)
			if finish == "nothing" then
				x = nil -- luacheck: ignore
				collectgarbage()
				collectgarbage()
			elseif x then
				assert.is_true(x:is_gone())
				assert.is_nil(x:header "X-A")
				assert.same({}, x.headers)
				assert.equal("unknown", x.remote)
				assert.equal("GET", x.method)
				if finish == "hold" then
					x:hold(200)
					s:release(1)
				elseif finish == "stream" then
					local stream = x:stream(200, {}, 1000)
					assert.is_falsy(stream:write "x")
				else
					x[finish](x, finish == "answer" and 200 or nil)
				end
			end
			assert.is_nil(s:take())
			assert.equal(0, s:stats().busy, finish)
		end
		local answer = client(GET)
		next_exchange():answer(200, nil, "well")
		assert.matches("well$", answer_of(answer))
	end)

	local function next_request()
		local until_ = process.monotonic() + 120
		while process.monotonic() < until_ do
			s:wait(0.1)
			local x, request = s:take()
			if x then
				return x, request
			end
		end
		error "no request came"
	end

	it("has requests that a mapping takes as event and as headers, as they lie there", function()
		local source = require "moonweir.source"
		local mw = require "moonweir"
		local mapped = assert(mw.open {
			spool = child.folder() .. "/mapped", send = false, source = source.define {
				slug = "x", version = "1", event = source.get.header "x-topic", user = source.user { source.get "user" },
				on = { orders = source.track "T" { type = source.get "type" } },
			},
		})
		local answer = send_of(post(24, '{"type":"t","user":"u1"}', "X-Topic: orders\r\n"))
		local x = next_request()
		assert.is_true(x:contains("type", 24))
		assert.is_false(x:contains("type", 23))
		assert.is_false(x:contains("tipe", 24))
		assert.equal(1, mapped:push(x, { headers = x, format = "json", account = "a" }))
		assert.is_nil((mapped:push(x, { account = "a" }))) -- an event by no name
		x:answer(200)
		assert.has_error(function()
			mapped:push(x, { account = "a" })
		end)
		assert.has_error(function()
			mapped:push("{}", { headers = x, account = "a" })
		end)
		assert.has_error(function()
			mapped:push(io.stdout)
		end)
		assert(mapped:sync())
		assert.equal(1, mapped:stats().accepted)
		assert.equal('{"type":"t","user":"u1"}', mapped:dead()[1].event)
		mapped:close(0)
		answer_of(answer)
	end)

	-- Whatever way a body takes, by its string or by where it lies, is the same to receive.take.
	it("has bodies that are read the same from where they lie and as texts", function()
		local receive = require "moonweir.receive"
		local definition = require("moonweir.source").define {
			slug = "x", version = "1", event = require("moonweir.source").get "t",
			user = require("moonweir.source").user { require("moonweir.source").get "u" }, on = { t = require("moonweir.source").ignore } }
		for _, it in ipairs {
			{ '{"a":1}', "application/json", "json", true }, { '{"a":1}', nil, "json", true },
			{ "{}\n{}", "application/x-ndjson", "ndjson", true },
			{ "a=1", "application/x-www-form-urlencoded", "form" }, { "<a/>", "text/xml", "xml" },
			{ '{"a":"\228"}', "application/json; charset=latin1", "json" },
			{ '{"type":"url_verification","challenge":"c17"}', "application/json" },
		} do
			local type_line = it[2] and ("Content-Type: %s\r\n"):format(it[2]) or ""
			local answer = send_of(post(#it[1], it[1], type_line))
			local x, request = next_request()
			request.url = request.target
			local taken = receive.take(definition, request, 0)
			local as_text = receive.take(definition, {
				method = "POST", url = "/p", headers = { ["Content-Type"] = it[2] }, body = it[1] }, 0)
			assert.same({ as_text.answer, as_text.format }, { taken.answer, taken.format })
			assert.equal(it[3], taken.format)
			if it[4] then
				assert.equal(x, taken.body)
			else
				assert.equal(as_text.body, taken.body)
			end
			x:answer(200)
			answer_of(answer)
		end
	end)

	it("gives a request's parts when they are asked for", function()
		local answer = client "POST /p?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
		local x, request
		local until_ = process.monotonic() + 120
		while not x and process.monotonic() < until_ do
			s:wait(0.1)
			x, request = s:take()
		end
		assert.same({ "POST", "/p?q", "hi", "127.0.0.1" }, { request.method, request.target, request.body, request.remote })
		assert.equal("h", request.header "HOST")
		assert.same({ n = 2, nil, 2 }, { n = select("#", request.header "X-A"), request.header "X-A" })
		assert.same({ nil, 0 }, { request.header "X-None" })
		assert.equal("h", request.headers.Host)
		assert.is_nil(request.url)
		assert.equal(x, request.exchange)
		x:answer(200)
		assert.has_error(function()
			request.header "Host"
		end)
		answer_of(answer)
		assert.equal("h", request.headers.Host) -- what was asked for once stays
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
		local until_ = process.monotonic() + 120
		while not child.read(answer) and process.monotonic() < until_ do
			process.wait(0.01)
		end
		assert.matches("late$", child.read(answer))
		assert.has_error(function()
			held:answer(200)
		end, "the server of this request is closed")
		s:close()
	end)

	it("lets who is one connection too many wait until another closes", function()
		s:close()
		s = assert(server.open { port = 0, body_max = 1000, connections_max = 1 })
		local first = client(GET)
		local x = next_exchange()
		local second = client(GET)
		for _ = 1, 5 do
			assert.is_nil(s:next(0.01))
		end
		assert.equal(1, s:stats().connections)
		x:answer(200, nil, "first")
		local y = next_exchange() -- its client waits for the end of what it gets, and closes
		y:answer(200, nil, "second")
		assert.matches("second$", answer_of(second))
		assert.matches("first$", answer_of(first))
		assert.equal(2, s:stats().accepted)
	end)

	it("is readable by its descriptor when somebody connects, as long as it may accept", function()
		local other = assert(server.open { port = 0, body_max = 1000 })
		other:watch(s:fd())
		client(GET)
		local from = process.monotonic()
		other:wait(30)
		assert.is_true(process.monotonic() - from < 29)
		next_exchange():answer(200)
		s:quiesce()
		while s:stats().connections > 0 do
			s:wait(0.01)
		end
		client(GET) -- refused
		other:wait(0.05)
		assert.equal(0, s:stats().connections)
		other:close()
	end)

	it("is served at once by who sleeps in another server's wait", function()
		local other = assert(server.open { port = 0, body_max = 1000 })
		other:watch(s:fd())
		local answer, is_answered = client(GET), false
		local from = process.monotonic()
		repeat
			other:wait(s:is_due() and 0 or 30)
			s:wait(0)
			local x = s:take()
			if x then
				x:answer(200, nil, "done")
				is_answered = true
			end
		until is_answered and s:stats().connections == 0
		assert.is_true(process.monotonic() - from < 29)
		assert.matches("done$", answer_of(answer))
		other:close()
	end)

	it("closes who has nothing more to ask, and does not call that slow; a body that stops is slow even without a rate", function()
		s:close()
		s = assert(server.open { port = 0, body_max = 1000, idle_timeout = 3 }) -- time for a slow machine's client to say what it wants
		local idle = client((GET:gsub("Connection: close\r\n", "")))
		next_exchange():answer(200, nil, "done")
		assert.matches("done$", answer_of(idle))
		assert.equal(0, s:stats().too_slow)
		assert.equal("", answer_of(client(post(10, "half"))))
		assert.equal(1, s:stats().too_slow)
	end)

	it("lets a body that takes long give way when there is no memory for another", function()
		s:close()
		s = assert(server.open { port = 0, body_max = 1000, memory_max = 1500 })
		local slow = client(post(1000, ("x"):rep(900)))
		local until_ = process.monotonic() + 120
		local was_refused, has_room = false, false
		while not has_room and process.monotonic() < until_ do
			local answer, x = client(post(900, ("y"):rep(900))), nil
			while not x and not child.read(answer) do
				x = s:next(0.01)
			end
			if x then
				x:answer(200)
			end
			local status = answer_of(answer):match "^HTTP/1.1 (%d+) "
			was_refused = was_refused or status == "503"
			has_room = was_refused and status == "200"
		end
		assert.is_true(has_room)
		assert.is_nil(child.read(slow)) -- told 503 once it is complete, and no longer a burden
		s:close()
		while not child.read(slow) and process.monotonic() < until_ do
			process.wait(0.01)
		end
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
