--- api -- what the settings page can do for its account, and what it shows.
---
---     GET  state        how the connection is
---     POST connect      {write_key?, region?}: save a key, or choose another region for the one that is there
---     POST oauth        {client_id, key_id, private_key?}: send with tokens of this app; {off: true}: no longer
---     POST test         send the test event
---     POST pause, resume
---     POST disconnect   {confirm: true}: forget the key
---     POST enable       {region}: a ticket for the window of enable.lua, instead of the state
---
--- Each answers with the state that comes of it. Secrets go in and never come out: of a key its last four characters are
--- shown, of a private key the fingerprint of its public half. The account is the session's and nothing in a request.

local core = require "moonweir.core"
local lanes = require "moonweir.web.settings.lanes"
local trim = require "moonweir.trim"
local words = require "moonweir.web.settings.words"

local api = {}

local KEY_MAX = 128 -- MW_WRITE_KEY_MAX

local METHODS = {
	state = "GET", connect = "POST", oauth = "POST", test = "POST", pause = "POST", resume = "POST", disconnect = "POST",
	enable = "POST",
}

--- nil: there is no such thing to do.
function api.method(name)
	return METHODS[name]
end

---@class moonweir.settings.Api
local Api = {}
Api.__index = Api

---@param parts {spool: string, vault: table, client: table, about: table, endpoints: table, oauth: boolean, enable: boolean,
--- trial: table}
function api.new(parts)
	return setmetatable(parts, Api)
end

--- What does not change while the page is open.
function Api:page(account)
	local regions = core.array {}
	for i, e in ipairs(self.endpoints) do
		regions[i] = { name = e.name, label = e.label }
	end
	return { tool = self.about.name, account = account, regions = regions, oauth = self.oauth, enable = self.enable }
end

local function refusal(status, code, message)
	return nil, { status = status, code = code, message = message }
end

-- Codes whose message may be read by the customer; all else is the operator's, and is logged by whoever it concerns.
local UNAVAILABLE = "This can’t be done right now. Please try again, or ask support."

local function find_region(self, name)
	for _, e in ipairs(self.endpoints) do
		if e.name == name then
			return e
		end
	end
	return nil
end

--- The name of the endpoint that the account has; nil: another, or whatever the engine was given.
local function region_of(self, a)
	for _, e in ipairs(self.endpoints) do
		if e.endpoint == a.endpoint then
			return e.name
		end
	end
	return nil
end

local function read_account(self, account)
	local a, _, code = self.vault:show(account)
	if not a and code == "corrupt" then
		return { account = account, state = "damaged" }
	end
	return a
end

--- How the account's write key ends, and its region; nil: there is none, or it is too short to be told apart.
---@return string|nil last
---@return string|nil region
function Api:stored_key(account)
	local a = read_account(self, account)
	if not a or not a.has_key or a.last == "" then
		return nil
	end
	return a.last, region_of(self, a)
end

local function app_of(self, a)
	local app = a.oauth and self.vault:show_app(a.oauth)
	if not app or app.damaged then
		return nil
	end
	return { client_id = app.client_id, key_id = app.key_id, fingerprint = app.fingerprint }
end

--- All that the page shows of the account, and of a test event.
---@param account string
---@param test {id: string, at: number, by: string}|nil
---@param now number
function Api:state(account, test, now)
	local a = read_account(self, account)
	test = test and self.trial:outcome(account, test, now)
	local lane = lanes.of(self.spool, self.client, account) -- after the test: it shall not be delivered before it counts
	local status = words.status(a, lane, self.about.name)
	local is_known = a ~= nil and a.state ~= "damaged"
	return {
		connected = is_known and a.has_key,
		paused = is_known and a.state == "paused",
		key = is_known and a.has_key and "…" .. a.last or nil,
		label = is_known and a.label or nil,
		region = is_known and region_of(self, a) or nil,
		other_endpoint = is_known and not region_of(self, a) or nil,
		oauth = is_known and app_of(self, a) or nil,
		uses_oauth = is_known and a.oauth ~= nil,
		status = status,
		delivered_ago = lane and lane.delivered_ago,
		delivered = lane and lane.delivered or 0,
		refused = lane and lane.dead or 0,
		waiting = lane and lane.queued + lane.in_flight or 0,
		test = test and words.test(test.outcome, status, test.answer),
		testing = test ~= nil and test.outcome == "waiting",
	}
end

local calls = {}

function calls.state()
	return true, {}
end

-- What is copied from a page or a mail brings spaces that do not break or have no width, and a byte-order mark.
local function trimmed(text)
	text = text:gsub("\194\160", " "):gsub("\226\128[\139-\143\168-\175]", " ")
	return trim((text:gsub("\226\129\160", " "):gsub("\239\187\191", " ")))
end

