rockspec_format = "3.0"
package = "moonweir-receive"
version = "scm-1"
source = { url = "git+file://." }
description = {
	summary = "XML and compressed bodies for Moonweir",
	license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1", "moonweir" }
external_dependencies = { EXPAT = { library = "expat" }, ZLIB = { library = "z" } }
build = {
	type = "builtin",
	modules = {
		["moonweir.xml"] = {
			libraries = { "expat", "m" },
			defines = { "_GNU_SOURCE" },
			libdirs = { "$(EXPAT_LIBDIR)" },
			sources = {
				"csrc/core/buf.c", "csrc/core/err.c", "csrc/core/hash.c", "csrc/core/json_write.c", "csrc/core/number.c",
				"csrc/core/utf8.c", "csrc/io/xml.c", "csrc/lua/xml.c",
			},
		},
		["moonweir.inflate"] = {
			libraries = { "z" },
			defines = { "_GNU_SOURCE" },
			libdirs = { "$(ZLIB_LIBDIR)" },
			sources = { "csrc/core/buf.c", "csrc/core/err.c", "csrc/io/inflate.c", "csrc/lua/inflate.c" },
		},
	},
}
