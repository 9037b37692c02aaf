--- Names to which Segment itself gives a meaning: traits, properties, and events that a tool does not send.

local make = require "moonweir.spec.make"
local array, field, object = make.array, make.field, make.object

local time = field("date", { format = "iso8601" })

local address = object {
	street     = "string",
	postalCode = "string",
	city       = "string",
	state      = "string",
	country    = "string",
}

local reserved = {}

--- By call, on whose page they stand. Each may be written in camelCase or in snake_case, but not in both at once.
---@type table<string, table<string, moonweir.spec.Field>>
reserved.traits = {
	identify = make.fields {
		address     = address,
		age         = "number",
		avatar      = "string",
		birthday    = "date",
		company     = object {
			name           = "string",
			id             = "string|number",
			industry       = "string",
			employee_count = "number",
			plan           = "string",
		},
		createdAt   = time,
		description = "string",
		email       = "string",
		firstName   = "string",
		gender      = "string",
		id          = "string",
		lastName    = "string",
		name        = "string",
		phone       = "string",
		title       = "string",
		username    = "string",
		website     = "string",
	},
	group = make.fields {
		address     = address,
		avatar      = "string",
		createdAt   = time,
		description = "string",
		email       = "string",
		employees   = field("string", { also = "number" }),
		id          = "string",
		industry    = "string",
		name        = "string",
		phone       = "string",
		plan        = "string",
		website     = "string",
	},
}

--- By call, on whose page they stand.
---@type table<string, table<string, moonweir.spec.Field>>
reserved.properties = {
	track = make.fields {
		revenue  = "number", -- in the currency's whole units
		currency = "string", -- ISO 4217; USD if there is none
		value    = "number",
	},
	page = make.fields {
		name     = "string", -- nothing is made of it yet
		path     = "string",
		referrer = "string",
		search   = "string",
		title    = "string",
		url      = "string",
		keywords = array "string",
	},
	screen = make.fields {
		name = "string", -- as in page
	},
}

---@class moonweir.spec.Reserved
---@field page string
---@field by "segment"|"consent"|"calls"  sent by Segment; by its consent tools; or what page and screen calls are listed as
---@field user? string    the userId that it comes with
---@field properties? table<string, moonweir.spec.Field>
---@field context? table<string, moonweir.spec.Field>

---@type table<string, moonweir.spec.Reserved>
reserved.events = {
	["Segment Consent Preference Updated"] = {
		page = "src/privacy/consent-management/consent-in-unify.md",
		by = "consent",
		properties = {},
		context = make.fields {
			consent = object({
				categoryPreferences = field("object!", { additional = "boolean" }),
			}, { required = true }),
		},
	},
	["Violation Generated"] = {
		page = "src/protocols/validate/forward-violations.md",
		by = "segment",
		user = "schema-violations",
		properties = make.fields {
			appVersion           = "string",
			eventMessageID       = "string",
			eventName            = "string",
			eventSentAt          = "string",
			eventTimestamp       = "string",
			eventType            = "string",
			sourceID             = "string",
			sourceName           = "string",
			sourceSlug           = "string",
			trackingPlanID       = "string",
			trackingPlanName     = "string",
			violationDescription = "string",
			violationField       = "string",
			violationType        = "string",
		},
	},
	["Page Viewed"]   = { page = "src/protocols/faq.md", by = "calls" },
	["Screen Viewed"] = { page = "src/protocols/faq.md", by = "calls" },
}

return reserved