local function saved(ok, message, code, audit)
	if ok then
		return true, { audit = audit }
	elseif code == "bad_key" then
		return refusal(422, "bad_key", "That is not a write key: it has only letters, digits, - and _.")
	elseif code == "invalid" and message then
		return refusal(422, "invalid", "This was not accepted: " .. message .. ".")
	end
	return refusal(503, "unavailable", UNAVAILABLE)
end

function calls.connect(self, account, body)
	local change = {}
	local a = read_account(self, account)
	if type(body.write_key) == "string" and trimmed(body.write_key) ~= "" then
		change.write_key = trimmed(body.write_key)
		if #change.write_key < 8 then
			return refusal(422, "bad_key", "That is too short for a write key: most have 32 characters.")
		elseif #change.write_key > KEY_MAX then
			return refusal(422, "bad_key", "That is too long for a write key: most have 32 characters.")
		end
	elseif not a or not a.has_key then
		return refusal(422, "no_key", "Paste the write key of your source.")
	end
	local region = find_region(self, body.region)
	if not region and (body.region ~= nil or not a or not a.endpoint) then
		return refusal(422, "no_region", "Choose where your Segment workspace is.")
	end
	change.endpoint = region and region.endpoint
	local ok, message, code = self.vault:set(account, change)
	return saved(ok, message, code, change.write_key and "write_key_saved" or "region_changed")
end

-- Apps of this page belong to one account; those that the operator named are shared and not to be changed from here.
local OWN_APP = "page-"

local function own_app(a)
	return a and a.oauth and a.oauth:sub(1, #OWN_APP) == OWN_APP and a.oauth or nil
end

local function leave_oauth(self, account, a)
	local ok, message, code = self.vault:set(account, { oauth = "" })
	if ok and own_app(a) then
		self.vault:remove_app(a.oauth)
	end
	return saved(ok, message, code, "oauth_removed")
end

function calls.oauth(self, account, body)
	if not self.oauth then
		return refusal(404, "not_found", "OAuth apps are not offered here")
	end
	local a = read_account(self, account)
	if not a or not a.has_key then
		return refusal(409, "no_key", "Save the write key first: with OAuth it still says which source events are for.")
	elseif body.off == true then
		return leave_oauth(self, account, a)
	end
	local change = {}
	for _, name in ipairs { "client_id", "key_id", "private_key" } do
		local value = type(body[name]) == "string" and trimmed(body[name]) or ""
		change[name] = value ~= "" and value or nil
	end
	local app = own_app(a)
	if not change.client_id or not change.key_id or not (change.private_key or app) then
		return refusal(422, "incomplete", "App ID, key ID and private key are needed.")
	end
	app = app or OWN_APP .. core.random_id()
	if change.private_key then
		change.private_key = change.private_key .. "\n"
	end
	local ok, message, code = self.vault:set_app(app, change)
	if not ok and change.private_key and (code == "bad_key" or code == "invalid") then
		return refusal(422, "bad_private_key", "The app was not accepted: " .. (message or "look at all three fields") .. ".")
	elseif ok then
		ok, message, code = self.vault:set(account, { oauth = app })
	end
	return saved(ok, message, code, "oauth_saved")
end

function calls.test(self, account, _, now)
	local a = read_account(self, account)
	if not a or not a.has_key then
		return refusal(409, "no_key", "Paste a write key first.")
	end
	local test, message, code = self.trial:send(account, now)
	if test then
		return true, { audit = "test_sent", test = test }
	elseif code == "too_many" then
		return refusal(429, code, message)
	end
	return refusal(503, "unavailable", UNAVAILABLE)
end

function calls.enable(self, _, body)
	if not self.enable then
		return refusal(404, "not_found", "this is not offered here")
	elseif not find_region(self, body.region) then
		return refusal(422, "no_region", "Choose where your Segment workspace is.")
	end
	return true, { enable = body.region }
end

for _, name in ipairs { "pause", "resume" } do
	calls[name] = function(self, account)
		local ok, message, code = self.vault[name](self.vault, account)
		if not ok and code == "no_account" then
			return refusal(409, "no_key", "Nothing is connected.")
		end
		return saved(ok, message, code, name .. "d")
	end
end

function calls.disconnect(self, account, body)
	if body.confirm ~= true then
		return refusal(422, "not_confirmed", "Disconnecting needs to be confirmed.")
	end
	local a = read_account(self, account)
	local ok, message, code = self.vault:remove(account)
	if ok and own_app(a) then
		self.vault:remove_app(a.oauth)
	end
	if code == "no_account" then
		return true, {}
	end
	return saved(ok, message, code, "disconnected")
end

--- Do it.
---@return true|nil
---@return {audit: string?, test: table?, status: integer?, code: string?, message: string?}
function Api:call(name, account, body, now)
	return calls[name](self, account, body, now)
end

return api
