--- moonweir.redis.budget -- one rate for the workers of all hosts, kept in Redis, and fair to accounts.
--
--     local budget = require "moonweir.redis.budget"
--     local client = assert(mw.open { source = "acme.lua", leased = true, rate = 50 })
--     local lease = assert(budget.lease(client, { url = "redis://10.0.0.7" }))
--     ...
--     lease:close()
--
-- The script below is a GCRA on Redis's own clock, with a line of accounts before it. Slots are 21.6 ms apart at 50 a
-- second, and are given out up to half a second ahead, each to the account that is first in line; core/turns.h says how
-- a worker uses one only where it is certain that its time has come. A thread of moonweir.hiredis asks for the accounts
-- whose lanes are ready on this worker, with a connection of its own.
--
--     line      account -> ticket: who waits, each once, in the order in which they asked
--     laden     the same of those with a full batch: one slot in eight is theirs, while there are any (core/weir.h)
--     due       account -> when its worker asks again at the latest: who is not asked for is forgotten
--     given     account -> slot: given out and not over yet. Half a microsecond more says that a worker has fetched it:
--               one slot, one request. While an account has one it does not stand in line: lanes of it on a hundred
--               workers are one account, with one turn at a time
--
-- What the script knows may be gone or out of date: Redis was restarted with an older file, a replica took over that
-- had not heard of the last slots, the key was evicted, the clock was set back. In all of these it begins anew behind
-- whatever it can have given out, which costs half a second. It knows a Redis by its run id, so whoever may run it
-- needs the command INFO. It writes where memory is short, too, for what is sent makes room: some hundred bytes for each
-- account that waits. (Saying so takes Redis 7, or a Valkey.) A call looks at no more than the accounts that it names,
-- and gives out or forgets a bounded number.

local hiredis = require "moonweir.hiredis"

local budget = {}

--- Where the budget lies, unless told otherwise. All workers that share one Segment partner's rate need the same.
budget.KEY = "{moonweir}:budget"

--- The keys that the script has, all of one slot of a cluster. Braces in a name without a {tag} raise.
---@param key string of the budget
---@return string[]
function budget.keys(key)
	local base = key
	if not key:find "^[^{]*{[^}]+}" then
		if key:find "[{}]" then
			error(("budget: the key %q has braces and no {tag}: its parts would lie on several nodes of a cluster"):format(key), 3)
		end
		base = "{" .. key .. "}"
	end
	return { key, base .. ":line", base .. ":laden", base .. ":due", base .. ":given" }
end

