--- What a live chat tool reports of conversations with a person.

local make = require "moonweir.spec.make"
local event, field = make.event, make.field

local chat = {
	agent_id              = "string",
	agent_name            = "string",
	agent_username        = "string",
	conversation_id       = "string",
	conversation_duration = "number",
	message_id            = "string",
	message_body          = field("string", { example = true }),
}

return make.category {
	id = "live_chat",
	title = "Live chat",
	page = "src/connections/spec/live-chat.md",
	audience = "partners",

	event "Live Chat Conversation Started" (chat),
	event "Live Chat Conversation Ended" (chat),
	event "Live Chat Message Sent" (chat),
	event "Live Chat Message Received" (chat),
}
