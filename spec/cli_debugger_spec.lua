local child = require "spec.support.child"

local unpack = table.unpack or unpack

local KEY = "canary0123456789abcdefghijklk3y4"
local BASIC = "Basic Y2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZmdoaWprbGszeTQ6" -- the same, with its colon

describe("moonweir debugger", function()
	teardown(child.clean)

	local function one(body, path, headers)
		local d, _, port = child.debugger { "--json", "--max-requests", "1" }
		local status, answer = child.http(port, "POST", path or "/v1/batch", headers or { Authorization = BASIC }, body)
		local code = d:finish()
		assert.equal(0, code)
		return d:messages(), status, answer
	end

	it("prints one line a message and never the whole key", function()
		local d, _, port = child.debugger { "--max-requests", "2" }
		child.http(port, "POST", "/v1/track", { Authorization = BASIC }, '{"userId":"user-17","event":"Email Opened"}')
		child.http(port, "POST", "/v1/page", nil, '{"writeKey":"' .. KEY .. '","anonymousId":"a","name":"Home"}')
		local _, out, err = d:finish()
		assert.matches('\n%d%d:%d%d:%d%d%.%d%d%d …k3y4 track "Email Opened" user%-17\n', out)
		assert.matches('\n[%d:.]+ …k3y4 page "Home" anonymous a\n', out)
		assert.not_matches("canary", out .. err)
	end)

	it("splices the raw message into a line of JSON, digits and all, without the key", function()
		local raw = '{"writeKey":"' .. KEY .. '",\n "userId":"u","event":"E","properties":{"n":12345678901234567890, "f":1.0}}'
		local messages = one(raw, "/v1/track", {})
		assert.equal("k3y4", messages[1].key_last4)
		assert.equal(1, messages[1].request)
		assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", messages[1].received_at)
		assert.equal("…k3y4", messages[1].message.writeKey)
		local d, _, port = child.debugger { "--json", "--max-requests", "1" }
		child.http(port, "POST", "/v1/track", {}, raw)
		local _, out = d:finish()
		assert.matches('"n":12345678901234567890, "f":1.0', out, 1, true)
		assert.not_matches("canary", out)
	end)

	for _, path in ipairs { "/v1/batch", "/v1/import" } do
		it("takes a batch at " .. path, function()
			local messages, status, answer =
				one('{"batch":[{"type":"identify","userId":"u1"},{"type":"alias","userId":"u2","previousId":"p"}]}', path)
			assert.equal(200, status)
			assert.matches('{"success":true}', answer, 1, true)
			assert.equal("identify", messages[1].message.type)
			assert.equal("alias", messages[2].message.type)
			assert.is_nil(messages[1].fault)
		end)
	end

	it("takes the six calls at their own routes", function()
		local d, _, port = child.debugger { "--json", "--max-requests", "6" }
		for _, call in ipairs { "identify", "track", "page", "screen", "group", "alias" } do
			local body = '{"userId":"u","event":"E","groupId":"g","previousId":"p"}'
			local status = child.http(port, "POST", "/v1/" .. call, { Authorization = BASIC }, body)
			assert.equal(200, status)
		end
		d:finish()
		for i, m in ipairs(d:messages()) do
			assert.equal(i, m.request)
			assert.is_nil(m.fault)
		end
	end)

	describe("answers 200 and tells what Segment drops:", function()
		local cases = {
			{ "empty_batch", '{"batch":[]}' },
			{ "no_user_anon_id", '{"batch":[{"type":"page"}]}' },
			{ "no_user_anon_id", '{"batch":[{"type":"page","userId":null}]}' },
			{ "id_not_string", '{"batch":[{"type":"page","userId":17}]}' },
			{ "id_not_string", '{"batch":[{"type":"page","userId":""}]}' },
			{ "event_not_defined", '{"batch":[{"type":"track","userId":"u"}]}' },
			{ "event_not_string", '{"batch":[{"type":"track","userId":"u","event":1}]}' },
			{ "properties_not_object", '{"batch":[{"type":"track","userId":"u","event":"E","properties":[]}]}' },
			{ "traits_not_object", '{"batch":[{"type":"identify","userId":"u","traits":"x"}]}' },
			{ "name_not_string", '{"batch":[{"type":"page","userId":"u","name":1}]}' },
			{ "category_not_string", '{"batch":[{"type":"screen","userId":"u","category":""}]}' },
			{ "type_not_known", '{"batch":[{"type":"tracked","userId":"u"}]}' },
			{ "message_not_object", '{"batch":["x"]}' },
			{ "message_id_too_long", '{"batch":[{"type":"page","userId":"u","messageId":"' .. ("m"):rep(100) .. '"}]}' },
			{ "message_too_large", '{"batch":[{"type":"page","userId":"u","properties":{"p":"' .. ("x"):rep(32000) .. '"}}]}' },
			{ "too_many_messages", '{"batch":[' .. ('{"type":"page","userId":"u"},'):rep(2500) .. '{"type":"page","userId":"u"}]}' },
		}
		for _, case in ipairs(cases) do
			it(case[1], function()
				local messages, status = one(case[2])
				assert.equal(200, status)
				local first = messages[1]
				assert.equal(case[1], first.fault or (first.problem or ""):match "^[%a_]+")
			end)
		end
	end)

	it("tells a repeated messageId", function()
		local m = '{"type":"page","userId":"u","messageId":"m1"}'
		local messages = one('{"batch":[' .. m .. "," .. m .. "]}")
		assert.is_nil(messages[1].fault)
		assert.equal("duplicate_message_id", messages[2].fault)
	end)

	it("refuses what Segment refuses openly", function()
		local function status_of(...)
			local _, status = one(...)
			return status
		end
		assert.equal(400, status_of('{"batch":['))
		assert.equal(400, status_of("[]"))
		assert.equal(400, status_of('{"batch":[]' .. (" "):rep(500000) .. "}"))
		assert.equal(400, status_of('{"userId":"u","event":"' .. ("x"):rep(32000) .. '"}', "/v1/track"))
		assert.equal(401, status_of('{"batch":[]}', "/v1/batch", {}))
		assert.equal(400, status_of('{"batch":[]}', "/v1/batch", { ["Content-Encoding"] = "gzip" }))
		assert.equal(415, status_of('{"batch":[]}', "/v1/batch", { ["Content-Encoding"] = "br" }))
	end)

	it("knows no other routes, methods or hosts", function()
		local _, _, port = child.debugger()
		assert.equal(200, (child.http(port, "GET", "/healthz")))
		assert.equal(404, (child.http(port, "POST", "/v2/batch", nil, "{}")))
		assert.equal(405, (child.http(port, "GET", "/v1/batch")))
		assert.equal(403, (child.http(port, "POST", "/v1/batch", { Host = "evil.example" }, "{}")))
		assert.equal(403, (child.http(port, "GET", "/healthz", { Host = "127.0.0.1.evil.example:80" })))
	end)

	it("lets no message steer the terminal", function()
		local d, _, port = child.debugger { "--max-requests", "1" }
		child.http(port, "POST", "/v1/track", { Authorization = BASIC }, '{"userId":"u\226\128\174x","event":"a\194\155b"}')
		local _, out = d:finish()
		assert.matches('track "a?b" u?x\n', out, 1, true)
	end)

	it("names the account of a key", function()
		local accounts = child.file("accounts.json", '{"acme":"' .. KEY .. '"}')
		local d, _, port = child.debugger { "--accounts", accounts, "--max-requests", "1" }
		child.http(port, "POST", "/v1/page", { Authorization = BASIC }, '{"userId":"u"}')
		local _, out = d:finish()
		assert.matches("acme…k3y4 page u\n", out, 1, true)
	end)

	it("says what to do when the port is taken", function()
		local _, _, port = child.debugger()
		local code, _, err = child.run { "debugger", "--port", tostring(port) }
		assert.equal(1, code)
		assert.matches("Address already in use.*%-%-port 0", err)
	end)

	it("ends on SIGTERM with what it has printed", function()
		local d = child.debugger()
		d:signal "TERM"
		local code, _, err = d:finish()
		assert.equal(0, code)
		assert.matches("0 messages in 0 requests", err)
	end)

	it("masks the key of a body that differs from the header's", function()
		local d, _, port = child.debugger { "--json" }
		local body = '{"writeKey":"canary-in-body-0001","userId":"u","event":"E","messageId":"m"}'
		local status = child.http(port, "POST", "/v1/track", { Authorization = "Basic aGVhZGVya2V5MTI6" }, body)
		assert.equal(200, status)
		d:signal "INT"
		local _, out = d:finish()
		assert.matches("u", out, 1, true)
		assert.not_matches("canary", out)
	end)

	it("prints no key that was taken for a name or a user, either", function()
		local d, _, port = child.debugger {}
		local body = '{"writeKey":"canary-in-body-0001","userId":"canary-in-body-0001","event":"headerkey12","messageId":"m"}'
		assert.equal(200, (child.http(port, "POST", "/v1/track", { Authorization = "Basic aGVhZGVya2V5MTI6" }, body)))
		d:signal "INT"
		local _, out = d:finish()
		assert.matches('track "…ey12" …0001', out, 1, true)
		assert.not_matches("canary", out)
		assert.not_matches("headerkey", out)
	end)

	it("bears any bytes for a key", function()
		local d, _, port = child.debugger { "--json", "--max-requests", "2" }
		-- \255\254\253\252\251 and \0\1\2\3\4
		child.http(port, "POST", "/v1/page", { Authorization = "Basic //79/Ps6" }, '{"userId":"u"}')
		local status = child.http(port, "POST", "/v1/page", { Authorization = "Basic AAECAwQ6" }, '{"userId":"u"}')
		assert.equal(200, status)
		assert.equal(0, (d:finish()))
		assert.equal("????", d:messages()[1].key_last4)
	end)

	it("takes compressed bodies where this installation can, and says so where not", function()
		local pipe = io.popen [[printf '{"userId":"u","event":"Zipped"}' | gzip -c]]
		local body = pipe:read "*a"
		pipe:close()
		local d, _, port = child.debugger { "--max-requests", "1" }
		local status = child.http(port, "POST", "/v1/track", { Authorization = BASIC, ["Content-Encoding"] = "gzip" }, body)
		local _, out = d:finish()
		if pcall(require, "moonweir.inflate") then
			assert.equal(200, status)
			assert.matches('track "Zipped" u\n', out)
		else
			assert.equal(415, status)
			assert.matches("rock moonweir%-receive", out)
		end
	end)

	describe("has a page", function()
		local TOKEN = "token-of-the-spec-0001"
		local KNOWN = { ["X-Moonweir-Token"] = TOKEN, ["Content-Type"] = "application/json" }

		local function start(arguments)
			local all = { "debugger", "--port", "0", "--json" }
			for _, argument in ipairs(arguments or {}) do
				all[#all + 1] = argument
			end
			local d = child.start(all, { env = { MOONWEIR_DEBUGGER_TOKEN = TOKEN } })
			return d, tonumber(d:wait_for "listening on http://[%d.]+:(%d+)")
		end

		local function control(port, method, path, body, headers)
			local status, answer, head = child.http(port, method, "/control/" .. path, headers or KNOWN, body)
			return status, require("cjson").decode(answer), head
		end

		it("whose address it prints, with a token that is new each time", function()
			local d = child.debugger()
			d:wait_for "watch it at .-\n"
			local port, token = d:out():match "watch it at  http://127.0.0.1:(%d+)/#(%x+)\n"
			assert.equal(32, #token)
			assert.equal(200, (child.http(port, "GET", "/")))
			assert.equal(200, (control(port, "GET", "state", nil, { ["X-Moonweir-Token"] = token })))
			assert.equal(401, (control(port, "GET", "state", nil, { ["X-Moonweir-Token"] = ("0"):rep(32) })))
			local other = child.debugger()
			assert.not_equal(token, other:wait_for "watch it at .-#(%x+)\n")
		end)

		it("and a control that tells what came", function()
			local _, port = start()
			child.http(port, "POST", "/v1/track", { Authorization = BASIC }, '{"userId":"u","event":"email opened"}')
			child.http(port, "POST", "/v1/batch", { Authorization = BASIC }, '{"batch":[]}')
			child.http(port, "POST", "/v1/batch", { Authorization = BASIC }, "{")
			local status, said, head = control(port, "GET", "messages?after=0")
			assert.equal(200, status)
			assert.matches("nosniff", head)
			local first, second, third = unpack(said.entries)
			assert.same({ "message", "error", "email opened", "u", "…k3y4" },
				{ first.kind, first.verdict, first.name, first.user, first.account })
			assert.same({ "request", "dropped", "empty_batch" }, { second.kind, second.verdict, second.fault })
			assert.same({ "request", "refused", 400 }, { third.kind, third.verdict, third.request.status })
			local rules = {}
			for _, finding in ipairs(first.findings) do
				rules[finding.rule] = finding.fix
			end
			assert.equal('call it "Email Opened"', rules["event-renamed"])
			assert.equal(1, #select(2, control(port, "GET", "messages?after=2")).entries)
			local _, state = control(port, "GET", "state")
			assert.same({ 3, 1, 3 }, { state.requests, state.messages, state.last })
			control(port, "POST", "clear", "{}")
			assert.equal(0, #select(2, control(port, "GET", "messages")).entries)
		end)

		it("and faults that scripts ask for", function()
			local d, port = start()
			local status, said = control(port, "POST", "faults", '{"kind":"429","retry_after":3,"times":1}')
			assert.same({ 201, 1, 3 }, { status, said.fault.id, said.fault.retry_after })
			local answer, _, head = child.http(port, "POST", "/v1/page", { Authorization = BASIC }, '{"userId":"u"}')
			assert.equal(429, answer)
			assert.matches("Retry%-After: 3\r\n", head)
			assert.equal(200, (child.http(port, "POST", "/v1/page", { Authorization = BASIC }, '{"userId":"u"}')))
			control(port, "POST", "faults", '{"kind":"cut"}')
			assert.is_nil((child.http(port, "POST", "/v1/page", { Authorization = BASIC }, '{"userId":"v"}')))
			assert.equal(200, (control(port, "DELETE", "faults/2")))
			assert.equal(404, (control(port, "DELETE", "faults/2")))
			control(port, "POST", "faults", '{"kind":"stall","seconds":0}')
			assert.equal(200, (child.http(port, "POST", "/v1/page", { Authorization = BASIC }, '{"userId":"u"}')))
			control(port, "DELETE", "faults")
			assert.same({}, select(2, control(port, "GET", "state")).faults)
			status, said = control(port, "POST", "faults", '{"kind":"418"}')
			assert.same({ 400, "invalid_fault" }, { status, said.error.code })
			assert.equal(400, (control(port, "POST", "faults", "{")))
			d:signal "TERM"
			local _, out = d:finish()
			assert.matches("status 429: a fault that was asked for", out)
			assert.matches("status 0: the connection was closed", out)
		end)

		it("and a stream of events", function()
			local _, port = start()
			child.http(port, "POST", "/v1/page", { Authorization = BASIC }, '{"userId":"u","name":"Streamed"}')
			local pipe = io.popen(("curl -q --noproxy '*' -sN -m 60 -H 'X-Moonweir-Token: %s' "
				.. "'http://127.0.0.1:%d/control/stream?after=0' | head -n 5"):format(TOKEN, port))
			local text = pipe:read "*a"
			pipe:close()
			assert.matches('^event: state\ndata: {.-}\n\nevent: messages\ndata: {"skipped":0,"entries":%[{.*Streamed', text)
		end)

		it("that nobody else sees or steers", function()
			local _, port = start()
			for _, case in ipairs {
				{ 401, {} },
				{ 403, { ["X-Moonweir-Token"] = TOKEN, Origin = "http://evil.example" } },
				{ 403, { ["X-Moonweir-Token"] = TOKEN, ["Sec-Fetch-Site"] = "cross-site" } },
				{ 403, { ["X-Moonweir-Token"] = TOKEN, Host = "evil.example" } },
				{ 403, { ["X-Moonweir-Token"] = TOKEN, Host = "127.0.0.1.evil.example:80" } },
			} do
				for _, path in ipairs { "state", "messages", "stream" } do
					local status, _, head = control(port, "GET", path, nil, case[2])
					assert.equal(case[1], status)
					assert.not_matches("Access%-Control", head)
				end
			end
			assert.equal(403, (child.http(port, "GET", "/", { Host = "evil.example" })))
			assert.equal(415, (control(port, "POST", "clear", "{}", { ["X-Moonweir-Token"] = TOKEN })))
		end)

		it("with no way out of its files", function()
			local _, port = start()
			for _, path in ipairs {
				"/..", "/../main.js", "/%2e%2e/main.js", "/..%2fmain.js", "/main.js%00", "/main.js/", "//main.js", "/main.js%5c..",
				"/control", "/control/", "/control/../main.js", "/etc/passwd", "/web/style.lua", "/MAIN.JS",
			} do
				local status = child.http(port, "GET", path, { ["X-Moonweir-Token"] = TOKEN })
				assert.is_true(status == 404 or status == 400, path .. " " .. tostring(status))
			end
			assert.equal(405, (child.http(port, "POST", "/", nil, "x")))
		end)

		it("on this machine alone, unless it is meant", function()
			local code, _, err = child.run { "debugger", "--port", "0", "--listen", "0.0.0.0" }
			assert.equal(2, code)
			assert.matches("%-%-expose", err)
			local _, port = start { "--listen", "0.0.0.0", "--expose", "--allow-host", "desk.example" }
			assert.equal(200, (child.http(port, "GET", "/healthz", { Host = "desk.example" })))
			assert.equal(403, (child.http(port, "GET", "/healthz", { Host = "other.example" })))
			assert.equal(401, (control(port, "GET", "state", nil, {})))
		end)

		it("with a token that is long enough, or none", function()
			for _, token in ipairs { "short", ("x"):rep(129), "has spaces in its middle", "" } do
				local code, out, err = child.run({ "debugger", "--port", "0" }, { env = { MOONWEIR_DEBUGGER_TOKEN = token } })
				assert.equal(2, code)
				assert.matches("MOONWEIR_DEBUGGER_TOKEN", err)
				assert.is_true(token == "" or not (out .. err):find(token, 1, true))
			end
		end)
	end)
end)
