--- moonweir.redis.accounts -- the accounts of many hosts, in Redis.
--
--     local accounts = require "moonweir.redis.accounts"
--     local vault = assert(accounts.open { red = red, dir = dir, master_key_file = "/etc/acme/master-key" })
--     vault:set("acme", { write_key_file = "key", endpoint = "eu" })      -- as a vault of moonweir.accounts
--     vault:look()                                                        -- what others changed, now and then
--
-- Rows lie in two hashes (accounts, OAuth apps), sealed as in a spool's vault, with the same master key: Redis, its files
-- and its network hold no key that could be read or exchanged for another. `dir` is a copy of them on this host, in which
-- keys are looked up when a request is about to go: without a round trip, also while Redis is away. A change is first made
-- to the copy, which checks and seals, and then written to Redis, if nobody else changed the same account meanwhile.

local core_accounts = require "moonweir.accounts"
local replica = require "moonweir.redis.replica"

local process = require("moonweir.core").process

local accounts = {}

--- How often :look asks Redis, in seconds: what others changed is known here that much later at most.
accounts.EVERY = 0.25

local TRIES = 20
local KEYS = { account = "accounts", app = "apps" }

---@class moonweir.redis.Accounts: moonweir.Vault
local Accounts = {}

Accounts.__index = Accounts

--- Rows that came from Redis, into the copy.
function Accounts:take(kind, list)
	local changed, message, code = self.copy:copy_in(kind, list)
	if not changed then
		return nil, message, code
	end
	return true
end

local function names_of(list, member)
	local names = {}
	for _, entry in ipairs(list) do
		names[entry[member]] = true
	end
	return names
end

--- Everything new in one of the hashes.
function Accounts:follow(kind)
	local seen
	local function each(list)
		if seen then
			for i = 1, #list, 2 do
				seen[list[i]] = list[i + 1] and true or nil
			end
		end
		return self:take(kind, list)
	end
	local function begin()
		seen = {}
	end
	-- What Redis has not is gone.
	local function finish()
		local list, message, code
		if kind == "account" then
			list, message, code = self.copy:list()
		else
			list, message, code = self.copy:list_apps()
		end
		if not list then
			return nil, message, code
		end
		local gone = {}
		for name in pairs(names_of(list, kind)) do
			if not seen[name] then
				gone[#gone + 1] = name
				gone[#gone + 1] = false
			end
		end
		return self:take(kind, gone)
	end
	return self.replicas[kind]:look(each, begin, finish)
end

--- What was changed on other hosts comes into the copy, and a client that looks keys up there sends what was parked. Asks
--- Redis at most every accounts.EVERY seconds, unless told to do so `now`.
---@param now? boolean
---@return true|nil
---@return string? message
---@return string? code of moonweir.hiredis, or of the copy
function Accounts:look(now)
	local time = process.monotonic()
	if not now and time - self.looked < accounts.EVERY then
		return true
	end
	self.looked = time
	-- Apps first: an account is not to find the one missing that it sends with.
	for _, kind in ipairs { "app", "account" } do
		local what, message, code = self:follow(kind)
		if not what then
			return nil, message, code
		end
	end
	return true
end

--- Make a change to what Redis has, by way of the copy; again from the start if somebody else was faster.
function Accounts:edit(kind, name, change)
	local hash = self.replicas[kind]
	for _ = 1, TRIES do
		local ok, message, code = self:look(true)
		local old
		if ok then
			old, message, code = hash:get(name)
			ok = old ~= nil
		end
		if ok then
			ok, message, code = self:take(kind, { name, old })
		end
		if ok then
			ok, message, code = change()
		end
		local new
		if ok then
			new, message, code = self.copy:copy_out(kind, name)
			ok = new ~= nil
		end
		if not ok then
			return nil, message, code
		end
		local done
		done, message, code = hash:put(name, old, new)
		if done then
			return true
		end
		self:take(kind, { name, old }) -- not written, so the copy is not to have it either
		if done == nil then
			return nil, message, code
		end
	end
	return nil, "others keep changing it; try again", "io"
end

function Accounts:set(account, change)
	return self:edit("account", account, function()
		return self.copy:set(account, change)
	end)
end

for _, name in ipairs { "pause", "resume", "remove" } do
	Accounts[name] = function(self, account)
		return self:edit("account", account, function()
			return self.copy[name](self.copy, account)
		end)
	end
end

function Accounts:set_app(app, change)
	return self:edit("app", app, function()
		return self.copy:set_app(app, change)
	end)
end

function Accounts:remove_app(app)
	return self:edit("app", app, function()
		return self.copy:remove_app(app)
	end)
end

for _, name in ipairs { "show", "list", "show_app", "list_apps" } do
	Accounts[name] = function(self, ...)
		local ok, message, code = self:look(true)
		if not ok then
			return nil, message, code
		end
		return self.copy[name](self.copy, ...)
	end
end

function Accounts:has_master_key()
	return self.copy:has_master_key()
end

--- The copy stays where it is.
function Accounts:close()
	self.copy:close()
end

--- A copy loses what Redis has not. So it must be one from the beginning: a vault with accounts of its own is left alone.
local function claim(copy, dir)
	local path = dir .. "/copy-of-redis"
	local mark = io.open(path)
	if mark then
		mark:close()
		return true
	end
	local list, message, code = copy:list()
	if not list then
		return nil, message, code
	elseif #list > 0 then
		return nil, dir .. " holds accounts of its own; a copy of those in Redis needs a directory of its own", "io"
	end
	mark, message = io.open(path, "w")
	if not mark then
		return nil, message, "io"
	end
	mark:close()
	return true
end

--- Open the accounts in Redis, with a copy on this host.
---@param options {red: table, dir: string, master_key_file: string?, prefix: string?} red: a connection of moonweir.hiredis;
--- dir: where the copy is, made if it is not there; master_key_file: as moonweir.accounts has it; prefix: of the keys,
--- "{moonweir}" if none is given
---@return moonweir.redis.Accounts|nil
---@return string? message
---@return string? code
function accounts.open(options)
	local copy, message, code = core_accounts.open { spool = options.dir, master_key_file = options.master_key_file }
	if not copy then
		return nil, message, code
	end
	local ok
	ok, message, code = claim(copy, options.dir)
	if not ok then
		copy:close()
		return nil, message, code
	end
	local replicas = {}
	for kind, key in pairs(KEYS) do
		replicas[kind] = replica.new(options.red, ("%s:%s"):format(options.prefix or "{moonweir}", key))
	end
	return setmetatable({ copy = copy, replicas = replicas, looked = -math.huge }, Accounts)
end

return accounts
