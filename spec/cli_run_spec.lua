local cjson = require "cjson"
local child = require "spec.support.child"
local mock = require "spec.support.mock"

local KEY = "canary0123456789abcdefghijklk3y4"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1",
	account = get "account", event = get "type", id = get "id", user = source.user { get "user" },
	on = {
		opened = source.track "Email Opened" { email_subject = get "subject" },
		sent = source.ignore,
	},
}
]]

describe("moonweir run", function()
	local path, key_file
	setup(function()
		path = child.file("tiny.lua", SOURCE)
		key_file = child.file("key", KEY .. "\n")
	end)
	teardown(child.clean)

	local function event(i, account)
		local named = account and ',"account":"' .. account .. '"' or ""
		return ('{"type":"opened","id":"e%d","user":"u%d","subject":"s"%s}\n'):format(i, i, named)
	end

	local function events(n)
		local lines = {}
		for i = 1, n do
			lines[i] = event(i)
		end
		return table.concat(lines)
	end

	--- Run these events, with a key from a file unless `more` brings others; exit code, stdout, stderr.
	local function run(text, url, more, options)
		local arguments = { "run", path, child.file("events", text), "--endpoint", url }
		for _, argument in ipairs(more or { "--write-key-file", key_file }) do
			arguments[#arguments + 1] = argument
		end
		return child.run(arguments, options)
	end

	local UNREACHABLE = "http://127.0.0.1:1"

	it("delivers every event, with one key and no account named anywhere", function()
		local d, url = child.debugger { "--json" }
		local code, out, err = run(events(3000), url, { "--write-key-file", key_file, "--json" })
		assert.equal("", err)
		assert.equal(0, code)
		local summary = cjson.decode(out)
		assert.equal(3000, summary.events)
		assert.equal(3000, summary.accepted)
		assert.equal(3000, summary.delivered)
		assert.equal(0, summary.dead + summary.parked + summary.undelivered + summary.failed)
		assert.is_true(summary.requests >= 2 and summary.bytes_per_request > 0)
		d:signal "INT"
		d:finish()
		local seen = {}
		for _, m in ipairs(d:messages()) do
			assert.is_nil(m.fault)
			assert.equal("k3y4", m.key_last4)
			seen[m.message.userId] = m.message.event
		end
		for i = 1, 3000 do
			assert.equal("Email Opened", seen["u" .. i])
		end
	end)

	it("sends each account's events under its own key", function()
		local d, url = child.debugger { "--json" }
		local accounts = child.file("accounts.lua", [[
			return { a = "keykeykeykeykey-aaaa", b = { write_key = "keykeykeykeykey-bbbb" } }
		]])
		local code = run(event(1, "a") .. event(2, "b"), url, { "--accounts", accounts })
		assert.equal(0, code)
		d:signal "INT"
		d:finish()
		local keys = {}
		for _, m in ipairs(d:messages()) do
			keys[m.message.userId] = m.key_last4
		end
		assert.same({ u1 = "aaaa", u2 = "bbbb" }, keys)
	end)

	it("takes the key from the environment", function()
		local _, url = child.debugger()
		local code = run(event(1), url, {}, { env = { MOONWEIR_WRITE_KEY = KEY } })
		assert.equal(0, code)
	end)

	it("exits with 1 if an event failed, and says which", function()
		local _, url = child.debugger()
		local text = event(1) .. '{"type":"opened"}\n{"type":"sent"}\n' .. event(4)
		local code, out, err = run(text, url, { "--write-key-file", key_file, "--json" })
		assert.equal(1, code)
		assert.matches("event 2: no_user: ", err, 1, true)
		local summary = cjson.decode(out)
		assert.equal(2, summary.delivered)
		assert.equal(1, summary.failed)
		assert.equal(1, summary.ignored)
	end)

	it("prints a summary for people", function()
		local _, url = child.debugger()
		local _, out = run(event(1), url)
		assert.matches("delivered +1\n", out)
		assert.matches("bytes per request +%d", out)
	end)

	it("warns that the endpoint can't be reached, and gives up when told to", function()
		local code, out, err = run(event(1), UNREACHABLE, { "--write-key-file", key_file, "--patience", "1.5", "--json" })
		assert.equal(1, code)
		assert.matches("127.0.0.1:1", err, 1, true)
		assert.matches("is the endpoint right", err, 1, true)
		assert.matches("gave up", err, 1, true)
		assert.equal(1, cjson.decode(out).undelivered)
	end)

	it("gives messages up after --retries", function()
		local code, out, err = run(event(1), UNREACHABLE, { "--write-key-file", key_file, "--retries", "1", "--json" })
		assert.equal(1, code)
		assert.matches("dead: a message of account default", err, 1, true)
		assert.equal(1, cjson.decode(out).dead)
	end)

	it("doubts the endpoint that answers with a redirect, or knows no such page", function()
		for status, says in pairs {
			[302] = "status 302: an empty answer. Is the endpoint right?",
			[404] = "status 404: an empty answer. Is the endpoint right?",
			[501] = "status 501: an empty answer\n",
		} do
			local server = mock.start()
			server:control(("always %d\nhuge 0\n"):format(status))
			local code, _, err = run(event(1), server.url)
			assert.equal(1, #server:finish())
			assert.equal(1, code)
			assert.matches(says, err, 1, true)
		end
	end)

	it("keeps with a spool what it gave up, with how often it tried", function()
		local spool = child.folder() .. "/given-up"
		run(event(1), UNREACHABLE, { "--write-key-file", key_file, "--retries", "1", "--spool", spool })
		local code, out, err = child.run { "dead", "list", "--json", "--spool", spool }
		assert.same({ 0, "" }, { code, err })
		assert.equal(2, cjson.decode(out).attempts)
		code, out, err = child.run { "dead", "list", "--spool", spool }
		assert.same({ 0, "" }, { code, err })
		assert.matches("refused  no answer to 2 attempts\n$", out)
	end)

	it("says so when an account has no key", function()
		local _, url = child.debugger()
		local accounts = child.file("accounts.json", '{"a":"keykeykeykeykey-aaaa"}')
		local code, out, err = run(event(1, "a") .. event(2, "b"), url, { "--accounts", accounts, "--json" })
		assert.equal(1, code)
		assert.matches("account b is parked", err, 1, true)
		local summary = cjson.decode(out)
		assert.equal(1, summary.delivered)
		assert.equal(1, summary.parked)
	end)

	it("takes no empty text for a spool: what should be kept would be in memory", function()
		local code, out, err = run(event(1), UNREACHABLE, { "--write-key-file", key_file, "--spool", "" })
		assert.equal(2, code)
		assert.equal("", out)
		assert.matches("--spool takes a directory", err, 1, true)
	end)

	it("counts known repeats, and says where what is undelivered stays", function()
		local spool = child.folder() .. "/repeats"
		local options = { "--write-key-file", key_file, "--patience", "0.5", "--json", "--spool", spool }
		local code, out, err = run(event(1) .. event(2), UNREACHABLE, options)
		local summary = cjson.decode(out)
		assert.same({ 1, 2, 2, 0 }, { code, summary.accepted, summary.undelivered, summary.repeats })
		assert.matches("stays in the spool", err, 1, true)
		local _, url = child.debugger()
		code, out, err = run(event(1) .. event(2) .. event(3), url, options)
		summary = cjson.decode(out)
		assert.same({ 0, 1, 3, 2, 0 }, {
			code, summary.accepted, summary.delivered, summary.repeats, summary.undelivered,
		})
		assert.equal("", err)
	end)

	it("says that the spool is full, and not that it has what it had no room for", function()
		local spool, file = child.folder() .. "/full", child.file("many", events(20000))
		local options = { "--write-key-file", key_file, "--patience", "0.5", "--spool", spool, "--disk-bytes", "4M" }
		local r = child.start { "run", path, file, "--endpoint", UNREACHABLE, (unpack or table.unpack)(options) }
		r:wait_for("the spool holds as much as it may %(disk_bytes: 4 MiB%); %d+,%d+ messages are undelivered, and what has been "
			.. "read waits in memory until there is room: .* larger %-%-disk%-bytes\n")
		r:signal "INT"
		local code, out, err = r:finish()
		assert.equal(130, code)
		assert.matches("stopped reading behind event " .. out:match "events +([%d,]+)\n" .. ";", err, 1, true)
		assert.matches("not all that is undelivered is in the spool: the spool holds as much as it may", err, 1, true)
		assert.is_nil(err:find("stays in the spool", 1, true))
		assert.is_nil(err:find("larger than", 1, true)) -- a block of the file makes more messages than fit in there at once

		local _, url = child.debugger()
		code = child.run { "run", path, file, "--endpoint", url, "--rate", "0", (unpack or table.unpack)(options) }
		assert.equal(0, code)
		_, out = child.run { "verify", "--spool", spool, "--json" }
		assert.equal(20000, cjson.decode(out).delivered)
	end)

	it("bounds the spool as it is told to, and says what it does not take", function()
		local spool = child.folder() .. "/bounded"
		local function run_with(...)
			return run(event(1) .. event(1), UNREACHABLE, {
				"--write-key-file", key_file, "--patience", "0.2", "--json", "--spool", spool, ...
			})
		end
		for _, wrong in ipairs {
			{ "--disk-bytes", "plenty", "--disk-bytes takes bytes, or a size such as 500M or 20G, not 'plenty'" },
			{ "--disk-bytes", "1M", "--disk-bytes must be bytes, at least 4194304" },
			{ "--repeats", "2y", "--repeats takes seconds, or a time such as 90m, 48h or 7d, not '2y'" },
			{ "--dead-days", "long", "--dead-days takes a number from 0 up" },
		} do
			local code, _, err = run_with(wrong[1], wrong[2])
			assert.equal(2, code)
			assert.matches(wrong[3], err, 1, true)
		end
		local _, out = run_with("--repeats", "2d", "--disk-bytes", "4M", "--dead-days", "7", "--dead-bytes", "64K")
		assert.equal(1, cjson.decode(out).repeats)
		_, out = run_with("--repeats", "0")
		assert.equal(0, cjson.decode(out).repeats)
		local code, _, err = run(event(1), UNREACHABLE, { "--write-key-file", key_file, "--repeats", "1h" })
		assert.equal(2, code)
		assert.matches("--repeats is about a spool. Give --spool DIR", err, 1, true)
	end)

	it("delivers what was read when it is interrupted", function()
		local d, url = child.debugger { "--json" }
		local fifo = child.folder() .. "/fifo"
		os.execute("mkfifo " .. fifo)
		local file = child.file("events", events(100))
		os.execute(("sh -c 'exec 3>%s; cat %s >&3; while [ -e %s ]; do sleep 0.01; done' &"):format(fifo, file, fifo))
		local r = child.start { "run", path, fifo, "--endpoint", url, "--write-key-file", key_file, "--json" }
		d:wait("the events", function()
			return #d:messages() == 100
		end)
		r:signal "INT"
		local code, out = r:finish()
		os.remove(fifo)
		assert.equal(130, code)
		assert.equal(100, cjson.decode(out).delivered)
	end)

	it("ends at once on the second signal", function()
		local r = child.start {
			"run", path, child.file("events", event(1)), "--endpoint", UNREACHABLE, "--write-key-file", key_file,
		}
		r:wait_for "is the endpoint right"
		r:signal "INT"
		r:wait("the end", function()
			r:signal "INT"
			return child.read(r.base .. ".rc")
		end)
		assert.is_true(r:finish() > 128)
	end)

	it("shows its key nowhere: not in the process list, not in what it says", function()
		local r = child.start {
			"run", path, child.file("events", event(1)), "--endpoint", UNREACHABLE, "--write-key", KEY, "--patience", "1.5",
		}
		r:wait_for "is the endpoint right"
		local cmdline = child.read("/proc/" .. r.pid .. "/cmdline")
		assert.matches("moonweir.lua", cmdline, 1, true)
		assert.not_matches("canary", cmdline)
		local _, out, err = r:finish()
		assert.not_matches("canary", out .. err)
	end)

	for name, bad in pairs { CR = "canary\rx", colon = "canary:x", space = "canary x", long = "canary" .. ("x"):rep(200) } do
		it("refuses a key with " .. name .. " without repeating it", function()
			local code, out, err = child.run { "run", path, "/dev/null", "--write-key", bad }
			assert.equal(2, code)
			assert.matches("write key", err, 1, true)
			assert.not_matches("canary", out .. err)
		end)
	end

	it("refuses key files that others may read, and says what to do without any key", function()
		local code, _, err = child.run { "run", path, "/dev/null", "--write-key-file", child.file("open", KEY, "644") }
		assert.equal(2, code)
		assert.matches("chmod 600", err, 1, true)
		code, _, err = child.run({ "run", path, "/dev/null" }, { env = { MOONWEIR_WRITE_KEY = "" } })
		assert.equal(2, code)
		assert.matches("MOONWEIR_WRITE_KEY", err, 1, true)
	end)

	it("runs no code of an accounts file", function()
		local accounts = child.file("accounts.lua", 'os.execute "touch canary-ran"; return {}')
		local code, _, err = child.run { "run", path, "/dev/null", "--accounts", accounts }
		assert.equal(2, code)
		assert.matches("accounts.lua", err, 1, true)
		assert.is_nil(child.read "canary-ran")
	end)
end)
