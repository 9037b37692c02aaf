--- moonweir dead, with real processes: what run could not deliver is seen, mended, sent.

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
	on = { paid = source.track "Paid" { amount = %s } },
}
]]

describe("moonweir dead", function()
	local number = 0
	local server, spool, key_file, broken, mended

	before_each(function()
		number = number + 1
		server = mock.start()
		spool = child.folder() .. "/spool" .. number
		key_file = child.file("key", KEY .. "\n")
		broken = child.file("broken.lua", SOURCE:format 'get "amount" / 100')
		mended = child.file("mended.lua", SOURCE:format 'get "amount"')
	end)
	after_each(function()
		server:finish()
	end)
	teardown(child.clean)

	local function event(i, amount, account)
		return ('{"type":"paid","id":"e%d","user":"u%d","amount":%s,"account":"%s"}\n'):format(i, i, amount, account or "a")
	end

	--- Runs these events through the broken source; some may fail.
	local function run(text)
		return child.run {
			"run", broken, child.file("events", text), "--spool", spool, "--endpoint", server.url,
			"--write-key-file", key_file, "--rate", "0", "--json",
		}
	end

	local function dead(...)
		return child.run({ "dead", ... }, { env = { MOONWEIR_SPOOL = spool } })
	end

	local function replay(...)
		return dead("replay", mended, "--endpoint", server.url, "--write-key-file", key_file, ...)
	end

	--- What list --json says, decoded.
	local function listed(...)
		local code, out, err = dead("list", "--json", ...)
		assert.equal(0, code, err)
		local list = {}
		for line in out:gmatch "[^\n]+" do
			list[#list + 1] = cjson.decode(line)
		end
		return list
	end

	it("shows the one message of a hundred that Segment refuses, and its answer", function()
		server:control 'marker "u37"\nbody {"message":"not this one"}\n'
		local lines = {}
		for i = 1, 100 do
			lines[i] = event(i, i)
		end
		local code, out, said = run(table.concat(lines))
		assert.equal(1, code)
		assert.matches("what could not be delivered is kept; see `moonweir dead list`", said, 1, true)
		assert.equal(99, cjson.decode(out).delivered)
		assert.equal(99, #server:messages())
		local text, err
		code, text, err = dead "list"
		assert.equal(0, code, err)
		assert.matches("^0%-0  %d+%-%d+%-%d+T%S+Z  a  refused  status 400: .*not this one[^\n]*\n$", text)
		code, text = dead("show", "0-0")
		assert.equal(0, code)
		assert.matches('"userId": "u37"', text, 1, true)
		assert.matches("not this one", text, 1, true)

		server:control "reset\n"
		code, out, err = replay()
		assert.equal(0, code, err)
		assert.equal("1 letter replayed as 1 message, 0 failed again\n", out)
		assert.equal(100, #server:messages())
		assert.same({}, listed())
	end)

	it("sends events of a mended script with the messageId they would have had", function()
		local code = run(event(1, 100) .. event(2, '"ten"') .. event(3, '"ten"', "b"))
		assert.equal(1, code)
		local list = listed()
		assert.equal(2, #list)
		assert.equal("mapping", list[1].code)
		assert.matches("^broken.lua:%d+$", list[1].place)
		assert.equal((event(2, '"ten"'):gsub("\n", "")), list[1].event)

		local out, err
		code, out = replay("--account", "a", "--dry-run")
		assert.equal(0, code)
		local would = cjson.decode(out)
		assert.equal("u2", would.userId)
		assert.equal(2, #listed())
		assert.equal(1, #server:messages())

		code, out, err = replay("--account", "a")
		assert.equal(0, code, err)
		assert.equal("1 letter replayed as 1 message, 0 failed again\n", out)
		local arrived = server:messages()
		assert.equal(2, #arrived)
		assert.equal(would.messageId, arrived[2].messageId)
		assert.equal("tiny:a:e2:0", arrived[2].messageId)
		assert.same({ "b" }, { listed()[1].account })
	end)

	it("keeps what fails again, and says so", function()
		run(event(1, '"ten"') .. '{"type":"other","account":"a"}\n')
		local code, out, err = replay()
		assert.equal(1, code)
		assert.equal("1 letter replayed as 1 message, 1 failed again\n", out)
		assert.matches("^0%-1: unmatched: the source has no entry for \"other\"\n$", err)
		assert.equal(1, #listed())
		code, out, err = replay("0-1", "0-7", "--dry-run")
		assert.equal(1, code)
		assert.equal("", out)
		assert.matches("there is no dead letter 0-7", err, 1, true)
	end)

	it("can leave the sending to the next process", function()
		run(event(1, '"ten"'))
		local code, out, err = dead("replay", mended, "--no-send")
		assert.equal(0, code, err)
		assert.equal("1 letter replayed as 1 message, 0 failed again\n", out)
		assert.same({}, listed())
		assert.equal(0, #server:messages())
		assert.equal(0, (run ""))
		assert.equal("u1", server:messages()[1].userId)
	end)

	it("filters by account, code and time", function()
		run(event(1, '"x"', "a") .. event(2, '"x"', "b") .. "nonsense\n")
		assert.equal(3, #listed())
		assert.equal("0-1", listed("--account", "b")[1].id)
		assert.equal("0-2", listed("--code", "json")[1].id)
		assert.equal(1, #listed("--code", "json"))
		assert.equal(2, #listed("--limit", "2"))
		assert.equal(3, #listed("--since", "2h", "--until", "2999-01-01"))
		assert.equal(0, #listed("--until", "3d ago"))
		assert.equal(0, #listed("--since", "2999-01-01T00:00:00+02:00"))
		local code, _, err = dead("list", "--since", "yesterday")
		assert.equal(2, code)
		assert.matches("--since takes a date", err, 1, true)
	end)

	it("works while a process sends from the spool", function()
		server:control "stall\n"
		local busy = child.start {
			"run", broken, child.file("events", event(1, 100) .. event(2, '"x"')), "--spool", spool,
			"--endpoint", server.url, "--write-key-file", key_file,
		}
		busy:wait("its dead letter", function()
			return child.read(spool .. "/p0/data.mdb") and #listed() == 1
		end)
		local code, out = dead("drop", "0-0")
		assert.equal(0, code)
		assert.equal("dropped 1 dead letter\n", out)
		assert.same({}, listed())
		busy:signal "KILL"
		busy:finish()
		server:control "reset\n"
		assert.equal(0, (run ""))
		assert.equal(1, #server:messages())
	end)

	it("drops only what it is told to", function()
		run("nonsense\nnonsense\n" .. event(1, '"x"'))
		local code, out, err = dead "drop"
		assert.equal(2, code)
		assert.matches("drop which?", err, 1, true)
		assert.equal(3, #listed())
		assert.equal("", out)
		code, out, err = dead("drop", "0-1", "--code", "json")
		assert.equal(2, code)
		assert.equal("", out)
		assert.matches("not both", err, 1, true)
		code, out, err = dead("drop", "17")
		assert.equal(2, code)
		assert.equal("", out)
		assert.matches("named like 0-17", err, 1, true)
		code, out = dead("drop", "--code", "json")
		assert.equal(0, code)
		assert.equal("dropped 2 dead letters\n", out)
		assert.equal(0, (dead("drop", "--all")))
		assert.same({}, listed())
	end)

	it("exports lines of JSON to a file that nobody else can read", function()
		run(event(1, '"x"') .. "\255\n")
		local path = child.file("letters.ndjson", "old", "644")
		assert.equal(0, (dead("export", "--output", path)))
		local pipe = io.popen("stat -c %a " .. path)
		assert.equal("600\n", pipe:read "*a")
		pipe:close()
		local lines = {}
		for line in io.lines(path) do
			lines[#lines + 1] = cjson.decode(line)
		end
		assert.equal(2, #lines)
		assert.equal((event(1, '"x"'):gsub("\n", "")), lines[1].event)
		assert.is_nil(lines[2].event)
		assert.equal("/w==", lines[2].event_base64)
		local _, out = dead("export", "0-0")
		assert.equal("0-0", cjson.decode(out).id)
		local code, some, err = dead("export", "0-0", "0-99")
		assert.equal(1, code)
		assert.equal("0-0", cjson.decode(some).id)
		assert.matches("1 of the 2 letters named", err, 1, true)
		code = dead("export", "--output", child.folder() .. "/no/where")
		assert.equal(1, code)
	end)

	it("prints nothing that steers a terminal", function()
		run('{"type":"\\u001b[31mred\\u009b","account":"a\\u202eb"}\n\27]0;title\7\n')
		for _, arguments in ipairs { { "list" }, { "show", "0-0" }, { "show", "0-1" } } do
			local code, out = dead((rawget(_G, "unpack") or table.unpack)(arguments))
			assert.equal(0, code)
			assert.is_nil(out:find "[%z\1-\8\11-\31\127]")
			assert.is_nil(out:find("\194\155", 1, true))
			assert.is_nil(out:find("\226\128\174", 1, true))
		end
	end)

	it("never shows the write key, and keeps none", function()
		server:control("always 400\nbody your key is " .. KEY .. "\n")
		run(event(1, 100))
		local _, list = dead "list"
		local _, show = dead("show", "0-0")
		local _, export = dead "export"
		assert.matches("your key is", list)
		for _, text in ipairs { list, show, export } do
			assert.is_nil(text:find(KEY, 1, true))
		end
		local found = os.execute(("grep -rqF %s '%s'"):format(KEY, spool))
		assert.is_falsy(found == true or found == 0)
	end)

	it("says what is wrong with a spool that is not there, and makes none", function()
		local path = child.folder() .. "/typo"
		for _, arguments in ipairs {
			{ "list" }, { "show", "0-1" }, { "drop", "--all" }, { "export" }, { "replay", mended, "--no-send" },
		} do
			table.insert(arguments, 1, "dead")
			table.insert(arguments, "--spool")
			table.insert(arguments, path)
			local code, _, err = child.run(arguments)
			assert.equal(1, code)
			assert.matches("is that the spool's directory?", err, 1, true)
			arguments[#arguments] = child.folder() -- is there, and holds other things
			if arguments[2] ~= "replay" then
				code, _, err = child.run(arguments)
				assert.equal(1, code)
				assert.matches("is that the spool's directory?", err, 1, true)
			end
		end
		assert.is_nil(io.open(path))
		local code, _, err = child.run({ "dead", "list" }, { env = { MOONWEIR_SPOOL = "" } })
		assert.equal(2, code)
		assert.matches("--spool", err, 1, true)
	end)
end)
