--- output -- a file that a command writes for its user.

local output = {}

--- The file has its old contents or all of its new ones.
---@param path string
---@param text string
---@return true|nil
---@return string? message
function output.write(path, text)
	local beside = path .. ".new"
	local file, why = io.open(beside, "wb")
	if not file then
		return nil, why
	end
	local ok, failure = file:write(text)
	local closed, late = file:close()
	if ok and closed then
		ok, failure = os.rename(beside, path)
	end
	if not ok or not closed then
		os.remove(beside)
		return nil, failure or late
	end
	return true
end

return output
