--- moonweir.receive -- a tool's HTTP request, before the mapping: is it genuine, what does it ask, what is in it?
---
---     local receive = require "moonweir.receive"
---     local taken = receive.take(definition, request, now, os.getenv)
---     if taken.reason then log(taken.code, taken.reason) end                  -- for the log, never for whoever asked
---     if taken.body then
---       assert(client:push(taken.body, { format = taken.format, headers = taken.headers, account = account, sync = true }))
---     end
---     answer(taken.answer.status, taken.answer.headers, taken.answer.body)
---
--- No server in it: whoever has one (a listener, OpenResty) calls this. No clock, no I/O; a request is as receive/request.lua
--- says.

local body = require "moonweir.receive.body"
local challenge = require "moonweir.receive.challenge"
local form = require "moonweir.receive.form"
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

local function check(verify, r, now, find_secret)
	local says = verification.said(verify)
	local keys, reason, code = secrets.fetch(says.wanted, says.tool.key, find_secret)
	if not keys then
		return nil, reason, code
	end
	return schemes[says.tool.scheme].verify(says.tool, r, now, keys)
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
	return check(verify, requests.new(request, 2), now, find_secret)
end

--- The answer to a request that carries no events but asks something (see receive/challenge.lua); nil: it may carry some.
--- What asks by its body is to be verified first; a GET or HEAD is answered to anybody.
---@param request moonweir.Request
---@return moonweir.Answer|nil
---@return string? note what somebody should do about it
function receive.challenge(request)
	local r = requests.new(request, 2)
	local answer = challenge.of_method(r.method)
	if answer then
		return answer
	end
	local text = body.read(r)
	if text then
		return challenge.of_body(r, text)
	end
	return nil
end

--- The body as bytes for the mapping, and their format.
---@param request moonweir.Request
---@return string|nil bytes
---@return "json"|"ndjson"|"form"|"xml"|string format or why there are none
---@return "unsupported"|"invalid"|"too_large"|"no_memory"|nil code
function receive.body(request)
	return body.read(requests.new(request, 2))
end

-- Faults of the sender are told by their status alone, ours with the wish to try again.
local statuses = {
	unsigned = 401, forged = 401, stale = 401, no_secret = 503, no_memory = 503, unsupported = 415, invalid = 400, too_large = 413,
}

local function refuse(reason, code)
	local status = statuses[code]
	return { answer = challenge.answer(status, status == 503 and { ["Retry-After"] = "60" } or nil), reason = reason, code = code }
end

-- The headers, with the parameters of the URL that the script reads among them, under names that no header can have:
-- get.query "user_id" is the header "?user_id". So dead letters and fixtures keep them, and of the URL nothing else, for it
-- may hold secrets.
local function with_query(request, names)
	if not names or #names == 0 then
		return request.exchange or request.headers
	end
	local headers = {}
	for name, value in pairs(request.headers) do
		headers[name] = name:sub(1, 1) ~= "?" and value or nil
	end
	local list = form.pairs(request.url:match "%?([^#]*)" or "") or {}
	for _, name in ipairs(names) do
		local value = form.value(list, name)
		headers["?" .. name] = value and not value:find("\0", 1, true) and value or nil
	end
	return headers
end

---@class moonweir.Taken
---@field answer moonweir.Answer what to answer; if there is a body, once its events are safe
---@field body? string|userdata for the mapping
---@field format? "json"|"ndjson"|"form"|"xml"
---@field headers? table<string, string|string[]>|userdata for the mapping: those of the request, and what it reads of the URL
---@field reason? string why it was refused, for the log
---@field code? string
---@field note? string what somebody should do about it, for the log

--- All of it, in the right order: method, signature, decompression, challenge. A source without `verify` takes what comes.
---@param definition moonweir.Definition
---@param request moonweir.Request
---@param now integer ms since 1970
---@param find_secret? fun(name: string): string|string[]|nil
---@return moonweir.Taken
function receive.take(definition, request, now, find_secret)
	check_now(now)
	local r = requests.new(request, 2)
	local answer = challenge.of_method(r.method)
	if answer then
		return { answer = answer }
	end
	if definition.verify then
		local ok, reason, code = check(definition.verify, r, now, find_secret)
		if not ok then
			return refuse(reason, code)
		end
	end
	local bytes, format, code = body.read(r)
	if not bytes then
		return refuse(format, code)
	end
	local note
	answer, note = challenge.of_body(r, bytes)
	if answer then
		return { answer = answer, note = note }
	end
	return { answer = challenge.success(bytes, format), body = bytes, format = format,
		headers = with_query(request, definition.query) }
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
