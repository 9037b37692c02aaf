-- Acme Mail, an e-mail marketing tool that does not exist: how its events become Segment calls.
--
--     moonweir map examples/acme-mail/acme-mail.lua examples/acme-mail/events.ndjson
--
-- An event looks like this; ids of contacts and messages are 64-bit integers:
--
--     {"event_id":"ev-000017","type":"message.opened","account_id":"blue-bottle","occurred_at":1795392001123,
--      "contact":{"id":9007199254741993,"external_id":"user-17","email":"Ada@Example.com"},
--      "message":{"id":7205759403792793601,"subject":"Hello"},"campaign":{"id":311,"name":"Spring"}}

local source = require "moonweir.source"
local get = source.get

-- What every call about an e-mail says.
local email = {
	email_id = get "message.id":string(),
	email_subject = get "message.subject",
	campaign_id = get "campaign.id":string(),
	campaign_name = get "campaign.name",
}

return source.define {
	slug = "acme-mail",
	version = "1.0.0",

	account = get "account_id",
	event = get "type",
	id = get "event_id",
	time = get "occurred_at",
	user = source.user { get "contact.external_id", email = get "contact.email" },
	context = {
		acmeMailId = get "contact.id":string(),
		ip = get "client.ip",
		userAgent = get "client.user_agent",
		locale = get "contact.locale",
		traits = { email = get "contact.email":lower() },
	},

	on = {
		["message.queued"] = source.ignore, -- nothing has happened yet
		["message.delivered"] = source.track "Email Delivered" (email),
		["message.opened"] = source.track "Email Opened" (email),
		["message.clicked"] = source.track "Email Link Clicked" {
			email,
			link_id = get "link.id",
			link_url = get "link.url":trim(),
		},
		["message.bounced"] = source.track "Email Bounced" {
			email,
			bounce_type = get "bounce.code":lookup { ["4"] = "soft", ["5"] = "hard" },
			reason = get "bounce.text":default "unknown",
		},
		["message.complained"] = source.track "Email Marked as Spam" (email),

		["contact.created"] = {
			source.identify {
				email = get "contact.email":lower(),
				first_name = get "contact.first":trim(),
				last_name = get "contact.last":trim(),
				name = get "contact.first":trim() .. " " .. get "contact.last":trim(),
				tags = get "contact.tags",
				score = get "contact.score",
				created_at = get "contact.created_at":time(),
			},
			source.track "Contact Created" { list_ids = get "lists":map(get "id":string()) },
		},
		["contact.updated"] = source.identify {
			email = get "contact.email":lower(),
			plan = get "changes.plan":lower(),
			vip = get "changes.vip":boolean(),
			address = get "changes.address",
		},
		["contact.unsubscribed"] = source.track "Unsubscribed" { email, list_id = get "list.id":string() },
		["contact.merged"] = source.alias(get "contact.former_id"),
		["contact.company"] = source.group(get "company.id":string()) {
			name = get "company.name",
			employees = get "company.employees",
			website = get "company.website",
		},

		["form.viewed"] = source.page("Forms", get "form.title") { url = get "form.url", referrer = get "form.referrer" },
		["app.screen"] = source.screen(get "screen") { build = get "app.build", dark_mode = get "app.dark_mode" },

		["order.paid"] = source.track "Order Completed" {
			order_id = get "order.id":string(),
			total = get "order.amount":money(get "order.currency"),
			currency = get "order.currency":upper(),
			coupon = get "order.coupon",
			products = get "order.lines":map {
				product_id = get "sku",
				name = get "name",
				price = get "price":money(get.event "order.currency"),
				quantity = get "qty",
			},
		},

		-- One event of many people: a job for Lua.
		["campaign.sent"] = function(event, emit)
			for i, r in ipairs(event.recipients) do
				emit(source.track "Email Sent" { campaign_name = event.campaign.name, position = i }, {
					user = r.external_id,
				})
			end
		end,
	},

	-- What people are told: `moonweir docs` makes the page for Segment's documentation of it, `moonweir plan` the tracking plan.
	about = {
		name = "Acme Mail",
		website = "https://acme-mail.example",
		description = "an email marketing tool for small shops, with newsletters, sign-up forms, and receipts",
		support = "help@acme-mail.example",
		maintainer = "Acme Mail",
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Email Marketing" },
		destination = true,
		user = "It's the external ID of the contact: the ID that the customer's own database has for this person.",

		events = {
			["Contact Created"] = "A person was added to the contacts.",
			["Email Bounced"] = { "The recipient's mail server turned the message down.",
				reason = "What the mail server said, or `unknown`." },
			["Email Delivered"] = "The recipient's mail server accepted the message.",
			["Email Link Clicked"] = "The recipient clicked a link in the message.",
			["Email Marked as Spam"] = "The recipient reported the message as spam.",
			["Email Opened"] = "The recipient opened the message. Tracking of opens has to be on in the campaign.",
			["Email Sent"] = "A campaign was sent to this recipient. Each recipient of a campaign makes 1 event.",
			["Order Completed"] = "The recipient paid for an order in a shop that's connected to Acme Mail.",
			["Unsubscribed"] = "The recipient unsubscribed from a list, or from all of them.",
			identify = "A contact was added, or its data changed.",
			group = { "A contact was assigned to a company. The `groupId` is the company's ID in Acme Mail.",
				name = "Name of the company.", website = "Website of the company." },
			page = "A person looked at a sign-up form. The category is `Forms`, and the name is the form's title.",
			screen = "A contact looked at a screen of the Acme Mail app. The name is the screen's.",
			alias = "2 contacts turned out to be the same person. The `previousId` is the one that's no longer used.",
		},
		properties = {
			bounce_type = "Whether the message can be sent again later.",
			build = "Version of the app.",
			campaign_id = "ID of the campaign that the message belongs to.",
			campaign_name = "Name of the campaign that the message belongs to.",
			coupon = "Code of the coupon that the order was paid with.",
			currency = "Currency of the order, as an ISO 4217 code.",
			dark_mode = "Whether the app was in dark mode.",
			email_id = "ID of the message.",
			email_subject = "Subject line of the message.",
			link_id = "ID of the link that was clicked.",
			link_url = "Address that the link leads to.",
			list_id = "ID of the list that the recipient left. Without one, it's all lists.",
			list_ids = "IDs of the lists that the contact is on.",
			order_id = "ID of the order.",
			position = "Place of the recipient in the campaign's list, counted from 1.",
			products = "What was ordered.",
			["products[].name"] = "Name of the product.",
			["products[].price"] = "Price of 1 piece, in the order's currency.",
			["products[].product_id"] = "Stock number of the product.",
			["products[].quantity"] = "How many of the product were ordered.",
			referrer = "Page from which the person came.",
			total = "What was paid for the whole order, in its currency.",
			url = "Address of the page that the form is on.",
		},
		traits = {
			address = "Postal address of the contact.",
			["address.city"] = "City of the address.",
			["address.postal_code"] = "Postal code of the address.",
			created_at = "When the contact was added.",
			email = "Email address of the contact, in lower case.",
			employees = "How many people work for the company.",
			first_name = "First name of the contact.",
			last_name = "Last name of the contact.",
			name = "First and last name of the contact.",
			plan = "Plan of the contact, as the customer's shop reports it.",
			score = "How engaged the contact is, from -100 to 100.",
			tags = "Tags of the contact.",
			vip = "Whether the contact is marked as a VIP.",
		},
		context = {
			acmeMailId = "ID of the contact in Acme Mail.",
			ip = "IP address from which the message was opened or the link clicked.",
			locale = "Language and country of the contact, for example `en-GB`.",
			["traits.email"] = "Email address of the contact.",
			userAgent = "Browser or mail program of the recipient.",
		},
		ignored = { ["message.queued"] = "Nothing has reached the recipient yet." },
	},
}
