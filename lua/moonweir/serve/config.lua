--- config -- the file that `moonweir serve` runs, read: a table of values, in Lua that can do nothing.
---
---     local config, message = config.load "/etc/moonweir/moonweir.lua"
---     print(config.values["limits.body_bytes"], config.values.source)      -- paths are complete

local literal = require "moonweir.literal"
local options = require "moonweir.serve.options"

local config = {}

local function complete(folder, path)
	return path:find "^/" and path or folder .. path
end

---@class moonweir.serve.Config
---@field path? string of the file, if there is one
---@field values table<string, any> by dotted name, paths complete
---@field secrets table<string, string[]> files by name
---@field overrides? table<string, any>  what the command line says in place of the file

--- A config from what its file returns, or would.
---@param given table
---@param folder string where relative paths begin: "" or with "/" at its end
---@param overrides? table<string, any>
---@return moonweir.serve.Config|nil
---@return string? message
function config.of(given, folder, overrides)
	local values, message = options.read(given)
	if not values then
		return nil, message
	end
	for option, value in pairs(overrides or {}) do
		values[option] = value
	end
	for _, option in ipairs(options) do
		if option.is_path and values[option.name] then
			values[option.name] = complete(folder, values[option.name])
		end
	end
	local secrets = {}
	for secret, files in pairs(values.secrets or {}) do
		secrets[secret] = {}
		for i, one in ipairs(type(files) == "table" and files or { files }) do
			secrets[secret][i] = complete(folder, one)
		end
	end
	if values.settings and not values.public_url then
		return nil, "the settings page needs public_url, the URL by which it is reached"
	end
	return { values = values, secrets = secrets, overrides = overrides }
end

---@param path string
---@param overrides? table<string, any>
---@return moonweir.serve.Config|nil
---@return string? message begins with the file's name
function config.load(path, overrides)
	local file, why = io.open(path, "rb")
	if not file then
		return nil, why
	end
	local text = file:read(1024 * 1024)
	file:close()
	local name = path:match "[^/]+$" or path
	local given, message = literal.read((text or ""):gsub("^\239\187\191", ""), name)
	if given == nil then
		return nil, message and (message:find(name, 1, true) and message or name .. ": " .. message) or name .. ": it returns nothing"
	end
	local made
	made, message = config.of(given, path:match "^.*/" or "", overrides)
	if not made then
		return nil, name .. ": " .. message
	end
	made.path = path
	return made
end

--- Names of options that differ and take effect only when the daemon is started anew.
---@param old moonweir.serve.Config
---@param new moonweir.serve.Config
---@return string[]
function config.needs_restart(old, new)
	local names = {}
	for _, option in ipairs(options) do
		local a, b = old.values[option.name], new.values[option.name]
		if not option.reload and type(a) ~= "table" and a ~= b then
			names[#names + 1] = option.name
		end
	end
	for _, page in ipairs { "settings", "segment" } do -- served if they are given at all
		if old.values[page] ~= new.values[page] then
			names[#names + 1] = page
		end
	end
	return names
end

return config
