--- scripts -- what must happen as a whole, as Lua that the server runs: an entry is never in two places, nor in none.
---
--- Each looks first whether the entry is still its group's to finish, so that a repeat, or another worker that was faster,
--- changes nothing.

local scripts = {}

local PENDING = [[
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
]]

local DONE = [[
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] == '1' then redis.call('XDEL', KEYS[1], ARGV[2]) end
return 1
]]

--- KEYS stream, dead; ARGV group, id, delete, fields … -> 1, or 0: it was finished already.
scripts.bury = PENDING .. [[
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
]] .. DONE

--- KEYS stream, the account's stream, accounts; ARGV group, id, delete, account, when to try again, fields …
scripts.park = PENDING .. [[
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 6))
redis.call('ZADD', KEYS[3], 'NX', ARGV[5], ARGV[4])
]] .. DONE

--- Entries of an account go back, behind what has come since.
--- KEYS stream, the account's stream, accounts; ARGV account, how many, when to try the rest -> how many went
scripts.unpark = [[
local list = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[2])
for _, entry in ipairs(list) do
	redis.call('XADD', KEYS[1], '*', unpack(entry[2]))
	redis.call('XDEL', KEYS[2], entry[1])
end
if redis.call('XLEN', KEYS[2]) == 0 then
	redis.call('DEL', KEYS[2])
	redis.call('ZREM', KEYS[3], ARGV[1])
else
	redis.call('ZADD', KEYS[3], 'XX', ARGV[3], ARGV[1])
end
return #list
]]

--- Dead entries go back to their stream, without what was said of them but with the id they had.
--- Those of other groups stay.
--- KEYS stream, dead; ARGV group, how many to look at, where to begin -> how many went, were looked at, the last one's id
scripts.replay = [[
local list = redis.call('XRANGE', KEYS[2], ARGV[3], '+', 'COUNT', ARGV[2])
local went, last = 0, ''
for _, entry in ipairs(list) do
	local fields, group = {}, nil
	for i = 1, #entry[2], 2 do
		local name, value = entry[2][i], entry[2][i + 1]
		if name == 'moonweir-group' then group = group or value end -- ours stands before what the entry came with
		if string.sub(name, 1, 9) ~= 'moonweir-' or name == 'moonweir-id' then
			fields[#fields + 1], fields[#fields + 2] = name, value
		end
	end
	last = entry[1]
	if group == ARGV[1] then
		redis.call('XADD', KEYS[1], '*', unpack(fields))
		redis.call('XDEL', KEYS[2], entry[1])
		went = went + 1
	end
end
return { went, #list, last }
]]

--- A consumer that holds nothing is forgotten; one that holds entries must not be: they would be lost with it.
--- KEYS stream; ARGV group, consumer -> 1 if it was
scripts.leave = [==[
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
	local it = {}
	for i = 1, #consumer, 2 do it[consumer[i]] = consumer[i + 1] end
	if it.name == ARGV[2] and it.pending == 0 then
		redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
		return 1
	end
end
return 0
]==]

return scripts
