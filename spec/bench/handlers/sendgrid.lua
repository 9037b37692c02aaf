--- What examples/sendgrid says in the mapping language, as somebody would write it by hand in plain Lua: to compare how long
--- the two are. spec/handlers_sendgrid_spec.lua sees to it that both make the same messages.
---
--- It stops where a client for Segment begins: what it returns is to be queued, batched, sent and tried again.

local cjson = require "cjson"
local openssl = require "moonweir.core" -- stands for whatever binding of OpenSSL is there

local sendgrid = {}

local SLUG, VERSION = "sendgrid", "1.0.0"
local MAX_AGE = 24 * 3600 -- seconds
local MAX_AHEAD = 300

-- Is it SendGrid's? An ECDSA signature of the timestamp and the body.
local function verify(request, public_key, now)
	local signature = request.headers["x-twilio-email-event-webhook-signature"]
	local timestamp = request.headers["x-twilio-email-event-webhook-timestamp"]
	if not signature or not timestamp then
		return nil, "unsigned"
	end
	local seconds = timestamp:match "^%d+$" and tonumber(timestamp)
	if not seconds then
		return nil, "the timestamp is malformed"
	elseif now - seconds > MAX_AGE or seconds - now > MAX_AHEAD then
		return nil, "stale"
	end
	local bytes = openssl.binary("base64", signature)
	local key = openssl.binary("base64", public_key)
	if not bytes or not openssl.signature("ecdsa-p256", { key }, { timestamp, request.body }, { bytes }) then
		return nil, "forged"
	end
	return true
end

-- An id is a text, or a number that becomes one; null and "" are none.
local function id_text(value)
	if type(value) == "number" then
		return ("%.14g"):format(value)
	elseif type(value) == "string" and value ~= "" then
		return value
	end
end

local function text(value)
	if type(value) == "string" then
		return value
	end
end

-- Seconds or milliseconds since 1970, as a number or as text.
local function iso_time(value)
	local n = tonumber(value)
	if not n then
		error("timestamp: not a time")
	end
	local ms = n < 1e11 and math.floor(n * 1000) or math.floor(n)
	return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ms / 1000)), ms % 1000)
end

local function email(event)
	return {
		email_id = type(event.sg_message_id) == "string" and event.sg_message_id:match "^[^.]+" or nil,
		campaign_id = id_text(event.singlesend_id) or id_text(event.mc_auto_id) or id_text(event.marketing_campaign_id),
		campaign_name = text(event.singlesend_name) or text(event.mc_auto_name) or text(event.marketing_campaign_name)
			or text(type(event.category) == "table" and event.category[1] or event.category),
	}
end

local function context(event)
	return {
		traits = { email = text(event.email) },
		integration = { name = SLUG, version = VERSION },
	}
end

-- Of a delivery `ip` is SendGrid's own. Of an open it is a machine's, if a mail program loads what nobody has opened yet or if
-- Gmail or Yahoo loads it for the reader.
local function is_by_person(event)
	local agent = text(event.useragent) or ""
	local is_proxy = agent:find("GoogleImageProxy", 1, true) or agent:find("YahooMailProxy", 1, true)
	return event.sg_machine_open ~= true and not is_proxy
end

local function context_of_person(event)
	local made = context(event)
	made.ip = text(event.ip)
	made.userAgent = text(event.useragent)
	return made
end

-- Each returns the name of the Segment event, its properties and its context; nothing: it is not sent.
local handlers = {}

function handlers.delivered(event)
	return "Email Delivered", email(event), context(event)
end

function handlers.open(event)
	local properties = email(event)
	properties.machine_open = event.sg_machine_open
	if is_by_person(event) then
		return "Email Opened", properties, context_of_person(event)
	end
	return "Email Opened", properties, context(event)
end

function handlers.click(event)
	local properties = email(event)
	properties.link_url = text(event.url)
	return "Email Link Clicked", properties, context_of_person(event)
end

local bounce_types = { bounce = "hard", blocked = "blocked" }

function handlers.bounce(event)
	local properties = email(event)
	properties.bounce_type = bounce_types[event.type]
	properties.reason = text(event.reason)
	return "Email Bounced", properties, context(event)
end

function handlers.spamreport(event)
	return "Email Marked as Spam", email(event), context(event)
end

function handlers.unsubscribe(event)
	return "Unsubscribed", email(event), context(event)
end

function handlers.group_unsubscribe(event)
	local properties = email(event)
	properties.list_id = id_text(event.asm_group_id)
	return "Unsubscribed", properties, context_of_person(event)
end

local function ignore() end

handlers.processed = ignore
handlers.deferred = ignore
handlers.dropped = ignore
handlers.group_resubscribe = ignore
handlers.account_status_change = ignore

local function message_of(account, event, find_user)
	if type(event) ~= "table" or type(event.event) ~= "string" then
		error("no_event", 0)
	end
	local handler = handlers[event.event:lower()]
	if not handler then
		error("unmatched", 0)
	end
	local name, properties, made_context = handler(event)
	if not name then
		return nil
	end
	local user = id_text(event.user_id) or find_user(account, "email", event.email)
	if not user then
		error("no_user", 0)
	end
	local id = id_text(event.sg_event_id) or openssl.random_id()
	return cjson.encode {
		type = "track",
		userId = user,
		messageId = ("%s:%s:%s:0"):format(SLUG, account, id),
		timestamp = iso_time(event.timestamp),
		event = name,
		properties = properties,
		context = made_context,
	}
end

--- A request's events as serialized Segment calls. One that fails is kept, and the rest go on.
---@param request {headers: table<string, string>, body: string} names of headers in lower case
---@param options {account: string, public_key: string, now: number, find_user: fun(account, kind, id): string?}
---@return string[]|nil messages
---@return table[]|string failed {event =, code =}, or why there are no messages
function sendgrid.handle(request, options)
	local ok, reason = verify(request, options.public_key, options.now)
	if not ok then
		return nil, reason
	end
	local decoded, events = pcall(cjson.decode, request.body)
	if not decoded or type(events) ~= "table" then
		return nil, "json"
	elseif events.event then -- one, and no list of one
		events = { events }
	end
	local messages, failed = {}, {}
	for i, event in ipairs(events) do
		local made, message = pcall(message_of, options.account, event, options.find_user)
		if not made then
			failed[#failed + 1] = { event = i, code = message, raw = event }
		elseif message then
			messages[#messages + 1] = message
		end
	end
	return messages, failed
end

return sendgrid
