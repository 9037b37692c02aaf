--- lua push.lua SOCKET STREAM: lines of JSON from standard input into a stream, with the smallest client of Redis there is.
---
--- It stands for the connection that your program has. Those of redis-lua (`require "redis".connect(…)`) and of
--- lua-resty-redis go to redis.push in the same way.

local redis = require "moonweir.redis"
local hiredis = require "moonweir.hiredis"

local red = assert(hiredis.new { url = "unix://" .. arg[1], patience = 5 })
local count = 0
for line in io.lines() do
	assert(redis.push(red, arg[2], { body = line }))
	count = count + 1
end
print(count .. " entries, by redis.push")
