--- resty -- what lua-resty-redis looks like from outside, over moonweir.hiredis: any command is a method; a reply, or nil and
--- a message where the network failed, false and a message where Redis refused; null is a value of its own.

local resty = {}

local null = setmetatable({}, { __tostring = function() return "null" end })
local network = { io = true, timeout = true }

function resty.new(red)
	return setmetatable({}, { __index = function(_, name)
		return function(_, ...)
			local reply, message, code = red:call(name:upper(), ...)
			if reply == false then
				return null
			elseif reply == nil then
				if network[code] then
					return nil, message
				end
				return false, message
			end
			return reply
		end
	end })
end

return resty
