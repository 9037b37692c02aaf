--- moonweir.openresty in an nginx of its own, over real connections: every phase, reload, killed workers, and wrong use.
--
-- What runs in nginx is LuaJIT, whoever drives it, so the specs do this on LuaJIT alone.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core = require "moonweir.core"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local nginx = require "spec.support.nginx"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "hooks", version = "1.0.0", event = get "type", id = get "id", user = source.user { get "user", email = get "email" },
	on = {
		t = source.track "Hook" { id = get "id" },
		bad = source.track "Bad" { x = get "type":apply(function() error "on purpose" end) },
		f = function(event, emit) emit(source.track "Made" { id = event.id, list = { event.type:upper() } }) end,
	},
}
]]
local EVENT = '{"type":"t","id":"%s","user":"u"}'
local URL = "http://127.0.0.1:9999" -- how the world calls it
local HANDLERS = [[
    location = /metrics { content_by_lua_block { require("moonweir.openresty").operations() } }
    location / { content_by_lua_block { require("moonweir.openresty").handle() } }
]]

local missing = not rawget(_G, "jit") and "nginx runs LuaJIT" or nginx.missing()

describe("moonweir.openresty", function()
	if missing then
		it("runs in nginx", function()
			pending("skipped: " .. missing)
		end)
		return
	end

	local segment
	local numbers = 0
	before_each(function()
		segment = mock.start()
	end)
	after_each(function()
		nginx.clean()
		segment:finish()
	end)
	teardown(child.clean)

	local function config(more, source)
		numbers = numbers + 1
		local values = {
			source = child.file(("source%d.lua"):format(numbers), source or SOURCE), spool = child.folder() .. "/spool" .. numbers,
			write_key_file = child.file("key" .. numbers, ("k"):rep(32)), delivery = { endpoint = segment.url, rate = 0 },
		}
		for name, value in pairs(more or {}) do
			values[name] = value ~= "none" and value or nil
		end
		return values
	end

	-- Nothing of a crash, and nothing that Lua complains of.
	local function assert_clean(host)
		assert.is_nil(host:log():match "[^\n]*exited on signal[^\n]*")
		assert.is_nil(host:log():match "%[alert%][^\n]*")
		assert.is_nil(host:log():match "[^\n]*writing a global[^\n]*")
		assert.is_nil(host:log():match "[^\n]*traceback[^\n]*")
	end

	local function arrived_ids()
		local ids, total = {}, 0
		for _, message in ipairs(segment:messages()) do
			local id = message.properties and message.properties.id or message.type
			ids[id] = (ids[id] or 0) + 1
			total = total + 1
		end
		return ids, total
	end

	local function arrived(host, ids)
		return host:wait(table.concat(ids, ", ") .. " to arrive", function()
			local have = arrived_ids()
			for _, id in ipairs(ids) do
				if not have[id] then
					return false
				end
			end
			return have
		end)
	end

	it("takes events from every phase of a request, and from timers", function()
		local push = 'require("moonweir.openresty").push({ type = "t", id = %q, user = "u" })'
		local host = nginx.start {
			config = config(),
			server = ([[
    location = /phases {
      set_by_lua_block $x { PUSH(set) return "x" }
      rewrite_by_lua_block { PUSH(rewrite) }
      access_by_lua_block { PUSH(access) }
      content_by_lua_block { PUSH(content) ngx.timer.at(0, function() PUSH(timer) end) ngx.say "done" }
      header_filter_by_lua_block { PUSH(header_filter) }
      body_filter_by_lua_block { if ngx.arg[2] then PUSH(body_filter) end }
      log_by_lua_block { PUSH(log) }
    }
    location = /calls { content_by_lua_block {
      local moonweir = require "moonweir.openresty"
      assert(moonweir.push('{"type":"f","id":"function","user":"u"}'))
      assert(moonweir.track("default", { userId = "u", event = "Called", properties = { id = "track" } }))
      assert(moonweir.identify("default", { userId = "u", traits = { a = 1 } }))
      ngx.say(tostring(moonweir.push("{broken")), " ", (select(3, moonweir.push '{"type":"bad","id":"b","user":"u"}')))
      ngx.say(moonweir.client():stats().failed, " ", tostring(package.loaded["moonweir.server"]))
    } }]]):gsub("PUSH(%b())", function(name)
				return push:format(name:sub(2, -2))
			end),
		}
		assert.equal(200, (host:http("GET", "/phases")))
		local _, body = host:http("GET", "/calls")
		assert.equal("nil mapping\n2 nil\n", body) -- and libmicrohttpd is not needed
		local have = arrived(host, { "set", "rewrite", "access", "content", "timer", "header_filter", "body_filter", "log", "function",
			"track" })
		for id, count in pairs(have) do
			assert.equal(1, count, id)
		end
		host:stop()
		assert_clean(host)
	end)

	it("answers a webhook when its events are on disk, however many wait, and does not block meanwhile", function()
		segment:control "always 503"
		local values = config()
		local host = nginx.start { config = values, server = HANDLERS .. [[
    location /webhooks/ { content_by_lua_block {
      local moonweir = require "moonweir.openresty"
      moonweir.handle()
      local client = moonweir.client()
      if not client:is_safe(client:mark()) then ngx.log(ngx.ERR, "answered before it was on disk") end
    } }
    location = /sync { content_by_lua_block {
      local moonweir = require "moonweir.openresty"
      local threads, turns = {}, 0
      local counting = ngx.thread.spawn(function() while true do ngx.sleep(0.001) turns = turns + 1 end end)
      for i = 1, 100 do
        threads[i] = ngx.thread.spawn(function()
          return moonweir.push('{"type":"t","id":"sync' .. i .. '","user":"u"}', { sync = true })
        end)
      end
      local good = 0
      for i = 1, 100 do
        local ok, queued = ngx.thread.wait(threads[i])
        good = good + (ok and queued == 1 and 1 or 0)
      end
      ngx.thread.kill(counting)
      local client = moonweir.client()
      ngx.say(good, " ", tostring(client:is_safe(client:mark())), " ", turns > 0 and "others ran" or "blocked")
      local _, _, code = moonweir.push('{"type":"bad","id":"b","user":"u"}', { sync = true }) -- its letter is kept
      ngx.say(code, " ", tostring(client:is_safe(client:mark())))
    } }]] }
		assert.equal("100 true others ran\nmapping true\n", (select(2, host:http("GET", "/sync"))), host:log())
		for i = 1, 5 do
			assert.equal(200, (host:http("POST", "/webhooks/acme", {}, EVENT:format("kept" .. i))))
		end
		assert.is_nil(host:log():find("answered before", 1, true))
		-- Answered, so it survives whatever happens now.
		host:kill()
		segment:control "reset"
		local client = assert(mw.open { spool = values.spool, write_key = ("k"):rep(32), endpoint = segment.url, rate = 0 })
		assert(client:flush(60))
		client:close(0)
		local have = arrived_ids()
		for i = 1, 5 do
			assert.equal(1, have["kept" .. i], "kept" .. i)
		end
		for i = 1, 100 do
			assert.equal(1, have["sync" .. i], "sync" .. i)
		end
	end)

	it("reads bodies as the daemon does: in memory, from a file, in chunks, gzipped, and not beyond the limit", function()
		local source = SOURCE:gsub("slug =", 'verify = source.verify.bearer { token = source.secret "HOOK" }, slug =', 1)
		local host = nginx.start {
			config = config({ secrets = { HOOK = child.file("hook", "s3cret-canary") }, limits = { body_bytes = 300000 } }, source),
			server = "client_body_buffer_size 8k; client_max_body_size 400k;\n" .. HANDLERS,
		}
		local right = { Authorization = "Bearer s3cret-canary" }
		local function post(id, headers, body)
			local all = { Authorization = right.Authorization, ["Content-Type"] = "application/json" }
			for name, value in pairs(headers or {}) do
				all[name] = value
			end
			return host:http("POST", "/webhooks/acme", all, body or EVENT:format(id))
		end
		assert.equal(200, (post "small"))
		assert.equal(200, (post("large", nil, ('{"type":"t","id":"large","user":"u","more":"%s"}'):format(("x"):rep(200000)))))
		assert.equal(413, (post("much", nil, ('{"type":"t","id":"much","user":"u","more":"%s"}'):format(("x"):rep(300000)))))
		assert.equal(413, (post("nginx", nil, ('{"type":"t","id":"nginx","user":"u","more":"%s"}'):format(("x"):rep(500000)))))
		local chunks = EVENT:format "chunked"
		local answer = child.exchange(host.port, ("POST /webhooks/acme HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\n"
			.. "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n"):format(
				right.Authorization, chunks:sub(1, 5), #chunks - 5, chunks:sub(6)))
		assert.matches("^HTTP/1.1 200 ", answer)
		local zipped = child.folder() .. "/zipped.gz"
		child.file("zipped", EVENT:format "zipped")
		os.execute(("gzip -f '%s/zipped'"):format(child.folder()))
		assert.equal(200, (post("zipped", { ["Content-Encoding"] = "gzip" }, child.read(zipped))))
		assert.equal(400, (post("torn", { ["Content-Encoding"] = "gzip" }, "no gzip")))
		for _, wrong in ipairs { "Bearer nonsense", "" } do
			assert.equal(401, (post("wrong", { Authorization = wrong })))
		end
		-- A header that came twice is one that can't be believed; of this one nginx says so itself.
		answer = child.exchange(host.port, ("POST /webhooks/acme HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\nauthorization: %s\r\n"
			.. "Connection: close\r\nContent-Length: 2\r\n\r\n{}"):format(right.Authorization, right.Authorization))
		assert.matches("^HTTP/1.1 400 ", answer)
		local many = {}
		for i = 1, 120 do
			many["X-" .. i] = "y"
		end
		assert.equal(431, (post("many", many)))
		assert.equal(404, (host:http("GET", "/nowhere")))
		local have = arrived(host, { "small", "large", "chunked", "zipped" })
		for _, id in ipairs { "much", "nginx", "torn", "wrong", "many" } do
			assert.is_nil(have[id])
		end
		host:wait("the numbers of both workers", function()
			return host:metric("http_requests_total", 'route="/webhooks/<account>",status="200"') == 4
		end)
		host:stop()
		assert_clean(host)
		assert.is_nil(host:log():find("s3cret-canary", 1, true))
	end)

	it("goes on over reloads and a killed worker: nothing that was answered is lost, another adopts what is left", function()
		segment:control "always 503"
		local host = nginx.start { config = config(), server = HANDLERS }
		local ids = {}
		local function post()
			local id = "r" .. (#ids + 1)
			assert.equal(200, (host:http("POST", "/webhooks/acme", {}, EVENT:format(id))))
			ids[#ids + 1] = id
		end
		for _ = 1, 3 do
			for _ = 1, 6 do
				post()
			end
			host:reload()
		end
		local killed = host:workers()[1]
		host:signal("KILL", killed)
		host:wait("a worker in its place", function()
			local now = host:workers()
			return #now == 2 and now[1] ~= killed and now[2] ~= killed
		end)
		post()
		segment:control "reset"
		local have = arrived(host, ids)
		for id, count in pairs(have) do
			assert.equal(1, count, id)
		end
		host:stop()
		assert.is_nil(host:log():match "exited on signal 11")
		assert.equal(1, select(2, host:log():gsub("exited on signal 9", "")))
	end)

	it("keeps the rate over all workers", function()
		local host = nginx.start {
			workers = 2, config = config { delivery = { endpoint = segment.url, rate = 50 } },
			server = [[location = /burst { content_by_lua_block {
				local moonweir = require "moonweir.openresty"
				for i = 1, 60 do
					assert(moonweir.push('{"type":"t","id":"' .. ngx.worker.pid() .. "-" .. i .. '","user":"u"}',
						{ account = "a" .. i .. "-" .. ngx.worker.pid() }))
				end
				ngx.say(ngx.worker.pid())
			} }]],
		}
		local pids, seen = host:workers(), {}
		host:wait("a burst in each worker", function()
			local _, pid = host:http("GET", "/burst")
			seen[pid:match "%d+\n"] = true
			local count = 0
			for _ in pairs(seen) do
				count = count + 1
			end
			return count == #pids
		end)
		host:wait("all of it", function()
			local _, total = arrived_ids()
			return total >= 120
		end)
		host:stop()
		local times = {}
		for _, request in ipairs(segment:finish()) do
			times[#times + 1] = tonumber(request[1])
		end
		table.sort(times)
		assert.is_true(#times >= 120)
		for i = 51, #times do
			assert.is_true(times[i] - times[i - 50] >= 1e9, ("51 requests in %.3f s"):format((times[i] - times[i - 50]) / 1e9))
		end
	end)

	it("has settings page, Segment's receiver, metrics and health as the daemon has", function()
		local master, link_key = child.folder() .. "/master-key", child.folder() .. "/link-key"
		assert(accounts.new_master_key(master))
		assert(accounts.new_master_key(link_key))
		local values = config {
			write_key_file = "none", master_key_file = master, public_url = URL, settings = { link_key_file = link_key, name = "Acme" },
			segment = { api_keys_file = child.file("keys", '{"acme":"issued-1"}') }, delivery = { endpoint = segment.url },
		}
		local host = nginx.start { config = values, server = HANDLERS }
		local vault = assert(accounts.open { spool = values.spool, master_key_file = master })
		assert(vault:set("acme", { write_key = ("x"):rep(32), endpoint = segment.url }))
		vault:close()
		local function call(path, body, bearer)
			local status, text = host:http(body and "POST" or "GET", path, {
				["Content-Type"] = "application/json", Origin = URL, Authorization = bearer and "Bearer " .. bearer or nil }, body)
			return status, core.decode(text)
		end
		local page_status, page, head = host:http("GET", "/settings")
		assert.equal(200, page_status)
		assert.matches("<html", page, 1, true)
		assert.matches("Content%-Security%-Policy: default%-src 'none'", head)
		local link = assert(mw.settings_link("acme", { base_url = URL, key = link_key }))
		local status, session = call("/settings/session", core.encode { token = link:match "#(.+)$" })
		assert.equal(200, status)
		assert.equal(410, (call("/settings/session", core.encode { token = link:match "#(.+)$" })))
		local key = ("K9canary"):rep(4)
		assert.equal(200, (call("/settings/api/connect", core.encode { write_key = key }, session.session)))
		local _, state = call("/settings/api/state", nil, session.session)
		assert.equal("…" .. key:sub(-4), state.key)

		assert.equal(404, (host:http("POST", "/webhooks/nobody", {}, EVENT:format "n")))
		assert.equal(200, (host:http("POST", "/webhooks/acme", {}, '{"type":"t","id":"1","email":"ann@example.com"}')))
		assert.equal(200, (host:http("POST", "/segment/acme", { Authorization = "Basic aXNzdWVkLTE6",
			["Content-Type"] = "application/json" }, core.encode {
				type = "identify", userId = "u-17", traits = { email = "ann@example.com" }, messageId = "m",
				timestamp = "2026-01-01T00:00:00Z" })))
		assert.equal(401, (host:http("POST", "/segment/acme", { Authorization = "Basic eDo=" }, "{}")))
		-- What waited for that user, in whichever worker's partition, goes once the worker that learned has looked.
		host:wait("the letter to be replayed", function()
			return host:log():find("event=replayed account=acme letters=1 messages=1", 1, true)
		end)
		assert.equal(200, (host:http("GET", "/healthz")))
		host:wait("metrics", function()
			return host:metric("healthy") == 2 and host:metric("events_failed_total", 'code="no_user"') == 1
		end)
		assert.equal(405, (host:http("POST", "/metrics", {}, "")))
		host:stop()
		assert_clean(host)
		assert.is_nil(host:log():find(key, 1, true))
	end)

	it("writes to the error log at most once a second of a kind, with the count", function()
		local host = nginx.start {
			workers = 1, config = config(),
			server = [[location = /flood { content_by_lua_block {
				for i = 1, 500 do require("moonweir.openresty").push('{"type":"nonsense"}') end ngx.say "done" } }]],
		}
		local from = core.process.monotonic()
		host:http("GET", "/flood")
		local lines
		host:wait("the count of those that were withheld", function()
			local told, withheld = 0, 0
			lines = 0
			for line in host:log():gmatch "[^\n]*event=push[^\n]*\n" do
				lines = lines + 1
				told = told + (line:find("event=push withheld=", 1, true) and 0 or 1)
				withheld = withheld + tonumber(line:match "withheld=(%d+)" or 0)
			end
			return told + withheld == 500
		end)
		assert.is_true(lines <= 2 + core.process.monotonic() - from, host:log())
		host:stop()
		assert_clean(host)
	end)

	it("ends without a crash, also where nobody closes it and while it sends", function()
		segment:control "stall"
		for _, signal in ipairs { "QUIT", "TERM" } do
			for _, close in ipairs { "", 'exit_worker_by_lua_block { require("moonweir.openresty").close(0) }' } do
				local host = nginx.start { config = config(), close = close, server = HANDLERS }
				for i = 1, 4 do
					assert.equal(200, (host:http("POST", "/webhooks/acme", {}, EVENT:format("e" .. i))))
				end
				host:stop(signal)
				assert_clean(host)
				assert.same({}, host:errors())
			end
		end
	end)

	describe("used wrongly", function()
		local function said(host, text)
			host:wait(text, function()
				return host:log():find(text, 1, true)
			end)
		end

		it("says that the master is no place to open, and starts no nginx", function()
			local host = nginx.prepare {
				http = ('init_by_lua_block { require("moonweir.openresty").open(%s) }'):format(nginx.literal(config())), open = "",
			}
			host:launch(true)
			local out = child.read(host.folder .. "/stdout") .. host:log()
			assert.matches("called in init; the engine's thread lives in the process that opens it, so call it in init_worker_by_lua", out,
				1, true)
		end)

		it("says where to open, if nobody did", function()
			local host = nginx.start {
				http = [[init_by_lua_block { print(select(2, pcall(require("moonweir.openresty").push, "{}"))) }]], open = "", close = "",
				server = [[location = /push { content_by_lua_block { require("moonweir.openresty").push "{}" } }]],
			}
			local sentence = "moonweir.openresty.push: not open in this process; call open in init_worker_by_lua"
			said(host, sentence) -- of the master
			assert.equal(500, (host:http("GET", "/push")))
			host:wait("it of the worker", function()
				return select(2, host:log():gsub(sentence, "")) == 2
			end)
		end)

		it("refuses in a child that a worker forks, and goes on in the worker", function()
			local host = nginx.start {
				workers = 1, config = config(),
				server = ([[location = /fork { content_by_lua_block {
					local ffi, moonweir = require "ffi", require "moonweir.openresty"
					ffi.cdef "int fork(void); void _exit(int);"
					if ffi.C.fork() == 0 then
						local file = io.open("FOLDER/forked.tmp", "w")
						file:write((select(3, moonweir.push '{"type":"t","id":"child","user":"u"}')))
						file:close()
						os.rename("FOLDER/forked.tmp", "FOLDER/forked")
						ffi.C._exit(0)
					end
					ngx.say((moonweir.push '{"type":"t","id":"parent","user":"u"}'))
				} }]]):gsub("FOLDER", child.folder()),
			}
			assert.equal("1\n", (select(2, host:http("GET", "/fork"))))
			host:wait("the child's word", function()
				return child.read(child.folder() .. "/forked") == "forked"
			end)
			assert.is_nil(arrived(host, { "parent" }).child)
		end)

		it("raises what is wrong with options, with a wait that would block, and with sync where nothing can wait", function()
			local values = config()
			local host = nginx.start {
				config = values,
				http = "init_by_lua_block { VALUES = " .. nginx.literal(values) .. " }",
				server = [[
				location = /wrong { content_by_lua_block {
					local moonweir = require "moonweir.openresty"
					local function try(f, ...) local _, why = pcall(f, ...) ngx.say(why) end
					try(moonweir.push, "{}", { wait = 1 })
					try(moonweir.track, "a", {}, { wait = 1 })
					try(moonweir.push, "{}", { sync = "yes" })
					try(moonweir.open, VALUES)
				} }
				location = /log { log_by_lua_block { require("moonweir.openresty").push('{"type":"t","id":"l","user":"u"}', { sync = true }) }
					content_by_lua_block { ngx.say "done" } }
				location = /fine { content_by_lua_block {
					ngx.say((require("moonweir.openresty").push('{"type":"t","id":"fine","user":"u"}', { sync = 5 }))) } }]],
			}
			local _, body = host:http("GET", "/wrong")
			assert.matches("push: wait would block the worker", body, 1, true)
			assert.matches("track: wait would block the worker", body, 1, true)
			assert.matches("push: sync must be true or seconds", body, 1, true)
			assert.matches("open: called in content", body, 1, true)
			host:http("GET", "/log")
			said(host, "nothing can wait in log_by_lua")
			host:http("GET", "/fine")
			assert.is_nil(arrived(host, { "fine" }).l) -- what raises pushes nothing
			host = nginx.start { config = { sorce = "x" }, server = HANDLERS }
			said(host, 'moonweir.openresty.open: no option "sorce", did you mean "source"?')
		end)

		it("serves on when a client can't be opened, says why, and opens it later", function()
			local values = config()
			os.execute(("chmod 644 '%s'"):format(values.write_key_file))
			local host = nginx.start { config = values, server = HANDLERS .. [[
				location = /push { content_by_lua_block {
					local queued, message, code = require("moonweir.openresty").push('{"type":"t","id":"p","user":"u"}')
					ngx.say(tostring(queued), " ", code) } }]] }
			assert.equal("nil closed\n", (select(2, host:http("GET", "/push"))))
			assert.equal(503, (host:http("POST", "/webhooks/acme", {}, EVENT:format "early")))
			said(host, "others may read this file and it holds keys")
			os.execute(("chmod 600 '%s'"):format(values.write_key_file))
			host:wait("it to open", function()
				return host:http("POST", "/webhooks/acme", {}, EVENT:format "late") == 200
			end)
			arrived(host, { "late" })
		end)

		it("keeps running workers when a reload finds a broken script", function()
			local values = config()
			local check = ('init_by_lua_block { require("moonweir.openresty").check(%s) }'):format(nginx.literal(values))
			local host = nginx.start { config = values, http = check, server = HANDLERS }
			local before = host:workers()
			local file = assert(io.open(values.source, "w"))
			file:write "return nonsense("
			file:close()
			host:signal "HUP"
			said(host, "moonweir.openresty.check: ")
			assert.equal(200, (host:http("POST", "/webhooks/acme", {}, EVENT:format "still")))
			local now = host:workers()
			table.sort(before)
			table.sort(now)
			assert.same(before, now)
			arrived(host, { "still" })
		end)
	end)
end)
