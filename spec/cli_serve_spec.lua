--- `moonweir serve`, as a process of its own and over real connections.

local child = require "spec.support.child"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"

local EVENT = '{"type":"t","event_id":"%s","user":"u"}'
local NDJSON = { ["Content-Type"] = "application/x-ndjson" }

describe("moonweir serve", function()
	local segment
	setup(function()
		segment = mock.start()
	end)
	before_each(function()
		segment:control "reset"
	end)
	teardown(function()
		segment:finish()
		child.clean()
	end)

	local function start(options, source)
		options = options or {}
		options.delivery = options.delivery or { endpoint = segment.url, rate = 0 }
		local config, values = daemon.config(options, source)
		local serve = daemon.start(config)
		return serve, config, values
	end

	local function arrived(serve, id)
		return serve:wait(id .. " to arrive", function()
			return segment:message(id)
		end)
	end

	it("answers 200 and delivers, one event or many, and a repeat once", function()
		local serve = start()
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "one")))
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "one")))
		local many = {}
		for i = 1, 50 do
			many[i] = EVENT:format("many" .. i)
		end
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", table.concat(many, "\n"), NDJSON)))
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", "type=t&event_id=form&user=u",
			{ ["Content-Type"] = "application/x-www-form-urlencoded" })))
		arrived(serve, "form")
		arrived(serve, "many50")
		local count = 0
		for _, message in ipairs(segment:messages()) do
			count = count + (message.properties.id == "one" and 1 or 0)
		end
		assert.equal(1, count)
		daemon.stop(serve)
	end)

	it("answers 200 to what the mapping fails on, which is a dead letter, and counts it", function()
		local serve, _, values = start()
		for _, body in ipairs { '{"type":"bad","event_id":"b","user":"u"}', '{"type":"?"}', "{broken" } do
			assert.equal(200, (daemon.post(serve, "/webhooks/acme", body)))
		end
		assert.equal(1, daemon.metric(serve, 'moonweir_events_failed_total{code="mapping"}'))
		assert.equal(1, daemon.metric(serve, 'moonweir_events_failed_total{code="unmatched"}'))
		assert.equal(1, daemon.metric(serve, 'moonweir_events_failed_total{code="json"}'))
		daemon.stop(serve)
		local _, out = child.run { "dead", "list", "--spool", values.spool }
		assert.equal(3, select(2, out:gsub("\n", "")))
	end)

	it("reads parameters of the URL, and keeps them with a dead letter, and nothing else of it", function()
		local serve, _, values = start(nil, (daemon.source:gsub('get "user" }', 'get.query "user_id" }')))
		assert.equal(200, (daemon.post(serve, "/webhooks/acme?x=hush&user_id=ann%20%2B1", EVENT:format "asked")))
		assert.equal("ann +1", arrived(serve, "asked").userId)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme?x=hush&user_id=bob", '{"type":"bad","event_id":"b"}')))
		daemon.stop(serve)
		local _, out = child.run { "dead", "export", "--spool", values.spool }
		assert.matches('"?user_id":"bob"', out, 1, true)
		assert.not_matches("hush", out, 1, true)
	end)

	it("shows metrics that equal what was sent", function()
		local serve = start()
		for i = 1, 7 do
			daemon.post(serve, "/webhooks/acme", EVENT:format("m" .. i))
		end
		daemon.post(serve, "/webhooks/acme", '{"type":"quiet"}')
		daemon.post(serve, "/nowhere", "")
		arrived(serve, "m7")
		serve:wait("the delivery to be counted", function()
			return daemon.metric(serve, "moonweir_messages_delivered_total") == 7
		end)
		for name, value in pairs {
			messages_accepted_total = 7, messages_dead_total = 0, messages_queued = 0, events_total = 8, events_ignored_total = 1,
			['http_requests_total{route="/webhooks/<account>",status="200"}'] = 8, healthy = 1,
			['http_requests_total{route="none",status="404"}'] = 1, ['account_messages_delivered{account="acme"}'] = 7,
		} do
			assert.equal(value, daemon.metric(serve, "moonweir_" .. name), name)
		end
		assert.is_true(daemon.metric(serve, "moonweir_commit_seconds_count") >= 1)
		assert.equal(404, (child.http(serve.port, "GET", "/metrics")))
		daemon.stop(serve)
	end)

	it("verifies, answers 401 without a hint, and tells no secret anywhere", function()
		local canary, key = "CANARY-5eb1a7-secret", ("K9canary"):rep(4)
		local source = daemon.source:gsub("slug =", 'verify = source.verify.bearer { token = source.secret "HOOK" }, slug =', 1)
		local serve, config = start({
			secrets = { HOOK = child.file("hook-secret", canary .. "\n") }, write_key_file = child.file("canary-key", key),
			log = { level = "debug" },
		}, source)
		local right = { Authorization = "Bearer " .. canary }
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "signed", right)))
		local answers = {}
		for i, wrong in ipairs { "Bearer nonsense", "Bearer", "Basic x" } do
			local status, body, head = daemon.post(serve, "/webhooks/acme", EVENT:format "x", { Authorization = wrong })
			assert.equal(401, status)
			answers[i] = body .. head:gsub("Date: [^\r]*", "")
		end
		assert.equal(answers[1], answers[2])
		assert.equal(answers[1], answers[3])
		arrived(serve, "signed")
		-- A secret that changed counts after SIGHUP, and not before.
		local new = "CANARY-77aa01-secret"
		child.file("hook-secret", new)
		assert.equal(401, (daemon.post(serve, "/webhooks/acme", EVENT:format "y", { Authorization = "Bearer " .. new })))
		serve:signal "HUP"
		serve:wait_for "event=reloaded"
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "y", { Authorization = "Bearer " .. new })))
		local _, metrics = child.http(serve.operations, "GET", "/metrics")
		local said = serve:err() .. serve:out() .. metrics .. child.read(config) .. table.concat(answers)
		daemon.stop(serve)
		for _, secret in ipairs { canary, new, key } do
			assert.is_nil((said .. serve:err()):find(secret, 1, true))
		end
	end)

	it("knows accounts from the store, and refuses others with 404 unless told not to", function()
		local serve = start { write_key_file = "none" }
		assert.equal(404, (daemon.post(serve, "/webhooks/nobody", EVENT:format "n")))
		for _, path in ipairs { "/webhooks/", "/webhooks/a/b", "/webhooks/%zz", "/webhooks", "/webhooks/%2", "/" } do
			assert.equal(404, (daemon.post(serve, path, EVENT:format "n")), path)
		end
		assert.equal(400, (daemon.post(serve, "/webhooks/a%00", EVENT:format "n")))
		daemon.stop(serve)
		serve = start { write_key_file = "none", unknown_accounts = "accept" }
		assert.equal(200, (daemon.post(serve, "/webhooks/some%20body%2F1", EVENT:format "n")))
		assert.equal(1, daemon.metric(serve, 'moonweir_account_messages_queued{account="some body/1"}'))
		daemon.stop(serve)
	end)

	it("keeps the old script when the new one is broken, and takes one that is good", function()
		local serve, _, values = start()
		local function rewrite(text)
			local file = assert(io.open(values.source, "w"))
			file:write(text)
			file:close()
			serve:signal "HUP"
		end
		rewrite "return nonsense("
		serve:wait_for "event=reload_failed[^\n]*old one goes on"
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "old")))
		assert.equal("Hook", arrived(serve, "old").event)
		rewrite((daemon.source:gsub('"Hook"', '"Fish Hook"')))
		serve:wait_for "event=reloaded"
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "new")))
		assert.equal("Fish Hook", arrived(serve, "new").event)
		daemon.stop(serve)
	end)

	it("answers 503 with Retry-After when the spool is full, says so, and takes events again later", function()
		segment:control "always 503"
		local serve = start { spooling = { disk_bytes = 4194304 } }
		local filler, n = ("x"):rep(20000), 0
		local status, head
		serve:wait("a full spool", function()
			local list = {}
			for i = 1, 20 do
				n = n + 1
				list[i] = ('{"type":"t","event_id":"%d%s","user":"u"}'):format(n, filler)
			end
			local _
			status, _, head = daemon.post(serve, "/webhooks/acme", table.concat(list, "\n"), NDJSON)
			return status ~= 200
		end)
		assert.equal(503, status)
		assert.matches("Retry%-After: %d+", head)
		serve:wait("healthz to say so", function()
			local well, body = child.http(serve.port, "GET", "/healthz")
			return well == 503 and body:find("spool_full", 1, true)
		end)
		segment:control "reset"
		serve:wait("room", function()
			return daemon.post(serve, "/webhooks/acme", EVENT:format "later") == 200
		end)
		serve:wait("health", function()
			return child.http(serve.port, "GET", "/healthz") == 200
		end)
		daemon.stop(serve)
	end)

	it("is unhealthy while nothing can be delivered, and well again after", function()
		segment:control "always 503"
		local serve = start { health = { stuck_seconds = 1 } }
		assert.equal(200, (child.http(serve.operations, "GET", "/healthz")))
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "stuck")))
		serve:wait("healthz to notice", function()
			local status, body = child.http(serve.operations, "GET", "/healthz")
			return status == 503 and body:find('"code":"stuck"', 1, true)
		end)
		segment:control "reset"
		serve:wait("healthz to recover", function()
			return child.http(serve.operations, "GET", "/healthz") == 200
		end)
		daemon.stop(serve)
	end)

	it("answers what has come when it is told to stop", function()
		local serve = start()
		os.execute(("%s %d %s s 16 >/dev/null 2>&1 &"):format(os.getenv "MW_POSTER", serve.port, child.folder() .. "/stopped"))
		serve:wait("posts", function()
			return #(child.read(child.folder() .. "/stopped") or "") > 200
		end)
		local err = daemon.stop(serve)
		assert.matches("event=stopped", err)
		local list = {}
		for _, message in ipairs(segment:messages()) do
			list[message.properties.id] = true
		end
		for id in child.read(child.folder() .. "/stopped"):gmatch "[^\n]+" do
			assert.is_true(list[id], id)
		end
	end)

	-- A client that sends a piece every 50 ms, for as long as it is let.
	local function dripping(port, head, piece)
		local path = child.file("head", head)
		local pipe = io.popen(([[bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; cat %s >&3; n=0
			while [ $n -lt 1200 ] && printf %%s "%s" >&3 2>/dev/null; do n=$((n+1)); sleep 0.05; done; echo $n' 2>/dev/null]]):format(
			port, path, piece))
		local pieces = tonumber(pipe:read "*l" or "") or 0
		pipe:close()
		return pieces
	end

	it("closes connections that are too slow, and serves others meanwhile", function()
		local serve = start { limits = { head_seconds = 1, body_rate = 100000 } }
		assert.is_true(dripping(serve.port, "GET / HTTP/1.1\r\nX-Slow: ", "a") < 1200)
		assert.is_true(dripping(serve.port, "G", "E") < 1200)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "good")))
		assert.is_true(daemon.metric(serve, "moonweir_http_too_slow_total") >= 2)
		daemon.stop(serve)
	end)

	it("closes a connection whose body came fast and then all but stops: it holds memory that others need", function()
		local serve = start { limits = { body_rate = 1000 } }
		local head = "POST /webhooks/acme HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
		assert.is_true(dripping(serve.port, head .. (" "):rep(900000), "a") < 1200)
		daemon.stop(serve)
	end)

	it("refuses what is too large, before it is kept", function()
		local serve = start { limits = { body_bytes = 2000, head_bytes = 2000 } }
		local body = EVENT:format(("x"):rep(2000 - #EVENT + 2))
		assert.equal(2000, #body)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", body)))
		assert.equal(413, (daemon.post(serve, "/webhooks/acme", body .. " ")))
		assert.equal(431, (daemon.post(serve, "/webhooks/acme", body, { ["X-Long"] = ("y"):rep(2000) })))
		assert.equal(414, (daemon.post(serve, "/webhooks/" .. ("z"):rep(4200), body)))
		local endless = "POST /webhooks/acme HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		assert.is_nil(child.exchange(serve.port, endless .. ("400\r\n" .. ("x"):rep(1024) .. "\r\n"):rep(200)):match " 200 ")
		daemon.stop(serve)
	end)

	it("serves a good client beside 10,000 connections that say nothing", function()
		local limit = io.popen "ulimit -Hn":read "*l"
		if limit ~= "unlimited" and tonumber(limit) < 10400 then
			return pending("skipped: no more than " .. limit .. " descriptors here")
		end
		local serve = start { limits = { connections_per_ip = 0, connections = 12000, head_seconds = 600 } }
		local crowd = io.popen(("%s %d 10000"):format(os.getenv "MW_CROWD", serve.port)) -- ends with the daemon
		assert.equal("open 10000", crowd:read "*l")
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "crowded")))
		arrived(serve, "crowded")
		assert.is_true(daemon.metric(serve, "moonweir_http_connections") >= 10000)
		daemon.stop(serve)
		crowd:close()
	end)

	local HEAD = "POST /webhooks/acme HTTP/1.1\r\nHost: h\r\n"
	local BODY = '{"type":"quiet"}'
	local LENGTH = "Content-Length: " .. #BODY
	local CHUNKS = ("%x\r\n%s\r\n0\r\n\r\n"):format(#BODY, BODY)
	local doubtful = {
		["a length and chunks"] = HEAD .. LENGTH .. "\r\nTransfer-Encoding: chunked\r\n\r\n" .. CHUNKS,
		["chunks and a length"] = HEAD .. "Transfer-Encoding: chunked\r\n" .. LENGTH .. "\r\n\r\n" .. CHUNKS,
		["two lengths"] = HEAD .. LENGTH .. "\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a list of lengths"] = HEAD .. LENGTH .. ", " .. #BODY .. "\r\n\r\n" .. BODY,
		["a signed length"] = HEAD .. "Content-Length: +" .. #BODY .. "\r\n\r\n" .. BODY,
		["a negative length"] = HEAD .. "Content-Length: -1\r\n\r\n" .. BODY,
		["a hexadecimal length"] = HEAD .. "Content-Length: 0x10\r\n\r\n" .. BODY,
		["no length"] = HEAD .. "Content-Length: \r\n\r\n" .. BODY,
		["a huge length"] = HEAD .. "Content-Length: 99999999999999999999999\r\n\r\n" .. BODY,
		["another coding"] = HEAD .. "Transfer-Encoding: xchunked\r\n\r\n" .. CHUNKS,
		["identity"] = HEAD .. "Transfer-Encoding: identity\r\n\r\n" .. BODY,
		["two codings"] = HEAD .. "Transfer-Encoding: gzip, chunked\r\n\r\n" .. CHUNKS,
		["chunked twice"] = HEAD .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" .. CHUNKS,
		["a vertical tab"] = HEAD .. "Transfer-Encoding: \11chunked\r\n\r\n" .. CHUNKS,
		["chunks in 1.0"] = "POST /webhooks/acme HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" .. CHUNKS,
		["a space before the colon"] = HEAD .. "Transfer-Encoding : chunked\r\n\r\n" .. CHUNKS,
		["a bare LF"] = HEAD .. "A: b\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["bare LFs alone"] = (HEAD .. LENGTH .. "\r\n\r\n"):gsub("\r", "") .. BODY,
		["a bare LF at the end"] = HEAD .. LENGTH .. "\n\n" .. BODY,
		["a bare CR"] = HEAD .. "A: b\r" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a folded line"] = HEAD .. "A: b\r\n c\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a folded coding"] = HEAD .. "Transfer-Encoding:\r\n chunked\r\n\r\n" .. CHUNKS,
		["a NUL in a value"] = HEAD .. "A: b\0c\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a NUL in a length"] = HEAD .. LENGTH .. "\0 1\r\n\r\n" .. BODY,
		["a NUL in a name"] = HEAD .. "A\0B: c\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a NUL in the target"] = "POST /webhooks/acme\0x HTTP/1.1\r\nHost: h\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["no host"] = "POST /webhooks/acme HTTP/1.1\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["two hosts"] = HEAD .. "Host: other\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["an absolute target"] = "POST http://h/webhooks/acme HTTP/1.1\r\nHost: h\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["two spaces"] = "POST  /webhooks/acme HTTP/1.1\r\nHost: h\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a tab"] = "POST\t/webhooks/acme HTTP/1.1\r\nHost: h\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["HTTP/2.0"] = "POST /webhooks/acme HTTP/2.0\r\nHost: h\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["HTTP/1.10"] = "POST /webhooks/acme HTTP/1.10\r\nHost: h\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["HTTP/0.9"] = "GET /healthz\r\n\r\n",
		["no colon"] = HEAD .. "foo\r\n" .. LENGTH .. "\r\n\r\n" .. BODY,
		["a chunk of overflowing size"] = HEAD .. "Transfer-Encoding: chunked\r\n\r\n1" .. ("0"):rep(15) .. CHUNKS,
		["a chunk of negative size"] = HEAD .. "Transfer-Encoding: chunked\r\n\r\n-" .. CHUNKS,
		["a chunk of hexadecimal size"] = HEAD .. "Transfer-Encoding: chunked\r\n\r\n0x" .. CHUNKS,
		["a chunk that is longer than it says"] = HEAD .. "Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
		["TLS"] = "\22\3\1\2\0\1\0\1\252\3\3\r\n\r\n",
	}

	it("refuses a request whose end is a matter of opinion, and whatever comes behind it", function()
		local serve = start()
		local next_one = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
		for what, bytes in pairs(doubtful) do
			local answer = child.exchange(serve.port, bytes .. next_one)
			assert.is_nil(answer:match "HTTP/1.1 2%d%d", what .. ": " .. answer)
			assert.is_true(answer == "" or answer:match "^HTTP/1.1 [45]%d%d" ~= nil, what .. ": " .. answer)
		end
		local fine = HEAD .. "A:b\r\nEmpty:\r\nT:  c \r\n" .. LENGTH .. "\r\nConnection: close\r\n\r\n" .. BODY
		assert.matches("^HTTP/1.1 200 ", child.exchange(serve.port, fine))
		fine = HEAD .. "Transfer-Encoding: Chunked\r\nConnection: close\r\n\r\n" .. CHUNKS
		assert.matches("^HTTP/1.1 200 ", child.exchange(serve.port, fine))
		daemon.stop(serve)
	end)

	it("says what is wrong with a config, and stops", function()
		for text, expected in pairs {
			["return { sorce = 'x' }"] = 'no option "sorce", did you mean "source"?',
			["return { source = 'x', spool = 'y', limits = { body_bytes = 'z' } }"] = "limits.body_bytes must be a whole number",
			["return { source = 'x' }"] = "spool is missing",
			["return os.getenv 'HOME'"] = "attempt to index",
			["while true do end"] = "",
			["return {"] = "expected",
		} do
			local code, _, err = child.run { "serve", child.file("wrong.lua", text) }
			assert.equal(1, code)
			assert.truthy(err:gsub('\\"', '"'):find(expected, 1, true), text .. ": " .. err)
		end
		assert.equal(2, (child.run { "serve" }))
	end)

	it("prints a config that it takes itself", function()
		local code, text = child.run { "serve", "--print-config" }
		assert.equal(0, code)
		local changes
		text = text:gsub('"/var/lib/moonweir/spool"', '"spool-of-the-printed"')
		text, changes = text:gsub("%-%- (write_key_file = )[^\n]*", '%1"key",')
		assert.equal(1, changes)
		child.file("key", ("k"):rep(32))
		local path = child.file("printed.lua", text)
		child.file("acme-mail.lua", daemon.source)
		code, text = child.run { "serve", path, "--check" }
		assert.equal(0, code)
		assert.matches("good", text)
	end)
end)
