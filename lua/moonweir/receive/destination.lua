--- destination -- the tool as a destination of Segment: one request in, what it says of who is who in the identity store.
---
---     local destination = require "moonweir.receive.destination"
---     local status, reply, counts = destination.receive(request, {
---       account = "blue-bottle", api_key = key, identities = store, slug = "acme-mail", now = ms,
---     })
---     answer(status, { ["Content-Type"] = "application/json" }, reply)
---     if counts.reason then log(counts.reason) end
---     if counts.learned > 0 then client:replay { code = "no_user", account = "blue-bottle" } end
---
--- No server in it, and no clock. When it answers 200 what was said is on disk. A host that has many requests at hand calls
--- destination.read for each and teaches the facts of all of them at once: one commit instead of many.

local core = require "moonweir.core"
local lesson = require "moonweir.receive.lesson"
local requests = require "moonweir.receive.request"
local signed = require "moonweir.receive.segment"
local suggest = require "moonweir.suggest"

local destination = {}

--- As much as one body of anything may be (MW_EVENT_MAX).
local BODY_MAX = 16 * 1024 * 1024 - 1

---@class moonweir.DestinationConfig
---@field account string
---@field api_key? string|string[]        the key that the tool issued to this customer: Direct Destination. Several: all count
---@field shared_secret? string|string[]  for X-Signature: the Webhooks destinations
---@field forbidden? boolean              this customer may not: a right key is answered 403
---@field identities moonweir.Identities
---@field slug? string                    the tool's own (moonweir.receive.lesson)
---@field tool_ids? string[]
---@field now integer                     ms since 1970

---@class moonweir.DestinationCounts : moonweir.Lesson
---@field messages integer     that came
---@field own integer          sent by the tool itself, and left alone
---@field unsupported integer
---@field invalid integer
---@field reason? string       why it was not answered 200, or not all of it was taken: for the log. No secret, no address

local CONFIG = {
	account = "string", api_key = "string or list", shared_secret = "string or list", forbidden = "boolean",
	identities = "userdata", slug = "string", tool_ids = "table", now = "number",
}

local function check(config)
	if type(config) ~= "table" then
		error("destination: expected a table { account =, api_key =, identities =, now = }", 3)
	end
	for name, value in pairs(config) do
		local kind = CONFIG[name]
		if not kind then
			error(("destination: no option %q%s"):format(tostring(name), suggest(name, CONFIG)), 3)
		elseif type(value) ~= kind and not (kind == "string or list" and (type(value) == "string" or type(value) == "table")) then
			error(("destination: %s must be a %s, not a %s"):format(name, kind, type(value)), 3)
		end
	end
	for _, name in ipairs { "account", "now" } do
		if config[name] == nil then
			error(("destination: %s is missing"):format(name), 3)
		end
	end
end

