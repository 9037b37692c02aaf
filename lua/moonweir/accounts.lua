--- accounts -- the tool's customers: whose write key, sent where, and is it to be sent at all?
--
--     local accounts = require "moonweir.accounts"
--     local vault = assert(accounts.open { spool = "spool", master_key_file = "/etc/acme/master-key" })
--     vault:set("acme", { write_key = key, endpoint = "eu", label = "Acme Inc" })
--     print(vault:show("acme").last)                                   -- "a1b2": all that is ever told of a key
--     vault:close()
--
-- The vault lies in <spool>/state and is shared by all processes of the host: what is saved here counts for the next
-- request of any of them. Misuse raises; everything else returns nil, message, code.

local core = require "moonweir.core"
local suggest = require "moonweir.suggest"

local accounts = {}

---@class moonweir.AccountChange  what is absent stays as it was
---@field write_key? string       the key; copied, sealed, and never told again
---@field write_key_file? string  a file that holds it, which only its owner may read; "-" is standard input
---@field endpoint? string        "us", "eu" or a base URL; "" for the engine's own
---@field label? string           for people, at most 200 bytes; "" for none
---@field oauth? string           sends with the tokens of this OAuth app (set_app); "" for Basic authentication
---@field prompt? string          what is written before a key is typed, if standard input is a terminal

---@class moonweir.Account
---@field account string
---@field state "active"|"paused"|"damaged"  a damaged one has nothing but this and its name
---@field has_key boolean
---@field last string               the key's last four characters; "" if it has fewer than 12
---@field endpoint? string          as it was set
---@field label? string
---@field oauth? string             the OAuth app; nil: Basic authentication
---@field master_key string         8 hex digits that tell one master key from another
---@field other_master_key boolean  sealed with one that is not the one given
---@field revision integer          grows with every change of any account
---@field updated_at number         seconds since 1970

---@class moonweir.OAuthAppChange  what is absent stays as it was; a new app needs an id, a key id and a key
---@field client_id? string         "App ID" in Segment
---@field key_id? string            of the public key that was uploaded there
---@field private_key? string       PEM, PKCS#1 or PKCS#8, RSA of 2,048 to 8,192 bits; sealed, and never told again
---@field private_key_file? string  a file that holds it, which only its owner may read; "-" is standard input
---@field scope? string             words with blanks between; "tracking_api:write" if it never was set
---@field token_server? string      "us", "eu" or a base URL; "": that of the account's region

---@class moonweir.OAuthApp
---@field app string
---@field damaged boolean           true: nothing below is known
---@field client_id string
---@field key_id string
---@field scope string
---@field token_server? string      as it was set
---@field bits integer
---@field fingerprint string        of the public key: the first 16 hex digits of its DER's SHA-256
---@field master_key string
---@field other_master_key boolean
---@field revision integer
---@field updated_at number         seconds since 1970

---@class moonweir.Vault
---@field set fun(self, account: string, change: moonweir.AccountChange): true|nil, string?, string?
---@field pause fun(self, account: string): true|nil, string?, string?   keep its messages, send none
---@field resume fun(self, account: string): true|nil, string?, string?
---@field remove fun(self, account: string): true|nil, string?, string?
---@field show fun(self, account: string): moonweir.Account|nil, string?, string?
---@field list fun(self): moonweir.Account[]|nil, string?, string?       by the bytes of their names
---@field set_app fun(self, app: string, change: moonweir.OAuthAppChange): true|nil, string?, string?
---@field show_app fun(self, app: string): moonweir.OAuthApp|nil, string?, string?
---@field list_apps fun(self): moonweir.OAuthApp[]|nil, string?, string?
---@field remove_app fun(self, app: string): true|nil, string?, string?  refused while an account sends with it
---@field has_master_key fun(self): boolean
---@field close fun(self)

local OPTIONS = { spool = "string", master_key_file = "string", existing = "boolean" }

--- Open the vault of a spool, making it if it is not there.
---@param options {spool: string, master_key_file: string?, existing: boolean?} without a file, the service manager's
--- credential "moonweir-master-key" counts, and without that no key can be saved; `existing` makes no new store
---@return moonweir.Vault|nil
---@return string? message
---@return "io"|"bad_master_key"|"version"|"corrupt"|"no_memory"|nil code
function accounts.open(options)
	if type(options) ~= "table" or type(options.spool) ~= "string" or options.spool == "" then
		error("accounts.open takes a table of options with spool, a path", 2)
	end
	for name, value in pairs(options) do
		if not OPTIONS[name] then
			error(("accounts.open: no option %q%s"):format(tostring(name), suggest(name, OPTIONS)), 2)
		elseif type(value) ~= OPTIONS[name] then
			error(("accounts.open: %s must be a %s"):format(name, OPTIONS[name]), 2)
		end
	end
	return core.vault(options.spool, options)
end

--- Make a new master key in a file that must not exist yet: 64 hex digits that only its owner may read. Whoever loses it
--- loses every key that was sealed with it.
---@param path string
---@return true|nil
---@return string? message
---@return "io"|"no_memory"|nil code
function accounts.new_master_key(path)
	return core.new_master_key(path)
end

--- Which master key is it that a vault would be opened with? Opens no vault.
---@param path? string nil: the service manager's credential
---@return string|false|nil id 8 hex digits, as moonweir.Account has them; false: there is none
---@return string? message
---@return "io"|"bad_master_key"|"no_memory"|nil code
function accounts.master_key_id(path)
	return core.master_key_id(path)
end

return accounts
