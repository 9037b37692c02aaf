--- rules -- what is checked: each rule's word, how much it weighs, why it is there and who says so.
---
--- error: Segment drops the call, or turns down a partner that sends it; warning: against a recommendation, or so likely
--- wrong that somebody should look; note: good to know. `partner` is the number of a requirement made of partners in
--- src/partners/sources.md and streams.md, as partner.lua counts them. `code` is Segment's own word
--- for what it drops (moonweir.spec.drops).

local spec = require "moonweir.spec"

---@class moonweir.check.Rule
---@field severity "error"|"warning"|"note"
---@field title string what has to hold, for the list
---@field why string
---@field page? string nil: it is Moonweir's own
---@field partner? string "R5"
---@field code? string
---@field also? string another code of Segment's for the same

---@type table<string, moonweir.check.Rule>
local rules = {}

local order = {} ---@type string[] as they are listed

local function rule(severity, name, title, why, page, about)
	local made = { severity = severity, title = title, why = why, page = page }
	for key, value in pairs(about or {}) do
		made[key] = value
	end
	rules[name] = made
	table.insert(order, name)
end

--- A rule that is one of Segment's reasons to drop a call: what it says is in spec/drops.lua.
local function drop(code, name, title, about)
	local known = spec.drops.ingest[code]
	rule("error", name, title, ("Segment answers 200 and drops it: %s"):format(known.why), known.page, about)
	rules[name].code = code
end

local sources = "src/partners/sources.md"
local streams = "src/partners/streams.md"
local common = "src/connections/spec/common.md"
local identify = "src/connections/spec/identify.md"
local track = "src/connections/spec/track.md"
local http = "src/connections/sources/catalog/libraries/server/http-api/index.md"
local unify = "src/unify/identity-resolution/identity-resolution-settings.md"
local ids = "src/guides/working-with-ids.md"
local naming = "src/protocols/tracking-plan/best-practices.md"
local warehouse = "src/connections/storage/warehouses/schema.md"

-- Who ----------------------------------------------------------------------------------------------

drop("no_user_anon_id", "user-missing", "every call has a userId", { partner = "R5", also = "id_required" })
rule("warning", "user-anonymous", "every call has a userId, not just an anonymousId",
	"a partner's calls carry the customer's own user id; without it nobody knows whose event it is", sources, { partner = "R5" })
drop("id_not_string", "id-not-text", "userId and anonymousId are texts, and not empty")
rule("error", "id-ignored", "an id is not null, -1, anonymous or all zeros",
	"all people with such an id would become one, so Unify, where Segment joins what it knows of a person, leaves it out",
	unify)
rule("warning", "id-placeholder", "an id is not what programs print for nothing (undefined, None, NaN)",
	"all people without an id become one")
rule("warning", "id-email", "a userId is not an e-mail address",
	"addresses change and are personal data; an id that never changes belongs here, the address in traits.email", ids,
		{ partner = "R5" })
rule("error", "id-of-tool", "the userId is the customer's, not the tool's own",
	"the customer knows its people by its own ids; the tool's own goes to context", sources, { partner = "R5" })
rule("warning", "id-maybe-of-tool", "the userId does not look like the tool's own",
	"the customer knows its people by its own ids; the tool's own goes to context", sources, { partner = "R5" })
rule("note", "tool-id-missing", "the tool's own id is in context",
	"that is where Segment wants it, if it is sent; an event can be traced back by it", sources, { partner = "R6" })
rule("error", "group-id-missing", "a group call has a groupId, which is text", "without it there is no group to join",
	"src/connections/spec/group.md")
rule("error", "previous-id-missing", "an alias call has a previousId, which is text",
	"without it there is nothing to join the userId with", "src/connections/spec/alias.md")

-- Which event --------------------------------------------------------------------------------------

drop("event_not_defined", "event-missing", "a track call has a name")
drop("event_not_string", "event-not-text", "the name of a track call is text")
rule("error", "event-renamed", "what the Spec has a name for goes by that name",
	"partners are turned down for names of their own: no destination understands them", streams, { partner = "R3" })
