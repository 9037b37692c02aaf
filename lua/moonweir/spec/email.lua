--- What an e-mail tool reports of the messages that it sent.

local make = require "moonweir.spec.make"
local event, field, object, with = make.event, make.field, make.object, make.with

local message = {
	email_id      = "string",
	email_subject = "string",
	campaign_id   = "string",
	campaign_name = "string",
}

local recipient = { traits = object { email = "string" } }

-- The person's own doing has the person's address and browser. The page writes user_agent here, where the common
-- fields say userAgent; and for two of the events it calls the address an object, though it is a string everywhere else.
local agent = field("string", { canonical = "userAgent" })
local person = with(recipient, { user_agent = agent, ip = "string" })
local person_as_object = with(person, { ip = field("string", { doc_type = "Object" }) })

return make.category {
	id = "email",
	title = "Email",
	page = "src/connections/spec/email.md",
	audience = "partners",

	event "Email Delivered" (message, { context = recipient }),
	event "Email Bounced" (message, { context = recipient }),
	event "Email Opened" (message, { context = person }),
	event "Email Link Clicked" (with(message, {
		link_id  = "string",
		link_url = "string",
	}), { context = person_as_object }),
	event "Email Marked as Spam" (message, { context = person_as_object }),
	event "Unsubscribed" (with(message, {
		list_id   = field("string", { optional = true }),
		list_name = field("string", { optional = true }),
	}), { context = person }),
}
