local child = require "spec.support.child"
local core = require "moonweir.core"

local KEY = "canary0123456789abcdefghijklk3y4"
local UNREACHABLE = "http://127.0.0.1:1"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1", event = get "type", user = get "user",
	on = { opened = source.track "Email Opened" {} },
}
]]

local EVENT = '{"type":"opened","user":"u1"}\n'

describe("the command in hostile hands", function()
	local source, events, key
	setup(function()
		source = child.file("tiny.lua", SOURCE)
		events = child.file("events", EVENT)
		key = child.file("key", KEY .. "\n")
	end)
	teardown(child.clean)

	--- The command run by a shell, with redirections; its exit code and what it said on stderr.
	local function shell(arguments, redirections)
		local err = child.folder() .. "/shell.err"
		local line = ("%s lua/moonweir/cli/moonweir.lua %s 2>%s %s; echo $? >%s.rc"):format(
			child.lua, arguments, err, redirections, err
		)
		os.execute("timeout 30 sh -c '" .. line .. "'")
		return tonumber(child.read(err .. ".rc")), child.read(err)
	end

	describe("fails when its output is lost:", function()
		for name, where in pairs { ["a full disk"] = ">/dev/full", ["a closed stream"] = ">&-" } do
			it("map to " .. name, function()
				local code, err = shell(("map %s %s"):format(source, events), where)
				assert.equal(1, code)
				assert.matches("standard output: ", err, 1, true)
			end)

			it("run to " .. name, function()
				local code, err = shell(("run %s /dev/null --write-key-file %s"):format(source, key), where)
				assert.equal(1, code)
				assert.matches("standard output: ", err, 1, true)
			end)

			it("send to " .. name, function()
				local script = child.file("script", '{"writeKey":"' .. KEY .. '","sequences":[]}')
				local code, err = shell(("send --input @%s"):format(script), where)
				assert.equal(1, code)
				assert.matches("standard output: ", err, 1, true)
			end)
		end

		it("whatever prints a page", function()
			for _, arguments in ipairs {
				"--help", "run --help", "accounts set --help", "help", "help map", "--version", "check --rules",
				"serve --print-config", "check " .. source, "plan " .. source, "plan --format csv " .. source, "docs " .. source,
				"docs --format reference examples/acme-mail/acme-mail.lua", "test examples/acme-mail/acme-mail.lua",
			} do
				local code, err = shell(arguments, ">/dev/full")
				assert.same({ arguments, 1 }, { arguments, code })
				assert.matches("standard output: No space left on device\n", err, 1, true)
			end
		end)

		it("a page for a reader who went away, and says nothing of it", function()
			local base = child.folder() .. "/gone"
			local program = child.file("gone.sh", ([[
				trap "" PIPE
				{
					while echo x 2>/dev/null; do :; done
					%s lua/moonweir/cli/moonweir.lua --help 2>%s.err; echo $? >%s.rc
				} | true
			]]):format(child.lua, base, base))
			os.execute("sh " .. program .. " 2>/dev/null")
			assert.same({ "1\n", "" }, { child.read(base .. ".rc"), child.read(base .. ".err") })
		end)

		it("a debugger that nobody hears ends", function()
			local code, err = shell("debugger --port 0", ">/dev/full")
			assert.equal(1, code)
			assert.matches("standard output: ", err, 1, true)
		end)
	end)

	it("lets no script, file or argument steer the terminal", function()
		local evil = "\27[31mred\27]0;title\7\194\155\r\226\128\174"
		local raising = child.file("raising.lua", "error([[" .. evil .. "]], 0)")
		local declaring = child.file("declaring.lua",
			'return require "moonweir.source".define { slug = "x", version = "1", on = {}, ["' .. evil .. '"] = 1 }')
		local gone = child.folder() .. "/" .. evil
		for _, arguments in ipairs {
			{ "map", raising }, { "run", raising, "--write-key-file", key }, { "check", raising }, { "docs", raising },
			{ "send", "--write-key-file", key, "--type=track", "--source", raising },
			{ "map", declaring }, { "map", gone }, { "map", source, gone }, { "run", source, "--write-key-file", gone },
			{ "run", source, "--accounts", gone }, { "send", "--input", "@" .. gone }, { evil }, { "map", "--" .. evil },
			{ "run", source, "--write-key-file", key, "--ca-file", gone }, { "run", source, "--write-key-file", key, "--rate", evil },
			{ "run", source, "--write-key-file", key, "--spool", "/dev/null/" .. evil }, { "dead", "list", "--spool", gone },
		} do
			local code, _, err = child.run(arguments)
			assert.is_true(code == 1 or code == 2)
			assert.matches("^moonweir: ", err)
			assert.is_nil(err:find("[%z\1-\9\11-\31\127]"), err)
			assert.is_nil(err:find("\194\155", 1, true) or err:find("\226\128\174", 1, true), err)
		end
	end)

	it("gives the place of a closed standard input to no socket", function()
		local code, err = shell(("run %s --write-key-file %s --endpoint %s"):format(source, key, UNREACHABLE), "<&- >/dev/null")
		assert.equal(1, code)
		assert.matches("reading failed", err, 1, true)
	end)

	it("ends on an interrupt without a traceback", function()
		local fifo = child.folder() .. "/fifo"
		os.execute("mkfifo " .. fifo)
		os.execute(("sh -c 'exec 3>%s; while [ -e %s ]; do sleep 0.01; done' &"):format(fifo, fifo))
		local r = child.start { "map", source, fifo }
		r:wait("the input to be opened", function()
			local pipe = io.popen(("readlink /proc/%s/fd/* 2>/dev/null"):format(r.pid))
			local open = pipe:read "*a"
			pipe:close()
			return open:find(fifo, 1, true)
		end)
		r:signal "INT"
		local code, out, err = r:finish()
		os.remove(fifo)
		assert.equal(130, code)
		assert.equal("", out .. err)
	end)

	describe("says that the command line is wrong, and which option:", function()
		for option, value in pairs {
			["--endpoint"] = "", ["--retries"] = "1.5", ["--timeout"] = "0", ["--account"] = "", ["--rate"] = "many",
			["--proxy"] = "gopher://u:canary@h",
		} do
			it(option .. " " .. value, function()
				local code, _, err = child.run { "run", source, events, "--write-key-file", key, option, value }
				assert.equal(2, code)
				assert.matches(option, err, 1, true)
				assert.not_matches("canary", err)
			end)
		end

		it("--account, also where nothing is sent", function()
			for _, name in ipairs { "", ("a"):rep(256) } do
				for _, command in ipairs { "map", "run" } do
					local code, out, err = child.run { command, source, events, "--account", name }
					assert.same({ 2, "" }, { code, out })
					assert.matches("^moonweir: %-%-account takes a name of 1 to 255 bytes\n", err)
				end
			end
		end)

		it("-o of docs", function()
			local code, out, err = child.run { "docs", source, "-o", "" }
			assert.same({ 2, "" }, { code, out })
			assert.matches("^moonweir: %-o takes a file", err)
		end)

		it("--port", function()
			for _, value in ipairs { "70000", "1.5", "0x10" } do
				local code, _, err = child.run { "debugger", "--port", value }
				assert.equal(2, code)
				assert.matches("--port takes a whole number", err, 1, true)
			end
		end)

		it("help for nothing known", function()
			local code, _, err = child.run { "help", "nope" }
			assert.equal(2, code)
			assert.matches("^moonweir: unknown command 'nope'", err)
		end)
	end)

	it("shows a proxy's password neither in the process list nor in what it says", function()
		local r = child.start {
			"run", source, events, "--write-key-file", key, "--endpoint", UNREACHABLE, "--proxy", "http://u:canary@127.0.0.1:1",
			"--patience", "1.5",
		}
		r:wait_for "is the endpoint right"
		assert.not_matches("canary", child.read("/proc/" .. r.pid .. "/cmdline"))
		local _, out, err = r:finish()
		assert.not_matches("canary", out .. err)
	end)

	it("takes proxies of every usual shape", function()
		for _, proxy in ipairs {
			"127.0.0.1:1", "http://127.0.0.1:1/", "http://u:p@127.0.0.1:1", "socks5h://[::1]:1", "http://localhost",
		} do
			local _, out, err = child.run { "run", source, "/dev/null", "--write-key-file", key, "--proxy", proxy, "--json" }
			assert.equal("", err)
			assert.matches('"events":0', out, 1, true)
		end
	end)

	describe("refuses an accounts file", function()
		local FILES = {
			["that never ends"] = "while true do end",
			["that grows"] = 'local s = "canary" while true do s = s .. s end',
			["that is broken Lua"] = "return { a = canary.b }",
			["with a member it does not know"] = '{"a":{"write_key":"canary01","endpont":"eu"}}',
			["with an account without a name"] = '{"":"canary01"}',
			["with a bad key"] = '{"a":"canary:01"}',
		}
		for name, text in pairs(FILES) do
			it(name, function()
				local code, _, err = child.run { "run", source, events, "--accounts", child.file("accounts", text) }
				assert.equal(2, code)
				assert.matches("account", err, 1, true)
				assert.not_matches("canary", err)
			end)
		end
	end)

	it("names the key file that is empty, and reads one with a byte-order mark", function()
		local code, _, err = child.run { "run", source, events, "--write-key-file", child.file("none", " \n") }
		assert.equal(2, code)
		assert.matches("none: empty", err, 1, true)
		code = child.run { "run", source, "/dev/null", "--write-key-file", child.file("bom", "\239\187\191" .. KEY) }
		assert.equal(0, code)
	end)

	describe("a body that is larger than 16 MiB is refused whole", function()
		for name, text in pairs {
			["in one line"] = '{"type":"' .. ("x"):rep(17 * 1024 * 1024) .. '"}\n' .. EVENT,
			["in many lines"] = "[" .. (EVENT:gsub("\n", ",\n")):rep(600000) .. "{}]",
		} do
			it(name, function()
				local code, out, err = child.run { "map", source, child.file("big", text), "--format", "json" }
				assert.equal(1, code)
				assert.equal("", out)
				assert.equal("event 1: too_large: the body is longer than 16 MiB\n", err)
			end)
		end
	end)

	describe("send takes no mistake for nothing to do:", function()
		for name, script in pairs {
			["sequences no array"] = '{"writeKey":"canary01","sequences":5}',
			["no sequences"] = '{"writeKey":"canary01"}',
			["events no array"] = '{"writeKey":"canary01","sequences":[{"events":"x"}]}',
			["a key that is none"] = '{"writeKey":{"canary":1},"sequences":[]}',
			["a host that is none"] = '{"writeKey":"canary01","apiHost":5,"sequences":[]}',
			["an array"] = "[1]",
			["a folder"] = false,
		} do
			it(name, function()
				local code, out, err = child.run { "send", "--input", script or "@/tmp" }
				assert.equal(1, code)
				assert.is_false(core.decode(out).success)
				assert.not_matches("traceback", err)
				assert.not_matches("canary", out .. err)
			end)
		end
	end)

	it("send says what is wrong with its standard input", function()
		local code, err = shell("send --input @- >" .. child.folder() .. "/said", "<&-")
		assert.equal(1, code)
		assert.matches("^moonweir: error: standard input: ", err)
		assert.is_false(core.decode(child.read(child.folder() .. "/said")).success)
		local out
		code, out, err = child.run({ "send", "--input", "@-" }, { stdin = "/dev/null" })
		assert.equal(1, code)
		assert.matches("^moonweir: error: %-%-input: expected a value", err)
		assert.is_false(core.decode(out).success)
	end)

	it("send says that there was nothing to send", function()
		for _, sequences in ipairs { "[]", '[{"events":[]}]', "{}" } do
			local code, out, err = child.run { "send", "--input", '{"writeKey":"canary01","sequences":' .. sequences .. "}" }
			assert.equal(0, code)
			assert.equal('{"success":true,"sentBatches":0}\n', out)
			assert.matches("there is no call in the input, so nothing was sent", err, 1, true)
		end
	end)

	it("send says why nothing came through", function()
		local code, out = child.run {
			"send", "--writeKey", KEY, "--type=track", "--userId=u", "--event=E", "--host", UNREACHABLE,
		}
		assert.equal(1, code)
		assert.matches("refused", core.decode(out).error, 1, true)
	end)
end)
