-- What openresty.lua pushes: one declared entry, compiled.

local source = require "moonweir.source"
local get = source.get

return source.define {
	slug = "gateway", version = "1.0.0",
	event = get "type", user = source.user { get "user" },
	on = {
		request = source.track "API Request Served" { method = get "method", path = get "path", status = get "status" },
	},
}
