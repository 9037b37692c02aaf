--- lua events.lua FILE COUNT: opened e-mails of one account, about 470 bytes each, for the end-to-end benchmark; and the
--- mapping script beside it, as FILE.lua.
package.path = "spec/?.lua;" .. package.path
local path, count = arg[1], tonumber(arg[2])
local file = assert(io.open(path, "w"))
local line = '{"event_id":"evt_%08d","type":"message.opened","account_id":"acct-01","occurred_at":%d,"contact":{"id":%d,'
	.. '"external_id":"user-%d","email":"person%d@example.com","first":"Ann","last":"Mueller"},"message":{"id":"msg_%07d",'
	.. '"subject":"Your statement for March is ready to be looked at"},"campaign":{"id":"c%d","name":"Newsletter for the '
	.. 'spring"},"client":{"ip":"192.0.2.%d","agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},"count":%d,'
	.. '"score":0.%d}\n'
for i = 1, count do
	local u = i * 7919 % 100000
	file:write(line:format(i, 1700000000 + i, 9007199254740 + u, u, u, i % 10000000, i % 50, i % 256, i % 5, i % 9 + 1))
end
assert(file:close())
local source = assert(io.open(path .. ".lua", "w"))
source:write(require "support.workload".source)
assert(source:close())
