--- Conversations with an AI assistant. The page spells some properties in camelCase and some in snake_case, and so does this.

local make = require "moonweir.spec.make"
local event, field, with = make.event, make.field, make.with

local by_customer = { role = field("string", { default = "customer" }) }
local by_agent    = { role = field("string", { default = "agent" }) } -- or the kind of agent: any text

local conversation = { conversationId = "string" }
local message      = with(conversation, { messageId = "string" })
local text         = with(message, { message_body = "string" })

return make.category {
	id = "copilot",
	title = "AI copilot",
	page = "src/connections/spec/copilot.md",
	identifiers = { "conversationId", "messageId" },

	event "Conversation Started" (conversation),
	event "Message Sent" (with(text, by_customer)),
	event "Message Received" (with(text, by_agent)), -- in the page's example the role stands beside the properties
	event "Conversation Ended" (with(conversation, { message_count = "number" })), -- of no type, in the overview alone
	event "Action Invoked" (with(message, by_customer, { type = "string", action = "string" })),
	event "Media Generated" (with(message, by_agent, { type = "string", sub_type = "string" })),
	event "Component Loaded" (with(message, { type = "string" })),
	event "Feedback Submitted" (with(message, { rating = "number" })),
}
