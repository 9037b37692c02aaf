local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local litter = require "spec.support.litter"

local KEY = "canary0123456789abcdefghijklk3y4"

describe("moonweir.accounts", function()
	teardown(child.clean)

	it("keeps what programs set", function()
		local master = child.folder() .. "/master-of-a-program"
		assert(accounts.new_master_key(master))
		local vault = assert(accounts.open { spool = child.folder() .. "/spool-of-a-program", master_key_file = master })
		assert.is_true(vault:has_master_key())
		assert.is_true(vault:set("acme", { write_key = KEY, endpoint = "eu" }))
		local account = assert(vault:show "acme")
		assert.same({ "acme", "active", "k3y4", true, "eu" },
			{ account.account, account.state, account.last, account.has_key, account.endpoint })
		local ok, message, code = vault:set("acme", { write_key = "not a key" })
		assert.same({ nil, "bad_key" }, { ok, code })
		assert.not_matches("not a key", message)
		for _, value in pairs(account) do
			assert.not_equal(KEY, value)
		end
		vault:close()
		vault:close()
		assert.has_error(function() vault:list() end, "this vault is closed")
	end)

	it("lists its accounts right, whatever finalizers ask for meanwhile", function()
		local master = child.folder() .. "/master-of-a-list"
		assert(accounts.new_master_key(master))
		local vault = assert(accounts.open { spool = child.folder() .. "/spool-of-a-list", master_key_file = master })
		for i = 1, 12 do
			assert(vault:set(("account %02d %s"):format(i, ("x"):rep(100)), { endpoint = "eu" }))
		end
		litter.among(function()
			assert.equal(12, #assert(vault:list()))
		end, function(drop)
			drop()
			local list = assert(vault:list())
			assert.equal(12, #list)
			for i, account in ipairs(list) do
				assert.equal(("account %02d %s"):format(i, ("x"):rep(100)), account.account)
			end
		end)
		vault:close()
	end)

	it("raises on misuse", function()
		assert.has_error(function() accounts.open() end)
		assert.has_error(function() accounts.open { spool = 1 } end)
		assert.error_matches(function() accounts.open { spool = "a", master_key = "b" } end, 'no option "master_key"')
		local vault = assert(accounts.open { spool = child.folder() .. "/misuse" })
		assert.is_false(vault:has_master_key())
		assert.has_error(function() vault:set("", {}) end)
		assert.has_error(function() vault:set("a") end)
		assert.has_error(function() vault:set("a", { write_key = {} }) end)
		assert.has_error(function() vault:set("a", { write_key = "a", write_key_file = "b" }) end)
		vault:close()
	end)
end)
