--- tenant -- one of several processes under one budget in Redis: tenant.lua <redis URL> <endpoint> <name> <messages>
--
-- Each message is a request of its own. Prints "sent" when all are delivered, and what its permits were worth.

local mw = require "moonweir"
local budget = require "moonweir.redis.budget"
local process = require("moonweir.core").process

local url, endpoint, name, count = arg[1], arg[2], arg[3], tonumber(arg[4])
local client = assert(mw.open {
	write_key = "key-of-all-accounts", endpoint = endpoint, leased = true, rate = 50, linger = 0, batch_messages = 1,
	check = false,
})
local lease = assert(budget.lease(client, { url = url }))
for i = 1, count do
	assert(client:track(("%s-%d"):format(name, i % 40), { userId = "u", event = "E", properties = { n = i } }))
end
local until_ = process.monotonic() + 120
while process.monotonic() < until_ do
	local _, _, code = client:flush(0.2)
	if code ~= "timeout" then
		break
	end
end
local stats = client:stats()
print(("sent %d of %d, missed %d %s"):format(stats.delivered, count, stats.permits_missed, stats.permit_trouble or ""))
lease:close()
client:close(0)
