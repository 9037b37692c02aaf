--- keys -- where write keys come from, and how they stay out of sight.
--
-- An argument is visible to every user of the machine (`ps`) until it is scrubbed, which happens first of all; a file or
-- the environment never shows it. No message of this module repeats a key.

local core = require "moonweir.core"
local mw = require "moonweir"

local process = core.process

local keys = {}

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
	end
end

--- A table constructor run where nothing can be called.
local function decode_lua(text, path)
	if text:byte(1) == 27 then
		return nil, "bytecode is not read"
	end
	local chunk
	if setfenv then
		chunk = loadstring(text, "=accounts")
		if chunk then
			setfenv(chunk, {})
		end
	else
		chunk = load(text, "=accounts", "t", {})
	end
	if not chunk then
		return nil, "not valid Lua; it should read: return { name = \"its write key\" }"
	end
	local ok, value = pcall(chunk)
	return ok and value or nil, ok and "does not return a table" or path .. " failed"
end

local function checked(accounts)
	for name, entry in pairs(accounts) do
		local key = type(entry) == "table" and entry.write_key or entry
		if type(name) ~= "string" or type(key) ~= "string" then
			return nil, ("account %s: expected name = \"its write key\" or name = { write_key = …, endpoint = … }"):format(
				tostring(name)
			)
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
		accounts, message = decode_lua(text, path)
	end
	if type(accounts) ~= "table" then
		return nil, path .. ": " .. (message or "not an object of keys by account name")
	end
	accounts, message = checked(accounts)
	return accounts, message and path .. ": " .. message
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
		return (text:gsub("^%s+", ""):gsub("%s+$", ""))
	end
	local key = os.getenv "MOONWEIR_WRITE_KEY"
	return key ~= "" and key or nil
end

--- What mw.open takes, from the global options.
---@return table|nil options
---@return string? message
function keys.options(args)
	local options = {
		endpoint = args.endpoint,
		rate = args.rate,
		account = args.account,
		proxy = args.proxy,
		ca_file = args.ca_file,
	}
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
	if not options.write_key and not options.accounts then
		return nil,
			"no write key. Give --write-key-file FILE, or set MOONWEIR_WRITE_KEY, or name a key for each account with --accounts FILE"
	end
	return options
end

--- mw.open with options that people wrote: what raises in a program is a message here.
---@return moonweir.Client|nil
---@return string? message
function keys.open(options)
	local ok, client, message = pcall(mw.open, options)
	if not ok then
		return nil, (tostring(client):gsub("^[^\n]-:%d+: ", ""))
	end
	return client, message
end

return keys
