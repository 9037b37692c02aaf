rockspec_format = "3.0"
package = "kong-plugin-moonweir"
version = "0.1.0-1"
source = { url = "git+file://." }
description = {
	summary = "Tells Segment who calls what through Kong",
	license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1", "moonweir" }
build = {
	type = "builtin",
	modules = {
		["kong.plugins.moonweir.handler"] = "kong/plugins/moonweir/handler.lua",
		["kong.plugins.moonweir.schema"] = "kong/plugins/moonweir/schema.lua",
	},
}
