-- Zendesk: tickets, chats and end users, from event subscriptions or from triggers with a body of their own (README.md).
--
--     moonweir map examples/zendesk/zendesk.lua examples/zendesk/fixtures/ticket.created.json

local source = require "moonweir.source"
local get = source.get

-- A ticket says who asked by Zendesk's own id: the identity store knows whose it is, or a trigger's body says so.
local requester = source.user {
	get "requester.external_id",
	tool_id = get "detail.requester_id",
	email = get "requester.email",
}

-- Whoever did it, actor_id, submitter_id or assignee_id, is as often an agent: no call takes its user from there.
local function by(id)
	return { user = source.user { tool_id = id }, context = { zendeskId = id } }
end

-- external_id is a person's own in an event about users. In one about a ticket it is the ticket's.
local function person(call)
	return call:with {
		user = source.user { get "detail.external_id", tool_id = get "detail.id", email = get "detail.email" },
		context = { zendeskId = get "detail.id", traits = { email = get "detail.email":lower() } },
		when = get "detail.role":is "end-user", -- agents and admins are the help desk's people, not its customers
	}
end

local organization = get "detail.organization_id":lookup { ["0"] = false }:default(true)

local function ticket(more)
	local properties = {
		ticket_id = get "detail.id",
		ticket_type = get "detail.type":lower(),
		subject = get "detail.subject",
		status = get "detail.status":lower(),
		priority = get "detail.priority":lower(),
		channel = get "detail.via.channel",
		tags = get "detail.tags",
	}
	for name, value in pairs(more or {}) do
		properties[name] = value
	end
	return properties
end

-- Channels on which people talk in real time. A conversation is one ticket.
local chat = get "detail.via.channel":lookup {
	chat = true, native_messaging = true, whatsapp = true, facebook = true, instagram_dm = true, line = true, telegram = true,
}
local ended = (get "detail.via.channel" .. " " .. get "event.current"):lower():lookup {
	["chat closed"] = true, ["native_messaging closed"] = true, ["whatsapp closed"] = true, ["facebook closed"] = true,
	["instagram_dm closed"] = true, ["line closed"] = true, ["telegram closed"] = true,
}
local conversation = { conversation_id = get "detail.id" }
local message = { conversation_id = get "detail.id", message_id = get "event.message.id", message_body = get "event.message.body" }

local outcome = get "event.current":lower():lookup { solved = "Ticket Solved", closed = "Ticket Closed" }
local comment = (get "event.comment.is_public":string() .. get "event.comment.author.is_staff":string()):lookup {
	truefalse = "Ticket Comment Added", truetrue = "Ticket Reply Received", -- what is not public is the agents' own
}

return source.define {
	slug = "zendesk",
	version = "1.0.0",
	verify = source.verify.zendesk { secret = source.secret "ZENDESK_SECRET" },

	event = get "type",
	id = get "id",
	time = get "time",
	user = requester,
	context = { zendeskId = source.any(get "detail.requester_id", get "requester.id") },

	on = {
		["zen:event-type:ticket.created"] = {
			source.track "Ticket Created" (ticket()),
			source.track "Live Chat Conversation Started" (conversation):with { when = chat },
		},
		["zen:event-type:ticket.status_changed"] = {
			source.track(outcome) (ticket()):with { when = outcome },
			source.track "Live Chat Conversation Ended" (conversation):with { when = ended },
		},
		["zen:event-type:ticket.comment_added"] = source.track(comment) (ticket { comment_id = get "event.comment.id" })
			:with { when = comment },
		["zen:event-type:messaging_ticket.message_added"] = source.track "Live Chat Message Sent" (message)
			:with(by(get "event.actor.id")):with { when = get "event.actor.type":is "end_user" },

		["zen:event-type:user.created"] = {
			person(source.identify { email = get "detail.email":lower(), created_at = get "detail.created_at":time() }),
		},
	},
}
