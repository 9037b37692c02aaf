-- Requests to an API gateway, as analytics.lua describes them, become Segment calls.
--
--     {"type":"request.served","time":1767268800.25,"user":"user-17","method":"GET","route":"/v1/orders/:id","status":200,
--      "seconds":0.012,"ip":"203.0.113.7","user_agent":"acme-sdk/2.1"}

local source = require "moonweir.source"
local get = source.get

local request = { method = get "method", route = get "route", status = get "status", duration_ms = get "seconds" * 1000 }

return source.define {
	slug = "acme-gateway",
	version = "1.0.0",

	-- No id: nginx tells each request once, and nobody repeats it.
	event = get "type",
	time = get "time",
	user = source.user { get "user" },
	missing_user = "drop", -- who is not logged in is nobody's customer
	context = { ip = get "ip", userAgent = get "user_agent" },

	on = {
		["request.served"] = source.track "API Request Served" (request),
		["request.failed"] = source.track "API Request Failed" (request),
	},
}
