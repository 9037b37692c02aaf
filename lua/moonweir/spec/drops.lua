--- Events that are lost though Segment answered 200, by the code under which it counts them.

local discards = "src/_includes/content/delivery-overview-discards.html"

---@class moonweir.spec.Drop
---@field why string   what is wrong with the call
---@field what "batch"|"call"|"source"|"consent"  where: the batch, one call, the customer's settings, a call's consent
---@field page string

local function drop(what, why)
	return { what = what, why = why, page = discards }
end

local drops = {}

--- Refused while Segment takes them in ("Failed on Ingest").
---@type table<string, moonweir.spec.Drop>
drops.ingest = {
	empty_batch           = drop("batch", "the batch holds no call"),
	empty_batch_result    = drop("batch", "no call of the batch is valid"),
	multi_user_error      = drop("batch", "some calls of the batch are not valid; the others are taken"),

	no_user_anon_id       = drop("call", "there is neither a userId nor an anonymousId"),
	id_required           = drop("call", "there is neither a userId nor an anonymousId"),
	id_not_string         = drop("call", "userId or anonymousId is empty, or no text: a number does not do"),
	event_not_defined     = drop("call", "a track call without an event name"),
	event_not_string      = drop("call", "the event name of a track call is no text"),
	properties_not_object = drop("call", "properties is a list, text or null in place of an object"),
	traits_not_object     = drop("call", "traits is a list, text or null in place of an object"),
	name_not_string       = drop("call", "the name of a page or screen call is empty or no text"),
	category_not_string   = drop("call", "the category of a page or screen call is empty or no text"),

	device_advertisingid_should_be_string = drop("call", "context.device.advertisingId is no text"),

	source_disabled  = drop("source", "the customer has switched the source off"),
	locked_workspace = drop("source", "Segment has locked the customer's workspace"),

	consent_categorypreferences_should_exist =
		drop("consent", "a consent event without context.consent.categoryPreferences"),
	consent_categorypreferences_fields_should_be_object =
		drop("consent", "context.consent.categoryPreferences is no object"),
	consent_categorypreferences_fields_should_be_bool =
		drop("consent", "a preference in context.consent.categoryPreferences is neither true nor false"),
	consent_version_should_be_number =
		drop("consent", "the version of the consent is no number"),
}

--- Kept out by what the customer has set up for the source ("Filtered at Source").
---@type table<string, moonweir.spec.Drop>
drops.filtered = {
	unplanned                      = drop("source", "the tracking plan does not have this event or property"),
	schema_violation               = drop("source", "the event breaks the tracking plan's rule for it"),
	unplanned_and_schema_violation = drop("source", "the event breaks its rule and has properties that the plan does not know"),
	common_schema_violation        = drop("source", "the event breaks the plan's rule for all events"),
	event_setting                  = drop("source", "the customer has blocked this event in the source's schema"),
}

local function unseen(page, why)
	return { page = page, why = why }
end

--- Lost without any code. The names are ours.
---@type table<string, { page: string, why: string }>
drops.unseen = {
	repeated_message_id = unseen("src/guides/duplicate-data.md", "Segment has seen the messageId before"),
	too_many_events     = unseen("src/connections/sources/catalog/libraries/server/http-api/index.md",
		"the batch holds more than 2,500 calls"),
	too_many_properties = unseen("src/connections/rate-limits.md", "what is beyond 10,000 properties of an event"),
	wrong_region        = unseen("src/guides/regional-segment.md", "the workspace is in the other region than the endpoint"),
	suppressed_user     = unseen("src/privacy/user-deletion-and-suppression.md", "the customer has suppressed this user"),
	reserved_column     = unseen("src/connections/storage/warehouses/schema.md",
		"a property named like a column of the warehouse's own (user_id); the other destinations get it"),
}

return drops
