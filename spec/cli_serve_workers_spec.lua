--- `moonweir serve --workers 2`: a parent and two workers, over real connections. Which of them serves is decided by stopping
--- the other (SIGSTOP): it takes no connection then.

local accounts = require "moonweir.accounts"
local busiest_second = require "spec.support.windows"
local child = require "spec.support.child"
local core = require "moonweir.core"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"
local mw = require "moonweir"
local server = require "moonweir.server"

local unpack = table.unpack or unpack

local EVENT = '{"type":"t","event_id":"%s","user":"u"}'
local RATE = 20

local function signal(name, pid)
	os.execute(("kill -%s %s 2>/dev/null"):format(name, pid))
end

-- The workers that there are now.
local function workers_of(serve)
	local list = {}
	local text = child.read(("/proc/%s/task/%s/children"):format(serve.pid, serve.pid)) or ""
	for pid in text:gmatch "%d+" do
		list[#list + 1] = pid
	end
	return list
end

local function is_there(pid)
	local stat = child.read(("/proc/%s/stat"):format(pid))
	return stat ~= nil and not stat:find("%) Z")
end

local function state_of(pid)
	return (child.read(("/proc/%s/stat"):format(pid)) or ""):match ".*%) (%a)"
end

describe("moonweir serve with workers", function()
	local segment, serve
	setup(function()
		segment = mock.start()
	end)
	before_each(function()
		segment:control "reset"
	end)
	after_each(function()
		if serve then
			for _, pid in ipairs(workers_of(serve)) do
				signal("CONT", pid)
			end
			serve:signal "TERM"
			serve:finish()
			serve = nil
		end
	end)
	teardown(function()
		segment:finish()
		child.clean()
	end)

	local function start(options, source)
		options = options or {}
		options.delivery = options.delivery or { endpoint = segment.url, rate = 0 }
		options.workers = 2
		local config, values = daemon.config(options, source)
		serve = daemon.start(config)
		return values, config
	end

	-- Let one of the two serve alone while f runs.
	local function alone(pid, f)
		for _, other in ipairs(workers_of(serve)) do
			if other ~= pid then
				signal("STOP", other)
				serve:wait("a worker to stand still", function()
					return state_of(other) == "T"
				end)
			end
		end
		f()
		for _, other in ipairs(workers_of(serve)) do
			signal("CONT", other)
		end
	end

	local function two_workers()
		return serve:wait("two workers", function()
			local pids = workers_of(serve)
			return #pids == 2 and pids
		end)
	end

	local function arrived(ids)
		serve:wait("all events to arrive", function()
			local missing = {}
			for id in pairs(ids) do
				missing[id] = true
			end
			for _, message in ipairs(segment:messages()) do
				missing[message.properties.id] = nil
			end
			return next(missing) == nil
		end)
	end

	it("serves with each of them, and its metrics are those of all", function()
		start()
		local pids = workers_of(serve)
		assert.equal(2, #pids)
		for i, pid in ipairs(pids) do
			alone(pid, function()
				for j = 1, i do
					assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format(i .. "." .. j))))
				end
			end)
		end
		arrived { ["1.1"] = true, ["2.1"] = true, ["2.2"] = true }
		assert.equal(2, daemon.metric(serve, "moonweir_workers"))
		-- Whichever of them is asked, once the other has told it what it has: it goes on between two looks.
		for _, pid in ipairs(pids) do
			serve:wait("its metrics to be those of both", function()
				local are_of_both
				alone(pid, function()
					are_of_both = daemon.metric(serve, 'moonweir_http_requests_total{route="/webhooks/<account>",status="200"}') == 3
						and daemon.metric(serve, "moonweir_messages_delivered_total") == 3
						and daemon.metric(serve, 'moonweir_account_messages_delivered{account="acme"}') == 3
				end)
				return are_of_both
			end)
			alone(pid, function()
				assert.equal(200, (child.http(serve.operations, "GET", "/healthz")))
			end)
		end
	end)

	it("replaces one that is killed under load, and loses nothing that was answered 200", function()
		start()
		local ids = {}
		for kill = 1, 3 do
			local promised = ("%s/promised%d"):format(child.folder(), kill)
			os.execute(("( %s %d %s k%d 16; echo ended > %s.end ) >/dev/null 2>&1 &"):format(
				os.getenv "MW_POSTER", serve.port, promised, kill, promised))
			serve:wait("promises", function()
				return #child.lines(promised) >= 50
			end)
			local pids = two_workers()
			signal("KILL", pids[1 + kill % 2])
			serve:wait("another in its place", function()
				local now = workers_of(serve)
				return #now == 2 and now[1] .. now[2] ~= pids[1] .. pids[2]
			end)
			local more = #child.lines(promised)
			serve:wait("promises of those that are there", function()
				return #child.lines(promised) > more + 20 or child.read(promised .. ".end")
			end)
			-- The poster ends once both have been killed under it.
			for _, pid in ipairs(workers_of(serve)) do
				signal("KILL", pid)
			end
			serve:wait("its last promise", function()
				return child.read(promised .. ".end")
			end)
			for _, id in ipairs(child.lines(promised)) do
				ids[id] = true
			end
		end
		arrived(ids)
		assert.matches("event=worker_ended", serve:err(), 1, true)
		assert.matches('reason="signal 9"', serve:err(), 1, true)
	end)

	it("has what one left behind delivered by the other", function()
		start { delivery = { endpoint = segment.url, rate = 0 } }
		segment:control "always 503"
		local pids = workers_of(serve)
		alone(pids[1], function()
			assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "left")))
		end)
		-- Its place is not taken again: the parent stands still.
		signal("STOP", serve.pid)
		signal("KILL", pids[1])
		segment:control "reset"
		arrived { left = true }
		signal("CONT", serve.pid)
	end)

	it("keeps one budget", function()
		start { delivery = { endpoint = segment.url, rate = RATE } }
		local ids, before = {}, #child.lines(segment.log)
		for _, pid in ipairs(workers_of(serve)) do
			alone(pid, function()
				for i = 1, 40 do -- each account's events go in requests of their own
					local id = pid .. "-" .. i
					ids[id] = true
					assert.equal(200, (daemon.post(serve, ("/webhooks/%s-%d"):format(pid, i), EVENT:format(id))))
				end
			end)
		end
		arrived(ids)
		local times = {}
		for i, line in ipairs(child.lines(segment.log)) do
			times[#times + 1] = i > before and tonumber(line:match "^%d+") or nil
		end
		assert.is_true(#times >= 80)
		local most = busiest_second(times)
		assert.is_true(most <= RATE * 1.4, most .. " requests in a second") -- two budgets would be 40
	end)

	it("uses a link of the settings page once, whichever worker is asked, and a session with both", function()
		local master, link_key = child.folder() .. "/master-key", child.folder() .. "/link-key"
		assert(accounts.new_master_key(master))
		assert(accounts.new_master_key(link_key))
		local url = "http://127.0.0.1:9999"
		local keys = child.file("keys", '{"acme":"issued-1"}', "600")
		local values = start({ write_key_file = "none", master_key_file = master, public_url = url,
			settings = { link_key_file = link_key },
			segment = { api_keys_file = keys } }, [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define {
				slug = "hooks", version = "1.0.0", event = get "type", id = get "id",
				user = source.user { email = get "email" },
				on = { opened = source.track "Email Opened" { id = get "id" } },
			}
		]])
		local vault = assert(accounts.open { spool = values.spool, master_key_file = master })
		assert(vault:set("acme", { write_key = ("x"):rep(32), endpoint = segment.url }))
		vault:close()
		local function ask(path, body, bearer)
			local status, text = child.http(serve.port, body and "POST" or "GET", path, {
				["Content-Type"] = "application/json", Origin = url, Authorization = bearer and "Bearer " .. bearer or nil }, body)
			return status, core.decode(text)
		end
		local link = assert(mw.settings_link("acme", { base_url = url, key = link_key }))
		local token = core.encode { token = link:match "#(.+)$" }
		local one, two = unpack(workers_of(serve))
		local session
		alone(one, function()
			local status, answer = ask("/settings/session", token)
			assert.equal(200, status)
			session = answer.session
		end)
		alone(two, function()
			assert.equal(410, (ask("/settings/session", token)))
			assert.equal(200, (ask("/settings/api/connect", core.encode { write_key = ("K9canary"):rep(4) }, session)))
		end)
		-- What one took and could not send is sent once the other learns who it is.
		alone(one, function()
			local _, state = ask("/settings/api/state", nil, session)
			assert.equal("…nary", state.key)
			assert.equal(200, (daemon.post(serve, "/webhooks/acme", '{"type":"opened","id":"w1","email":"ann@example.com"}')))
		end)
		alone(two, function()
			assert.equal(200, (daemon.post(serve, "/segment/acme", core.encode {
				type = "identify", userId = "u-17", traits = { email = "ann@example.com" }, messageId = "m",
				timestamp = "2026-01-01T00:00:00Z",
			}, { Authorization = "Basic aXNzdWVkLTE6", ["Content-Type"] = "application/json" })))
		end)
		serve:wait("the letter to be replayed", function()
			return serve:err():find("event=replayed", 1, true)
		end)
	end)

	it("enables with Segment, each step in another worker", function()
		local link_key = child.folder() .. "/link-key-2"
		assert(accounts.new_master_key(link_key))
		local master = child.folder() .. "/master-key-2"
		assert(accounts.new_master_key(master))
		local url, nonce, key = "http://127.0.0.1:9999", ("n"):rep(43), ("k3y4"):rep(8)
		local identity = assert(server.open { port = 0 })
		local there = "http://127.0.0.1:" .. identity:port()
		start { write_key_file = "none", master_key_file = master, public_url = url, settings = {
			link_key_file = link_key, enable_client_id = "app", enable_client_secret_file = child.file("secret", "s3cret", "600"),
			enable_authorize_url = there .. "/auth", enable_token_url = there .. "/token", enable_api_url = there, enable_scope = "all",
		} }
		local function ask(path, body, bearer)
			local status, text = child.http(serve.port, body and "POST" or "GET", path, {
				["Content-Type"] = "application/json", Origin = url, Authorization = bearer and "Bearer " .. bearer or nil },
				body and core.encode(body))
			assert.equal(200, status)
			return core.decode(text)
		end
		local one, two = unpack(workers_of(serve))
		local session, ticket, state
		alone(one, function()
			local link = assert(mw.settings_link("acme", { base_url = url, key = link_key }))
			session = ask("/settings/session", { token = link:match "#(.+)$" }).session
			ticket = ask("/settings/api/enable", { region = "eu" }, session).ticket
		end)
		alone(two, function()
			local go = ask("/settings/enable/start", { ticket = ticket, nonce_hash = core.base64url(core.sha256(nonce)) }).go
			assert.equal(there .. "/auth", go:match "^[^?]+")
			assert.matches("scope=all", go, 1, true)
			state = go:match "state=([^&]+)"
		end)
		alone(one, function()
			ask("/settings/enable/finish", { code = "c0de", state = state, nonce = nonce })
		end)
		local answers = {
			["/token"] = '{"access_token":"t","source_names":["workspaces/acme/sources/mail"]}',
			["/v1beta/workspaces/acme/sources/mail"] = core.encode { write_keys = { key } },
		}
		serve:wait("the key to be fetched, and that to be told in any worker", function()
			local x = identity:next(0.01)
			if x then
				x:answer(200, {}, answers[x.path])
			end
			return ask("/settings/enable/look", { state = state, nonce = nonce }).outcome == "done"
		end)
		for _, pid in ipairs { one, two } do
			alone(pid, function()
				assert.equal("done", ask("/settings/enable/look", { state = state, nonce = nonce }).outcome)
				serve:wait("the key to be there", function()
					return ask("/settings/api/state", nil, session).key == "…k3y4"
				end)
			end)
		end
		identity:close()
		assert.is_nil(serve:err():find("s3cret", 1, true))
	end)

	it("reads a good script in all of them, and a broken one in none, which is told once", function()
		local values = start()
		local changed = daemon.source:gsub('track "Hook"', 'track "Hooked"')
		local file = assert(io.open(values.source, "w"))
		file:write "this is no Lua"
		file:close()
		serve:signal "HUP"
		serve:wait_for "event=reload_failed"
		assert.equal(1, select(2, serve:err():gsub("event=reload_failed", "")))
		file = assert(io.open(values.source, "w"))
		file:write(changed)
		file:close()
		serve:signal "HUP"
		serve:wait("all to have read it", function()
			return select(2, serve:err():gsub("event=reloaded", "")) == 3
		end)
		for i, pid in ipairs(workers_of(serve)) do
			alone(pid, function()
				assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format("new" .. i))))
			end)
		end
		arrived { new1 = true, new2 = true }
		for _, message in ipairs(segment:messages()) do
			if message.properties.id:find "^new" then
				assert.equal("Hooked", message.event)
			end
		end
	end)

	it("stops with all its workers, and answers what has come", function()
		start()
		local pids = workers_of(serve)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "last")))
		serve:signal "TERM"
		local code, _, err = serve:finish()
		assert.equal(0, code, err)
		for _, pid in ipairs(pids) do
			assert.is_false(is_there(pid))
		end
		assert.equal(2, select(2, err:gsub("event=stopped worker=", "")))
	end)

	it("leaves no worker behind when the parent is killed", function()
		start()
		local pids = workers_of(serve)
		serve:signal "KILL"
		serve:finish()
		serve:wait("its workers to end", function()
			return not is_there(pids[1]) and not is_there(pids[2])
		end)
		assert.equal(2, select(2, serve:err():gsub("event=stopped worker=", "")))
	end)

	it("ends when a worker can't start, and says why", function()
		local config = daemon.config({ workers = 2, master_key_file = child.file("short", "x"), write_key_file = "none" })
		local code, _, err = child.run { "serve", config }
		assert.equal(1, code)
		assert.matches("event=start_failed worker=%d", err)
		assert.matches("a worker ended before it was ready", err, 1, true)
		code, _, err = child.run { "serve", config, "--workers", "99" }
		assert.equal(2, code)
		assert.matches("workers must be a whole number from 1 to 32", err, 1, true)
	end)
end)
