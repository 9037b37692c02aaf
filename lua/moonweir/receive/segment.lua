--- segment -- HMAC-SHA1 of the body, in X-Signature: requests that Segment itself sends.
---
--- Of a batch, an array, only the first message is signed, and nothing vouches for those behind it.

local core = require "moonweir.core"

local segment = {}

local HEADER = "X-Signature"

-- Bytes in which the first message of a batch has to end: Segment takes none of more than 32 KB, and escapes make up to six
-- bytes of one.
local FIRST_MAX = 256 * 1024

-- Behind the quote that ends a string; what follows a backslash is passed over.
local function behind_string(text, at)
	while true do
		local here, mark = text:match('()(["\\])', at)
		if not here then
			return nil
		elseif mark == '"' then
			return here + 1
		end
		at = here + 2
	end
end

--- The text of the first element of an array, as it stands there; nil if there is none, or none so short.
---@param text string
---@return string|nil
function segment.first(text)
	text = text:sub(1, FIRST_MAX)
	local start = text:match "^%s*%[%s*(){"
	if not start then
		return nil
	end
	local depth, at = 0, start
	while true do
		local here, mark = text:match('()(["{}%[%]])', at)
		if not here then
			return nil
		elseif mark == '"' then
			at = behind_string(text, here + 1)
			if not at then
				return nil
			end
		else
			depth = depth + ((mark == "{" or mark == "[") and 1 or -1)
			at = here + 1
			if depth == 0 then
				return text:sub(start, here)
			end
		end
	end
end

function segment.verify(_, request, _, keys)
	local signature, why = request:signature(HEADER, "hex")
	if not signature then
		return nil, why, "unsigned"
	end
	local found = false
	for _, body in ipairs { request.body, segment.first(request.body) } do
		local genuine, message, code = core.signature("hmac-sha1", keys, { body }, { signature })
		if genuine == nil then
			return nil, message, code
		end
		found = found or genuine
	end
	if not found then
		return nil, "the signature is not one that these secrets make of this body", "forged"
	end
	return true
end

return segment