budget.script = [[#!lua flags=allow-oom
local budget, line, laden, due, given = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local interval, ahead = tonumber(ARGV[1]), tonumber(ARGV[2])
local close, anew = tonumber(ARGV[3]) * 1000, ARGV[4] == "1"
local FRONT, LADEN_EVERY, POPS, DEAD = -2 ^ 52, 8, 256, 100
local GRACE, LEAST, LONG, SET = 3000000, 10000, 5000000, 1000
local SLOT, LINE, TAKEN = 0, 1, 2

local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local server = redis.pcall("INFO", "server")
if type(server) == "table" then
  return redis.error_reply("NOPERM the budget's script may not run INFO, by which it knows a Redis that was restarted")
end
local run = string.match(server, "run_id:(%w+)")
local kept = redis.call("HMGET", budget, "next", "gate", "run", "clock", "ticket", "passed")
local first, gate, clock = tonumber(kept[1]), tonumber(kept[2]) or 0, tonumber(kept[4]) or now
local ticket, passed = tonumber(kept[5]) or 0, tonumber(kept[6]) or 0
local function number(n)
  return string.format("%.0f", n)
end

-- Nothing that was given out is later than this.
local behind_all = now + ahead + interval
if anew or not first or kept[3] ~= run or first > behind_all or clock > now + SET then
  first = behind_all
  redis.call("ZREMRANGEBYSCORE", given, "-inf", "+inf")
end
if gate > now + 300000000 then
  gate = now + 300000000
end
if now + close > gate and close > 0 then
  gate = now + close
end

redis.call("ZREMRANGEBYSCORE", given, "-inf", "(" .. number(now))
for _, name in ipairs(redis.call("ZRANGEBYSCORE", due, "-inf", number(now - GRACE), "LIMIT", 0, DEAD)) do
  redis.call("ZREM", line, name)
  redis.call("ZREM", laden, name)
  redis.call("ZREM", due, name)
end

-- Who asks joins the line, behind all; who lost a turn, before all but others that did.
local names, full, owed = {}, {}, {}
for i = 5, #ARGV do
  local name, flags = string.sub(ARGV[i], 2), tonumber(string.sub(ARGV[i], 1, 1))
  names[i - 4], full[i - 4], owed[i - 4] = name, flags % 2 == 1, flags >= 2
  if not redis.call("ZSCORE", given, name) then
    local place = tonumber(redis.call("ZSCORE", line, name) or nil)
    if not place or (owed[i - 4] and place >= 0) then
      ticket = math.max(ticket + 1, now)
      place = owed[i - 4] and FRONT + ticket or ticket
      redis.call("ZADD", line, number(place), name)
    end
    if full[i - 4] then
      redis.call("ZADD", laden, "NX", number(place), name)
    end
  end
end

-- Idle time is not saved up.
local from, pops = math.max(first, now), 0
while gate <= now and from <= now + ahead and pops < POPS do
  local any = redis.call("ZCARD", laden) > 0
  local out_of_turn = any and passed >= LADEN_EVERY - 1
  local name = redis.call("ZPOPMIN", out_of_turn and laden or line)[1]
  if not name then
    break
  end
  passed = any and not out_of_turn and passed + 1 or 0
  redis.call("ZREM", out_of_turn and line or laden, name)
  redis.call("ZREM", due, name)
  redis.call("ZADD", given, number(from), name)
  from, pops = from + interval, pops + 1
end
if pops > 0 then
  first = from
end

local answer = { now, math.max(gate - now, 0) }
for i, name in ipairs(names) do
  local slot = tonumber(redis.call("ZSCORE", given, name) or nil)
  if slot and slot % 1 == 0 then
    redis.call("ZADD", given, string.format("%.1f", slot + 0.5), name)
    answer[2 * i + 1], answer[2 * i + 2] = SLOT, slot - now
  elseif slot then
    answer[2 * i + 1], answer[2 * i + 2] = TAKEN, slot - 0.5 - now
  else
    -- About when its slot is half as far ahead as it may be, or as soon as it has one if a request waits for it at the
    -- wire; in a long line at half of the way there.
    local rank = redis.call("ZRANK", line, name)
    local among = full[i] and redis.call("ZRANK", laden, name)
    if among then
      rank = math.min(rank, LADEN_EVERY * among)
    end
    local wait = math.max(from + rank * interval - now - (owed[i] and ahead or math.floor(ahead / 2)), gate - now, LEAST)
    wait = math.max(math.min(wait, LONG), math.floor(wait / 2))
    redis.call("ZADD", due, number(now + wait), name)
    answer[2 * i + 1], answer[2 * i + 2] = LINE, wait
  end
end

redis.call("HSET", budget, "next", number(first), "gate", number(gate), "run", run, "clock", number(now),
  "ticket", number(ticket), "passed", number(passed))
-- Once in a while: it is written to disk and sent to replicas each time.
for i = 2, 5 do
  if redis.call("TTL", KEYS[i]) < 3000 then
    redis.call("EXPIRE", KEYS[i], 3600)
  end
end
return answer
]]

---@class moonweir.redis.Lease
---@field close fun(self)  ends its thread; the client then sends no more

--- Fetch permits for a client that was opened with `leased = true`, until the lease is closed.
---@param client moonweir.Client
---@param where table|userdata where Redis is, as moonweir.hiredis.new takes it; or a connection, which is the lease's then:
--- without patience, for a permit that comes late is of no use, and the lease asks again by itself
---@param key? string of the budget, without braces or with a {tag}; default budget.KEY
---@return moonweir.redis.Lease|nil
---@return string? message
---@return "io"|"no_memory"|"bad_endpoint"|"forked"|nil code
function budget.lease(client, where, key)
	local keys = budget.keys(key or budget.KEY)
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
	return red:lease(lessee, budget.script, keys)
end

return budget
