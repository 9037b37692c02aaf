local unpack = table.unpack or unpack -- luacheck: ignore
local cjson = require "cjson"
local child = require "spec.support.child"

local KEY = "canary0123456789abcdefghijklk3y4"

describe("moonweir accounts", function()
	teardown(child.clean)

	local spools = 0
	local spool, master

	before_each(function()
		spools = spools + 1
		spool = child.folder() .. "/spool" .. spools
		master = child.folder() .. "/master-key"
		if not child.read(master) then
			assert.equal(0, (child.run { "accounts", "new-master-key", master }))
		end
	end)

	--- Run `accounts` on this test's spool; no output may hold the key.
	local function run(arguments, options)
		options = options or {}
		options.env = options.env or {}
		options.env.MOONWEIR_SPOOL = options.env.MOONWEIR_SPOOL or spool
		options.env.MOONWEIR_MASTER_KEY_FILE = options.env.MOONWEIR_MASTER_KEY_FILE or master
		local code, out, err = child.run({ "accounts", unpack(arguments) }, options)
		assert.not_matches("canary", out .. err)
		return code, out, err
	end

	local function show(name)
		local code, out = run { "show", name, "--json" }
		assert.equal(0, code)
		return cjson.decode(out)
	end

	it("saves a key from a file and shows its last four", function()
		local code, out = run { "set", "acme", "--write-key-file", child.file("key", "\239\187\191 " .. KEY .. "\r\n") }
		assert.equal(0, code)
		assert.matches("acme +…k3y4 +default +active", out)
		local account = show "acme"
		assert.equal("…k3y4", account.key)
		assert.equal("active", account.state)
		assert.equal(cjson.null, account.endpoint)
		assert.equal(cjson.null, account.label)
		assert.equal(1, account.revision)
		assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", account.updated_at)
	end)

	it("takes a key from a pipe, from the environment and as an option", function()
		assert.equal(0, (run({ "set", "a", "--write-key-file", "-" }, { stdin = child.file("in", KEY .. "\n") })))
		assert.equal(0, (run({ "set", "b" }, { env = { MOONWEIR_WRITE_KEY = KEY } })))
		assert.equal(0, (run { "set", "c", "--write-key", KEY }))
		local code, out = run { "list", "--json" }
		assert.equal(0, code)
		local names = {}
		for line in out:gmatch "[^\n]+" do
			local account = cjson.decode(line)
			assert.equal("…k3y4", account.key)
			names[#names + 1] = account.account
		end
		assert.same({ "a", "b", "c" }, names)
	end)

	it("changes what is given and nothing else", function()
		assert.equal(0, (run { "set", "acme", "--write-key", KEY, "--endpoint", "eu", "--label", "Acme Inc" }))
		assert.equal(0, (run { "set", "acme", "--label", "Acme" }))
		local account = show "acme"
		assert.same({ "…k3y4", "eu", "Acme" }, { account.key, account.endpoint, account.label })
		assert.equal(0, (run { "set", "acme", "--endpoint", "us" }))
		account = show "acme"
		assert.same({ "…k3y4", "us", "Acme" }, { account.key, account.endpoint, account.label })
	end)

	it("pauses, resumes and removes", function()
		assert.equal(0, (run { "set", "acme", "--write-key", KEY }))
		assert.equal(0, (run { "pause", "acme" }))
		assert.equal("paused", show("acme").state)
		assert.equal(0, (run { "resume", "acme" }))
		assert.equal("active", show("acme").state)
		assert.equal(0, (run { "remove", "acme" }))
		for _, action in ipairs { "show", "pause", "resume", "remove" } do
			local code, out, err = run { action, "acme" }
			assert.same({ 1, "" }, { code, out })
			assert.matches('there is no account "acme"', err, 1, true)
		end
	end)

	it("lists without a master key, but saves nothing", function()
		assert.equal(0, (run { "set", "acme", "--write-key", KEY }))
		local none = { env = { MOONWEIR_MASTER_KEY_FILE = "" } }
		local code, out = run({ "list" }, none)
		assert.equal(0, code)
		assert.matches("…k3y4", out, 1, true)
		assert.equal(0, (run({ "pause", "acme" }, none)))
		for _, change in ipairs { "--write-key", "--endpoint" } do
			local err
			code, out, err = run({ "set", "acme", change, "us" }, none)
			assert.same({ 2, "" }, { code, out })
			assert.matches("--master-key-file", err, 1, true)
		end
	end)

	it("finds the service manager's credential", function()
		local folder = child.folder() .. "/credentials"
		os.execute("mkdir -m 700 " .. folder)
		assert.equal(0, (child.run { "accounts", "new-master-key", folder .. "/moonweir-master-key" }))
		local env = { CREDENTIALS_DIRECTORY = folder, MOONWEIR_MASTER_KEY_FILE = "" }
		assert.equal(0, (run({ "set", "acme", "--write-key", KEY }, { env = env })))
		local account = show "acme" -- with another master key
		assert.is_true(account.other_master_key)
		local code, _, err = run { "set", "acme", "--write-key", KEY }
		assert.equal(1, code)
		assert.matches("sealed with master key " .. account.master_key, err, 1, true)
		assert.equal(0, (run { "set", "acme", "--write-key", KEY, "--endpoint", "us" }))
		assert.is_false(show("acme").other_master_key)
	end)

	it("makes a link to an account's settings", function()
		local path = child.folder() .. "/link-key"
		assert.equal(0, (run { "new-link-key", path }))
		local code, out = run { "link", "acme", "--base-url", "https://a.example/", "--link-key-file", path, "--user", "ann" }
		assert.equal(0, code)
		assert.matches("^https://a%.example/settings#v1%.[%w_-]+%.[%w_-]+\n$", out)
		code, out = run({ "link", "acme", "--base-url", "https://a.example" }, { env = { MOONWEIR_LINK_KEY_FILE = path } })
		assert.equal(0, code)
		assert.truthy(out)
		for _, wrong in ipairs { "http://a.example", "a.example", "" } do
			assert.equal(2, (run { "link", "acme", "--base-url", wrong, "--link-key-file", path }))
		end
		assert.equal(2, (run { "link", "acme", "--link-key-file", path }))
		local _, _, err = run { "link", "acme", "--base-url", "https://a.example", "--link-key-file", path .. "-none" }
		assert.matches("link%-key%-none", err)
	end)

	it("makes a private master key once", function()
		local path = child.folder() .. "/once"
		assert.equal(0, (run { "new-master-key", path }))
		local text = child.read(path)
		assert.matches("^%x+\n$", text)
		assert.equal(65, #text)
		local code, _, err = run { "new-master-key", path }
		assert.equal(1, code)
		assert.matches("is there already", err)
		assert.equal(text, child.read(path))
		os.execute("chmod 640 " .. path)
		code, _, err = run({ "list" }, { env = { MOONWEIR_MASTER_KEY_FILE = path, MOONWEIR_SPOOL = spool } })
		assert.equal(1, code)
		assert.matches("there are no accounts here", err)
		code, _, err = run({ "set", "acme", "--write-key", KEY }, { env = { MOONWEIR_MASTER_KEY_FILE = path } })
		assert.equal(1, code)
		assert.matches("chmod 600", err)
	end)

	it("makes no store where none is but to set", function()
		for _, arguments in ipairs { { "list" }, { "show", "a" }, { "pause", "a" }, { "resume", "a" }, { "remove", "a" } } do
			local code, out, err = run(arguments)
			assert.same({ 1, "" }, { code, out })
			assert.matches("there are no accounts here; is the path right?", err, 1, true)
		end
		assert.is_nil(io.open(spool))
	end)

	it("refuses a directory that others can enter", function()
		os.execute("mkdir -m 755 " .. spool)
		local code, _, err = run { "set", "acme", "--write-key", KEY }
		assert.equal(1, code)
		assert.matches(spool .. ": has mode 0755", err, 1, true)
		assert.matches("chmod 700 it", err, 1, true)
	end)

	local wrong = {
		{ { "set", "acme" }, "no write key, and no terminal to ask for it. Give --write-key-file FILE (- is standard input), or set "
			.. "MOONWEIR_WRITE_KEY; to leave the key as it is, give --endpoint, --label, --oauth or --basic" },
		{ { "set", "acme", "--write-key", "canary key" }, "character 7 of the write key" },
		{ { "set", "acme", "--endpoint", "http://example.com" }, "write https://example.com" },
		{ { "set", "acme", "--label", ("l"):rep(201), "--endpoint", "us" }, "a label has at most 200 bytes" },
		{ { "set", "", "--endpoint", "us" }, "1 to 255 bytes" },
		{ { "set", ("a"):rep(256), "--endpoint", "us" }, "1 to 255 bytes" },
		{ { "sett" }, "did you mean \"set\"?" },
		{ { "set", "a", "--labl", "x" }, "did you mean \"--label\"?" },
		{ {}, "a command is required" },
		{ { "set" }, "missing argument 'name'" },
	}
	for _, case in ipairs(wrong) do
		it("refuses `accounts " .. table.concat(case[1], " "):sub(1, 60) .. "`", function()
			local code, out, err = run(case[1])
			assert.same({ 2, "" }, { code, out })
			assert.matches(case[2], err, 1, true)
		end)
	end

	it("names the missing spool", function()
		local code, _, err = child.run { "accounts", "list" }
		assert.equal(2, code)
		assert.matches("--spool DIR", err, 1, true)
	end)

	it("teaches below `accounts` too", function()
		for _, name in ipairs { "set", "list", "show", "pause", "resume", "remove", "link", "new-link-key", "new-master-key" } do
			local code, out = child.run { "accounts", name, "--help" }
			assert.equal(0, code)
			assert.matches("Usage: moonweir accounts " .. name, out, 1, true)
			assert.matches("moonweir accounts " .. name, out:match "Example.*", 1, true)
		end
	end)

	it("steers no terminal with what customers are called", function()
		local name = "a\27[2Jb"
		assert.equal(0, (run { "set", name, "--write-key", KEY, "--label", "x\226\128\174y\rz" }))
		for _, arguments in ipairs { { "list" }, { "show", name }, { "show", name, "--json" } } do
			local code, out = run(arguments)
			assert.equal(0, code)
			assert.not_matches("[\27\r]", out)
			assert.is_true(arguments[3] ~= nil or not out:find("\226\128\174", 1, true))
		end
		local _, _, err = run { "show", name .. "c" }
		assert.not_matches("\27", err, 1, true)
	end)

	it("is not seen in the process list, once it has started", function()
		local fifo = child.folder() .. "/fifo" .. spools
		os.execute("mkfifo -m 600 " .. fifo)
		local process = child.start(
			{ "accounts", "set", "acme", "--write-key", KEY },
			{ env = { MOONWEIR_SPOOL = spool, MOONWEIR_MASTER_KEY_FILE = fifo } }
		)
		-- It waits for the master key by then, and has long been scrubbed.
		local arguments = process:wait("its own arguments", function()
			local text = child.read("/proc/" .. process.pid .. "/cmdline")
			return text and text:find("moonweir.lua", 1, true) and text:find("****", 1, true) and text
		end)
		assert.not_matches("canary", arguments)
		os.execute(("cat %s > %s"):format(master, fifo))
		local code, out, err = process:finish()
		assert.equal(0, code, err)
		assert.not_matches("canary", out .. err)
		assert.equal("…k3y4", show("acme").key)
	end)

	it("leaves no key in the spool's files", function()
		assert.equal(0, (run { "set", "acme", "--write-key", KEY }))
		local data = child.read(spool .. "/state/data.mdb")
		assert.truthy(data:find("acme", 1, true))
		assert.is_nil(data:find("canary", 1, true))
	end)

	local function send(...)
		local script = child.file("tiny.lua", [[
			local source = require "moonweir.source"
			return source.define {
				slug = "tiny", version = "1", event = source.get "type", user = source.user { source.get "user" },
				on = { opened = source.track "Opened" {} },
			}]])
		local event = child.file("event", '{"type":"opened","user":"u1"}\n')
		local code, _, err = child.run { "run", script, event, "--account", "acme", "--spool", spool, ... }
		return code, err
	end

	it("are told by run when their keys are sealed with another master key", function()
		assert.equal(0, (run { "set", "acme", "--write-key", KEY, "--endpoint", "http://127.0.0.1:1" }))
		local other = child.folder() .. "/other-master-key"
		assert.equal(0, (child.run { "accounts", "new-master-key", other }))
		local code, err = send("--master-key-file", other)
		assert.equal(1, code)
		assert.matches("account acme is parked: its write key can't be opened. Give the master key", err, 1, true)
		assert.not_matches("no write key", err)
	end)

	it("are told by run when they are paused", function()
		assert.equal(0, (run { "set", "acme", "--write-key", KEY, "--endpoint", "http://127.0.0.1:1" }))
		assert.equal(0, (run { "pause", "acme" }))
		local code, err = send("--master-key-file", master)
		assert.equal(1, code)
		assert.matches("account acme is paused", err, 1, true)
	end)

	it("asks on a terminal once that shows nothing more: who types at the prompt is heard and not seen", function()
		-- Its prompt has nowhere to go as long as the pipe is full. Then the terminal must be silent already.
		local script = child.file("silent.py", [[
import os, pty, subprocess, sys, termios, time
terminal, its = pty.openpty()
read, write = os.pipe()
os.set_blocking(write, False)
try:
    while True:
        os.write(write, b"x")
except BlockingIOError:
    os.set_blocking(write, True)
process = subprocess.Popen(sys.argv[1:], stdin=its, stdout=subprocess.DEVNULL, stderr=write)
until = time.monotonic() + 120
while termios.tcgetattr(terminal)[3] & termios.ECHO and process.poll() is None and time.monotonic() < until:
    time.sleep(0.01)
print("silent" if not termios.tcgetattr(terminal)[3] & termios.ECHO else "shows what is typed")
process.kill()
process.wait()
]])
		local pipe = io.popen(("env -u LD_PRELOAD MOONWEIR_SPOOL=%s MOONWEIR_MASTER_KEY_FILE=%s python3 %s "
			.. "%s lua/moonweir/cli/moonweir.lua accounts set acme 2>&1"):format(spool, master, script, child.lua))
		local said = pipe:read "*a"
		pipe:close()
		assert.equal("silent\n", said)
	end)

	it("asks on a terminal, and does not show what is typed", function()
		local log = child.folder() .. "/typescript" .. spools
		local command = ("env MOONWEIR_SPOOL=%s MOONWEIR_MASTER_KEY_FILE=%s %s lua/moonweir/cli/moonweir.lua accounts set acme"):format(
			spool, master, child.lua
		)
		-- `script` gives it a terminal. The key is typed when the prompt is there.
		local fifo = child.folder() .. "/typing" .. spools
		os.execute("mkfifo " .. fifo)
		os.execute(("( script -qefc '%s' %s <%s >/dev/null 2>&1; echo $? >%s.rc ) &"):format(command, log, fifo, log))
		local keyboard = assert(io.open(fifo, "w"))
		local waiting = setmetatable({ base = log }, getmetatable(child.start { "--version" }))
		waiting:wait("the prompt", function()
			return (child.read(log) or ""):find("write key of acme (not shown): ", 1, true)
		end)
		keyboard:write(KEY, "\n")
		keyboard:flush()
		local code = waiting:wait("its end", function()
			return tonumber(child.read(log .. ".rc") or "")
		end)
		keyboard:close()
		local shown = child.read(log)
		assert.equal(0, code, shown)
		assert.not_matches("canary", shown)
		assert.matches("…k3y4", shown, 1, true)
	end)
end)
