--- Other names for what the Spec has a name for: old ones, misspelt ones, and those that sources use in earnest.

---@alias moonweir.spec.AliasKind
---| "rejected"           # named as a reason to turn a partner's source down
---| "legacy-v1"          # of version 1 of the ecommerce events
---| "legacy-ga"          # older than that, for Google Analytics
---| "casing"             # the Spec's words in another spelling
---| "doc-inconsistency"  # on a page of Segment's own, at odds with the Spec
---| "catalogue-variant"  # what a source in Segment's catalogue sends
---| "example-code"       # in Segment's example code
---| "permitted-variant"  # as good as the Spec's own: no mistake

---@class moonweir.spec.Alias
---@field name string       the event to send
---@field kind moonweir.spec.AliasKind
---@field page string       where it is said, or where the other name is seen
---@field inferred? true    no page says that the two mean the same
---@field when? string      it means the same only then
---@field seen_in? string[] sources of Segment's catalogue

local v1 = "src/connections/spec/ecommerce/index.md"
local v2 = "src/connections/spec/ecommerce/v2.md"
local identify = "src/connections/spec/identify.md"
local migration = "src/connections/spec/migration-guide.md"
local transform = "src/protocols/transform/index.md"
local video = "src/connections/spec/video.md"
local email = "src/connections/spec/email.md"
local pixel = "src/connections/sources/catalog/libraries/server/pixel-tracking-api/index.md"
local webhooks = "src/connections/destinations/catalog/webhooks/index.md"
local tune = "src/connections/destinations/catalog/tune/index.md"
local template = "templates/partners/source.md"

local function source_page(slug)
	return "src/connections/sources/catalog/cloud-apps/" .. slug .. "/index.md"
end

local events = {}

local function add(kind, page, names, about)
	for other, name in pairs(names) do
		local alias = { name = name, kind = kind, page = page }
		for key, value in pairs(about or {}) do
			alias[key] = value
		end
		events[other] = alias
	end
end

add("rejected", "src/partners/streams.md", {
	["Purchase"] = "Order Completed",
	["install"]  = "Application Installed",
})

-- Verb and object the other way round. Clicked Product is not on the page of version 1 itself.
add("legacy-v1", v2, {
	["Viewed Product Category"] = "Product List Viewed",
	["Viewed Product"]          = "Product Viewed",
	["Added Product"]           = "Product Added",
	["Removed Product"]         = "Product Removed",
	["Completed Order"]         = "Order Completed",
	["Clicked Product"]         = "Product Clicked",
})

add("legacy-ga", v2, {
	["Viewed Promotion"]        = "Promotion Viewed",
	["Clicked Promotion"]       = "Promotion Clicked",
	["Started Order"]           = "Checkout Started",
	["Viewed Checkout Step"]    = "Checkout Step Viewed",
	["Completed Checkout Step"] = "Checkout Step Completed",
	["Updated Order"]           = "Order Updated",
})
add("legacy-ga", "src/connections/destinations/catalog/gtag/index.md", {
	["Refunded Order"] = "Order Refunded",
}, { inferred = true })

add("casing", transform, {
	["completed_order"] = "Order Completed",
	["order_completed"] = "Order Completed",
	["viewed_product"]  = "Product Viewed",
})

add("doc-inconsistency", "src/partners/streams.md", { ["Unsubscribe"] = "Unsubscribed" })
add("doc-inconsistency", template, { ["Email Unsubscribed"] = "Unsubscribed" })
add("doc-inconsistency", template, { ["Link Clicked"] = "Email Link Clicked" }, { when = "the link is in an e-mail" })
add("doc-inconsistency", "src/connections/spec/copilot.md", { ["Custom Component Loaded"] = "Component Loaded" })
add("doc-inconsistency", "src/connections/spec/native-mobile-spec.md", {
	["push notification opened"] = "Push Notification Tapped",
}, { inferred = true })
add("doc-inconsistency", "src/guides/how-to-guides/automated-multichannel-reengagement.md", {
	["Push Notification Opened"] = "Push Notification Tapped",
}, { inferred = true })

local function seen(slug, names, about)
	about = about or {}
	about.seen_in = about.seen_in or { slug }
	add("catalogue-variant", source_page(slug), names, about)
