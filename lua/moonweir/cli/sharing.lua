--- sharing -- what commands share through Redis: accounts and identities, each with a copy on this host.

local accounts = require "moonweir.accounts"
local identities = require "moonweir.identities"
local keys = require "moonweir.cli.keys"
local redislink = require "moonweir.cli.redislink"

local process = require("moonweir.core").process

local sharing = {}

sharing.NO_MASTER_KEY = "what lies in Redis is encrypted. " .. keys.MASTER_KEY_ADVICE

--- Is it Redis that a command is about? The variable alone says so only where no spool is named.
function sharing.is_wanted(args)
	return args.redis ~= nil or args.redis_file ~= nil
		or (keys.environment "MOONWEIR_REDIS" ~= nil and keys.spool(args) == nil)
end

--- A folder for a copy, which nobody else can read.
function sharing.folder()
	return process.temporary_folder()
end

--- Such a folder with a copy in it is gone afterwards.
function sharing.remove(folder)
	for _, name in ipairs { "/state/data.mdb", "/state/lock.mdb", "/state", "/budget", "/copy-of-redis", "/identities-seen", "" } do
		os.remove(folder .. name)
	end
end

--- A store in Redis, whose copy goes when it is closed.
---@param module string that opens it; loaded when hiredis is known to be there
---@return table|nil, string? message, string? code
local function open_copied(args, module)
	local folder, message, code = sharing.folder()
	if not folder then
		return nil, message, code
	end
	local red
	red, message, code = redislink.open(args, { name = "moonweir", patience = 2 })
	local store
	if red then
		store, message, code = require(module).open { red = red, dir = folder, master_key_file = keys.master_key_file(args) }
	end
	if not store then
		sharing.remove(folder)
		return nil, message, code
	end
	local close = store.close
	function store.close(self)
		close(self)
		red:close()
		sharing.remove(folder)
	end
	return store
end

--- What a command is about: in Redis, or that of a spool.
local function open(args, existing, shared, own)
	if sharing.is_wanted(args) then
		return open_copied(args, shared)
	end
	local spool, message = keys.spool(args)
	if not spool then
		return nil, message .. "; or --redis URL", "usage"
	end
	return own.open { spool = spool, master_key_file = keys.master_key_file(args), existing = existing }
end

---@param existing boolean an error where there is none
---@return moonweir.Vault|nil
---@return string? message
---@return string? code "usage": the command line is wrong
function sharing.vault(args, existing)
	return open(args, existing, "moonweir.redis.accounts", accounts)
end

--- Of which there is one once somebody made it.
---@return moonweir.Identities|nil
---@return string? message
---@return string? code
function sharing.identities(args, existing)
	return open(args, existing, "moonweir.redis.identities", identities)
end

return sharing
