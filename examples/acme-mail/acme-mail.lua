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
local function email(more)
	local properties = {
		email_id = get "message.id":string(),
		email_subject = get "message.subject",
		campaign_id = get "campaign.id":string(),
		campaign_name = get "campaign.name",
	}
	for name, value in pairs(more or {}) do
		properties[name] = value
	end
	return properties
end

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
		["message.delivered"] = source.track "Email Delivered" (email()),
		["message.opened"] = source.track "Email Opened" (email()),
		["message.clicked"] = source.track "Email Link Clicked" (email {
			link_id = get "link.id",
			link_url = get "link.url":trim(),
		}),
		["message.bounced"] = source.track "Email Bounced" (email {
			bounce_type = get "bounce.code":lookup { ["4"] = "soft", ["5"] = "hard" },
			reason = get "bounce.text":default "unknown",
		}),
		["message.complained"] = source.track "Email Marked as Spam" (email()),

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
		["contact.unsubscribed"] = source.track "Unsubscribed" (email { list_id = get "list.id":string() }),
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
}
