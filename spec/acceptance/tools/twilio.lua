--- Twilio: the customer's own id stands in the query of the URL that is called.

return {
	with_user = function(text, headers)
		headers["?user_id"] = "u1"
		return text
	end,
	types = { delivered = "SMS Delivered" },
}
