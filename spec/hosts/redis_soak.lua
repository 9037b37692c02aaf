--- lua redis_soak.lua [ENTRIES [KILLS [SEED]]] -- four workers, killed at random, on a Redis that is killed once.
---
--- Entries come in while workers deliver them at Segment's 50 requests a second, which they share. Every so often a random
--- one is killed with -9 and comes back, under its name or under another one; half-way Redis is killed and reads its
--- append-only file. In the end every entry must have come, each repeat of one under the same messageId, and no second may
--- have seen more than 50 requests. Prints its seed, and what it saw.

local busiest_second = require "spec.support.windows"
local child = require "spec.support.child"
local mock = require "spec.support.mock"
local redis = require "spec.support.redis"
local process = require("moonweir.core").process

local ENTRIES, KILLS = tonumber(arg[1] or 1000000), tonumber(arg[2] or 12)
local SEED = tonumber(arg[3]) or math.floor(process.wall() * 1000) % 2 ^ 31
local WORKERS, SLICE, RATE = 4, 2000, 50
local STREAM, GROUP = "soak", "segment"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "soak", version = "1", account = get "account", event = get "type", user = source.user { get "user" },
	on = { opened = source.track "Email Opened" { n = get "n" } },
}
]]

math.randomseed(SEED)
print(("seed %d: %d entries, %d workers, %d kills"):format(SEED, ENTRIES, WORKERS, KILLS))

local path, key_file = child.file("soak.lua", SOURCE), child.file("key", ("k"):rep(32))
local state = child.folder() .. "/state"
local segment = mock.start()
local server = redis.start { appendonly = "yes", appendfsync = "everysec" }
local red = server:client()

local names = 0
local function start(name)
	if not name then
		names = names + 1
		name = "w" .. names
	end
	local worker = child.start({ "worker", path, "--redis", server.url, "--stream", STREAM, "--group", GROUP, "--consumer", name,
		"--endpoint", segment.url, "--write-key-file", key_file, "--state", state, "--rate", tostring(RATE), "--idle", "3",
		"--account", "everybody", "--json" })
	worker.name = name
	return worker
end

--- The next slice of entries, as a whole and with ids of our own, so that one whose answer got lost can be sent again.
local slice = require("moonweir.hiredis").script [[
for n = tonumber(ARGV[2]), tonumber(ARGV[3]) do
	local reply = redis.pcall('XADD', KEYS[1], string.format('%d-1', ARGV[1] + n), 'account', 'a' .. n % 7, 'body',
		string.format('{"type":"opened","user":"u%d","n":%d}', n % 1000, n))
	if reply.err and not string.find(reply.err, 'equal or smaller') then return reply end
end
return 1
]]
local added, base = 0, math.floor(process.wall() * 1000) - ENTRIES
local function add_slice()
	local last = math.min(added + SLICE, ENTRIES)
	if red:call_again(slice, 1, STREAM, base, added + 1, last) then
		added = last
	end
end

--- How many entries were read, and are pending. Redis's own count of what was read is off after a restart.
local function progress()
	local groups = red:call("XINFO", "GROUPS", STREAM)
	local it = {}
	for i = 1, #(groups and groups[1] or {}), 2 do
		it[groups[1][i]] = groups[1][i + 1]
	end
	local last = (it["last-delivered-id"] or ""):match "^(%d+)%-1$"
	return last and tonumber(last) - base or 0, it.pending
end

local function kill_one(workers, kill)
	local i = math.random(WORKERS)
	workers[i]:signal "KILL"
	workers[i]:finish()
	workers[i] = start(kill % 2 == 1 and workers[i].name or nil)
end

local function soak()
	local workers = {}
	for i = 1, WORKERS do
		workers[i] = start()
	end
	local began, kills, redis_kills = process.monotonic(), 0, 0
	local next_kill = began + 1
	while true do
		if added < ENTRIES then
			add_slice()
		end
		local read, pending = progress()
		if read > ENTRIES / 2 and redis_kills == 0 then
			redis_kills = 1
			server:restart "KILL"
		end
		if kills < KILLS and process.monotonic() >= next_kill then
			kills = kills + 1
			next_kill = process.monotonic() + 0.5 + 2 * math.random()
			kill_one(workers, kills)
		end
		if added == ENTRIES and kills >= 2 and read == ENTRIES and pending == 0 then
			break
		end
		process.wait(added < ENTRIES and 0.02 or 0.1)
		if process.monotonic() - began > 900 then
			error(("not finished: %d read, %s pending; %s"):format(read, tostring(pending), workers[1]:err():sub(-500)))
		end
	end
	local seconds = process.monotonic() - began
	for _, worker in ipairs(workers) do
		worker:signal "TERM"
		worker:finish()
	end
	return seconds, kills, redis_kills
end

--- What came: how many different entries, how many repeats, how many of those under another messageId.
local function judge()
	local ids, different, repeats, wrong = {}, 0, 0, 0
	for line in io.lines(segment.arrived) do
		local n, id = tonumber(line:match '"n":(%d+)'), line:match '"messageId":"([^"]+)"'
		if not ids[n] then
			ids[n], different = id, different + 1
		else
			repeats = repeats + 1
			wrong = wrong + (ids[n] == id and 0 or 1)
		end
	end
	return different, repeats, wrong
end

local ok, failure = pcall(function()
	local seconds, kills, redis_kills = soak()
	local letters = red:call("XLEN", "{" .. STREAM .. "}:dead")
	local requests = segment:finish()
	local different, repeats, wrong = judge()
	local most = busiest_second(requests)
	print(("%d of %d entries delivered, %d dead; %d repeats, %d of them under another messageId"):format(different, ENTRIES,
		letters, repeats, wrong))
	print(("%d kills of workers, %d of Redis; %d requests, at most %d in a second; %.1f s"):format(kills, redis_kills, #requests,
		most, seconds))
	assert(different == ENTRIES and letters == 0 and wrong == 0 and most <= RATE and redis_kills == 1, "that is not right")
end)
redis.clean()
child.clean()
if not ok then
	io.stderr:write(tostring(failure), "\n")
	os.exit(1)
end
