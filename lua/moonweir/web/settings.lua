--- settings -- the page where a customer of the tool connects Segment: pastes the write key, picks the region, sees how it goes.
---
---     local page = assert(settings.new { base_url = "https://events.acme.example", link_key_file = "/etc/acme/link-key",
---       spool = "spool", client = client, vault = vault, about = { name = "Acme Mail", slug = "acme-mail" } })
---     local status, headers, body = page:handle { method = "GET", path = "/settings", header = function(name) … end, body = "" }
---
---     GET  /settings, /settings/…           the page and its files
---     POST /settings/session {token}        a link's token (link.lua) for a session (session.lua)
---     GET  /settings/api/state              and what settings/api.lua lists, in the session's name
---
--- Knows nothing of sockets. A handler holds no session: any process of the host can answer any request.

local core = require "moonweir.core"
local api = require "moonweir.web.settings.api"
local enable = require "moonweir.web.settings.enable"
local link = require "moonweir.web.link"
local page = require "moonweir.web.settings.page"
local respond = require "moonweir.web.respond"
local session = require "moonweir.web.session"
local suggest = require "moonweir.suggest"
local trial = require "moonweir.web.settings.trial"

local settings = {}

local BODY_MAX = 16384 -- the largest private key in PEM takes half of it

---@class moonweir.settings.Endpoint
---@field name string      short and stable, in requests: "us"
---@field label string     for people: "United States"
---@field endpoint string  "us", "eu" or a base URL

---@class moonweir.settings.Options
---@field base_url string         where the daemon is reached: https, or http on this machine; a path is kept
---@field link_key_file? string   the link key; default: the credential "moonweir-link-key"
---@field spool string
---@field vault moonweir.Vault
---@field client moonweir.Client
---@field about {name: string, slug: string}  the tool, as its customers know it, and its source's slug
---@field color? string           the tool's own, "#1c5bb8", for the main buttons
---@field frame_ancestors? string[] origins of pages that may embed it
---@field endpoints? moonweir.settings.Endpoint[]  to choose from; default: US and EU. Nothing else can be chosen
---@field oauth? boolean          may an OAuth app be given instead of Basic authentication with the key?
---@field enable? moonweir.settings.EnableOptions  "Enable with Segment": id and secret of the app that Segment registered
---@field log? fun(entry: table)  who did what, without values; default: a line of JSON on standard error
---@field now? fun(): number      seconds since 1970

local OPTIONS = {
	base_url = true, link_key_file = true, spool = true, vault = true, client = true, about = true, color = true,
	frame_ancestors = true, endpoints = true, oauth = true, enable = true, log = true, now = true,
}

local REGIONS = {
	{ name = "us", label = "United States", endpoint = "us" },
	{ name = "eu", label = "European Union", endpoint = "eu" },
}

local function log_line(entry)
	io.stderr:write(core.encode(entry), "\n")
end

local function is_origin(text)
	local base, origin = link.base(text)
	return base ~= nil and base == origin and text == origin
end

local function check(options)
	for name in pairs(options) do
		if not OPTIONS[name] then
			error(("settings.new: no option %q%s"):format(tostring(name), suggest(name, OPTIONS)), 3)
		end
	end
	for _, name in ipairs { "spool", "vault", "client", "about" } do
		if not options[name] then
			error("settings.new needs " .. name, 3)
		end
	end
	if not link.base(options.base_url) then
		error("settings.new: base_url must be an https URL without ? and # (http only for localhost)", 3)
	end
	if options.color and not tostring(options.color):find "^#%x%x%x%x%x%x$" then
		error('settings.new: color must be written as "#1c5bb8"', 3)
	end
	for _, origin in ipairs(options.frame_ancestors or {}) do
		if not is_origin(origin) then
			error(('settings.new: frame_ancestors are origins such as "https://app.example", not %q'):format(tostring(origin)), 3)
		end
	end
	for _, e in ipairs(options.endpoints or {}) do
		if type(e) ~= "table" or type(e.name) ~= "string" or type(e.label) ~= "string" or type(e.endpoint) ~= "string" then
			error("settings.new: an endpoint is { name =, label =, endpoint = }", 3)
		end
	end
end

---@class moonweir.Settings
local Settings = {}
Settings.__index = Settings

