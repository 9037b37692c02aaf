local cjson = require "cjson"
local child = require "spec.support.child"
local core = require "moonweir.core"
local mw = require "moonweir"

describe("moonweir verify", function()
	teardown(child.clean)

	local spools, clients = 0, {}
	local spool

	before_each(function()
		spools = spools + 1
		spool = child.folder() .. "/spool" .. spools
	end)

	after_each(function()
		for _, client in ipairs(clients) do
			client:close(0)
		end
		clients = {}
	end)

	--- A client whose messages go nowhere: nothing listens on that port.
	local function open()
		local client = assert(mw.open {
			spool = spool,
			write_key = "canary0123456789abcdefghijklk3y4",
			endpoint = "http://127.0.0.1:9",
		})
		clients[#clients + 1] = client
		return client
	end

	local function push(client, account, count)
		for i = 1, count do
			assert(client:track(account, { userId = "u" .. i, event = "Opened", properties = { text = ("x"):rep(i % 700) } }))
		end
		assert(client:sync(60))
	end

	local function run(...)
		return child.run { "verify", "--spool", spool, ... }
	end

	local function run_json(...)
		local code, out, err = run("--json", ...)
		assert.equal("", err)
		return code, cjson.decode(out)
	end

	--- Another byte in the middle of `text`, wherever the file has it: copies of pages from before are there too.
	local function damage(text, partition)
		local path = ("%s/p%d/data.mdb"):format(spool, partition or 0)
		local bytes = child.read(path)
		local from, found = 1, 0
		local file = assert(io.open(path, "r+b"))
		while true do
			local at, stop = bytes:find(text, from, true)
			if not at then
				break
			end
			file:seek("set", at)
			file:write "?"
			from, found = stop + 1, found + 1
		end
		file:close()
		assert.is_true(found > 0)
	end

	it("counts a spool at rest and finds it whole", function()
		local client = open()
		push(client, "acme", 300)
		push(client, "zeta", 20)
		client:close(0)
		local code, out, err = run()
		assert.equal("", err)
		assert.equal(0, code)
		assert.matches("p0 +320 +0 +0 +320  at rest\n", out)
		assert.matches("accepted 320 = delivered 0 %+ dead 0 %+ queued 320\nall is well\n$", out)
		assert.not_matches("acme", out)
	end)

	it("counts a spool that a process sends from", function()
		local client = open()
		push(client, "acme", 50)
		local code, result = run_json()
		assert.equal(0, code)
		assert.is_true(result.ok)
		assert.equal(50, result.accepted)
		assert.equal(50, result.queued)
		assert.equal("number", type(result.partitions[1].owner))
		push(client, "acme", 50)
		code, result = run_json()
		assert.equal(0, code)
		assert.equal(100, result.accepted)
	end)

	it("adds up what the partitions hold for an account", function()
		push(open(), "acme", 10)
		local second = open()
		push(second, "acme", 5)
		push(second, "b\27[31m", 1)
		local code, result = run_json "--by-account"
		assert.equal(0, code)
		assert.equal(2, #result.partitions)
		assert.equal(2, #result.accounts)
		assert.equal("acme", result.accounts[1].account)
		assert.equal(15, result.accounts[1].accepted)
		assert.equal("b\27[31m", result.accounts[2].account)
		local out
		code, out = run "--by-account"
		assert.equal(0, code)
		assert.matches("acme +15 +0 +0 +15\n", out)
		assert.matches("b?[31m", out, 1, true) -- and the terminal stays as it was
		assert.matches("all +16 +0 +0 +16\n", out)
	end)

	it("fails if the disk has changed a message, and says which and what to do", function()
		local client = open()
		push(client, "acme", 3)
		assert(client:track("acme", { userId = "u", event = "The Damaged One" }))
		assert(client:sync(60))
		client:close(0)
		damage "The Damaged One"
		local code, out, err = run()
		assert.equal(1, code)
		assert.not_matches("all is well", out, 1, true)
		assert.matches("error: p0: pack: lane 0: messages %d to 3: damaged\n", err)
		assert.matches("keeps a dead letter", err, 1, true)
		local _, result = run_json()
		assert.is_false(result.ok)
		assert.equal("pack", result.findings[1].code)
		assert.equal(1, result.partitions[1].findings)
	end)

	it("fails if the database itself is in ruins", function()
		local client = open()
		push(client, "acme", 100)
		client:close(0)
		local path = spool .. "/p0/data.mdb"
		local size = #child.read(path)
		local file = assert(io.open(path, "r+b"))
		file:seek("set", 2 * 4096)
		file:write(("\255"):rep(size - 2 * 4096))
		file:close()
		local code, _, err = run()
		assert.equal(1, code)
		assert.matches("p0: structure: ", err, 1, true)
		assert.matches("keep a copy", err, 1, true)
	end)

	it("says when there is no spool", function()
		local code, out, err = run()
		assert.equal(1, code)
		assert.equal("", out)
		assert.matches(spool, err, 1, true)
		assert.is_nil(child.read(spool .. "/p0/owner"))
		code, out, err = child.run({ "verify" }, { env = { MOONWEIR_SPOOL = "" } })
		assert.equal(2, code)
		assert.equal("", out)
		assert.matches("--spool", err, 1, true)
	end)

	it("takes the spool from the environment", function()
		push(open(), "acme", 1)
		local code, out = child.run({ "verify" }, { env = { MOONWEIR_SPOOL = spool } })
		assert.equal(0, code)
		assert.matches("accepted 1 =", out, 1, true)
	end)

	describe("in the process that sends", function()
		it("leaves it its spool", function()
			local client = open()
			push(client, "acme", 5)
			local result = assert(core.verify(spool, { accounts = true }))
			assert.is_true(result.ok)
			assert.equal(5, result.partitions[1].accepted)
			assert.equal("acme", result.accounts[1].account)
			push(client, "acme", 5)
			assert.equal(10, assert(core.verify(spool)).partitions[1].accepted)
			local second = open() -- of this process, so it gets the next
			push(second, "acme", 1)
			assert.equal(2, #assert(core.verify(spool)).partitions)
		end)

		it("passes on what the caller's function raises", function()
			local client = open()
			push(client, "acme", 5)
			assert.has_error(function() core.verify(spool, 1) end)
			assert.has_error(function() core.verify() end)
			local result, message, code = core.verify(spool .. "/nowhere")
			assert.is_nil(result)
			assert.matches("nowhere", message, 1, true)
			assert.equal("io", code)
		end)
	end)
end)
