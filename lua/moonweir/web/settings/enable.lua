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
--- nothing is kept between the steps but in the window, and each step may be another process's. The two requests run in
--- threads of one of them; its `tick` looks after them. What came of them is a claim, which every process can see.
---
--- So is the lease of the process that has them under way: a minute, in which it either saves the key or never will. If it
--- dies, the window is told when that is over: that nothing came of it, or that the key is there all the same.

local allowance = require "moonweir.web.settings.allowance"
local core = require "moonweir.core"
local link = require "moonweir.web.link"

local enable = {}

local TICKET_LIFE, STATE_LIFE = 120, 900 -- seconds
local KEPT = 600 -- for which an outcome is told, once the state has ended
local LEASE = 60 -- seconds for a flow's two requests, of 20 at most
local SAVING = 10 -- of them, in which a key that is saved is surely saved
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
---@param parts {base: string, key: table, claims: table, saved: (fun(who: table, write_key: string): true|nil),
--- stored: fun(account: string): string?, string?} stored: how the account's write key ends, and its region
function enable.new(options, parts)
	local self = { running = {}, count = 0 }
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

--- The fields of a token of this version that is genuine, and what of it was signed.
local function read(self, version, token)
	if type(token) ~= "string" or #token > TOKEN_MAX then
		return nil
	end
	local signed, mac = token:match "^(%w+%.[%w_-]+)%.([%w_-]+)$"
	if not signed or signed:sub(1, #version + 1) ~= version .. "." or not self.key:is_genuine(signed, mac) then
		return nil
	end
	local fields = core.decode(core.from_base64url(signed:sub(#version + 2)) or "")
	return type(fields) == "table" and fields or nil, signed
end

--- The same of one that is not too old and here for the first time, in whichever process. "io": it could not be written
--- down that it was here, so it may come again.
---@return table|nil fields
---@return "invalid"|"used"|"io"|nil code
local function opened(self, version, token, now)
	local fields, signed = read(self, version, token)
	if not fields or now >= fields.exp then
		return nil, "invalid"
	end
	local taken = self.claims:take("enable " .. signed, fields.exp + KEPT, now)
	if not taken then
		return nil, taken == nil and "io" or "used"
	end
	return fields
end

local function is_of(who, nonce)
	return type(nonce) == "string" and #nonce <= 100 and core.base64url(core.sha256(nonce)) == who.nonce
end

--- What the settings page gets for its window: good for two minutes and once. Five a minute and account, for each may lead
--- to requests to Segment and leaves rows behind for a while.
---@return string|nil ticket
---@return string? message
---@return string? code "too_many"; or why it could not be written down
function Enable:ticket(who, region, now)
	local taken, message, code = allowance.take(self.claims, "ticket", who.account, now)
	if taken == false then
		return nil, "That was tried five times in a minute. Please wait a moment.", "too_many"
	elseif not taken then
		return nil, message, code
	end
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
---@return string|nil url
---@return "invalid"|"used"|"io"|nil code  "io": the ticket is as good as it was
function Enable:start(ticket, nonce_hash, now)
	if type(nonce_hash) ~= "string" or not nonce_hash:find "^[%w_-]+$" or #nonce_hash ~= 43 then
		return nil, "invalid"
	end
	local who, code = opened(self, "t1", ticket, now)
	if not who then
		return nil, code
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

local function lease_of(state)
	return "enabling " .. state
end

--- The window is back, with a code. Whether it is one with the nonce is known here; what comes of it, later.
---@return true|nil
---@return "invalid"|"used"|"busy"|"io"|nil code  "busy", "io": the state is as good as it was, for nothing was sent
function Enable:finish(body, now)
	local code, state, nonce = body.code, body.state, body.nonce
	if type(code) ~= "string" or #code > TOKEN_MAX then
		return nil, "invalid"
	end
	if self.count >= UNDER_WAY then
		return nil, "busy"
	end
	local who = read(self, "e1", state)
	if not who or not is_of(who, nonce) then
		opened(self, "e1", state, now) -- whoever has it now: nobody uses it any more
		return nil, "invalid"
	end
	-- The lease first, so that a state is used up only once the rest is certain to follow.
	if self.claims:take(lease_of(state), now + LEASE, now) == nil then
		return nil, "io"
	end
	local good, why = opened(self, "e1", state, now)
	if not good then
		return nil, why
	end
	self.count = self.count + 1
	self.running[state] = { who = who, step = "token", asks = {
		url = self.token_url,
		user = self.client_id,
		password = self.client_secret,
		form = form {
			{ "grant_type", "authorization_code" },
			{ "code", code },
			{ "redirect_uri", self.base .. "/settings/enabled" },
			{ "code_verifier", verifier_of(self, state) },
		},
	} }
	return true
end

local FAILED = "Segment did not finish this. Please try again, or paste the write key."
local CUT = "This was interrupted, and no write key was saved. Please close this window and try again."
local NO_SOURCE = "Segment named no source. Please choose one when it asks."
local NO_KEY = "The source that was chosen has no write key."

--- What a flow can come to, and what is told of it.
local RESULTS = {
	done = { outcome = "done" },
	failed = { outcome = "failed", text = FAILED },
	cut = { outcome = "failed", text = CUT },
	no_source = { outcome = "failed", text = NO_SOURCE },
	no_key = { outcome = "failed", text = NO_KEY },
}

-- That this key is about to be saved. If it is there afterwards it was saved, whether or not anybody could say so.
local function intent_of(state, tail, region)
	return ("enabling %s %s %s"):format(tail, region, state)
end

local function is_stored(self, who, state, now)
	local tail, region = self.stored(who.account)
	return tail ~= nil and region == who.region and self.claims:holds(intent_of(state, tail, region), now)
end

local function request(self, options)
	options.ca_file, options.proxy = self.ca_file, self.proxy
	return core.errand(options)
end

--- By step: what an answer comes to; nil: it goes on.
local steps = {}

--- The access token is good for what the customer chose: one source.
function steps.token(self, flow, answer)
	local source = type(answer.source_names) == "table" and answer.source_names[1]
	local is_source = type(source) == "string" and source:find "^workspaces/[%w_-]+/sources/[%w_-]+$"
	if type(answer.access_token) ~= "string" or not is_source then
		return "no_source"
	end
	flow.step = "source"
	flow.asks = { url = self.api_url .. "/v1beta/" .. source, bearer = answer.access_token }
	return nil
end

function steps.source(self, flow, answer, state, now)
	local write_key = type(answer.write_keys) == "table" and answer.write_keys[1]
	if type(write_key) ~= "string" then
		return "no_key"
	end
	-- Too late, and the window may know it: the customer may have pasted another key meanwhile.
	if not self.claims:holds(lease_of(state), now + SAVING) then
		return "cut"
	end
	local intent = intent_of(state, write_key:sub(-4), flow.who.region)
	if self.claims:take(intent, flow.who.exp + KEPT, now) == nil then
		return "cut"
	end
	return self.saved(flow.who, write_key) and "done" or "failed"
end

--- What it has come to; nil: it goes on.
local function advance(self, flow, state, now)
	if flow.asks then
		flow.errand = request(self, flow.asks)
		if not flow.errand then -- no thread, or no memory, just now
			return not self.claims:holds(lease_of(state), now) and "cut" or nil
		end
		flow.asks = nil
	end
	local status, body = flow.errand:answer()
	if status == nil and body == nil then
		return nil
	end
	flow.errand:close()
	flow.errand = nil
	local answer = status == 200 and core.decode(body)
	if type(answer) ~= "table" then
		return "failed"
	end
	return steps[flow.step](self, flow, answer, state, now)
end

local function claim_of(result, state)
	return ("enabled %s %s"):format(result, state)
end

local function write_down(self, flow, state, now)
	return self.claims:take(claim_of(flow.result, state), flow.who.exp + KEPT, now)
end

--- To be called often: looks after the requests that run.
function Enable:tick(now)
	for state, flow in pairs(self.running) do
		flow.result = flow.result or advance(self, flow, state, now)
		if flow.result then
			if write_down(self, flow, state, now) == nil then
				return -- it can't be just now, and is told a little later
			end
			self.running[state] = nil
			self.count = self.count - 1
		end
	end
end

--- What came of a flow, for the window that has its nonce.
---@return {outcome: "waiting"|"done"|"failed", text: string?}|nil
function Enable:outcome(state, nonce, now)
	self:tick(now)
	local who, signed = read(self, "e1", state)
	if not who or not is_of(who, nonce) or not self.claims:holds("enable " .. signed, now) then
		return nil
	end
	for result, told in pairs(RESULTS) do
		if self.claims:holds(claim_of(result, state), now) then
			return told
		end
	end
	if is_stored(self, who, state, now) then
		return RESULTS.done
	end
	-- Or whoever had it under way is gone.
	return self.claims:holds(lease_of(state), now) and { outcome = "waiting" } or RESULTS.cut
end

--- What is under way comes to nothing, and the windows are told.
function Enable:close(now)
	for state, flow in pairs(self.running) do
		if flow.errand then
			flow.errand:close()
		end
		flow.result = flow.result or "cut"
		write_down(self, flow, state, now)
	end
	self.running = {}
end

return enable
