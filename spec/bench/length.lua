--- Prints how long sources are beside handlers that were written by hand (spec/support/length.lua).
---
---     lua5.4 spec/bench/length.lua

package.path = "./?.lua;" .. package.path
local length = require "spec.support.length"

print(("%-10s %18s %18s %8s %8s"):format("", "source", "by hand", "lines", "words"))
for _, name in ipairs(length.BY_HAND) do
	local source, handler = length.compared(name)
	print(("%-10s %6d %5d words %6d %5d words %7.0f%% %7.0f%%"):format(
		name, source.lines, source.words, handler.lines, handler.words,
		100 * source.lines / handler.lines, 100 * source.words / handler.words))
end
print(("%-10s %18s %18s %7.0f%% %7.0f%%"):format("average", "", "", 100 * length.average "lines", 100 * length.average "words"))
