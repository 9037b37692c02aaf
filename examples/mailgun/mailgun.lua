-- Mailgun: its webhooks, one event each, {"signature":{…},"event-data":{…}}; the Events API lists what is in event-data.
--
-- Variables that the customer gives a message come back in each of its events, as `user-variables`. One of them is to be
-- `user_id`, the customer's id of the recipient; README.md says how.

local source = require "moonweir.source"
local get = source.get

-- What every call about an e-mail says, beside what is its own.
local email = { email_id = get "message.headers.message-id", campaign_name = get "tags[1]" }
local email_with_subject = { email, email_subject = get "message.headers.subject" }

-- Where a bot opens or clicks, address and browser are the bot's.
local bot = get "client-info.bot":trim() -- "" is none
local person = { ip = get "ip":when(source.none(bot)), userAgent = get "client-info.user-agent":when(source.none(bot)) }

return source.define {
	slug = "mailgun",
	version = "1.0.0",
	verify = source.verify.mailgun { secret = source.secret "MAILGUN_SIGNING_KEY" },

	each = source.any(get "event-data", get "."),
	event = source.any(get "event" .. " " .. get "severity" .. " " .. get "reason":default "", get "event"),
	id = get "id",
	time = get "timestamp",
	user = source.user { get "user-variables.user_id", email = get "recipient" },
	context = { traits = { email = get "recipient" } },

	on = {
		delivered = source.track "Email Delivered" (email_with_subject),
		opened = source.track "Email Opened" { email, bot = bot }:with { context = person },
		clicked = source.track "Email Link Clicked" { email, link_url = get "url", bot = bot }:with { context = person },
		["failed permanent *"] = source.track "Email Bounced" {
			email_with_subject,
			bounce_type = get "reason",
			reason = source.any(get "delivery-status.message":trim(), get "delivery-status.description"),
		},
		complained = source.track "Email Marked as Spam" (email_with_subject),
		unsubscribed = source.track "Unsubscribed" { email, list_id = get "mailing-list.address" }:with { context = person },

		accepted = source.ignore,
		["failed permanent suppress-*"] = source.ignore, -- Mailgun itself held it back
		rejected = source.ignore,
		stored = source.ignore,
		["failed temporary *"] = source.ignore,
		["list_*"] = source.ignore,
	},

	about = {
		name = "Mailgun",
		website = "https://www.mailgun.com",
		description = "a service that sends, receives, and tracks email",
		support = "help@mailgun.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Email Marketing" },
		user = "It's the variable `user_id` of the message: the ID that the customer's own database has for the recipient.",

		events = {
			["Email Bounced"] = { "The recipient's mail server turned the message down for good.",
				bounce_type = "What Mailgun calls the failure, such as `bounce`, `generic`, or `old`.",
				reason = "What the mail server said." },
			["Email Delivered"] = "The recipient's mail server accepted the message.",
			["Email Link Clicked"] = "The recipient clicked a link in the message. Click tracking has to be on.",
			["Email Marked as Spam"] = "The recipient reported the message as spam.",
			["Email Opened"] = "The message was opened. Open tracking has to be on.",
			["Unsubscribed"] = "The recipient unsubscribed from a mailing list, from a tag, or from the whole domain.",
		},
		properties = {
			bot = "What did it if it wasn't a person: `apple` and `gmail` load images ahead, `generic` is mostly a virus scanner.",
			campaign_name = "First tag of the message.",
			email_id = "`Message-Id` of the message.",
			email_subject = "Subject line of the message.",
			link_url = "Address that the link leads to.",
			list_id = "Address of the mailing list. Without one, it's a tag or the domain.",
		},
		context = {
			ip = "IP address from which the message was opened or the link clicked.",
			["traits.email"] = "Email address of the recipient.",
			userAgent = "Mail program or browser of the recipient.",
		},
		ignored = {
			accepted = "Nothing has reached the recipient yet.",
			["failed permanent suppress-*"] = "Mailgun didn't try, because of a bounce, complaint, or unsubscription that was sent.",
			["list_*"] = "It's about an upload to a mailing list, not about a message.",
			rejected = "Mailgun refused the message, and it names no recipient.",
			stored = "It's about a message that came in.",
			["failed temporary *"] = "Mailgun tries again; `Email Delivered` or `Email Bounced` follows.",
		},
	},
}
