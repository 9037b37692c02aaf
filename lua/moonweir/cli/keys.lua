--- keys -- where write keys come from, and how they stay out of sight.
--
-- An argument is visible to every user of the machine (`ps`) until it is scrubbed, which happens first of all; a file or
-- the environment never shows it. No message of this module repeats a key.

local core = require "moonweir.core"
local literal = require "moonweir.literal"
local mw = require "moonweir"
local proxy = require "moonweir.proxy"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local keys = {}

--- For whoever needs a master key and has none.
keys.MASTER_KEY_ADVICE = "Give --master-key-file FILE, or set MOONWEIR_MASTER_KEY_FILE; "
	.. "moonweir accounts new-master-key FILE makes one"

local SECRET_OPTIONS = { ["--write-key"] = true, ["--writeKey"] = true, ["--input"] = true }

--- Overwrite keys among the process's own arguments, as the system shows them.
---@param arguments string[]
function keys.scrub(arguments)
	local expected = false
	for _, argument in ipairs(arguments) do
		local name, value = argument:match "^(%-%-[%w-]+)=(.*)$"
		if expected then
			process.scrub(argument)
		elseif name and SECRET_OPTIONS[name] then
			process.scrub(value)
		end
		expected = not expected and SECRET_OPTIONS[argument] or false
		local login = argument:match "://([^/%s]+)@" -- a proxy's user and password
		if login then
			process.scrub(login)
		end
	end
end

--- What a failing line of the file says may hold a key: it is not repeated.
local LUA_FORM = "not the Lua that it should be: return { name = \"its write key\" }"

local function decode_lua(text)
	local value, message = literal.read(text, "accounts")
	return value, text:byte(1) == 27 and message or LUA_FORM
end

local MEMBERS = { write_key = true, endpoint = true }

local function checked(accounts)
	for name, entry in pairs(accounts) do
		local key = type(entry) == "table" and entry.write_key or entry
		if type(name) ~= "string" or name == "" or type(key) ~= "string" then
			return nil, ("account %s: expected name = \"its write key\" or name = { write_key = …, endpoint = … }"):format(
				terminal.safe(type(name) == "string" and ("%q"):format(name) or tostring(name), 80)
			)
		end
		for member in pairs(type(entry) == "table" and entry or {}) do
			if not MEMBERS[member] then
				return nil, ("account %q has a member that is neither write_key nor endpoint"):format(name)
			end
		end
	end
	return accounts
end

--- Keys by account from a file: JSON, or Lua that returns a table. Nobody else may read it.
---@param path string
---@return table<string, string|{write_key: string, endpoint: string?}>|nil
---@return string? message
function keys.accounts(path)
	local text, message = process.read_private(path)
	if not text then
		return nil, message
	end
	local accounts
	if text:find "^%s*{" then
		accounts, message = core.decode(text)
	else
		accounts, message = decode_lua(text)
	end
	if type(accounts) ~= "table" then
		return nil, path .. ": " .. (message or "not an object of keys by account name")
	end
	accounts, message = checked(accounts)
	return accounts, message and path .. ": " .. message
end

--- A variable of the environment; nil if it is empty.
local function environment(name)
	local value = os.getenv(name)
	return value ~= "" and value or nil
end

keys.environment = environment

--- The directory of messages and accounts.
---@return string|nil spool
---@return string? message
function keys.spool(args)
	local spool = args.spool or environment "MOONWEIR_SPOOL"
	return spool, not spool and "no spool. Give --spool DIR, or set MOONWEIR_SPOOL" or nil
end

--- The file of the master key; nil: the service manager's, if there is one.
function keys.master_key_file(args)
	return args.master_key_file or environment "MOONWEIR_MASTER_KEY_FILE"
end

--- The write key: from the option, the file or the environment, in this order.
---@return string|nil key nil without a message: none was given
---@return string? message
function keys.write_key(args)
	if args.write_key then
		return args.write_key
	end
	if args.write_key_file then
		local text, message = process.read_private(args.write_key_file)
		if not text then
			return nil, message
		end
		text = text:gsub("^\239\187\191", ""):gsub("^%s+", ""):gsub("%s+$", "")
		if text == "" then
			return nil, args.write_key_file .. ": empty; it should hold the write key"
		end
		return text
	end
	return environment "MOONWEIR_WRITE_KEY"
end

--- What mw.open takes, from the global options.
---@return table|nil options
---@return string? message
function keys.options(args)
	local options = {
		endpoint = args.endpoint,
		rate = args.rate,
		account = args.account,
		spool = keys.spool(args),
		master_key_file = keys.spool(args) and keys.master_key_file(args) or nil,
		proxy = args.proxy,
		ca_file = args.ca_file,
	}
	if args.proxy and not proxy.is_valid(args.proxy) then
		return nil, "--proxy should read " .. proxy.shape
	end
	local message
	if args.accounts then
		options.accounts, message = keys.accounts(args.accounts)
		if not options.accounts then
			return nil, message
		end
	end
	options.write_key, message = keys.write_key(args)
	if message then
		return nil, message
	end
	if not options.write_key and not options.accounts and not options.spool then
		return nil,
			"no write key. Give --write-key-file FILE, or set MOONWEIR_WRITE_KEY, or name a key for each account with --accounts FILE"
	end
	return options
end

--- mw.open with options that people wrote: what raises in a program is a message here.
---@return moonweir.Client|nil
---@return string? message
---@return string? code as mw.open's; "usage" if an option is wrong
function keys.open(options)
	local ok, client, message, code = pcall(mw.open, options)
	if not ok then
		message = tostring(client):gsub("^[^\n]-:%d+: ", ""):gsub("^moonweir%.open: ([%w_]+) must be", function(name)
			return "--" .. name:gsub("_", "-") .. " must be"
		end)
		return nil, message, "usage"
	end
	return client, message, code
end

--- Is it the command line that is wrong?
function keys.is_usage(code)
	return code == "usage" or code == "bad_key" or code == "bad_endpoint"
end

return keys
