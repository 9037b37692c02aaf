--- challenge -- requests that carry no event and want a certain answer: does this address belong to who gave it?
---
---     GET, HEAD                       Mailchimp and Mandrill ask so; 200, and nothing else is told
---     Slack's url_verification        its challenge, sent back
---     Amazon SNS, a subscription      200; to confirm it is a person's matter, and the note says how
---
--- And what a tool wants to hear when its events are safe: Salesforce takes nothing but its own Ack.

local core = require "moonweir.core"

local challenge = {}

local TEXT = { ["Content-Type"] = "text/plain; charset=utf-8", ["X-Content-Type-Options"] = "nosniff" }

---@class moonweir.Answer
---@field status integer
---@field headers table<string, string>
---@field body string

---@param status integer
---@param headers? table<string, string>
---@param text? string
---@return moonweir.Answer
function challenge.answer(status, headers, text)
	return { status = status, headers = headers or {}, body = text or "" }
end

local SUCCESS = challenge.answer(200) -- one for all: nobody writes to it

--- The answer to a request that is none with events by its method alone; nil: it may have some.
---@return moonweir.Answer|nil
function challenge.of_method(method)
	if method == "GET" or method == "HEAD" then
		return SUCCESS
	elseif method ~= "POST" and method ~= "PUT" then
		return challenge.answer(405, { Allow = "GET, HEAD, POST, PUT" })
	end
	return nil
end

-- A challenge is a few hundred bytes; anything larger is not even parsed for one.
local SMALL = 8192

local function slack(request, text)
	local is_text = type(text) == "string"
	if is_text and (#text > SMALL or not text:find("url_verification", 1, true))
		or not is_text and not text:contains("url_verification", SMALL) then
		return nil
	end
	text = is_text and text or request.body
	local value = core.decode(text)
	if type(value) == "table" and value.type == "url_verification" and type(value.challenge) == "string" then
		return challenge.answer(200, TEXT, value.challenge)
	end
	return nil
end

-- Never fetched from here: the URL comes from outside, and whoever can post could have us call any address.
local function sns(text, kind)
	local value = core.decode(text)
	local topic = type(value) == "table" and type(value.TopicArn) == "string" and value.TopicArn or "?"
	local url = type(value) == "table" and type(value.SubscribeURL) == "string" and value.SubscribeURL or ""
	local is_amazon = url:find "^https://sns%.[%w-]+%.amazonaws%.com/" or url:find "^https://sns%.[%w-]+%.amazonaws%.com%.cn/"
	local note = kind == "UnsubscribeConfirmation" and ("Amazon SNS: the subscription to %s was ended"):format(topic)
		or is_amazon and ("Amazon SNS asks to confirm the subscription to %s: if it is yours, open %s within three days"):format(
			topic, url)
		or ("a request to confirm a subscription to %s whose SubscribeURL is not Amazon's; do not open it"):format(topic)
	return challenge.answer(200), (note:gsub("%c", "?"))
end

--- The answer to a challenge in a body; nil: it is none.
---@param request table from request.new
---@param text string|userdata its body, decompressed, or as body.read leaves it
---@return moonweir.Answer|nil
---@return string? note what somebody should do about it
function challenge.of_body(request, text)
	local kind = request:value "x-amz-sns-message-type"
	if kind == "SubscriptionConfirmation" or kind == "UnsubscribeConfirmation" then
		return sns(type(text) == "string" and text or request.body, kind)
	end
	return slack(request, text)
end

local SALESFORCE = "http://soap.sforce.com/2005/09/outbound"
local ACK = '<?xml version="1.0" encoding="UTF-8"?>\n'
	.. '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
	.. ('<notificationsResponse xmlns="%s"><Ack>true</Ack></notificationsResponse>'):format(SALESFORCE)
	.. "</soapenv:Body></soapenv:Envelope>\n"

--- What to answer once the events are safe.
---@param text string the body, decompressed
---@param format string
---@return moonweir.Answer
function challenge.success(text, format)
	if format == "xml" and text:find(SALESFORCE, 1, true) then
		return challenge.answer(200, { ["Content-Type"] = "text/xml; charset=utf-8" }, ACK)
	end
	return SUCCESS
end

return challenge
