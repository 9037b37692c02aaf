std = "lua54+luajit"
max_line_length = 130
-- Declarations for editors: nothing in it is used or run.
files["lua/moonweir/types.lua"] = { ignore = { "211", "212", "241", "561" } }
files["spec"] = { std = "+busted" }
-- nginx gives these a global of its own.
for _, of in ipairs { "lua/moonweir/openresty*", "lua/moonweir/openresty/*", "examples/openresty", "spec/bench/openresty.lua",
	"spec/support/kong.lua" } do
	files[of] = { std = "lua54+luajit+ngx_lua", read_globals = { "kong" } }
end
files["examples/redis/moonweir-function.lua"] = { globals = { "redis" } }
exclude_files = { "build", "spec/fixtures" }
