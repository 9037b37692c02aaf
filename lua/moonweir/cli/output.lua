--- output -- a file that a command writes for its user.

local process = require("moonweir.core").process

local output = {}

local function write_all(file, text)
	local ok, failure = file:write(text)
	local closed, late = file:close()
	if ok and closed then
		return true
	end
	return nil, failure or late
end

--- A file has its old contents or all of its new ones. A link, a device or a pipe stays what it is and is written through.
---@param path string
---@param text string
---@return true|nil
---@return string? message
function output.write(path, text)
	local kind = process.file_kind(path)
	if kind == "directory" then
		return nil, path .. ": Is a directory"
	end
	local is_other = kind == "other"
	local beside = is_other and path or path .. ".new"
	local file, ok, why
	file, why = io.open(beside, "wb")
	if not file then
		return nil, path .. why:sub(#beside + 1)
	end
	ok, why = write_all(file, text)
	if ok and not is_other then
		ok, why = os.rename(beside, path)
	end
	if ok then
		return true
	elseif not is_other then
		os.remove(beside)
	end
	return nil, why:sub(1, #beside) == beside and path .. why:sub(#beside + 1) or ("%s: %s"):format(path, why)
end

return output
