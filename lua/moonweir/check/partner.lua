--- partner -- what Segment asks of the maker of a source, and who sees to it.
---
--- "checked" is looked at by `moonweir check`; "moonweir" is so by the way Moonweir sends, whatever a script says; "you"
--- can't be seen
--- from here. The pages don't number these; the numbers are ours.

---@class moonweir.check.Requirement
---@field id string
---@field asks string
---@field by "checked"|"moonweir"|"you"
---@field how? string
---@field page string

local sources = "src/partners/sources.md"
local streams = "src/partners/streams.md"

local function asked(id, asks, by, page, how)
	return { id = id, asks = asks, by = by, page = page, how = how }
end

---@type moonweir.check.Requirement[]
return {
	asked("R1", "events go to the HTTP Tracking API", "moonweir", sources,
		"it has no other way out; that calls are of its six kinds is checked"),
	asked("R2", "the Spec is followed", "checked", sources),
	asked("R3", "an event that the Spec knows has its name and shape", "checked", streams),
	asked("R4", "what the Spec lacks is agreed on with Segment", "checked", streams, "it lists what you have to ask about"),
	asked("R5", "each call has the customer's own userId", "checked", sources,
		"whose id a field holds is known to you alone: it tells what looks wrong"),
	asked("R6", "the tool's own id goes to context", "checked", sources),
	asked("R7", "each call has context.integration with slug and version", "checked", sources,
		"Moonweir writes it, from slug and version"),
	asked("R8", "the write key goes in the header of each request", "moonweir", sources),
	asked("R9", "the customer can save the write key in the tool's settings", "you", sources,
		"moonweir accounts, or moonweir.accounts, keeps it"),
	asked("R10", "at most 50 requests a second", "moonweir", sources),
	asked("R11", "the customer can choose the endpoint in the EU", "moonweir", sources,
		"an account has an endpoint; offer the choice in the tool's settings"),
	asked("R12", "one way of writing: events in Proper Case, properties in snake_case", "checked", sources),
}
