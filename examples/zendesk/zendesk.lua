-- Zendesk: tickets, chats and end users, from event subscriptions or from triggers with a body of their own (README.md).
--
--     moonweir map examples/zendesk/zendesk.lua examples/zendesk/fixtures/ticket.created.json

local source = require "moonweir.source"
local get = source.get

-- Who did it (actor_id, submitter_id, assignee_id) is as often an agent, so no call takes its user from there; nor from
-- external_id, which is the person's own in an event about a user, but the ticket's in one about a ticket.
local function person(call)
	return call:with {
		user = source.user { get "detail.external_id", tool_id = get "detail.id", email = get "detail.email" },
		context = { zendeskId = get "detail.id", traits = { email = get "detail.email":lower() } },
	}
end

local is_customer = get "detail.role":is "end-user" -- agents and admins are the help desk's people

-- The organization that an end user belongs to; "0" is none.
local function member_of(organization)
	local there_is_one = organization:except("0", "")
	return person(source.group(organization) {}):with { when = source.all(is_customer, there_is_one) }
end

local ticket = {
	ticket_id = get "detail.id",
	ticket_type = get "detail.type":lower(),
	subject = get "detail.subject",
	status = get "detail.status":lower(),
	priority = get "detail.priority":lower(),
	channel = get "detail.via.channel",
	tags = get "detail.tags",
}

-- Where people talk in real time a ticket is one conversation.
local is_chat = get "detail.via.channel":is(
	"chat", "native_messaging", "whatsapp", "instagram_dm", "line", "telegram", "wechat"
)
local conversation = { conversation_id = get "detail.id" }

local status = get "event.current":lower()
local comment = { ticket, comment_id = get "event.comment.id" }
local is_public, is_by_agent = get "event.comment.is_public", get "event.comment.author.is_staff"

return source.define {
	slug = "zendesk",
	version = "1.0.0",
	verify = source.verify.zendesk { secret = source.secret "ZENDESK_SECRET" },

	event = get "type":after "zen:event-type:",
	id = get "id",
	time = get "time",
	-- Of the requester a ticket has Zendesk's own id alone: the identity store knows whose it is, or the trigger's body says so.
	user = source.user { get "requester.external_id", tool_id = get "detail.requester_id", email = get "requester.email" },
	context = { zendeskId = get "detail.requester_id" },

	on = {
		["ticket.created"] = {
			source.track "Ticket Created" (ticket),
			source.track "Live Chat Conversation Started" (conversation):with { when = is_chat },
		},
		["ticket.status_changed"] = {
			source.track "Ticket Solved" (ticket):with { when = status:is "solved" },
			source.track "Ticket Closed" (ticket):with { when = status:is "closed" },
			source.track "Live Chat Conversation Ended" (conversation):with { when = source.all(is_chat, status:is "closed") },
		},
		["ticket.comment_added"] = {
			source.track "Ticket Comment Added" (comment):with {
				when = source.all(is_public, source.none(is_by_agent)),
				user = source.user { tool_id = get "event.comment.author.id" }, -- not the requester, where others are in copy
				context = { zendeskId = get "event.comment.author.id" },
			},
			source.track "Ticket Reply Received" (comment):with { when = source.all(is_public, is_by_agent) },
		},
		["messaging_ticket.message_added"] = source.track "Live Chat Message Sent" {
			conversation_id = get "detail.id",
			message_id = get "event.message.id",
			message_body = get "event.message.body",
		}:with {
			when = get "event.actor.type":is "end_user", -- to whom an agent or a bot writes is not in the event
			user = source.user { tool_id = get "event.actor.id" },
			context = { zendeskId = get "event.actor.id" },
		},
		["ticket.*"] = source.ignore, -- what agents do to a ticket

		["user.created"] = {
			person(source.identify { email = get "detail.email":lower(), created_at = get "detail.created_at":time() })
				:with { when = is_customer },
			member_of(get "detail.organization_id"),
		},
		["user.external_id_changed"] = person(source.identify { email = get "detail.email":lower() }):with { when = is_customer },
		["user.name_changed"] = person(source.identify { name = get "event.current":trim() }):with { when = is_customer },
		-- It may not be the first: then detail.organization_id is another.
		["user.organization_membership_created"] = member_of(
			source.any(get "event.organization.id", get "detail.organization_id")
		),
		["user.*"] = source.ignore,

		["organization.*"] = source.ignore, -- a group call is somebody's, and here nobody is named
	},

	about = {
		name = "Zendesk",
		website = "https://www.zendesk.com",
		description = "a help desk in which companies answer their customers' questions",
		support = "help@zendesk.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Helpdesk" },
		user = "It's the external ID of the Zendesk user: the ID that the customer's own database has for the person who asked. "
			.. "An agent's ID is never a `userId`.",
		events = {
			["Live Chat Conversation Ended"] = "A ticket that's a conversation was closed.",
			["Live Chat Conversation Started"] = "A person began a conversation, in a messenger or a chat.",
			["Live Chat Message Sent"] = { "The person wrote a message in a conversation.", message_body = "Text of the message.",
				message_id = "ID of the message." },
			["Ticket Closed"] = "The ticket is closed for good.",
			["Ticket Comment Added"] = "The person, or somebody in copy, wrote to the ticket.",
			["Ticket Created"] = "The person asked a question, over any channel.",
			["Ticket Reply Received"] = "An agent answered the person. Internal notes aren't sent.",
			["Ticket Solved"] = "An agent solved the ticket. It may be opened again.",
			identify = "An end user was added to Zendesk, or has another name or external ID.",
			group = "An end user belongs to an organization. The `groupId` is the organization's ID in Zendesk.",
		},
		properties = {
			channel = "Way on which the ticket came, for example `web` or `email`.",
			comment_id = "ID of the comment.",
			conversation_id = "ID of the ticket that the conversation is.",
			priority = "`low`, `normal`, `high`, or `urgent`.",
			status = "Status of the ticket after this event.",
			subject = "Subject of the ticket.",
			tags = "Tags of the ticket.",
			ticket_id = "ID of the ticket.",
			ticket_type = "`question`, `incident`, `problem`, or `task`.",
		},
		traits = {
			created_at = "When the person was added to Zendesk.",
			email = "Email address of the person, in lower case.",
			name = "Name of the person.",
		},
		context = {
			["traits.email"] = "Email address of the person, in lower case.",
			zendeskId = "ID of the person in Zendesk.",
		},
		ignored = {
			["organization.*"] = "A group call needs a user, and these events name nobody.",
			["ticket.*"] = "Assignment, priority, and tags are the help desk's own matter.",
			["user.*"] = "Logins, photos, and notes of a Zendesk user aren't the customer's matter.",
		},
	},
}
