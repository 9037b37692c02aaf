-- Twilio SendGrid: its Event Webhook, a JSON array of what became of e-mails.
--
-- A custom argument that the customer gives a message comes back as a field of each of its events, beside SendGrid's own.
-- One of them is to be `user_id`, the customer's id of the recipient; README.md says how.

local source = require "moonweir.source"
local get = source.get

-- What every call about an e-mail says, beside what is its own.
local email = {
	email_id = get "sg_message_id":before ".",
	campaign_id = source.any(get "singlesend_id", get "mc_auto_id", get "marketing_campaign_id"):string(),
	campaign_name = source.any(
		get "singlesend_name", get "mc_auto_name", get "marketing_campaign_name", get "category":first() -- "a" or ["a", "b"]
	),
}

-- Of a delivery `ip` is SendGrid's own. Of an open it is a machine's, if a mail program loads what nobody has opened yet or if
-- Gmail or Yahoo loads it for the reader.
local agent = get "useragent"
local by_person = source.none(get "sg_machine_open", agent:contains "GoogleImageProxy", agent:contains "YahooMailProxy")
local person = { ip = get "ip":when(by_person), userAgent = agent:when(by_person) }

return source.define {
	slug = "sendgrid",
	version = "1.0.0",
	verify = source.verify.sendgrid { public_key = source.secret "SENDGRID_VERIFICATION_KEY" },

	event = get "event":lower(),
	id = get "sg_event_id",
	time = get "timestamp",
	user = source.user { get "user_id", email = get "email" },
	context = { traits = { email = get "email" } },

	on = {
		delivered = source.track "Email Delivered" (email),
		open = source.track "Email Opened" { email, machine_open = get "sg_machine_open" }:with { context = person },
		click = source.track "Email Link Clicked" { email, link_url = get "url" }:with { context = person },
		bounce = source.track "Email Bounced" {
			email,
			bounce_type = get "type":lookup { bounce = "hard", blocked = "blocked" },
			reason = get "reason",
		},
		spamreport = source.track "Email Marked as Spam" (email),
		unsubscribe = source.track "Unsubscribed" (email),
		group_unsubscribe = source.track "Unsubscribed" { email, list_id = get "asm_group_id":string() }:with { context = person },

		processed = source.ignore,
		deferred = source.ignore,
		dropped = source.ignore,
		group_resubscribe = source.ignore,
		account_status_change = source.ignore,
	},

	about = {
		name = "SendGrid",
		website = "https://sendgrid.com",
		description = "a service that sends email, such as receipts, notifications, and newsletters",
		support = "help@sendgrid.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Email Marketing" },
		user = "It's the custom argument `user_id` of the message: the ID that the customer's own database has for the recipient.",

		events = {
			["Email Bounced"] = { "The recipient's mail server turned the message down.",
				reason = "What the mail server said." },
			["Email Delivered"] = "The recipient's mail server accepted the message.",
			["Email Link Clicked"] = "The recipient clicked a link in the message. Click tracking has to be on.",
			["Email Marked as Spam"] = "The recipient reported the message as spam.",
			["Email Opened"] = "The message was opened. Open tracking has to be on.",
			["Unsubscribed"] = "The recipient unsubscribed from a group of messages, or from all of them.",
		},
		properties = {
			bounce_type = "`hard` if there is no such address, `blocked` if the server took nothing from this sender at that time.",
			campaign_id = "ID of the Single Send, automation, or campaign that the message belongs to.",
			campaign_name = "Name of the Single Send, automation, or campaign that the message belongs to, or else its first category.",
			email_id = "SendGrid's ID of the message.",
			link_url = "Address that the link leads to.",
			list_id = "ID of the unsubscribe group that the recipient left. Without one, it's all messages.",
			machine_open = "Whether a mail program loaded the message before anybody read it, as Apple Mail does.",
		},
		context = {
			ip = "IP address from which the message was opened or the link clicked.",
			["traits.email"] = "Email address of the recipient.",
			userAgent = "Mail program or browser of the recipient.",
		},
		ignored = {
			account_status_change = "It's about the SendGrid account, not about a person.",
			deferred = "SendGrid tries again; `Email Delivered` or `Email Bounced` follows.",
			dropped = "SendGrid didn't send the message, because an earlier one bounced or the recipient has unsubscribed.",
			group_resubscribe = "Segment's Spec has no event for it.",
			processed = "Nothing has reached the recipient yet.",
		},
	},
}
