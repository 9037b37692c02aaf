local cjson = require "cjson"
local child = require "spec.support.child"
local core = require "moonweir.core"
local mock = require "spec.support.mock"
local mw = require "moonweir"

local KEY = "canary0123456789abcdefghijklk3y4"
local REFUSED = "refused0123456789abcdefghijkl001"

describe("moonweir top", function()
	teardown(child.clean)

	local spools, clients = 0, {}
	local spool, server
	local watch = setmetatable({ base = child.folder() .. "/nothing" }, getmetatable(child.start { "--version" }))

	before_each(function()
		spools = spools + 1
		spool = child.folder() .. "/spool" .. spools
	end)

	after_each(function()
		for _, client in ipairs(clients) do
			client:close(0)
		end
		clients = {}
		if server then
			server:finish()
			server = nil
		end
	end)

	local function open(options)
		local all = { spool = spool, rate = 0, linger = 0, endpoint = "http://127.0.0.1:1", write_key = KEY }
		for name, value in pairs(options or {}) do
			all[name] = value
		end
		local client = assert(mw.open(all))
		clients[#clients + 1] = client
		return client
	end

	local function push(client, account, count)
		for i = 1, count do
			assert(client:track(account, { userId = "u" .. i, event = "Opened" }))
		end
		assert(client:sync(60))
	end

	--- The board as written from now on.
	local function board(partition)
		local path = ("%s/p%d/board"):format(spool, partition or 0)
		local first = watch:wait("a board", function()
			return core.board(path)
		end)
		return watch:wait("the next snapshots", function()
			local now = core.board(path)
			return (now.number >= first.number + 2 or now.closed) and now
		end)
	end

	local function run(...)
		return child.run { "top", "--spool", spool, "--interval", "0", ... }
	end

	local function run_json()
		local code, out, err = run "--json"
		assert.same({ 0, "" }, { code, err })
		return cjson.decode(out)
	end

	--- Three that went through, one dead, two that wait for another key.
	local function work()
		server = mock.start()
		server:control(("key %s 401\nmarker POISON\n"):format(REFUSED))
		local client = open { endpoint = server.url, accounts = { acme = KEY, revoked = REFUSED }, write_key = KEY }
		push(client, "acme", 3)
		assert(client:track("acme", { userId = "u", event = "POISON" }))
		push(client, "revoked", 2)
		local _, _, code = client:flush(60)
		assert.equal("parked", code)
		return client
	end

	local SAME = {
		"accepted", "delivered", "dead", "queued", "in_flight", "queued_bytes", "requests", "answers", "retries", "splits",
		"bytes_sent", "lanes", "lanes_parked", "lanes_backing_off", "lanes_awaiting_token", "token_requests", "commits",
		"disk_bytes", "gate_closed_for",
	}
	local SAME_OF_LANES = { "state", "delivered", "dead", "queued", "in_flight", "attempts", "last_status", "last_error" }

	it("reads the counters that client:stats() and client:lanes() tell", function()
		local client = work()
		local shown, stats, lanes = board(), client:stats(), client:lanes()
		assert.same({ 6, 3, 1, 2, 0 }, { stats.accepted, stats.delivered, stats.dead, stats.queued, stats.in_flight })
		for _, name in ipairs(SAME) do
			assert.same({ name, stats[name] }, { name, shown[name] })
		end
		assert.equal(2, shown.held)
		assert.equal(#lanes, #shown.lanes_shown)
		for i, lane in ipairs(lanes) do
			assert.equal(lane.account, shown.lanes_shown[i].account)
			for _, name in ipairs(SAME_OF_LANES) do
				assert.same({ name, lane[name] }, { name, shown.lanes_shown[i][name] })
			end
		end
	end)

	it("prints them, and each account's state in plain words", function()
		work()
		board()
		local code, out, err = run()
		assert.same({ 0, "" }, { code, err })
		assert.matches("p0 %d+ +running +6 +3 +1 +2 +0 ", out)
		assert.matches("revoked +p0 +parked: key refused %(401%) +2 +0 +0 +in 1%d min +%S", out)
		assert.matches("acme +p0 +idle +0 +3 +1", out)
		assert.matches("1 parked, 2 messages held", out, 1, true)
		assert.not_matches("\27", out, 1, true)
		assert.not_matches("canary", out)
		assert.not_matches(REFUSED, out)
	end)

	it("prints one JSON object", function()
		work()
		board()
		local look = run_json()
		local p = look.processes[1]
		assert.same({ spool, 1, 0, "running" }, { look.spool, #look.processes, p.partition, p.state })
		assert.same({ 6, 3, 1, 2 }, { p.accepted, p.delivered, p.dead, p.queued })
		assert.equal(cjson.null, p.delivered_per_second)
		assert.same({ "revoked", "parked", 401, 2 }, {
			look.lanes[1].account, look.lanes[1].state, look.lanes[1].last_status, look.lanes[1].queued,
		})
	end)

	it("looks twice for the rates", function()
		push(open(), "acme", 3)
		board()
		local code, out = child.run({ "top", "--json", "--interval", "1" }, { env = { MOONWEIR_SPOOL = spool } })
		assert.equal(0, code)
		local p = cjson.decode(out).processes[1]
		assert.equal("number", type(p.delivered_per_second))
		assert.equal("number", type(p.commits_per_second))
	end)

	it("shows the last counters of a process that has ended, and says so", function()
		local client = work()
		client:close(0)
		local shown, stats = board(), client:stats()
		assert.is_true(shown.closed)
		for _, name in ipairs(SAME) do
			assert.same({ name, stats[name] }, { name, shown[name] })
		end
		local code, out, err = run()
		assert.same({ 0, "" }, { code, err })
		assert.matches("no process is running", out, 1, true)
		assert.matches("p0 %d+ +ended %d+%.?%d* m?s ago +6 +3 +1 +2 ", out)
		local look = run_json()
		assert.equal("ended", look.processes[1].state)
		assert.equal(2, #look.lanes)
	end)

	it("shows that a process was killed", function()
		local source = child.file("acme.lua", [[
			local source = require "moonweir.source"
			return source.define { slug = "a", version = "1", event = "e", user = source.user { "u" }, on = { e = source.track "E" {} } }
		]])
		local fifo = child.folder() .. "/events" .. spools
		os.execute("mkfifo " .. fifo)
		local sender = child.start({
			"run", source, "--spool", spool, "--write-key", KEY, "--endpoint", "http://127.0.0.1:1",
		}, { stdin = fifo })
		local events = assert(io.open(fifo, "w"))
		events:write "{}\n"
		events:flush()
		watch:wait("the event on the board", function()
			local shown = core.board(spool .. "/p0/board")
			return shown and shown.accepted == 1
		end)
		assert.equal("running", run_json().processes[1].state)
		sender:signal "KILL"
		sender:finish()
		events:close()
		local p = run_json().processes[1]
		assert.same({ "ended", 1, 1 }, { p.state, p.accepted, p.queued + p.in_flight })
	end)

	it("shows every process of the spool", function()
		push(open(), "acme", 2)
		push(open(), "acme", 1)
		board(0)
		board(1)
		local look = run_json()
		assert.equal(2, #look.processes)
		assert.same({ 2, 1 }, { look.processes[1].accepted, look.processes[2].accepted })
		assert.same({ "acme", "acme" }, { look.lanes[1].account, look.lanes[2].account })
		local _, out = run()
		assert.matches("events +%S+ delivered/s, %d+ queued", out)
		assert.matches("lanes +2", out)
	end)

	it("says what is wrong with one board and shows the others", function()
		push(open(), "acme", 1)
		push(open(), "acme", 1)
		board(0)
		board(1)
		os.execute("chmod 644 " .. spool .. "/p1/board")
		local code, out = run()
		assert.equal(0, code)
		assert.matches("p0 %d+ +running", out)
		assert.matches("p1: the board file [^\n]+; chmod 600 it\n", out)
		assert.matches("chmod 600", run_json().processes[2].problem, 1, true)
	end)

	it("steers no terminal with what accounts are called", function()
		local client = open()
		push(client, "a\27[2J\226\128\174b", 3)
		push(client, "c\255\155", 2)
		board()
		local code, out = run()
		assert.equal(0, code)
		assert.matches("a?[2J?b ", out, 1, true)
		assert.matches("c?? ", out, 1, true)
		local look = run_json()
		assert.same({ "a\27[2J\226\128\174b", "c\239\191\189\239\191\189" }, { look.lanes[1].account, look.lanes[2].account })
	end)

	it("says when there is no spool, and when nobody has sent from it", function()
		local code, out, err = run()
		assert.same({ 1, "" }, { code, out })
		assert.matches("no spool there: " .. spool .. ": No such file", err, 1, true)
		os.execute("mkdir -m 700 " .. spool)
		for _, option in ipairs { "--once", "--json" } do
			code, out, err = run(option)
			assert.same({ 1, "" }, { code, out })
			assert.matches("no process has sent from " .. spool .. " yet", err, 1, true)
		end
		local _
		code, out, err = child.run({ "top" }, { env = { MOONWEIR_SPOOL = "" } })
		assert.same({ 2, "" }, { code, out })
		assert.matches("--spool DIR", err, 1, true)
		code, _, err = child.run { "top", "--spool", spool, "--interval", "soon" }
		assert.equal(2, code)
		assert.matches("--interval", err, 1, true)
	end)

	describe("on a terminal", function()
		local ON, OFF = "\27[?1049h", "\27[?25h\27[?1049l"

		--- What it drew, and its exit code, after `act(keyboard, pid)` once the board is seen.
		local function watch_live(act, env)
			push(open(), "acme", 7)
			board()
			local log = child.folder() .. "/typescript" .. spools
			local fifo, pid = log .. ".keys", log .. ".pid"
			os.execute("mkfifo " .. fifo)
			-- `script` gives it a terminal; the shell writes its number and becomes the command.
			local command = ("echo $$ >%s; exec env %s %s lua/moonweir/cli/moonweir.lua top --spool %s"):format(
				pid, env or "TERM=xterm", child.lua, spool
			)
			os.execute(("( script -qefc '%s' %s <%s >/dev/null 2>&1; echo $? >%s.rc ) &"):format(command, log, fifo, log))
			local keyboard = assert(io.open(fifo, "w"))
			local session = setmetatable({ base = log }, getmetatable(watch))
			session:wait("the account on the page", function()
				return (child.read(log) or ""):find("acme  ", 1, true)
			end)
			act(keyboard, child.read(pid):match "%d+")
			local code = session:wait("its end", function()
				return tonumber(child.read(log .. ".rc") or "")
			end)
			keyboard:close()
			return code, child.read(log)
		end

		local function press(key)
			return function(keyboard)
				keyboard:write(key)
				keyboard:flush()
			end
		end

		local ways = {
			{ "q", press "q", 0 },
			{ "Ctrl-C", press "\3", 130 },
			{ "SIGTERM", function(_, pid) os.execute("kill -TERM " .. pid) end, 130 },
		}
		for _, way in ipairs(ways) do
			it(("draws until %s, and leaves it as it was"):format(way[1]), function()
				local code, drawn = watch_live(way[2])
				assert.equal(way[3], code)
				local on, off = drawn:find(ON, 1, true), drawn:find(OFF, 1, true)
				assert.is_true(on ~= nil and off ~= nil and on < off)
				assert.matches("\27%[32mrunning", drawn)
				assert.not_matches("acme", drawn:sub(off))
			end)
		end

		it("draws without colour if asked", function()
			local code, drawn = watch_live(press "q", "NO_COLOR=1")
			assert.equal(0, code)
			assert.not_matches("\27%[%d+m", drawn)
		end)
	end)
end)
