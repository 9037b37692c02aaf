rockspec_format = "3.0"
package = "moonweir"
version = "scm-1"
source = { url = "git+file://." }
description = {
	summary = "Make any tool an event source for Segment",
	detailed = [[
A short Lua script maps a tool's events to Segment calls; Moonweir serializes, authenticates with each
customer's write key, batches, stays inside 50 requests a second and delivers.]],
	license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1", "argparse" }
external_dependencies = {
	CURL = { library = "curl" },
	SODIUM = { library = "sodium" },
	CRYPTO = { library = "crypto" },
}
test = { type = "command", command = "make spec" }
build = {
	type = "builtin",
	install = { bin = { moonweir = "lua/moonweir/cli/moonweir.lua" } },
	modules = {
		["moonweir.core"] = {
			libraries = { "curl", "sodium", "crypto", "pthread", "m" },
			defines = { "_GNU_SOURCE" },
			libdirs = { "$(CURL_LIBDIR)" },
			sources = {
			},
		},
	},
}
