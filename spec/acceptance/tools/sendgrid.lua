--- SendGrid: the customer's own id is a custom argument, which stands beside SendGrid's own fields.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text)
		return bodies.change(text, function(event)
			event.user_id = "u1"
		end)
	end,
}