rule("warning", "event-near", "a name that comes close to one of the Spec's is meant to be another",
	"an event that means the same as one of the Spec's must have its name; no destination understands another", streams,
		{ partner = "R3" })
rule("warning", "event-deprecated", "no event of a version of the Spec that was replaced",
	"destinations know the newer name", "src/connections/spec/ecommerce/v2.md", { partner = "R2" })
rule("warning", "event-reserved", "no event that Segment itself sends or lists",
	"it can't be told from Segment's own", "src/protocols/faq.md", { partner = "R2" })
rule("warning", "event-casing", "event names are in Proper Case",
	"one way of writing is recommended: Object Action, in the past tense",
	sources, { partner = "R12" })
rule("warning", "event-dynamic", "event names hold no data",
	"names with ids, dates or addresses are as many as there are data; what varies is a property", naming)
drop("name_not_string", "name-not-text", "the name of a page or screen is text, and not empty")
drop("category_not_string", "category-not-text", "the category of a page or screen is text, and not empty")

rule("note", "event-custom", "events that the Spec does not have are agreed on with Segment",
	"before a source sends what the Spec has no name for, its maker is asked to contact Segment", streams, { partner = "R4" })

-- What about it ------------------------------------------------------------------------------------

drop("properties_not_object", "properties-not-object", "properties are an object")
drop("traits_not_object", "traits-not-object", "traits are an object")
rule("error", "property-renamed", "what the Spec has a property for goes by its name",
	"an event of the Spec has the Spec's shape; destinations look for this very name", streams, { partner = "R3" })
rule("warning", "property-near", "a property that comes close to one of the Spec's is meant to be another",
	"destinations look for the Spec's very name", streams, { partner = "R3" })
rule("error", "property-type", "a property of the Spec has its type",
	"an event of the Spec has the Spec's shape; destinations rely on the type", streams, { partner = "R3" })
rule("warning", "reserved-type", "a property that Segment knows on any event has its type",
	"it has a meaning wherever it stands: revenue is added up", track)
rule("warning", "property-value", "a property of the Spec has one of its values, inside its bounds",
	"an event of the Spec has the Spec's shape", streams, { partner = "R3" })
rule("warning", "property-id-missing", "an event of the Spec says what it is about",
	"without this id the event can't be joined with others about the same thing", streams, { partner = "R3" })
rule("warning", "property-casing", "properties are in snake_case", "one way of writing is recommended", sources,
	{ partner = "R12" })
rule("warning", "casing-mixed", "one way of writing for all names", "whoever queries the data has to guess", sources,
	{ partner = "R12" })
rule("warning", "names-alike", "no two names differ in case, spaces or underscores alone",
	"people mix them up, and what writes all names in one way takes them for one", sources, { partner = "R12" })
rule("warning", "trait-type", "a trait that Segment knows has its type",
	"it has a meaning, and destinations rely on the type", identify)
rule("warning", "date-without-zone", "a time has its time zone",
	"without one nobody knows which moment is meant, and Engage (Segment's audiences) does not save it as a date", common)
rule("warning", "date-unreadable", "a date is in ISO 8601", "whatever reads it expects 2026-01-31T12:00:00Z", common)
rule("warning", "reserved-column", "no property is named like a column of the warehouse's own",
	"a warehouse leaves it out, and keeps its own column; other destinations get it", warehouse)
rule("error", "too-many-properties", ("at most %d properties"):format(spec.limits.properties_per_event.value),
	"Segment answers 200 and leaves out the others", spec.limits.properties_per_event.page)
rule("note", "many-properties", ("at most %d properties"):format(spec.limits.schema_properties.value),
	"the Schema tab shows no more", spec.limits.schema_properties.page)
rule("note", "long-text", ("texts of at most %d characters"):format(spec.limits.warehouse_characters.value),
	"warehouses cut what is longer", warehouse)

