--- token -- the token server of a local Segment: takes signed assertions of OAuth apps and gives tokens for them.
--
--     local tokens = token.new { apps = { { client_id = "2aB", key_id = "kid1", public_key = pem } } }
--     local status, headers, body = tokens:handle { method = "POST", body = form, header = function(name) … end }
--     tokens:accepts "Bearer 3f…"                               -- true
--
-- As Segment's page on OAuth 2.0 has it: RS256, kid, sub, aud, iat, exp and jti are mandatory, an assertion lives for a
-- minute at most and is good once. Errors are those of RFC 6749. Knows nothing of sockets.

local base64 = require "moonweir.base64"
local core = require "moonweir.core"

local token = {}

local HEADERS = { ["Content-Type"] = "application/json", ["Cache-Control"] = "no-store" }
local ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
local SCOPES = { ["tracking_api:write"] = true, ["functions:write"] = true, ["public_api:read_write"] = true }

-- The page says less than 60 seconds, and Segment's own libraries take 60.
local LIFE_MAX = 60
-- Clocks of one machine agree; this is for the second that both are cut to.
local TOLERANCE = 1
-- So many assertions are remembered at most: they come from this machine, and each lives for a minute.
local SEEN_MAX = 100000

---@class moonweir.debugger.App
---@field client_id string
---@field key_id string
---@field public_key string  PEM

---@class moonweir.debugger.Tokens
local Tokens = {}
Tokens.__index = Tokens

---@param options {apps: moonweir.debugger.App[], life: number?, now: (fun(): number)?}  life: of tokens, in seconds (1 day)
---@return moonweir.debugger.Tokens
function token.new(options)
	local self = setmetatable({
		apps = {},
		life = options.life or 86400,
		now = options.now or core.process.wall,
		given = {}, -- token -> good until
		seen = {}, -- jti -> exp
		seen_count = 0,
	}, Tokens)
	for _, app in ipairs(options.apps) do
		self.apps[app.key_id] = app
	end
	return self
end

local function answer(status, members)
	local parts = {}
	for i, member in ipairs(members) do
		local value = type(member[2]) == "number" and ("%.0f"):format(member[2]) or core.encode(member[2])
		parts[i] = ('"%s":%s'):format(member[1], value)
	end
	return status, HEADERS, "{" .. table.concat(parts, ",") .. "}\n"
end

local function refuse(status, code, reason)
	return answer(status, { { "error", code }, { "error_description", reason } })
end

local function unescape(text)
	return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
		return string.char(tonumber(hex, 16))
	end))
end

local function parse_form(body)
	local form = {}
	for name, value in body:gmatch "([^&=]+)=([^&]*)" do
		form[unescape(name)] = unescape(value)
	end
	return form
end

--- Header, claims, signature and what was signed; nil if it is no JWT.
local function parse_jwt(text)
	local header, claims, signature = text:match "^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$"
	if not header then
		return nil
	end
	local h, c = core.decode(base64.decode(header)), core.decode(base64.decode(claims))
	if type(h) ~= "table" or type(c) ~= "table" then
		return nil
	end
	return h, c, base64.decode(signature), header .. "." .. claims
end

local function is_text(value)
	return type(value) == "string" and value ~= ""
end

--- Has it been used before? Those that are over are forgotten.
function Tokens:is_repeated(jti, exp, now)
	if self.seen[jti] then
		return true
	end
	if self.seen_count >= SEEN_MAX then
		for old, over in pairs(self.seen) do
			if over < now then
				self.seen[old] = nil
				self.seen_count = self.seen_count - 1
			end
		end
	end
	self.seen[jti] = exp
	self.seen_count = self.seen_count + 1
	return false
end

--- What is wrong with the claims of this app's assertion; nil: nothing.
function Tokens:fault(claims, app, audience)
	local now, iat, exp = self.now(), claims.iat, claims.exp
	if claims.sub ~= app.client_id then
		return "sub is not the app's id"
	elseif claims.iss ~= nil and claims.iss ~= app.client_id and claims.iss ~= audience then
		return "iss is neither the app's id nor this server"
	elseif claims.aud ~= audience then
		return ("aud is not %s"):format(audience)
	elseif type(iat) ~= "number" or type(exp) ~= "number" then
		return "iat and exp have to be numbers"
	elseif iat > now + TOLERANCE then
		return "iat lies in the future: the clocks differ"
	elseif exp <= now - TOLERANCE then
		return "it has expired, or the clocks differ"
	elseif exp - iat > LIFE_MAX then
		return "it lives for more than a minute"
	elseif not is_text(claims.jti) then
		return "jti is missing"
	elseif self:is_repeated(claims.jti, exp, now) then
		return "its jti was used before"
	end
end

--- The app that signed, or nil and what is wrong.
function Tokens:authenticate(assertion, audience)
	local header, claims, signature, signed = parse_jwt(assertion or "")
	if not header then
		return nil, "client_assertion is no JWT"
	elseif header.alg ~= "RS256" then
		return nil, "alg is not RS256"
	end
	local app = is_text(header.kid) and self.apps[header.kid]
	if not app then
		return nil, "no app has a key with this kid"
	end
	local good, message = core.rs256(app.public_key, signed, signature)
	if not good then
		return nil, message or "the signature is not that of the app's key"
	end
	local fault = self:fault(claims, app, audience)
	return not fault and app or nil, fault
end

local function random_token()
	local source = assert(io.open("/dev/urandom", "rb"))
	local bytes = source:read(24)
	source:close()
	return (bytes:gsub(".", function(byte)
		return ("%02x"):format(byte:byte())
	end))
end

--- Answer one request to /token. The audience is this server as the client called it.
---@param request {method: string, body: string, header: fun(name: string): string?}
---@return integer status
---@return table<string, string> headers
---@return string body
function Tokens:handle(request)
	if request.method ~= "POST" then
		return refuse(405, "invalid_request", "the token server takes POST")
	end
	local kind = (request.header "Content-Type" or ""):lower()
	if not kind:find "^application/x%-www%-form%-urlencoded" then
		return refuse(415, "invalid_request", "send a form: application/x-www-form-urlencoded")
	end
	local form = parse_form(request.body)
	if form.grant_type ~= "client_credentials" then
		return refuse(400, "unsupported_grant_type", "grant_type is not client_credentials")
	elseif form.client_assertion_type ~= ASSERTION_TYPE then
		return refuse(400, "invalid_request", "client_assertion_type is not " .. ASSERTION_TYPE)
	end
	local app, fault = self:authenticate(form.client_assertion, "http://" .. (request.header "Host" or ""))
	if not app then
		return refuse(400, "invalid_client", fault)
	end
	for scope in (form.scope or "?"):gmatch "%S+" do
		if not SCOPES[scope] then
			return refuse(400, "invalid_scope", "Segment has no such scope")
		end
	end
	local text, now = random_token(), self.now()
	for old, over in pairs(self.given) do
		if over <= now then
			self.given[old] = nil
		end
	end
	self.given[text] = now + self.life
	return answer(200, {
		{ "access_token", text },
		{ "token_type", "Bearer" },
		{ "expires_in", self.life },
		{ "scope", form.scope },
	})
end

--- Is this the header of a request that has a good token?
---@param authorization string?
---@return boolean
function Tokens:accepts(authorization)
	local text = authorization and authorization:match "^[Bb]earer%s+(%S+)%s*$"
	local over = text and self.given[text]
	return over ~= nil and over > self.now()
end

--- Make every token void that was given so far, as revoking them in the workspace does.
function Tokens:revoke()
	self.given = {}
end

return token
