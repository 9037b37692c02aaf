local source = require "moonweir.source"
local get = source.get

return source.define {
	slug = "hosts", version = "1.0.0", account = get "account", event = get "type", id = get "id",
	user = source.user { get "user", email = get "email" },
	on = { opened = source.track "Opened" { n = get "n" } },
}
