--- date -- is a text a time, and does it say in which zone?

local date = {}

--- "zoned" and "day" are fine; "unzoned" has a time of day and no zone; nil: it is no date in ISO 8601.
---@param text string
---@return "zoned"|"unzoned"|"day"|nil
function date.look(text)
	local rest = text:match "^%d%d%d%d%-%d%d%-%d%d()" or text:match "^%d%d%d%d%d%d%d%d()[T ]"
	if not rest then
		return nil
	elseif rest > #text then
		return "day"
	end
	local zone = text:match("^[Tt ]%d%d:?%d%d:?%d?%d?[%.,]?%d*()", rest)
	if not zone then
		return nil
	elseif zone > #text then
		return "unzoned"
	end
	zone = text:sub(zone)
	return (zone:find "^[Zz]$" or zone:find "^ ?[+-]%d%d:?%d?%d?$" or zone == " UTC") and "zoned" or nil
end

return date
