--- What `moonweir serve` says of spool and keys before it runs (--check), and when it starts.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local daemon = require "spec.support.daemon"

describe("what moonweir serve needs", function()
	teardown(child.clean)

	local count = 0

	local function new_master()
		count = count + 1
		local path = ("%s/master%d"):format(child.folder(), count)
		assert(accounts.new_master_key(path))
		return path
	end

	-- An account whose key is sealed with this master key.
	local function save_account(spool, master)
		local vault = assert(accounts.open { spool = spool, master_key_file = master })
		assert(vault:set("acme", { write_key = ("K9canary"):rep(4) }))
		vault:close()
	end

	local function check(options)
		local config, values = daemon.config(options)
		local code, out, err = child.run { "serve", config, "--check" }
		assert.is_nil(err:find("traceback", 1, true), err)
		assert.equal(code == 0, out:find(": good", 1, true) ~= nil)
		return code, err, values
	end

	local function exists(path)
		return os.rename(path, path) ~= nil
	end

	it("is there: --check says so, and makes nothing", function()
		local code, err, values = check()
		assert.equal(0, code, err)
		assert.is_false(exists(values.spool))
		code, err, values = check { write_key_file = "none", master_key_file = new_master() }
		assert.equal(0, code, err)
		assert.is_false(exists(values.spool))
		local master, spool = new_master(), child.folder() .. "/with-account"
		save_account(spool, master)
		code, err = check { write_key_file = "none", master_key_file = master, spool = spool .. "/" }
		assert.equal(0, code, err)
	end)

	it("has a place for the spool", function()
		local code, err = check { spool = child.folder() .. "/absent/spool" }
		assert.equal(1, code)
		assert.matches("event=spool reason=\"" .. child.folder() .. "/absent/spool: can't be made, because " .. child.folder()
			.. "/absent is not a directory that is there", err, 1, true)
		code, err = check { spool = child.file("a-file", "") }
		assert.equal(1, code)
		assert.matches("a-file: this is not a directory", err, 1, true)
	end)

	it("has a master key, and says each thing that is missing", function()
		local code, err = check { write_key_file = "none", spool = child.folder() .. "/absent/spool" }
		assert.equal(1, code)
		assert.matches("event=vault reason=\"there is no master key, without which no account's write key can be saved", err, 1, true)
		assert.matches("event=spool", err, 1, true)
		code, err = check { master_key_file = child.folder() .. "/gone" }
		assert.equal(1, code)
		assert.matches("event=vault reason=\"the master key: [^\n]*gone", err)
		code, err = check { master_key_file = child.file("short", "abc") }
		assert.equal(1, code)
		assert.matches("a master key is 32 bytes or 64 hex digits", err, 1, true)
		code, err = check { write_key_file = child.folder() .. "/gone" }
		assert.equal(1, code)
		assert.matches("event=config reason=\"[^\n]*gone", err)
	end)

	it("has the master key with which the accounts' keys were sealed; a start says it, too, and keeps what comes", function()
		local master, spool = new_master(), child.folder() .. "/sealed"
		save_account(spool, master)
		for expected, other in pairs {
			["there is no master key, and 1 saved key can't be opened"] = "none",
			["1 of 1 saved keys can't be opened: that of acme was sealed with the master key"] = new_master(),
		} do
			local options = { write_key_file = "none", master_key_file = other, spool = spool }
			local code, err = check(options)
			assert.equal(1, code)
			assert.matches(expected, err, 1, true)
			local serve = daemon.start((daemon.config(options)))
			assert.matches("level=error event=vault reason=\"" .. expected, serve:err(), 1, true)
			assert.equal(200, (daemon.post(serve, "/webhooks/acme", '{"type":"t","event_id":"1","user":"u"}')))
			serve:signal "TERM"
			serve:finish()
			assert.is_nil(serve:err():find("K9canary", 1, true))
		end
		local serve = daemon.start((daemon.config {
			write_key_file = "none", master_key_file = master, spool = spool, workers = 2 }))
		serve:signal "TERM"
		serve:finish()
		assert.is_nil(serve:err():find("event=vault", 1, true))
	end)
end)