-- Around it ----------------------------------------------------------------------------------------

rule("error", "call-unknown", "type is one of the six calls", "Segment knows identify, track, page, screen, group and alias",
	http, { partner = "R1" })
rule("error", "integration-missing", "context.integration has the source's slug and version",
	"it is looked for in the review: Segment knows by it which partner sent the call", sources, { partner = "R7" })
rule("warning", "integration-version", "the version is three numbers, the first one 1.0.0",
	"so partners are asked to write it", sources, { partner = "R7" })
rule("error", "integrations-mistaken", "integrations is not context.integration",
	"integrations says which destinations get the call; the partner's stamp is context.integration", sources, { partner = "R7" })
rule("warning", "integration-replaced", "context.integration is left to Moonweir",
	"Moonweir writes it, from slug and version, and what the script has there is not sent", sources, { partner = "R7" })
rule("warning", "integrations-shape", "integrations has names of destinations, each with true, false or options",
	"Segment does not understand anything else there", common)
rule("warning", "context-type", "a field of context has its type", "it has a meaning, and destinations rely on the type", common)
rule("warning", "field-renamed", "a field of Segment's goes by its present name",
	"the name is an old one, or not that of the common fields", common)
rule("warning", "context-direct", "context.direct is not set",
	"with it, Segment takes the address of the server that sends for that of the person", http)
rule("warning", "context-email-missing", "calls about an e-mail have context.traits.email",
	"the Spec wants the recipient's address with each", "src/connections/spec/email.md", { partner = "R3" })
rule("warning", "external-id", "each of context.externalIds has id, type, collection and encoding",
	"Unify, where Segment joins what it knows of a person, leaves out an id that lacks one of the four",
	"src/unify/identity-resolution/externalids.md")
drop("device_advertisingid_should_be_string", "advertising-id-not-text", "context.device.advertisingId is text")
drop("consent_categorypreferences_should_exist", "consent-missing", "a consent event says what was consented to")
drop("consent_categorypreferences_fields_should_be_object", "consent-not-object",
	"context.consent.categoryPreferences is an object")
drop("consent_categorypreferences_fields_should_be_bool", "consent-not-boolean", "each preference is true or false")
drop("consent_version_should_be_number", "consent-version", "the version of a consent is a number")
rule("warning", "consent-empty", "categoryPreferences is not empty",
	"empty is read as no to everything; what is not known is left out", "src/privacy/consent-management/consent-in-unify.md")
rule("error", "message-id-long", ("messageId has at most %d characters"):format(spec.limits.message_id_characters.keep),
	"Segment asks for fewer than 100", http)
rule("warning", "message-id-missing", "messageId is there, and the same when the event is sent again",
	"Segment knows a repeat by it, and by nothing else", "src/guides/duplicate-data.md")
rule("error", "too-large", ("a call has at most %d bytes"):format(spec.limits.event_bytes.keep),
	"Segment refuses it; its own libraries read the limit, 32 KB, in different ways", http)
rule("note", "time-missing", "an event says when it was",
	"what a tool reports is over; without a timestamp it happened when it was sent", http)

-- Several together ---------------------------------------------------------------------------------

drop("empty_batch", "batch-empty", "a batch holds a call")
drop("empty_batch_result", "batch-invalid", "a batch holds a call that is valid")
drop("multi_user_error", "batch-part-invalid", "all calls of a batch are valid")
rule("error", "batch-too-long", ("a batch has at most %d calls"):format(spec.limits.batch_events.value),
	"Segment answers 200 and drops it: " .. spec.drops.unseen.too_many_events.why, http)
rule("error", "message-id-repeated", "each messageId is there once",
	"Segment answers 200 and drops it: " .. spec.drops.unseen.repeated_message_id.why, "src/guides/duplicate-data.md")

rule("warning", "event-failed", "an example becomes messages", "such an event is sent by nobody: it becomes a dead letter")

return { by_name = rules, order = order }
