--- Stripe: the customer's own id rides in the object's metadata, as `user_id`.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text)
		return bodies.change(text, function(event)
			local object = event.data and event.data.object
			if object then
				object.metadata = type(object.metadata) == "table" and object.metadata or {}
				object.metadata.user_id = "u1"
			end
		end)
	end,
}
