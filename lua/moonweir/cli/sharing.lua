--- sharing -- what commands share through Redis: accounts and identities, each with a copy on this host.

local accounts = require "moonweir.accounts"
local identities = require "moonweir.identities"
local keys = require "moonweir.cli.keys"
local redislink = require "moonweir.cli.redislink"

local process = require("moonweir.core").process

local sharing = {}

sharing.NO_MASTER_KEY = "what lies in Redis is encrypted. Give --master-key-file FILE, or set MOONWEIR_MASTER_KEY_FILE; "
	.. "moonweir accounts new-master-key FILE makes one"

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
---@param open fun(options: table): table|nil, string?, string?
local function open_copied(args, open)
	local folder, message, code = sharing.folder()
	if not folder then
		return nil, message, code
	end
	local red
	red, message, code = redislink.open(args, { name = "moonweir", patience = 2 })
	local store
	if red then
		store, message, code = open { red = red, dir = folder, master_key_file = keys.master_key_file(args) }
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

--- The vault that a command is about: in Redis, or that of a spool.
---@param existing boolean an error where there is none
---@return moonweir.Vault|nil
---@return string? message
---@return string? code "usage": the command line is wrong
function sharing.vault(args, existing)
	if sharing.is_wanted(args) then
		return open_copied(args, function(options)
			return require("moonweir.redis.accounts").open(options)
		end)
	end
	local spool, message = keys.spool(args)
	if not spool then
		return nil, message .. "; or --redis URL", "usage"
	end
	return accounts.open { spool = spool, master_key_file = keys.master_key_file(args), existing = existing }
end

--- The identities likewise, of which there is a store once somebody made one.
function sharing.identities(args, existing)
	if sharing.is_wanted(args) then
		return open_copied(args, function(options)
			return require("moonweir.redis.identities").open(options)
		end)
	end
	local spool, message = keys.spool(args)
	if not spool then
		return nil, message .. "; or --redis URL", "usage"
	end
	return identities.open { spool = spool, master_key_file = keys.master_key_file(args), existing = existing }
end

return sharing
