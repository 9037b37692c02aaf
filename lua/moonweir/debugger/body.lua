--- body -- the body of a request as it was before it was compressed.

local trim = require "moonweir.trim"

local body = {}

local CODINGS = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate" }

--- Compressed bodies need the module moonweir.inflate.
---@param request {body: string, header: fun(name: string): string?}
---@return string|nil bytes
---@return integer? status
---@return string? code
---@return string? message
function body.plain(request)
	local coding = trim(request.header "Content-Encoding" or ""):lower()
	if coding == "" or coding == "identity" then
		return request.body
	elseif not CODINGS[coding] then
		return nil, 415, "unsupported_encoding", "send the body with gzip or deflate, or without Content-Encoding"
	end
	local is_there, inflate = pcall(require, "moonweir.inflate")
	if not is_there then
		return nil, 415, "unsupported_encoding",
			"send the body without Content-Encoding: gzip needs the module moonweir.inflate, which is not installed here "
				.. "(rock moonweir-receive)"
	end
	local bytes, message, code = inflate.inflate(CODINGS[coding], request.body)
	if not bytes then
		return nil, 400, code == "too_large" and "payload_too_large" or "invalid_request", message
	end
	return bytes
end

return body