---@param options moonweir.settings.Options
---@return moonweir.Settings|nil
---@return string? message
---@return string? code
function settings.new(options)
	check(options)
	local key, message, code = core.link_key(options.link_key_file)
	if not key then
		return nil, message, code
	end
	local claims
	claims, message, code = core.claims(options.spool)
	if not claims then
		key:close()
		return nil, message, code
	end
	local base, origin = link.base(options.base_url)
	local framing = { frame_ancestors = options.frame_ancestors, secure = origin:find "^https" ~= nil }
	local self = setmetatable({
		base = base,
		origin = origin,
		key = key,
		claims = claims,
		now = options.now or os.time,
		refused_at = 0,
		refused_more = 0,
		log = options.log or log_line,
		framing = framing,
		assets = page.new(options.about.name, options.color, framing, options.enable ~= nil),
	}, Settings)
	self.api = api.new {
		spool = options.spool,
		vault = options.vault,
		client = options.client,
		about = options.about,
		endpoints = options.endpoints or REGIONS,
		oauth = options.oauth or false,
		enable = options.enable ~= nil,
		trial = trial.new(options.client, claims, options.about),
	}
	self.enable = options.enable and enable.new(options.enable, {
		base = base,
		key = key,
		claims = claims,
		saved = function(who, write_key)
			local done = self.api:call("connect", who.account, { write_key = write_key, region = who.region }, self.now())
			if done then
				self.log { at = self.now(), settings = "write_key_from_segment", account = who.account, user = who.user }
			end
			return done
		end,
		stored = function(account)
			return self.api:stored_key(account)
		end,
	})
	return self
end

--- To be called now and then, many times a second while "Enable with Segment" is used: what was begun here goes on though
--- nobody looks, and other processes are told.
function Settings:tick()
	local now = self.now()
	self.api.trial:tick(now)
	if self.enable then
		self.enable:tick(now)
	end
end

function Settings:close()
	if self.enable then
		self.enable:close(self.now())
	end
	self.key:close()
	self.claims:close()
end

--- A request that a page of ours can have sent. What a foreign page sends has another Origin, or is no JSON.
local function foreign(self, request)
	local from = request.header "Sec-Fetch-Site"
	if from and from:lower() ~= "same-origin" then
		return true
	end
	local origin = request.header "Origin"
	if request.method == "POST" then
		return not origin or origin:lower() ~= self.origin
	end
	return origin ~= nil and origin:lower() ~= self.origin
end

function Settings:refuse(status, code, message)
	return respond.refusal(status, code, message, self.framing)
end

--- Refusals need no session, so anybody can make many: one a second is told, and how many were not.
function Settings:log_refusal(now, entry)
	if math.abs(now - self.refused_at) < 1 then
		self.refused_more = self.refused_more + 1
		return
	end
	entry.at, entry.more = now, self.refused_more > 0 and self.refused_more or nil
	self.refused_at, self.refused_more = now, 0
	self.log(entry)
end

--- The body of a POST as a table.
---@return table|nil
---@return integer? status
---@return string? code
---@return string? message
local function decoded(request)
	local kind = (request.header "Content-Type" or ""):lower():match "^%s*([^;%s]*)"
	if kind ~= "application/json" then
		return nil, 415, "json_only", "send JSON, with Content-Type: application/json"
	elseif #request.body > BODY_MAX then
		return nil, 413, "too_large", "at most 16 KiB"
	end
	local value = core.decode(request.body)
	if type(value) ~= "table" or getmetatable(value) then -- arrays have a metatable
		return nil, 400, "json", "the body is no JSON object"
	end
	for name, member in pairs(value) do
		if type(member) ~= "string" and type(member) ~= "boolean" then
			return nil, 400, "invalid", ("%s must be a text"):format(tostring(name):sub(1, 40))
		end
	end
	return value
end

local UNAVAILABLE = "This can’t be done right now."

local LINK_ERRORS = {
	invalid = "This link is not valid.",
	expired = "This link is too old.",
	used = "This link was used already.",
}

--- POST /settings/session
function Settings:open_session(request)
	local body, status, code, message = decoded(request)
	if not body then
		return self:refuse(status, code, message)
	end
	local now = self.now()
	local fields
	fields, code, message = link.open(body.token, { key = self.key, claims = self.claims, base = self.base, now = now })
	if not fields then
		self:log_refusal(now, { settings = "link_refused", why = code, message = message, remote = request.remote })
		if not LINK_ERRORS[code] then
			return self:refuse(503, "unavailable", "The settings can’t be opened right now. Please try again.")
		end
		return self:refuse(code == "invalid" and 401 or 410, "link_" .. code, LINK_ERRORS[code])
	end
	self.log { at = now, settings = "opened", account = fields.account, user = fields.user, remote = request.remote }
	local token = session.start(fields, self.key, now)
	return respond.json(200, { session = token, page = self.api:page(fields.account) }, self.framing)
