--- moonweir.redis.budget -- one rate for the workers of all hosts, kept in Redis.
--
--     local budget = require "moonweir.redis.budget"
--     local client = assert(mw.open { source = "acme.lua", leased = true, rate = 50 })
--     local lease = assert(budget.lease(client, { url = "redis://10.0.0.7" }))
--     ...
--     lease:close()
--
-- The script below is a GCRA on Redis's own clock. It hands out permits ahead of time, as slots that are 21.6 ms apart
-- at 50 a second, whoever gets them; core/slots.h says how a worker uses one only where it is certain that its time has
-- come. A thread of moonweir.hiredis asks for them, with a connection of its own.
--
-- What the script knows may be gone or out of date: Redis was restarted with an older file, a replica took over that
-- had not heard of the last slots, the key was evicted, the clock was set back. In all of these it begins anew behind
-- whatever it can have handed out, which costs half a second. It knows a Redis by its run id, so whoever may run it
-- needs the command INFO. It writes the same few bytes over and over, and so may where memory is short: what is sent makes
-- room. (Saying so takes Redis 7, or a Valkey.)

local hiredis = require "moonweir.hiredis"

local budget = {}

--- Where the budget lies, unless told otherwise. All workers that share one Segment partner's rate need the same.
budget.KEY = "{moonweir}:budget"

budget.script = [[#!lua flags=allow-oom
local want, interval, ahead = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local close, anew = tonumber(ARGV[4]) * 1000, ARGV[5] == "1"
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local server = redis.pcall("INFO", "server")
if type(server) == "table" then
  return redis.error_reply("NOPERM the budget's script may not run INFO, by which it knows a Redis that was restarted")
end
local run = string.match(server, "run_id:(%w+)")
local kept = redis.call("HMGET", KEYS[1], "next", "gate", "run")
local first, gate = tonumber(kept[1]), tonumber(kept[2]) or 0

-- Nothing that was handed out is later than this.
local behind_all = now + ahead + interval
if anew or not first or kept[3] ~= run or first > behind_all then
  first = behind_all
end
if gate > now + 300000000 then
  gate = now + 300000000
end
if now + close > gate and close > 0 then
  gate = now + close
end

-- Idle time is not saved up.
local from = math.max(first, now)
local count = 0
if gate <= now and from <= now + ahead then
  count = math.min(want, math.floor((now + ahead - from) / interval) + 1)
end
if count > 0 then
  first = from + count * interval
end
if count > 0 or close > 0 or tonumber(kept[1]) ~= first or kept[3] ~= run then
  redis.call("HSET", KEYS[1], "next", string.format("%.0f", first), "gate", string.format("%.0f", gate), "run", run)
end
local retry = 0
if count == 0 then
  retry = math.max(from - now - ahead, gate - now, 0)
end
return { now, from - now, count, math.max(gate - now, 0), retry }
]]

---@class moonweir.redis.Lease
---@field close fun(self)  ends its thread; the client then sends no more

--- Fetch permits for a client that was opened with `leased = true`, until the lease is closed.
---@param client moonweir.Client
---@param where table|userdata where Redis is, as moonweir.hiredis.new takes it; or a connection, which is the lease's then:
--- without patience, for a permit that comes late is of no use, and the lease asks again by itself
---@param key? string of the budget; default budget.KEY
---@return moonweir.redis.Lease|nil
---@return string? message
---@return "io"|"no_memory"|"bad_endpoint"|"forked"|nil code
function budget.lease(client, where, key)
	local lessee, message, code = client:lessee()
	if not lessee then
		return nil, message, code
	end
	local red = where
	if type(where) == "table" then
		local settings = { name = "moonweir-budget", timeout = 1, patience = 0 }
		for name, value in pairs(where) do
			settings[name] = value
		end
		red, message, code = hiredis.new(settings)
	end
	if not red then
		return nil, message, code
	end
	return red:lease(lessee, budget.script, key or budget.KEY)
end

return budget
