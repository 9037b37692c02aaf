-- Twilio: status callbacks of messages and calls, and messages that come in; a form each.
--
-- Twilio keeps no id of the customer's for a person. But it calls the URL that a message or call was made with, query and all,
-- and signs it: https://hooks.example/webhooks/acme?user_id=user-17. Who writes or calls is known by the number alone.

local source = require "moonweir.source"
local get = source.get

local status = source.any(get "MessageStatus", get "SmsStatus")

-- Whoever writes or calls, else whom it goes to: "+15550100", of a channel "whatsapp:+15550100"; "client:ada" has no number.
local comes_in = source.any(status:is "received", get "Direction":is "inbound")
local person = source.any(get "From":when(comes_in), get "To"):after ":"
local phone = person:when(person:contains "+")

local id = get "MessageSid"
local channel = get "To":before ":":lookup { whatsapp = "whatsapp", messenger = "messenger", rcs = "rcs" }:default "sms"
local message = { message_id = id, channel = channel }
local failed = source.track "SMS Delivery Failed" { message, error_code = get "ErrorCode" }
local call = {
	call_id = get "CallSid",
	direction = get "Direction":before "-",
	duration = get "CallDuration":number(),
}

return source.define {
	slug = "twilio",
	version = "1.0.0",
	verify = source.verify.twilio { secret = source.secret "TWILIO_AUTH_TOKEN" },

	event = source.any(
		get "OptOutType":lookup { STOP = "opted out" },
		get "ErrorCode":lookup { ["21610"] = "has opted out" },
		"message " .. status,
		get "Direction":before "-" .. " call " .. get "CallStatus",
		"other"
	),
	id = source.any(id .. "-" .. status, get "CallSid" .. "-" .. get "CallStatus"),
	user = source.user { get.query "user_id", phone = phone },
	context = { traits = { phone = phone } },

	on = {
		["message sent"] = source.track "SMS Sent" (message),
		["message delivered"] = source.track "SMS Delivered" (message),
		["message read"] = source.track "SMS Read" (message),
		["message undelivered"] = failed,
		["message failed"] = failed,
		["has opted out"] = { failed, source.track "SMS Unsubscribed" (message) },
		["message received"] = source.track "SMS Received" (message),
		["opted out"] = source.track "SMS Unsubscribed" (message),
		["inbound call completed"] = source.track "Call Completed" (call),
		["outbound call completed"] = source.track "Call Completed" (call),

		["message *"] = source.ignore,
		["inbound call *"] = source.ignore,
		["outbound call *"] = source.ignore,
		other = source.ignore,
	},

	about = {
		name = "Twilio",
		website = "https://www.twilio.com",
		description = "a service with which applications send messages and make calls",
		support = "help@twilio.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "SMS & Push Notifications" },
		user = "It's the parameter `user_id` of the callback's URL: the ID that the customer's own database has for the person.",

		events = {
			["Call Completed"] = "A call that somebody answered is over.",
			["SMS Delivered"] = "The message arrived at the person's phone, as far as the carrier says.",
			["SMS Delivery Failed"] = "The message didn't arrive.",
			["SMS Read"] = "The person read the message. Some channels tell, such as WhatsApp; SMS doesn't.",
			["SMS Received"] = "The person wrote a message.",
			["SMS Sent"] = "The message was handed over to the carrier.",
			["SMS Unsubscribed"] = "The person wants no more messages: they wrote STOP, or a message was turned down because they had.",
		},
		properties = {
			call_id = "Twilio's ID of the call.",
			channel = "What the message went through.",
			direction = "`inbound` if the person called, `outbound` if the person was called.",
			duration = "Seconds that the call took.",
			error_code = "Twilio's code of what went wrong, such as `30005` for an unknown number.",
			message_id = "Twilio's ID of the message.",
		},
		context = { ["traits.phone"] = "Phone number of the person." },
		ignored = {
			["message *"] = "The message is on its way.",
			["inbound call *"] = "The call isn't over, or nobody answered.",
			["outbound call *"] = "The call isn't over, or nobody answered.",
			other = "It's a request for instructions in the middle of a call, and says nothing of its state.",
		},
	},
}