end
seen("autopilothq", { ["Email Clicked"] = "Email Link Clicked" }, { seen_in = { "autopilothq", "insider", "yotpo" } })
seen("beamer", { ["Push Notification Clicked"] = "Push Notification Tapped" }, { inferred = true })
seen("braze", { ["Email Marked As Spam"] = "Email Marked as Spam" }, { seen_in = { "braze", "listrak" } })
add("catalogue-variant", source_page "clevertap", { ["App Installed"] = "Application Installed" })
seen("inflection", { ["Email Reported as Spam"] = "Email Marked as Spam" })
seen("insider", {
	["Email Open"]        = "Email Opened",
	["Email Unsubscribe"] = "Unsubscribed",
})
seen("iterable", {
	["Mobile App Uninstalled"] = "Application Uninstalled",
	["Push Bounced"]           = "Push Notification Bounced",
})
seen("iterable", { ["Push Opened"] = "Push Notification Tapped" }, { inferred = true })
seen("onesignal", {
	["Email Reported As Spam"] = "Email Marked as Spam",
	["Push Received"]          = "Push Notification Received",
})
seen("onesignal", { ["Push Clicked"] = "Push Notification Tapped" }, { inferred = true })
seen("shopify-littledata", { ["Order Cancelled (v2)"] = "Order Cancelled" })

add("example-code", "segmentio/functions-library sources/talkable/handler.js", {
	["User Unsubscribed"] = "Unsubscribed",
})

add("permitted-variant", "src/connections/spec/b2b-saas.md", {
	["User Signed Up"]  = "Signed Up",
	["User Signed In"]  = "Signed In",
	["User Signed Out"] = "Signed Out",
})

---@class moonweir.spec.PropertyAlias
---@field from string
---@field to string
---@field category? string  in events of this category that have `to`
---@field event? string     in this event alone
---@field kind string       as of events
---@field page string

---@type moonweir.spec.PropertyAlias[]
local properties = {
	{ from = "id",           to = "product_id",    category = "ecommerce",           kind = "legacy-v1",         page = v1 },
	{ from = "orderId",      to = "order_id",      category = "ecommerce",           kind = "legacy-v1",         page = v1 },
	{ from = "coupon",       to = "coupon_id",     event = "Coupon Denied",          kind = "doc-inconsistency", page = v2 },
	{ from = "ad_asset_ids", to = "ad_asset_id",   event = "Video Playback Started", kind = "doc-inconsistency", page = video },
	{ from = "ad_pod_ids",   to = "ad_pod_id",     event = "Video Playback Started", kind = "doc-inconsistency", page = video },
	{ from = "ad_types",     to = "ad_type",       event = "Video Playback Started", kind = "doc-inconsistency", page = video },
	{ from = "link",         to = "link_url",      category = "email",               kind = "doc-inconsistency", page = template },
	{ from = "subject",      to = "email_subject", category = "email",               kind = "doc-inconsistency", page = pixel },
}

---@class moonweir.spec.TraitAlias
---@field name string  the same trait in Segment's own spelling; both are accepted
---@field page string
---@field inferred? true

---@type table<string, moonweir.spec.TraitAlias>
local traits = {
	created_at  = { name = "createdAt",  page = identify },
	first_name  = { name = "firstName",  page = identify },
	last_name   = { name = "lastName",   page = identify },
	postal_code = { name = "postalCode", page = identify, inferred = true },
}

---@class moonweir.spec.FieldAlias
---@field from string  outside of properties and traits; dots lead into objects
---@field to string|string[]
---@field page string
---@field call? string  in this call alone
---@field type? string  only if it is one of these

local library = { "context.library.name", "context.library.version" }

---@type moonweir.spec.FieldAlias[]
local fields = {
	{ from = "user_id",             to = "userId",                       page = email },
	{ from = "context.user_agent",  to = "context.userAgent",            page = email },
	{ from = "context.device.idfa", to = "context.device.advertisingId", page = tune },

	-- What calls looked like before the present Spec.
	{ from = "action",              to = "type",                         page = migration },
	{ from = "sessionId",           to = "anonymousId",                  page = migration },
	{ from = "options",             to = "context",                      page = migration },
	{ from = "options.providers",   to = "integrations",                 page = migration },
	{ from = "options.os",          to = "context.os.name",              page = migration, type = "string" },
	{ from = "library",             to = library,                        page = migration, type = "string" },
	{ from = "library-version",     to = "context.library.version",      page = migration },
	{ from = "screenWidth",         to = "context.screen.width",         page = migration },
	{ from = "screenHeight",        to = "context.screen.height",        page = migration },
	{ from = "appReleaseVersion",   to = "context.app.version",          page = migration },
	{ from = "appVersion",          to = "context.app.build",            page = migration },
	{ from = "deviceModel",         to = "context.device.model",         page = migration },
	{ from = "deviceManufacturer",  to = "context.device.manufacturer",  page = migration },
	{ from = "idForAdvertiser",     to = "context.device.advertisingId", page = migration }, -- then called idfa
	{ from = "osVersion",           to = "context.os.version",           page = migration },
	{ from = "from",                to = "previousId",                   page = migration, call = "alias" },
	{ from = "to",                  to = "userId",                       page = migration, call = "alias" },

	-- In an example of a webhook.
	{ from = "Previous ID",         to = "previousId",                   page = webhooks, call = "alias" },
	{ from = "User ID",             to = "userId",                       page = webhooks, call = "alias" },
}

return { events = events, properties = properties, traits = traits, fields = fields }
