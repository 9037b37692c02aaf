--- moonweir.receive -- a tool's HTTP request, before the mapping: is it genuine, what does it ask, what is in it?
---
---     local receive = require "moonweir.receive"
---     local ok, reason, code = receive.verify(definition.verify, request, now, os.getenv)
---     if not ok then log(reason) return answer(401) end                       -- and no word of why to whoever asked
---
--- No server in it: whoever has one (a listener, OpenResty) calls this. No clock, no I/O; a request is as receive/request.lua
--- says.

local requests = require "moonweir.receive.request"
local secrets = require "moonweir.receive.secrets"
local verification = require "moonweir.verification"

local receive = {}

-- Looked up here, so that tools.lua stays data.
local schemes = {
	signed = require "moonweir.receive.signed",
	twilio = require "moonweir.receive.twilio",
	mailgun = require "moonweir.receive.mailgun",
	segment = require "moonweir.receive.segment",
	credentials = require "moonweir.receive.credentials",
}

local function check_now(now)
	if type(now) ~= "number" then
		error("now is milliseconds since 1970, not a " .. type(now), 3)
	end
end

--- Is this request the tool's own? Nothing of its body has been read when this says no, but where the tool's signature
--- itself stands in the body (Mailgun).
---
--- The reason is for the host's log. It holds neither secret nor signature, but whoever sent the request must not see it.
--- The code says what to answer: 401 to "unsigned", "forged" and "stale", all alike; 503 to "no_secret" and "no_memory",
--- where the fault is ours and the tool should try again.
---@param verify moonweir.Verification what the script's `verify` says
---@param request moonweir.Request
---@param now integer ms since 1970
---@param find_secret? fun(name: string): string|string[]|nil several: all are active
---@return true|nil
---@return string? reason
---@return "unsigned"|"forged"|"stale"|"no_secret"|"no_memory"|nil code
function receive.verify(verify, request, now, find_secret)
	if not verification.is(verify) then
		error("expected what source.verify made", 2)
	end
	check_now(now)
	local r = requests.new(request, 2)
	local says = verification.said(verify)
	local keys, reason, code = secrets.fetch(says.wanted, says.tool.key, find_secret)
	if not keys then
		return nil, reason, code
	end
	return schemes[says.tool.scheme].verify(says.tool, r, now, keys)
end

--- What whoever runs a source should know of how it is verified; nothing: all is well.
---@param definition moonweir.Definition
---@return string[] sentences
function receive.warnings(definition)
	local verify = definition.verify
	if not verify then
		return { ("%s: the script has no verify: whoever knows the address can send events"):format(definition.slug) }
	elseif verification.said(verify).has_literal then
		return { ('%s: a secret stands in the script, where whoever reads it finds it; write source.secret "NAME"'):format(
			definition.slug) }
	end
	return {}
end

--- The names of the secrets that a source asks for, so that a host can say at its start which are missing.
---@param definition moonweir.Definition
---@return string[]
function receive.secret_names(definition)
	local names = {}
	for _, one in ipairs(definition.verify and verification.said(definition.verify).wanted or {}) do
		names[#names + 1] = type(one) == "table" and one.name or nil
	end
	return names
end

return receive
