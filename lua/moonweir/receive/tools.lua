--- tools -- how each tool proves that a request is its own, as data. To add a tool, add a table.
---
---     header     where the signature stands; of several names the first that is there
---     layout     "plain" (default): the value is a signature
---                "pairs": t=1533204620,v1=ab…,v1=cd…   a timestamp and any number of signatures
---                "versions": v1,ab… v1,cd…             any number of signatures
---     version    the name of the signatures that count, of pairs and versions
---     prefix     what stands before a plain signature
---     kind       "hmac-sha1", "hmac-sha256", "hmac-sha512", "sha256" (of the secret and what is signed),
---                "ecdsa-p256", "ed25519" (with a public key)
---     form       how the signature is written: "hex" (lower case), "HEX", "base64", "base64url"
---     signed     what is signed: {body}, {timestamp}, {id}, {method}, {url} and what stands between them
---     timestamp  the header with the time of sending; of pairs, the name of the pair
---     time       how it is written: "unix" (seconds, default), "ms", "date"
---     id         the header with the delivery's id
---     tolerance  seconds that the time may be off; false: not looked at
---     key        { prefix =, form = }: how a secret is written, if not as its bytes
---
--- A scheme that does not fit this has a file of its own, named in `scheme`. Where a tool defines no tolerance, and it is
--- not known whether it signs anew when it tries again, a day is left for trying again: better a replay, which has the
--- same event ids and is known by them, than an event refused.

local DAY = 86400

---@class moonweir.Tool
---@field header? string|string[]
---@field layout? "plain"|"pairs"|"versions"
---@field version? string
---@field prefix? string
---@field kind? string
---@field form? string
---@field signed? string
---@field timestamp? string|string[]
---@field time? "unix"|"ms"|"date"
---@field id? string|string[]
---@field tolerance? number|false
---@field key? {prefix: string?, form: string}
---@field public? table what is different with a public key in place of a secret
---@field scheme? string

local standard_webhooks = {
	header = { "webhook-signature", "svix-signature" },
	layout = "versions", version = "v1",
	kind = "hmac-sha256", form = "base64",
	timestamp = { "webhook-timestamp", "svix-timestamp" },
	id = { "webhook-id", "svix-id" },
	signed = "{id}.{timestamp}.{body}",
	tolerance = 300,
	key = { prefix = "whsec_", form = "base64" },
	public = { version = "v1a", kind = "ed25519", key = { prefix = "whpk_", form = "base64" } },
}

---@type table<string, moonweir.Tool>
local tools = {
	stripe = {
		header = "Stripe-Signature", layout = "pairs", version = "v1",
		kind = "hmac-sha256", form = "hex",
		timestamp = "t", signed = "{timestamp}.{body}", tolerance = 300,
	},
	sendgrid = {
		header = "X-Twilio-Email-Event-Webhook-Signature",
		timestamp = "X-Twilio-Email-Event-Webhook-Timestamp", signed = "{timestamp}{body}", tolerance = DAY,
		public = { kind = "ecdsa-p256", form = "base64", key = { form = "base64" } },
	},
	twilio = { scheme = "twilio" },
	mailgun = { scheme = "mailgun", tolerance = DAY },
	zendesk = {
		header = "X-Zendesk-Webhook-Signature", kind = "hmac-sha256", form = "base64",
		timestamp = "X-Zendesk-Webhook-Signature-Timestamp", time = "date", signed = "{timestamp}{body}", tolerance = 300,
	},
	shopify = {
		header = { "X-Shopify-Hmac-Sha256", "Shopify-Hmac-Sha256" }, kind = "hmac-sha256", form = "base64", signed = "{body}",
	},
	github = {
		header = "X-Hub-Signature-256", prefix = "sha256=", kind = "hmac-sha256", form = "hex", signed = "{body}",
	},
	slack = {
		header = "X-Slack-Signature", prefix = "v0=", kind = "hmac-sha256", form = "hex",
		timestamp = "X-Slack-Request-Timestamp", signed = "v0:{timestamp}:{body}", tolerance = 300,
	},
	typeform = {
		header = "Typeform-Signature", prefix = "sha256=", kind = "hmac-sha256", form = "base64", signed = "{body}",
	},
	svix = standard_webhooks,
	standard_webhooks = standard_webhooks,
	segment = { scheme = "segment" },
	hubspot = {
		header = "X-HubSpot-Signature-v3", kind = "hmac-sha256", form = "base64",
		timestamp = "X-HubSpot-Request-Timestamp", time = "ms", signed = "{method}{url}{body}{timestamp}", tolerance = 300,
	},
	intercom = {
		header = "X-Hub-Signature", prefix = "sha1=", kind = "hmac-sha1", form = "hex", signed = "{body}",
	},
	calendly = {
		header = "Calendly-Webhook-Signature", layout = "pairs", version = "v1",
		kind = "hmac-sha256", form = "hex",
		timestamp = "t", signed = "{timestamp}.{body}", tolerance = 300,
	},
	customerio = {
		header = "X-CIO-Signature", kind = "hmac-sha256", form = "hex",
		timestamp = "X-CIO-Timestamp", signed = "v0:{timestamp}:{body}", tolerance = DAY,
	},
	klaviyo = {
		header = "Klaviyo-Signature", kind = "hmac-sha256", form = "hex",
		timestamp = "Klaviyo-Timestamp", time = "date", signed = "{body}{timestamp}", tolerance = DAY,
	},
	mailersend = {
		header = "Signature", kind = "hmac-sha256", form = "hex", signed = "{body}",
	},
	hmac = { scheme = "signed" }, -- what the script says of it, in the words above
	basic = { scheme = "credentials" },
	bearer = { scheme = "credentials" },
	query = { scheme = "credentials" },
}

for name, tool in pairs(tools) do
	tool.scheme = tool.scheme or "signed"
	tool.name = name
end

return tools
