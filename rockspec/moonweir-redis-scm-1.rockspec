rockspec_format = "3.0"
package = "moonweir-redis"
version = "scm-1"
source = { url = "git+file://." }
description = {
	summary = "Moonweir's worker: events from Redis or Valkey streams",
	license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1", "moonweir" }
external_dependencies = {
	HIREDIS = { library = "hiredis" },
	OPENSSL = { library = "ssl" },
	SODIUM = { library = "sodium" },
}
build = {
	type = "builtin",
	modules = {
		["moonweir.hiredis"] = {
			libraries = { "hiredis", "ssl", "crypto", "sodium" },
			defines = { "_GNU_SOURCE" },
			libdirs = { "$(HIREDIS_LIBDIR)", "$(OPENSSL_LIBDIR)", "$(SODIUM_LIBDIR)" },
			sources = {
				"csrc/core/buf.c",
				"csrc/core/err.c",
				"csrc/io/private.c",
				"csrc/io/redis.c",
				"csrc/io/redis_advice.c",
				"csrc/io/redis_lease.c",
				"csrc/io/redis_link.c",
				"csrc/io/redis_nodes.c",
				"csrc/io/redis_pipeline.c",
				"csrc/io/redis_reply.c",
				"csrc/io/redis_slot.c",
				"csrc/io/redis_url.c",
				"csrc/lua/redis.c",
				"csrc/lua/redis_lease.c",
			},
		},
	},
}
