local source = require "moonweir.source"
local get = source.get
return source.define { slug = "gateway", version = "1.0.0", user = source.user { get "user" }, event = get "type",
	on = { r = source.track "API Request Made" { method = get "method", path = get "path", status = get "status" } } }
