-- Postmark: its webhooks, one event each; `RecordType` says which, and of a bounce `Type`, for not all of those are bounces.
--
-- Metadata that the customer gives a message comes back in each of its events. One of its fields is to be `user_id`, the
-- customer's id of the recipient; README.md says how.

local source = require "moonweir.source"
local get = source.get

-- What every call about an e-mail says, beside what is its own.
local email = { email_id = get "MessageID", campaign_name = get "Tag":trim() }
local email_with_subject = { email, email_subject = get "Subject" }

-- Types of `Bounce` that are none, or none yet; all others are.
local no_bounce = {
	Unsubscribe = "Unsubscribe", SpamComplaint = "SpamComplaint",
	Transient = "delay", SoftBounce = "delay", DnsError = "delay",
	AutoResponder = "answer", AddressChange = "answer", ChallengeVerification = "answer", Subscribe = "answer",
	OpenRelayTest = "answer", Unconfirmed = "unsent",
	SMTPApiError = "unsent", TemplateRenderingFailed = "unsent", InboundError = "unsent", ManuallyDeactivated = "unsent",
}

local recipient = source.any(get "Recipient", get "Email")
local time = source.any(get "DeliveredAt", get "ReceivedAt", get "BouncedAt", get "ChangedAt")

-- Apple's mail programs load a message before anybody opens it, Gmail and Yahoo for their readers: address and browser are
-- theirs then.
local agent = get "UserAgent":trim()
local by_person = source.none(agent:is "Mozilla/5.0", agent:contains "GoogleImageProxy", agent:contains "YahooMailProxy")
local person = { ip = get "Geo.IP":trim():when(by_person), userAgent = agent:when(by_person) }

return source.define {
	slug = "postmark",
	version = "1.0.0",
	verify = source.verify.basic { user = "postmark", password = source.secret "POSTMARK_WEBHOOK_PASSWORD" },

	event = source.any(get "Type":lookup(no_bounce), get "RecordType" .. " " .. get "SuppressionReason", get "RecordType"),
	-- Bounces and complaints alone have an id; of the rest nothing happens twice in one second.
	id = source.any(get "ID",
		(get "RecordType" .. get "MessageID":default "" .. recipient .. time .. get "OriginalLink":default ""):hash "sha256"),
	time = time,
	user = source.user { get "Metadata.user_id", email = recipient },
	context = { traits = { email = recipient } },

	on = {
		Delivery = source.track "Email Delivered" (email),
		Open = source.track "Email Opened" { email, first_open = get "FirstOpen" }:with { context = person },
		Click = source.track "Email Link Clicked" { email, link_url = get "OriginalLink" }:with { context = person },
		Bounce = source.track "Email Bounced" {
			email_with_subject,
			bounce_type = get "Type",
			reason = source.any(get "Details":trim(), get "Description":trim()),
		},
		SpamComplaint = source.track "Email Marked as Spam" (email_with_subject),
		Unsubscribe = source.track "Unsubscribed" { email_with_subject, list_id = get "MessageStream" },
		["SubscriptionChange ManualSuppression"] = source.track "Unsubscribed" {
			email,
			list_id = get "MessageStream",
			origin = get "Origin":lower(),
		},

		-- The first two come beside a Bounce and a SpamComplaint; the third takes an address off the suppression list.
		["SubscriptionChange HardBounce"] = source.ignore,
		["SubscriptionChange SpamComplaint"] = source.ignore,
		SubscriptionChange = source.ignore,
		delay = source.ignore,
		answer = source.ignore,
		unsent = source.ignore,
	},

	about = {
		name = "Postmark",
		website = "https://postmarkapp.com",
		description = "a service that delivers email of applications, and broadcasts",
		support = "help@postmark.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Email Marketing" },
		user = "It's `user_id` in the metadata of the message: the ID that the customer's own database has for the recipient.",

		events = {
			["Email Bounced"] = { "The recipient's mail server turned the message down.",
				reason = "What the mail server said, or what Postmark says of this type." },
			["Email Delivered"] = "The recipient's mail server accepted the message.",
			["Email Link Clicked"] = "The recipient clicked a link in the message. Link tracking has to be on.",
			["Email Marked as Spam"] = "The recipient reported the message as spam.",
			["Email Opened"] = "The message was opened. Open tracking has to be on.",
			["Unsubscribed"] = "The address was put on the suppression list of a message stream on somebody's wish.",
		},
		properties = {
			bounce_type = "Postmark's type of the bounce, such as `HardBounce`, `Blocked`, or `SpamNotification`.",
			campaign_name = "Tag of the message.",
			email_id = "Postmark's ID of the message.",
			email_subject = "Subject line of the message.",
			first_open = "Whether it's the first time that the recipient opened this message.",
			link_url = "Address that the link leads to.",
			list_id = "Message stream that the recipient doesn't want any more.",
			origin = "Whose wish it was: `recipient`, `customer`, or `admin`.",
		},
		context = {
			ip = "IP address from which the message was opened or the link clicked.",
			["traits.email"] = "Email address of the recipient.",
			userAgent = "Mail program or browser of the recipient.",
		},
		ignored = {
			["SubscriptionChange HardBounce"] = "`Email Bounced` says it.",
			["SubscriptionChange SpamComplaint"] = "`Email Marked as Spam` says it.",
			SubscriptionChange = "The address may be sent to again. Segment's Spec has no event for it.",
			answer = "A machine answered: an automatic reply, a change of address, a request to confirm.",
			delay = "It's not for good: `Transient`, `SoftBounce`, and `DnsError`.",
			unsent = "Postmark didn't send the message, for a fault in it or because the address is deactivated.",
		},
	},
}
