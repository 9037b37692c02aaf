--- GitHub: the kind of event stands in a header, and no field holds the customer's own id: the identity store has it.

return {
	headers = function(event)
		return { ["X-GitHub-Event"] = event:match "^[^.]+", ["X-GitHub-Delivery"] = "4b1bd1c0-cf5d-11f0-8de9-0242ac120002" }
	end,
	with_user = function(text)
		return text
	end,
	known = function(text)
		local id = text:match '"sender"%s*:%s*{.-"id"%s*:%s*(%d+)'
		return id and { { account = "a", kind = "tool_id", id = id, user = "u1" } } or {}
	end,
}
