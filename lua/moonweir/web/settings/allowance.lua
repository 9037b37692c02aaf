--- allowance -- what each account may do five times a minute, over all processes of the spool.

local allowance = {}

local A_MINUTE, WINDOW = 5, 60

--- Is it one of the five? It counts then, whatever comes of it.
---@param claims table
---@param what string one word
---@param account string
---@param now number seconds since 1970
---@return true|false|nil taken nil: it could not be written down
---@return string? message
---@return string? code
function allowance.take(claims, what, account, now)
	for i = 1, A_MINUTE do
		local taken, message, code = claims:take(("%s %d %s"):format(what, i, account), now + WINDOW, now)
		if taken or taken == nil then
			return taken, message, code
		end
	end
	return false
end

return allowance
