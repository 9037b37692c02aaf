--- The six calls, the fields that all of them share, and what context holds.

local make = require "moonweir.spec.make"
local reserved = require "moonweir.spec.reserved"
local array, field, object, with = make.array, make.field, make.object, make.with

---@class moonweir.spec.Call
---@field page string
---@field path string  of the Tracking API
---@field fields table<string, moonweir.spec.Field>  beside the common ones

-- A partner's calls must have a userId (src/partners/sources.md); for Segment itself one of the two will do.
local either = { "userId", "anonymousId" }
local id = field("string", { either = either, min_length = 1 })
local ids = { userId = id, anonymousId = id }

-- May be left out, but not sent empty.
local filled = field("string", { min_length = 1 })

local time = field("date", { format = "iso8601" })
local channels = { "server", "browser", "mobile" }
local brands = array { brand = "string", version = "string" }

local function call(name, fields)
	return { page = "src/connections/spec/" .. name .. ".md", path = "/v1/" .. name, fields = make.fields(fields) }
end

local calls = {}

---@type table<string, moonweir.spec.Call>
calls.calls = {
	identify = call("identify", with(ids, { traits = "object" })),
	track    = call("track", with(ids, { event = field("string!", { min_length = 1 }), properties = "object" })),
	page     = call("page", with(ids, { category = filled, name = filled, properties = "object" })),
	-- The page of screen has no category, yet ingest checks one.
	screen   = call("screen", with(ids, { category = filled, name = filled, properties = "object" })),
	group    = call("group", with(ids, { groupId = "string!", traits = "object" })),
	-- userId is the one that stays.
	alias    = call("alias", { userId = "string!", previousId = "string!" }),
}

calls.common_page = "src/connections/spec/common.md"

---@type table<string, moonweir.spec.Field>
calls.common = make.fields {
	type              = field("string", { -- of a single call the path says it; in a batch each item must
		filled = "ingest",
		enum = { "identify", "track", "page", "screen", "group", "alias" },
	}),
	userId            = id,
	anonymousId       = id,
	context           = "object",
	integrations      = "object", -- destination, in its exact case, or "All" = a boolean or options
	messageId         = field("string", { filled = "ingest", max_length = 100 }), -- another page has "fewer than 100": keep to 99
	timestamp         = time, -- of what is not happening just now; Segment calls it originalTimestamp from then on
	sentAt            = time, -- by it Segment sees how far the sender's clock is off; in a batch it stands outside
	receivedAt        = field("date", { filled = "segment", format = "iso8601" }),
	originalTimestamp = field("date", { filled = "segment", format = "iso8601" }),
	version           = field("number", { filled = "segment" }),
	channel           = field("string", { enum = channels }), -- the table has it in context, the examples beside it
	writeKey          = "string", -- in the body instead of the header; a partner's goes in the header
	projectId         = field("string", { filled = "segment" }),
	_metadata         = field("object", { filled = "library" }),
}

---@type table<string, moonweir.spec.Field>
calls.context = make.fields {
	active    = "boolean", -- false: traits change, "last seen" does not
	app       = object {
		name      = "string",
		version   = "string",
		build     = "string",
		namespace = field("string", { example = true }),
	},
	campaign  = object({
		name    = "string",
		source  = "string",
		medium  = "string",
		term    = "string",
		content = "string",
	}, { additional = true }), -- any other UTM parameter
	device    = object {
		id                = "string",
		advertisingId     = "string",
		adTrackingEnabled = field("boolean", { example = true }),
		manufacturer      = "string",
		model             = "string",
		name              = "string",
		type              = "string",
		token             = field("string", { example = true }),
		version           = "string",
	},
	ip        = "string", -- of the person: Segment fills it in for browsers and apps alone
	library   = object {
		name    = "string",
		version = "string",
	},
	locale    = "string", -- en-US
	location  = object { -- in src/partners/spec.md, and no longer on the common page
		city      = "string",
		country   = "string",
		region    = "string",
		latitude  = "number",
		longitude = "number",
		speed     = "number",
	},
	network   = object {
		bluetooth = "boolean",
		carrier   = "string",
		cellular  = "boolean",
		wifi      = "boolean",
	},
	os        = object {
		name    = "string",
		version = "string",
	},
	page      = object {
		path     = "string",
		referrer = "string",
		search   = "string",
		title    = "string",
		url      = "string",
	},
	referrer  = object {
		type = "string",
		name = "string",
		url  = "string",
		link = "string",
		id   = field("string", { example = true }),
	},
	screen    = object {
		density = "number",
		height  = "number",
		width   = "number",
	},
	timezone  = "string", -- Europe/Berlin
	groupId   = "string",
	traits    = object(reserved.traits.identify),
	userAgent = "string",
	userAgentData = object {
		brands          = brands,
		mobile          = "boolean",
		platform        = "string",
		bitness         = "string",
		model           = "string",
		platformVersion = "string",
		uaFullVersion   = "string",
		fullVersionList = brands,
		wow64           = "boolean",
	},
	channel   = field("string", { enum = channels }),

	-- The partner's stamp, on every call: its slug, and a version from 1.0.0 on.
	integration = object({
		name    = "string!",
		version = "string!",
	}, { page = "src/partners/sources.md" }),

	-- true: Segment takes the ip of whoever sends, which is never the person when a server does.
	direct      = field("boolean", { page = "src/connections/sources/catalog/libraries/server/http-api/index.md" }),
	externalIds = array({
		id         = "string!",
		type       = "string!",
		collection = field("string!", { enum = { "users", "accounts" } }),
		encoding   = field("string!", { enum = { "none" } }),
	}, { page = "src/unify/identity-resolution/externalids.md" }),
	protocols   = object({ event_version = "integer" }, { page = "src/protocols/tracking-plan/create.md" }),
	consent     = object({
		categoryPreferences = field("object", { additional = "boolean" }), -- empty is "no" to all: leave it out then
	}, { page = "src/privacy/consent-management/consent-in-unify.md" }),
}

return calls
