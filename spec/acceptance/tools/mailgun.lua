--- Mailgun: the customer's own id is a user variable. Some bodies are what stands in "event-data", alone.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text)
		return bodies.change(text, function(body)
			local event = body["event-data"] or body
			event["user-variables"] = event["user-variables"] or {}
			event["user-variables"].user_id = "u1"
		end)
	end,
}
