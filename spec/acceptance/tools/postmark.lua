--- Postmark: the customer's own id stands in the message's metadata.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text)
		return bodies.change(text, function(event)
			event.Metadata = event.Metadata or {}
			event.Metadata.user_id = "u1"
		end)
	end,
	explained = {
		["subscription_change--symfony.json"] = {
			type = "suppressed for a hard bounce, which is a record of its own; Symfony calls every change an unsubscription",
		},
	},
}
