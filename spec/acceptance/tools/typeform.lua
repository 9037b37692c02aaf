--- Typeform: the hidden field `user_id` of the form. The published response has one.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text)
		return bodies.change(text, function(body)
			body.form_response.hidden = { user_id = "u1" }
		end)
	end,
}
