-- Acme Desk, a help desk that does not exist: its webhooks become Segment calls.
--
--     {"id":"ev-1","type":"ticket.created","at":"2026-01-01T11:59:00Z",
--      "requester":{"external_id":"user-17","email":"ann@example.com"},
--      "ticket":{"id":4711,"subject":"It hums","priority":"high"}}

local source = require "moonweir.source"
local get = source.get

local ticket = {
	ticket_id = get "ticket.id":string(), ticket_subject = get "ticket.subject", ticket_priority = get "ticket.priority",
}

return source.define {
	slug = "acme-desk",
	version = "1.0.0",

	verify = source.verify.hmac { secret = source.secret "ACME_DESK_SECRET", header = "X-Acme-Signature" },

	id = get "id", -- a webhook that is sent again is no second message
	event = get "type",
	time = get "at",
	user = source.user { get "requester.external_id", email = get "requester.email" },
	context = { traits = { email = get "requester.email" } },

	on = {
		["ticket.created"] = source.track "Ticket Created" (ticket),
		["ticket.solved"] = source.track "Ticket Solved" (ticket),
		["ticket.viewed"] = source.ignore,
	},
}
