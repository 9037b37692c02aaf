--- secrets -- the values behind the names that a script gives to source.secret: from files that only their owner may read, or
--- from the service manager's credentials. Read when the daemon starts and when it reloads; no message tells a value.

local process = require("moonweir.core").process

local secrets = {}

local function read(path)
	local text, message = process.read_private(path)
	if not text then
		return nil, message
	end
	text = text:gsub("^\239\187\191", ""):gsub("%s+$", "")
	if text == "" then
		return nil, path .. ": empty; it should hold the secret"
	end
	return text
end

--- A credential is as private as the manager made it: its folder belongs to the service.
local function credential(name)
	local folder = os.getenv "CREDENTIALS_DIRECTORY"
	local file = folder and folder ~= "" and io.open(folder .. "/" .. name, "rb")
	if not file then
		return nil
	end
	local text = (file:read(64 * 1024) or ""):gsub("%s+$", "")
	file:close()
	return text ~= "" and text or nil
end

--- All at once, or none.
---@param files table<string, string[]>
---@param wanted string[] names that the source asks for
---@return table<string, string[]>|nil found
---@return string? message names the secret and the file, never the value
function secrets.load(files, wanted)
	local found = {}
	for name, paths in pairs(files) do
		found[name] = {}
		for i, path in ipairs(paths) do
			local text, message = read(path)
			if not text then
				return nil, ("secret %s: %s"):format(name, message)
			end
			found[name][i] = text
		end
	end
	for _, name in ipairs(wanted) do
		if not found[name] then
			local text = credential(name)
			if not text then
				return nil, ('secret %s: the script asks for it; name its file, secrets = { %s = "path" }, or give the service a '
					.. "credential of that name"):format(name, name:find "^[%a_][%w_]*$" and name or ("[%q]"):format(name))
			end
			found[name] = { text }
		end
	end
	return found
end

return secrets
