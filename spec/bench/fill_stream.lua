--- lua fill_stream.lua REDIS STREAM FILE [COUNT]: a file's lines as the entries of a stream, in pipelines; the file again
--- from the start until there are so many.
local hiredis = require "moonweir.hiredis"
local url, stream, path, count = arg[1], arg[2], arg[3], tonumber(arg[4] or "inf")
local red = assert(hiredis.new { url = url, patience = 30 })
local commands, done = {}, 0
local function flush()
	local replies = assert(red:pipeline(commands))
	assert(not replies.errors, replies.errors and replies.errors[1] and replies.errors[1].message)
	commands = {}
end
repeat
	for line in io.lines(path) do
		if done == count then
			break
		end
		done = done + 1
		commands[#commands + 1] = { "XADD", stream, "*", "body", line }
		if #commands == 2000 then
			flush()
		end
	end
until done == count or count == math.huge
flush()
