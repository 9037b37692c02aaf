--- Zendesk: the external ID of the user; of a ticket's requester a trigger's body has it.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text, _, event)
		return bodies.change(text, function(body)
			if event:find "^user%." then
				body.detail.external_id = "u1"
			else
				body.requester = { external_id = "u1" }
			end
		end)
	end,
}