end

--- The test event that a session shows from now on. What an old key did is of no interest once there is a new one, or none;
--- one that still waits will be sent with the new one.
local function test_of(self, who, done, sent, now)
	if done == "disconnect" or not (sent or who.test) then
		return nil
	elseif done == "connect" then
		local told = self.api.trial:outcome(who.account, who.test, now)
		return told and told.outcome == "waiting" and who.test or nil
	end
	return sent or who.test
end

--- What a session may do.
function Settings:act(request, name)
	local now = self.now()
	local who = session.check(request.header "Authorization", self.key, now)
	if not who then
		return self:refuse(401, "session_over", "Your session is over. Open this page from the tool again.")
	end
	local body = {}
	if request.method == "POST" then
		local status, code, message
		body, status, code, message = decoded(request)
		if not body then
			return self:refuse(status, code, message)
		end
	end
	-- A session has one account: of any other it knows nothing, not even whether it is there.
	local named = body.account or (request.query or ""):match "account=([^&]*)"
	if named and named ~= who.account then
		return self:refuse(404, "not_found", "there is no such account")
	end
	body.account = nil
	local done, answer = self.api:call(name, who.account, body, now)
	if done and answer.enable then
		local ticket, message, code = self.enable:ticket(who, answer.enable, now)
		if not ticket then
			return self:refuse(code == "too_many" and 429 or 503, code == "too_many" and code or "unavailable",
				code == "too_many" and message or UNAVAILABLE)
		end
		return respond.json(200, { ticket = ticket }, self.framing)
	elseif not done then
		return self:refuse(answer.status, answer.code, answer.message)
	end
	if answer.audit then
		self.log { at = now, settings = answer.audit, account = who.account, user = who.user, remote = request.remote }
	end
	who.test = test_of(self, who, name, answer.test, now)
	local state = self.api:state(who.account, who.test, now)
	if request.method == "POST" or request.query == "active" then
		state.session, state.session_ends_in = session.renew(who, self.key, now)
	end
	return respond.json(200, state, self.framing)
end

local WINDOW = {
	["/settings/enable/start"] = "start", ["/settings/enable/finish"] = "finish", ["/settings/enable/look"] = "look",
}

local WINDOW_ERRORS = {
	invalid = "Segment’s answer does not belong to this window.",
	used = "This was done already.",
}

--- What the window of enable.lua asks: it has no session, but ticket, state and nonce.
function Settings:from_window(request, name)
	local body, status, code, message = decoded(request)
	if not body then
		return self:refuse(status, code, message)
	end
	local now = self.now()
	if name == "start" then
		local go, why = self.enable:start(body.ticket, body.nonce_hash, now)
		if not go and why == "io" then
			return self:refuse(503, why, UNAVAILABLE)
		elseif not go then
			return self:refuse(410, "ticket", "This window was opened too late.")
		end
		return respond.json(200, { go = go }, self.framing)
	elseif name == "finish" then
		local done, why = self.enable:finish(body, now)
		if not done then
			self:log_refusal(now, { settings = "enable_refused", why = why, remote = request.remote })
			return self:refuse(WINDOW_ERRORS[why] and 403 or 503, why, WINDOW_ERRORS[why] or UNAVAILABLE)
		end
		return respond.json(200, { outcome = "waiting" }, self.framing)
	end
	local told = self.enable:outcome(body.state, body.nonce, now)
	if not told then
		return self:refuse(404, "not_found", "This is not known any more.")
	end
	return respond.json(200, told, self.framing)
end

--- Answer one request below /settings.
---@param request {method: string, path: string, query: string?, body: string, header: (fun(name: string): string?),
--- remote: string?}
---@return integer status
---@return table<string, string> headers
---@return string body
function Settings:handle(request)
	local status, headers, body = self.assets(request.method, request.path)
	if status then
		return status, headers, body
	end
	local method, handler, name
	if request.path == "/settings/session" then
		method, handler = "POST", self.open_session
	elseif self.enable and WINDOW[request.path] then
		method, handler, name = "POST", self.from_window, WINDOW[request.path]
	else
		name = request.path:match "^/settings/api/([a-z_]+)$"
		method, handler = api.method(name), self.act
	end
	if not method then
		return self:refuse(404, "not_found", "there is no such page")
	elseif request.method ~= method then
		return self:refuse(405, "method_not_allowed", "this takes " .. method)
	elseif foreign(self, request) then
		return self:refuse(403, "foreign_origin", "only the settings page itself may ask this")
	end
	return handler(self, request, name)
end

return settings
