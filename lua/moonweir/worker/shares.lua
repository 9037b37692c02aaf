--- shares -- what a worker has in common with those on other hosts, beside the stream: accounts, identities, the budget.

-- What needs hiredis is loaded when it is used: the command must start without.

local shares = {}

---@class moonweir.worker.Shares
local Shares = {}
Shares.__index = Shares

---@param options {red: userdata, dir: string|false|nil, master_key_file: string?}  dir: of this host's copy; without it
--- accounts and identities are not shared
function shares.new(options)
	return setmetatable({ options = options }, Shares)
end

--- The copy, still without a look at Redis.
---@return true|nil
---@return string? message
---@return string? code
function Shares:open()
	local o = self.options
	if not o.dir then
		return true
	end
	-- A connection of its own: when it breaks, all is read again.
	local message, code
	self.red, message, code = o.red:twin()
	if self.red then
		local accounts = require "moonweir.redis.accounts"
		self.accounts, message, code = accounts.open { red = self.red, dir = o.dir, master_key_file = o.master_key_file }
	end
	if self.accounts then
		local identities = require "moonweir.redis.identities"
		self.identities, message, code = identities.open { red = self.red, dir = o.dir, master_key_file = o.master_key_file }
	end
	if not self.identities then
		return nil, message, code
	end
	return true
end

--- All that there is, before the first entry is read.
---@return true|nil
---@return string? message
---@return string? code
function Shares:begin()
	if not self.accounts then
		return true
	end
	local ok, message, code = self.accounts:look(true)
	if ok then
		ok, message, code = self.identities:look(true)
	end
	return ok, message, code
end

--- Before entries are mapped that were just read: who was known when they came is known now, or they wait.
---@return boolean
function Shares:prepare()
	if not self.identities then
		return true
	end
	local ok, message = self.identities:look(true)
	self.trouble = message
	return ok == true
end

--- Permits for the client.
---@param connect fun(more: table): userdata|nil, string?, string?
function Shares:lease(client, connect)
	local red, message, code = connect { name = "moonweir-budget", timeout = 1, patience = 0 }
	if not red then
		return nil, message, code
	end
	self.permits, message, code = require("moonweir.redis.budget").lease(client, red)
	return self.permits and true, message, code
end

--- What was changed elsewhere. Cheap: asks Redis four times a second.
---@return true|nil
---@return string? message
function Shares:look()
	if not self.accounts then
		return true
	end
	local ok, message = self.accounts:look()
	if ok then
		ok, message = self.identities:look()
	end
	if ok and self.trouble then
		ok, message = nil, self.trouble
	end
	self.trouble = nil
	return ok, message
end

--- Before the client is closed.
function Shares:close()
	if self.permits then
		self.permits:close()
	end
	for _, store in ipairs { self.accounts, self.identities } do
		store:close()
	end
	if self.red then
		self.red:close()
	end
end

return shares
