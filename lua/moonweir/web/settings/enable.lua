--- enable -- "Enable with Segment": the write key of a source that the customer chooses in Segment, without anyone pasting it.
---
--- OAuth's authorization code flow, for tools whose app Segment has registered. Our page opens a window; there:
---
---     /settings/enable#TICKET        the window makes a nonce, keeps it, and asks /settings/enable/start where to go
---     Segment                        login, choice of workspace and source, consent
---     /settings/enabled?code&state   the window gives code, state and nonce to /settings/enable/finish
---     POST token_url                 our server, with code, client secret and PKCE's verifier: an access token, and the source
---     GET  api_url/v1beta/SOURCE     with it: the source's write key, which goes into the vault
---
--- Ticket and state are signed (link key) and good once. The state holds the nonce's hash, and the nonce never leaves its
--- window: a code that comes back to another browser is refused. PKCE's verifier is made of the state and the link key, so
--- nothing is kept between the steps but in the window. The two requests run in threads; `tick` looks after them.

local core = require "moonweir.core"
local link = require "moonweir.web.link"

local enable = {}

local TICKET_LIFE, STATE_LIFE = 120, 900 -- seconds
local KEPT = 600 -- for which an outcome is told
local UNDER_WAY = 64 -- flows at most whose requests run
local TOKEN_MAX = 4096

local DEFAULTS = {
	authorize_url = "https://id.segmentapis.com/oauth2/auth",
	token_url = "https://id.segmentapis.com/oauth2/token",
	api_url = "https://platform.segmentapis.com",
	scope = "workspace:read",
}
local OPTIONS = {
	client_id = true, client_secret = true, authorize_url = true, token_url = true, api_url = true, scope = true, ca_file = true,
	proxy = true,
}

---@class moonweir.settings.EnableOptions
---@field client_id string
---@field client_secret string
---@field authorize_url? string Segment's, as all that follow
---@field token_url? string
---@field api_url? string
---@field scope? string
---@field ca_file? string
---@field proxy? string

---@class moonweir.settings.Enable
local Enable = {}
Enable.__index = Enable

---@param options moonweir.settings.EnableOptions
---@param parts {base: string, key: table, claims: table, saved: fun(who: table, write_key: string): true|nil}
function enable.new(options, parts)
	local self = { running = {}, count = 0, outcomes = {} }
	for name in pairs(options) do
		if not OPTIONS[name] then
			error(("settings.new: enable has no option %q"):format(tostring(name)), 4)
		end
	end
	for name, default in pairs(DEFAULTS) do
		self[name] = options[name] or default
		if name ~= "scope" and not link.base(self[name]) then
			error(("settings.new: enable.%s must be an https URL (http only for localhost)"):format(name), 4)
		end
	end
	for _, name in ipairs { "client_id", "client_secret" } do
		if type(options[name]) ~= "string" or options[name] == "" then
			error("settings.new: enable needs " .. name, 4)
		end
	end
	for _, name in ipairs { "client_id", "client_secret", "ca_file", "proxy" } do
		self[name] = options[name]
	end
	for name, part in pairs(parts) do
		self[name] = part
	end
	return setmetatable(self, Enable)
end

local function sealed(self, version, fields)
	local signed = version .. "." .. core.base64url(core.encode(fields))
	return signed .. "." .. self.key:sign(signed)
end

