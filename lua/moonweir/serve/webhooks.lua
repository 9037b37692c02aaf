--- webhooks -- POST /webhooks/<account>: a tool's request becomes messages, and is answered 200 once they are safe.
---
---     200   synced in the spool; also what the mapping failed on, which is a dead letter: to repeat it would help nobody
---     401   not genuine, whatever is wrong with it (moonweir.receive)
---     404   an account that nobody has set up; see unknown_accounts
---     400, 413, 415   a body that can't be read at all
---     503   no room, no disk, no secret: with Retry-After, for the tool to send it again
---
--- A repeat of an event that is known is answered 200, and is no second message (the spool knows ids). Neither waits nor
--- writes to a socket: the host answers, once what was pushed is safe.

local receive = require "moonweir.receive"

local webhooks = {}

local TEXT = { ["Content-Type"] = "text/plain; charset=utf-8", ["X-Content-Type-Options"] = "nosniff" }
local BUSY = {
	["Content-Type"] = "text/plain; charset=utf-8", ["X-Content-Type-Options"] = "nosniff", ["Retry-After"] = "10",
}

---@class moonweir.serve.Webhooks
---@field client moonweir.Client
---@field definition moonweir.Definition  of the script that the client runs
---@field find_secret fun(name: string): string[]|nil
---@field is_known fun(account: string): boolean
---@field now fun(): number              seconds since 1970
---@field log moonweir.serve.Log
---@field public_url? string
---@field failed table<string, integer>   events that became dead letters here, by code
local Webhooks = {}
Webhooks.__index = Webhooks

---@param self table its fields but `failed`
---@return moonweir.serve.Webhooks
function webhooks.new(self)
	self.failed = {}
	self.options = {}
	return setmetatable(self, Webhooks)
end

--- The URL that was called, as far as can be known.
function Webhooks:url(request)
	return (self.public_url or "http://" .. (request.header "Host" or "localhost")) .. request.target
end

-- One letter for each; which of them, `moonweir dead list` tells.
function Webhooks:note_problems(account, problems)
	for _, problem in ipairs(problems) do
		self.failed[problem.code] = (self.failed[problem.code] or 0) + 1
	end
	local more = problems.more or 0
	if more > 0 then
		self.failed.other = (self.failed.other or 0) + more
	end
	self.log:say("warning", "dead_letter", { account = account, code = problems[1].code, reason = problems[1].message,
		events = #problems + more })
end

function Webhooks:push(request, taken)
	local options = self.options
	options.format, options.headers, options.account = taken.format, taken.headers, request.account
	local queued, message, code, problems = self.client:push(taken.body, options)
	if problems then
		self:note_problems(request.account, problems)
	elseif not queued then
		if code == "too_large" then
			self.log:say("warning", "refused", { account = request.account, code = code, reason = message })
			return 413, TEXT, "too many events in one body for this spool\n"
		end
		self.log:say("warning", "no_room", { account = request.account, code = code, reason = message })
		return 503, BUSY, "try again later\n", code == "full" and "again" or nil
	end
	return taken.answer.status, taken.answer.headers, taken.answer.body, "durable"
end

---@param request moonweir.web.Request
---@return integer status
---@return table<string, string>? headers
---@return string? body
---@return "durable"|"again"|nil when
function Webhooks:handle(request)
	local is_call = request.method == "POST" or request.method == "PUT"
	if is_call and not self.is_known(request.account) then
		self.log:say("warning", "unknown_account", { account = request.account, remote = request.remote })
		return 404, TEXT, "no such account\n"
	end
	request.url = self.definition.verify and self:url(request) or request.target
	local taken = receive.take(self.definition, request, math.floor(self.now() * 1000), self.find_secret)
	if taken.note then
		self.log:say("warning", "challenge", { account = request.account, note = taken.note })
	end
	if taken.body then
		return self:push(request, taken)
	elseif taken.reason then
		self.log:say(taken.answer.status == 503 and "error" or "warning", taken.code, {
			account = request.account, remote = request.remote, reason = taken.reason })
	end
	return taken.answer.status, taken.answer.headers, taken.answer.body
end

return webhooks
