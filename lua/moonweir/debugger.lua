--- debugger -- a local Segment: takes the Tracking API's requests and tells what Segment would make of them.
--
--     local d = debugger.new { on_message = function(m) print(m.type, m.name, m.user, m.fault) end }
--     local status, headers, body = d:handle { method = "POST", path = "/v1/batch", body = text, header = function(name) … end }
--
-- Knows nothing of sockets, so it runs behind moonweir.server or any other HTTP server.

local base64 = require "moonweir.base64"
local bodies = require "moonweir.debugger.body"
local core = require "moonweir.core"
local guard = require "moonweir.debugger.guard"

local debugger = {}

local ROUTES = {
	["/v1/identify"] = "identify",
	["/v1/track"] = "track",
	["/v1/page"] = "page",
	["/v1/screen"] = "screen",
	["/v1/group"] = "group",
	["/v1/alias"] = "alias",
	["/v1/batch"] = "batch",
	["/v1/import"] = "batch",
}

-- Segment forgets a messageId after a while, too; two generations of this many are kept.
local IDS_MAX = 200000

local JSON = { ["Content-Type"] = "application/json" }
local SUCCESS = '{"success":true}\n'

---@class moonweir.debugger.Message
---@field raw string       as it came
---@field type string?     strings as they came, escapes and all
---@field name string?
---@field user string?
---@field id string?
---@field anonymous boolean?
---@field fault string?    the code of what makes Segment drop it
---@field reason string?   the same as a sentence
---@field key string       the write key: not to be shown
---@field body_key string? the one in the body, if there is one: not to be shown either
---@field envelope {context: string?, integrations: string?}? what stands beside the batch for all of its messages
---@field request integer  number of the request it came with
---@field path string

---@class moonweir.Debugger
local Debugger = {}
Debugger.__index = Debugger

---@param options {on_message: fun(m: moonweir.debugger.Message), on_request: fun(r: table)?,
---  hosts: table<string, boolean>?, tokens: moonweir.debugger.Tokens?} with tokens it has a token server, at /token
function debugger.new(options)
	return setmetatable({
		on_message = options.on_message,
		on_request = options.on_request or function() end,
		hosts = options.hosts or guard.LOOPBACK,
		tokens = options.tokens,
		requests = 0,
		messages = 0,
		faults = 0,
		ids = {},
		ids_before = {},
		ids_count = 0,
	}, Debugger)
end

--- The write key of `Authorization: Basic base64(key ":")`.
local function basic_key(authorization)
	local encoded = authorization and authorization:match "^[Bb]asic%s+([%w+/]+=*)%s*$"
	local pair = encoded and base64.decode(encoded)
	local key = pair and pair:match "^([^:]*)"
	return key ~= "" and key or nil
end

local function without_slash(path)
	return #path > 1 and (path:gsub("/$", "")) or path
end

--- Is this a request that the Tracking API takes?
---@param method string
---@param path string
function debugger.is_tracking(method, path)
	return method == "POST" and ROUTES[without_slash(path)] ~= nil
end

--- Whose request it is: the write key of its header, else of its body; nil if it has none.
---@param request {path: string, body: string, header: fun(name: string): string?}
---@return string? key not to be shown
function debugger.write_key(request)
	local key = basic_key(request.header "Authorization")
	if key then
		return key
	end
	local messages = core.intake(bodies.plain(request) or "", ROUTES[without_slash(request.path)])
	return messages and messages.key
end

local function refusal(status, code, message)
	return status, JSON, ('{"success":false,"code":%s,"message":%s}\n'):format(core.encode(code), core.encode(message))
end

--- Has this messageId been seen? Segment keeps the first and drops the others.
function Debugger:is_repeated(id)
	if self.ids[id] or self.ids_before[id] then
		return true
	end
	if self.ids_count >= IDS_MAX then
		self.ids, self.ids_before, self.ids_count = {}, self.ids, 0
	end
	self.ids[id] = true
	self.ids_count = self.ids_count + 1
	return false
end

function Debugger:take(path, key, messages)
	local envelope = (messages.context or messages.integrations)
		and { context = messages.context, integrations = messages.integrations }
	for _, m in ipairs(messages) do
		m.path, m.key, m.request, m.body_key = path, key, self.requests, self.body_key
		m.envelope = envelope
		if not m.fault and m.id and self:is_repeated(m.id) then
			m.fault, m.reason = "duplicate_message_id", "this messageId was sent before"
		end
		if m.fault then
			self.faults = self.faults + 1
		end
		self.messages = self.messages + 1
		self.on_message(m)
	end
end

--- A POST to one of the API's routes.
function Debugger:ingest(request, route)
	local plain, refused, word, reason = bodies.plain(request)
	if not plain then
		return refusal(refused, word, reason)
	end
	local messages, message, code = core.intake(plain, route)
	if not messages then
		return refusal(400, code == "too_large" and "payload_too_large" or "invalid_request", message)
	end
	local authorization = request.header "Authorization"
	if self.tokens and (authorization or ""):find "^[Bb]earer " and not self.tokens:accepts(authorization) then
		return refusal(401, "invalid_token", "this token was not given out here, or is good no longer")
	end
	local key = basic_key(authorization) or messages.key
	self.body_key = messages.key
	if not key or key == "" then
		return refusal(401, "no_write_key", "no write key: send it as the user name of Basic authentication, or in the body")
	end
	self:take(request.path, key, messages)
	return 200, JSON, SUCCESS, messages, key
end

--- A request for a token: none of the Tracking API, but one of the 50 a second.
function Debugger:give_token(request)
	self.requests = self.requests + 1
	local status, headers, body = self.tokens:handle(request)
	self.on_request {
		number = self.requests,
		path = "/token",
		status = status,
		bytes = #request.body,
		answer = status == 200 and "" or body,
		messages = 0,
	}
	return status, headers, body
end

--- Answer one request.
---@param request {method: string, path: string, body: string, header: fun(name: string): string?}
---@return integer status
---@return table<string, string> headers
---@return string body
function Debugger:handle(request)
	if guard.is_foreign(request.header "Host", self.hosts) then
		return refusal(403, "foreign_host", "the debugger answers to localhost, 127.0.0.1 and [::1] only")
	end
	local path = without_slash(request.path)
	if path == "/healthz" then
		return 200, { ["Content-Type"] = "text/plain" }, "ok\n"
	end
	if path == "/token" and self.tokens then
		return self:give_token(request)
	end
	local route = ROUTES[path]
	if not route then
		return refusal(404, "not_found", "no such route; the Tracking API's are /v1/batch, /v1/track, …")
	elseif request.method ~= "POST" then
		return refusal(405, "method_not_allowed", "the Tracking API takes POST")
	end
	self.requests = self.requests + 1
	local status, headers, answer, messages, key = self:ingest(request, route)
	self.on_request {
		number = self.requests,
		path = path,
		status = status,
		bytes = #request.body,
		answer = answer,
		key = key,
		messages = messages and #messages or 0,
		fault = messages and messages.fault,
		reason = messages and messages.reason,
	}
	return status, headers, answer
end

return debugger