--- The fields of a token of this version that is genuine, not too old and here for the first time.
local function opened(self, version, token, now)
	if type(token) ~= "string" or #token > TOKEN_MAX then
		return nil
	end
	local signed, mac = token:match "^(%w+%.[%w_-]+)%.([%w_-]+)$"
	if not signed or signed:sub(1, #version + 1) ~= version .. "." or not self.key:is_genuine(signed, mac) then
		return nil
	end
	local fields = core.decode(core.from_base64url(signed:sub(#version + 2)) or "")
	if type(fields) ~= "table" or now >= fields.exp or not self.claims:take("enable " .. signed, fields.exp, now) then
		return nil
	end
	return fields
end

--- What the settings page gets for its window: good for two minutes and once.
function Enable:ticket(who, region, now)
	return sealed(self, "t1", {
		account = who.account, user = who.user, region = region, exp = math.floor(now) + TICKET_LIFE, id = core.random_id(),
	})
end

local function escape(text)
	return (text:gsub("[^%w%-._~]", function(c)
		return ("%%%02X"):format(c:byte())
	end))
end

local function form(pairs_)
	local parts = {}
	for i, pair in ipairs(pairs_) do
		parts[i] = pair[1] .. "=" .. escape(pair[2])
	end
	return table.concat(parts, "&")
end

local function verifier_of(self, state)
	return self.key:sign("pkce " .. state)
end

--- Where the window is to go.
---@param nonce_hash string base64url of SHA-256
---@return string|nil url nil: the ticket is no good
function Enable:start(ticket, nonce_hash, now)
	if type(nonce_hash) ~= "string" or not nonce_hash:find "^[%w_-]+$" or #nonce_hash ~= 43 then
		return nil
	end
	local who = opened(self, "t1", ticket, now)
	if not who then
		return nil
	end
	local state = sealed(self, "e1", {
		account = who.account, user = who.user, region = who.region, nonce = nonce_hash, exp = math.floor(now) + STATE_LIFE,
		id = core.random_id(),
	})
	return self.authorize_url .. "?" .. form {
		{ "response_type", "code" },
		{ "client_id", self.client_id },
		{ "scope", self.scope },
		{ "redirect_uri", self.base .. "/settings/enabled" },
		{ "state", state },
		{ "code_challenge", core.base64url(core.sha256(verifier_of(self, state))) },
		{ "code_challenge_method", "S256" },
	}
end

local function request(self, options)
	options.ca_file, options.proxy = self.ca_file, self.proxy
	return core.errand(options)
end

--- The window is back, with a code. Whether it is one with the nonce is known here; what comes of it, later.
---@return true|nil
---@return string? code "invalid"|"busy"|"io"
function Enable:finish(body, now)
	local code, state, nonce = body.code, body.state, body.nonce
	if type(code) ~= "string" or #code > TOKEN_MAX or type(nonce) ~= "string" or #nonce > 100 then
		return nil, "invalid"
	end
	local who = opened(self, "e1", state, now)
	if not who or core.base64url(core.sha256(nonce)) ~= who.nonce then
		return nil, "invalid"
	elseif self.count >= UNDER_WAY then
		return nil, "busy"
	end
	local errand = request(self, {
		url = self.token_url,
		user = self.client_id,
		password = self.client_secret,
		form = form {
			{ "grant_type", "authorization_code" },
			{ "code", code },
			{ "redirect_uri", self.base .. "/settings/enabled" },
			{ "code_verifier", verifier_of(self, state) },
		},
	})
	if not errand then
		return nil, "io"
	end
	self.count = self.count + 1
	self.running[state] = { who = who, errand = errand, step = "token" }
	self.outcomes[state] = { at = now, nonce = who.nonce, outcome = "waiting" }
	return true
end

local steps = {}

--- The access token is good for what the customer chose: one source.
function steps.token(self, flow, answer)
	local source = type(answer.source_names) == "table" and answer.source_names[1]
	local is_source = type(source) == "string" and source:find "^workspaces/[%w_-]+/sources/[%w_-]+$"
	if type(answer.access_token) ~= "string" or not is_source then
		return nil, "Segment named no source. Please choose one when it asks."
	end
	flow.step = "source"
	flow.errand = request(self, { url = self.api_url .. "/v1beta/" .. source, bearer = answer.access_token })
	return flow.errand ~= nil
end

function steps.source(self, flow, answer)
	local write_key = type(answer.write_keys) == "table" and answer.write_keys[1]
	if type(write_key) ~= "string" then
		return nil, "The source that was chosen has no write key."
	end
	return self.saved(flow.who, write_key) and "done"
end

local FAILED = "Segment did not finish this. Please try again, or paste the write key."

--- true: goes on; "done"; nil and why not.
local function advance(self, flow)
	local status, body = flow.errand:answer()
	if status == nil and body == nil then
		return true
	end
	flow.errand:close()
	local answer = status == 200 and core.decode(body)
	if type(answer) ~= "table" then
		return nil, FAILED
	end
	local result, why = steps[flow.step](self, flow, answer)
	return result, why or FAILED
end

--- To be called often: looks after the requests that run.
function Enable:tick(now)
	for state, flow in pairs(self.running) do
		local result, why = advance(self, flow)
		if result ~= true then
			self.running[state] = nil
			self.count = self.count - 1
			local told = self.outcomes[state]
			told.outcome, told.text = result and "done" or "failed", not result and why or nil
		end
	end
	for state, told in pairs(self.outcomes) do
		if now - told.at > KEPT and not self.running[state] then
			self.outcomes[state] = nil
		end
	end
end

--- What came of a flow, for the window that has its nonce.
---@return {outcome: "waiting"|"done"|"failed", text: string?}|nil
function Enable:outcome(state, nonce, now)
	self:tick(now)
	local told = type(state) == "string" and self.outcomes[state]
	if not told or type(nonce) ~= "string" or core.base64url(core.sha256(nonce)) ~= told.nonce then
		return nil
	end
	return { outcome = told.outcome, text = told.text }
end

function Enable:close()
	for _, flow in pairs(self.running) do
		flow.errand:close()
	end
	self.running = {}
end

return enable
