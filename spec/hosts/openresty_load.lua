--- nginx under load, reloaded and its workers killed again and again: nothing that was accepted is lost, the rate is kept, and
--- no worker crashes. `make hosts`; MW_RELOADS and MW_KILLS say how often (200 and 50 take some ten minutes).

local child = require "spec.support.child"
local mock = require "spec.support.mock"
local nginx = require "spec.support.nginx"
local workload = require "support.workload"

local RELOADS = tonumber(os.getenv "MW_RELOADS") or 10
local KILLS = tonumber(os.getenv "MW_KILLS") or 5
local RATE = 50

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "hooks", version = "1.0.0", event = get "type", id = get "event_id", user = source.user { get "user" },
	on = { t = source.track "Hook" { id = get "event_id" } },
}
]]

local SERVER = [[
    location /webhooks/ { content_by_lua_block { require("moonweir.openresty").handle() } }
    location = /log {
      content_by_lua_block { ngx.sleep(0.005) ngx.exit(204) }
      log_by_lua_block {
        if require("moonweir.openresty").push({ type = "t", event_id = "log-" .. ngx.var.request_id, user = "u" }) then
          ngx.shared.pushed:incr("count", 1, 0)
        end
      }
    }
    location = /pushed { content_by_lua_block { ngx.say(ngx.shared.pushed:get "count" or 0) } }
]]

local function lines(path)
	return (child.read(path) or ""):gmatch "([^\n]+)\n"
end

describe("nginx under load", function()
	if nginx.missing() then
		it("keeps its promises", function()
			pending("skipped: " .. nginx.missing())
		end)
		return
	end

	local seed = tonumber(os.getenv "MW_SEED") or os.time()
	local random = workload.random(seed)
	local segment, host, folder
	setup(function()
		folder = child.folder()
		segment = mock.start()
		host = nginx.start {
			config = {
				source = child.file("source.lua", SOURCE), spool = folder .. "/spool", write_key_file = child.file("key", ("k"):rep(32)),
				delivery = { endpoint = segment.url, rate = RATE },
			},
			http = "lua_shared_dict pushed 1m;", server = SERVER,
			-- Some close at once and leave all to others, some deliver for a while.
			close = 'exit_worker_by_lua_block { require("moonweir.openresty").close(ngx.worker.pid() % 3 * 0.2) }',
		}
		-- A connection that nginx closes is opened again by the next round. Without the folder, all is over.
		os.execute(([[cd '%s' && { n=0
			while [ -e key ] && [ ! -e stop ]; do n=$((n + 1)); %s %d "$PWD/promised.$n" "p$n" 8; done
			touch stopped; } >/dev/null 2>&1 &]]):format(folder, os.getenv "MW_POSTER", host.port))
	end)
	teardown(function()
		child.file("stop", "")
		nginx.clean()
		segment:finish()
		child.clean()
	end)

	local function promised()
		local ids, count = {}, 0
		local pipe = io.popen(("cat '%s'/promised.* 2>/dev/null"):format(folder))
		for id in pipe:lines() do
			ids[id] = true
			count = count + 1
		end
		pipe:close()
		return ids, count
	end

	-- Load goes on beside whatever is done here.
	local function more(count)
		local _, before = promised()
		host:wait("some more posts", function()
			local _, now = promised()
			return now - before >= count
		end)
	end

	-- An id's name, and how many of log_by_lua.
	local function arrived()
		local ids, logged = {}, 0
		for line in lines(segment.arrived) do
			local id = line:match '"id":"([^"]+)"'
			if not ids[id] then
				ids[id] = true
				logged = logged + (id:find "^log" and 1 or 0)
			end
		end
		return ids, logged
	end

	it(("loses nothing by %d reloads, not even of log_by_lua (MW_SEED=%d)"):format(RELOADS, seed), function()
		local wrk = io.popen("command -v wrk"):read "*l"
		if wrk then
			os.execute(([[cd '%s' && { while [ -e key ] && [ ! -e calm ]; do wrk -t1 -c4 -d1s http://127.0.0.1:%d/log; done
				touch calmed; } >wrk 2>&1 &]]):format(folder, host.port))
		end
		for turn = 1, RELOADS do
			more(random(50))
			if turn % 10 == 0 then -- the next generation comes before the last one is gone
				host:signal "HUP"
			end
			host:reload()
		end
		if wrk then
			child.file("calm", "")
			host:wait("wrk to end", function()
				return child.read(folder .. "/calmed")
			end)
		end
		local pushed = tonumber((select(2, host:http("GET", "/pushed"))))
		host:wait(("all %d that log_by_lua pushed"):format(pushed), function()
			local _, logged = arrived()
			return logged >= pushed
		end)
		assert.is_nil(host:log():match "exited on signal[^\n]*")
		print(("%d reloads; log_by_lua pushed %d"):format(RELOADS, pushed))
	end)

	it(("loses nothing that it answered 200 by %d kills of a worker"):format(KILLS), function()
		for _ = 1, KILLS do
			more(random(100))
			local workers = host:workers()
			local pid = workers[random(#workers) + 1]
			host:signal("KILL", pid)
			host:wait("another in its place", function()
				local now = host:workers()
				for _, one in ipairs(now) do
					if one == pid then
						return false
					end
				end
				return #now == 2
			end)
		end
		child.file("stop", "")
		host:reload() -- closes the connections that the poster waits for
		host:wait("the poster to end", function()
			return child.read(folder .. "/stopped")
		end)
		local ids, count = promised()
		host:wait("all that was promised", function()
			local have = arrived()
			for id in pairs(ids) do
				if not have[id] then
					return false
				end
			end
			return true
		end)
		host:stop()
		local killed = select(2, host:log():gsub("exited on signal 9", ""))
		assert.equal(KILLS, killed)
		assert.equal(killed, select(2, host:log():gsub("exited on signal", "")))
		assert.equal(killed, #host:errors " alert crit emerg ")
		print(("%d kills; %d posts were answered 200"):format(KILLS, count))
	end)

	it("never sends more than the rate in any second", function()
		local times, over = {}, 0
		for i, request in ipairs(segment:finish()) do
			times[i] = tonumber(request[1])
		end
		table.sort(times)
		for i = RATE + 1, #times do
			over = over + (times[i] - times[i - RATE] < 1e9 and 1 or 0)
		end
		print(("%d requests, %d windows over %d in a second"):format(#times, over, RATE))
		assert.equal(0, over)
		assert.is_true(#times > 0)
	end)
end)
