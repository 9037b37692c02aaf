--- mailgun -- HMAC-SHA256 of a timestamp and a token, all of which stand in the body.
---
--- The rest of the body is not signed: whoever has seen one request can put other events behind its signature while the
--- timestamp is fresh. Mailgun offers nothing better, so keep the address of the webhook to yourself.

local core = require "moonweir.core"
local form = require "moonweir.receive.form"
local multipart = require "moonweir.receive.multipart"
local signed = require "moonweir.receive.signed"

local mailgun = {}

local function text_of(value)
	return (type(value) == "string" or type(value) == "number") and tostring(value) or nil
end

-- { "signature": { "timestamp":, "token":, "signature": } }, or a form with these three fields.
local function parts(request)
	local kind = request:content_type()
	if kind == "application/x-www-form-urlencoded" then
		local body = request.body
		return form.find(body, "timestamp"), form.find(body, "token"), form.find(body, "signature")
	elseif kind == "multipart/form-data" then
		local list = multipart.pairs(request.body, request:header "Content-Type")
		if list then
			return form.value(list, "timestamp"), form.value(list, "token"), form.value(list, "signature")
		end
		return nil
	end
	local body = core.decode(request.body)
	local inner = type(body) == "table" and body.signature
	if type(inner) ~= "table" then
		return nil
	end
	return text_of(inner.timestamp), text_of(inner.token), text_of(inner.signature)
end

function mailgun.verify(tool, request, now, keys)
	local timestamp, token, text = parts(request)
	local signature = text and core.binary("hex", text)
	if not (timestamp and token and signature) then
		return nil, "the body has no timestamp, token and signature", "unsigned"
	end
	local fresh, reason, code = signed.is_fresh(timestamp, "unix", tool.tolerance, now)
	if not fresh then
		return nil, reason, code
	end
	local genuine, message, trouble = core.signature("hmac-sha256", keys, { timestamp, token }, { signature })
	if genuine == nil then
		return nil, message, trouble
	elseif not genuine then
		return nil, "the signature is not one that these keys make of timestamp and token", "forged"
	end
	return true
end

return mailgun
