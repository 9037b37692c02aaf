rockspec_format = "3.0"
package = "moonweir-server"
version = "scm-1"
source = { url = "git+file://." }
description = {
	summary = "The HTTP server of `moonweir serve` and of its debugger",
	license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1", "moonweir" }
external_dependencies = { MICROHTTPD = { library = "microhttpd" } }
build = {
	type = "builtin",
	modules = {
		["moonweir.server"] = {
			libraries = { "microhttpd" },
			defines = { "_GNU_SOURCE" },
			libdirs = { "$(MICROHTTPD_LIBDIR)" },
			sources = {
				"csrc/core/buf.c",
				"csrc/core/err.c",
				"csrc/io/server.c",
				"csrc/io/server_exchange.c",
				"csrc/io/server_framing.c",
				"csrc/io/server_intake.c",
				"csrc/io/server_listen.c",
				"csrc/io/server_peers.c",
				"csrc/io/server_replies.c",
				"csrc/io/server_stream.c",
				"csrc/lua/server.c",
				"csrc/lua/server_request.c",
				"csrc/lua/server_stream.c",
			},
		},
	},
}
