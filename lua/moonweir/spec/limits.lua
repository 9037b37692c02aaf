--- What Segment takes at most. Beyond most of these it still answers 200.
---
--- `keep` is what Moonweir keeps to where the pages leave room for doubt, or where it enforces the limit itself: the
--- numbers of csrc/core/limits.h.

local http = "src/connections/sources/catalog/libraries/server/http-api/index.md"
local rates = "src/connections/rate-limits.md"
local warehouse = "src/connections/storage/warehouses/schema.md"
local schema = "src/connections/sources/schema/schema-unique-limits.md"

---@class moonweir.spec.Limit
---@field value integer
---@field unit string
---@field page string
---@field keep? integer
---@field beyond string  what becomes of what is over it

local function limit(value, unit, page, beyond, keep)
	return { value = value, unit = unit, page = page, beyond = beyond, keep = keep }
end

---@type table<string, moonweir.spec.Limit>
return {
	-- "32 KB" and "500 KB": Segment's own libraries read them differently, down to 32,000 and 475,000.
	event_bytes           = limit(32768, "bytes", http, "refused", 32000),
	batch_bytes           = limit(512000, "bytes", http, "refused", 475000),
	batch_events          = limit(2500, "events", http, "lost", 2500),
	properties_per_event  = limit(10000, "properties", rates, "lost"),

	-- 100 in src/_includes/content/spec-field-message-id.md, "fewer than 100" on this page.
	message_id_characters = limit(100, "characters", http, "not said", 99),

	-- Asked of a partner as a whole, over all of its customers.
	partner_rate          = limit(50, "requests/s", "src/partners/sources.md", "delayed", 50),
	workspace_rate        = limit(1000, "requests/s", http, "delayed, or answered with 429"),

	-- Taken, but not seen in the Schema tab.
	schema_events         = limit(4000, "event names", schema, "not shown"),
	schema_properties     = limit(300, "properties", schema, "not shown"),
	schema_traits         = limit(300, "traits", schema, "not shown"),

	warehouse_characters  = limit(512, "characters", warehouse, "cut"),
}