-- An empty key would let everybody in.
local function list(keys)
	local found = {}
	for _, key in ipairs(type(keys) == "table" and keys or { keys }) do
		if key ~= "" then
			found[#found + 1] = key
		end
	end
	return found
end

local function check_key(r, keys)
	local value, why = r:header "Authorization"
	local login = value and core.binary("base64", value:match "^[Bb][Aa][Ss][Ii][Cc] +(%S+)%s*$" or "?")
	local user, password = (login or ""):match "^([^:]*):(.*)$"
	if not user then
		return nil, why or "the header Authorization holds no key"
	end
	local is_one, message, code = core.equal(user, keys)
	if is_one == nil then
		return nil, message, code
	end
	return is_one and password == "" or nil, "the key is wrong"
end

--- Does whoever sent this hold the key, or the secret? Where both are set, either will do.
local function authenticate(r, config)
	local keys, secrets = list(config.api_key), list(config.shared_secret)
	if #keys == 0 and #secrets == 0 then
		return nil, "no api_key and no shared_secret is set for this account", "no_secret"
	end
	local ok, reason, code
	if #keys > 0 then
		ok, reason, code = check_key(r, keys)
	end
	if not ok and code ~= "no_memory" and #secrets > 0 then
		ok, reason, code = signed.verify(nil, r, nil, secrets)
	end
	return ok, reason, code
end

local function reply(message)
	return ('{"message":%s}'):format(core.encode(message))
end

-- The messages of a body: one, or a list of them.
local function messages_of(body)
	local value, message = core.decode(body)
	if value == nil then
		return nil, "the body is not JSON: " .. message
	elseif type(value) ~= "table" then
		return nil, "the body is neither a call nor a list of calls"
	end
	-- Of an empty list and an empty object the text tells which it is.
	local is_list = #value > 0 or body:find "^%s*%["
	return is_list and value or { value }
end

local function read_messages(messages, config, counts)
	local facts, refused, why = {}, nil, nil
	for _, message in ipairs(messages) do
		local some, reason, code = lesson.of(message, config)
		if some then
			for _, fact in ipairs(some) do
				facts[#facts + 1] = fact
			end
		else
			counts[code] = counts[code] + 1
			if code ~= "own" then
				refused, why = code, reason
			end
		end
	end
	return facts, refused, why
end

local STATUS = { unsupported = 501, invalid = 400 }

local function new_counts()
	return {
		messages = 0, own = 0, unsupported = 0, invalid = 0, learned = 0, known = 0, void = 0, forgotten = 0, unusable = 0,
		full = 0,
	}
end

local function read(request, config)
	local counts = new_counts()
	local function refuse(status, public, reason)
		counts.reason = reason or public
		return status, reply(public), nil, counts
	end
	local r = requests.new({ method = request.method, url = request.url or "", body = request.body, header = request.header,
		headers = not request.header and request.headers or nil }, 3)
	if r.method ~= "POST" then
		return refuse(405, "only POST is taken")
	end
	local ok, reason, code = authenticate(r, config)
	if not ok then
		if code == "no_secret" or code == "no_memory" then
			return refuse(503, "try again later", reason)
		end
		return refuse(401, "unauthorized", reason)
	elseif config.forbidden then
		return refuse(403, "not allowed for this account")
	elseif #r.body > BODY_MAX then
		return refuse(413, "the body is too large")
	end
	local messages, why = messages_of(r.body)
	if not messages then
		return refuse(400, why)
	end
	counts.messages = #messages
	local facts, refused
	facts, refused, why = read_messages(messages, config, counts)
	counts.reason = why
	-- One that can't be used does not cost its neighbours in the batch, which would all be sent again.
	if refused and counts.unsupported + counts.invalid == #messages then
		return STATUS[refused], reply(why), nil, counts
	end
	return 200, reply "ok", facts, counts
end

--- The first half of receive: what it says, without teaching it.
---@param request moonweir.Request `url` is not needed
---@param config moonweir.DestinationConfig `identities` is not needed
---@return integer status what to answer, once the facts are taught
---@return string reply JSON
---@return moonweir.Fact[]|nil facts nil: there is nothing to teach, and the answer stands
---@return moonweir.DestinationCounts counts
function destination.read(request, config)
	check(config)
	return read(request, config)
end

local function what_was_done(taught)
	if taught.forgotten > 0 then
		return ("forgot %d identities"):format(taught.forgotten)
	end
	return "ok"
end

--- Take one request of Segment's, whose answer is safe to give when this returns.
---@param request moonweir.Request `url` is not needed
---@param config moonweir.DestinationConfig
---@return integer status 200; 400 not a usable call; 401, 403; 405, 413; 501 not a call of a known type; 503 try again
---@return string reply JSON, which Segment shows to the customer
---@return moonweir.DestinationCounts counts
function destination.receive(request, config)
	check(config)
	if config.identities == nil then
		error("destination: identities is missing", 2)
	end
	local status, text, facts, counts = read(request, config)
	if not facts or #facts == 0 then
		return status, text, counts
	end
	local taught, message, code = config.identities:teach(facts)
	if not taught then
		counts.reason = ("%s (%s)"):format(message, code)
		return 503, reply "try again later", counts
	end
	for name, count in pairs(taught) do
		counts[name] = count
	end
	if taught.full > 0 then
		counts.reason = "the account has its fill of identities"
		return 503, reply "too many users are known already", counts
	end
	return status, reply(what_was_done(taught)), counts
end

return destination
