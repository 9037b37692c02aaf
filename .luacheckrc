std = "lua54+luajit"
max_line_length = 130
-- Declarations for editors: nothing in it is used or run.
files["lua/moonweir/types.lua"] = { ignore = { "211", "212", "241", "561" } }
files["spec"] = { std = "+busted" }
files["examples/redis/moonweir-function.lua"] = { globals = { "redis" } }
exclude_files = { "build", "spec/fixtures" }
