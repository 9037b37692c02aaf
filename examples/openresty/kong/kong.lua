-- Requests through Kong, as the plugin's handler describes them, become Segment calls.

local source = require "moonweir.source"
local get = source.get

local request = {
	method = get "method", service = get "service", route = get "route", status = get "status", duration_ms = get "latency",
}

return source.define {
	slug = "acme-kong",
	version = "1.0.0",

	event = get "type",
	time = get "time", -- milliseconds
	user = source.user { get "user" },
	missing_user = "drop", -- requests of nobody in particular
	context = { ip = get "ip", userAgent = get "user_agent" },

	on = {
		["request.served"] = source.track "API Request Served" (request),
		["request.failed"] = source.track "API Request Failed" (request),
	},
}
