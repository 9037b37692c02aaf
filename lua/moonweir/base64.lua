--- base64 -- text to bytes, for those who read what others encoded.

local base64 = {}

local VALUES = {}
for i = 1, 64 do
	VALUES[("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):byte(i)] = i - 1
end
VALUES[("-"):byte()], VALUES[("_"):byte()] = 62, 63 -- the alphabet of URLs (RFC 4648, 5)

--- Decode either alphabet up to the padding or whatever else is none of it.
---@param text string
---@return string
function base64.decode(text)
	local bytes, value, bits = {}, 0, 0
	for i = 1, #text do
		local digit = VALUES[text:byte(i)]
		if not digit then
			break
		end
		value, bits = value * 64 + digit, bits + 6
		if bits >= 8 then
			bits = bits - 8
			local unit = 2 ^ bits
			bytes[#bytes + 1] = string.char(math.floor(value / unit))
			value = value % unit
		end
	end
	return table.concat(bytes)
end

return base64
