--- What one event costs from Lua: CPU time in ns, the median of five, and as a multiple of what lua-cjson takes to decode the
--- same event in the same run, which says more of another machine. `lua lua_bench.lua [seconds for each figure]`
package.path = "spec/?.lua;" .. package.path
local cjson = require "cjson"
local core = require "moonweir.core"
local compile = require "moonweir.compile"
local mw = require "moonweir"
local review = require "moonweir.review"
local sandbox = require "moonweir.sandbox"
local workload = require "support.workload"

local SECONDS = tonumber(arg[1]) or 0.2

local yardstick

local function tell(name, times)
	table.sort(times)
	yardstick = yardstick or times[3]
	print(("%-58s %7.0f ns   (%.0f .. %.0f)   %.2f"):format(name, times[3], times[1], times[5], times[3] / yardstick))
end

local function rounds_of(run)
	local n, start = 1
	repeat
		n, start = n * 2, os.clock()
		run(n)
	until os.clock() - start > SECONDS / 4
	return n
end

local function measure(name, run, per_run)
	local n, times = rounds_of(run), {}
	for i = 1, 5 do
		collectgarbage()
		local start = os.clock()
		run(n)
		times[i] = (os.clock() - start) / n / (per_run or 1) * 1e9
	end
	tell(name, times)
end

--- CPU time of the calling thread alone, in seconds; the system counts it at each of its ticks, of 1 to 4 ms.
local function own_clock()
	local file = assert(io.open "/proc/thread-self/schedstat")
	local ns = file:read "n" or file:read "*n"
	file:close()
	return ns / 1e9
end

--- What `with` costs more than `without`: the median of 25 differences, taking turns, so that what slows one slows both.
local function compare(name, without, with)
	local n, start = 1
	repeat
		n, start = n * 2, os.clock()
		without(n)
	until os.clock() - start > SECONDS / 10
	local differences = {}
	for i = 1, 25 do
		collectgarbage()
		start = os.clock()
		without(n)
		local between = os.clock()
		collectgarbage()
		local again = os.clock()
		with(n)
		differences[i] = (os.clock() - again - (between - start)) / n * 1e9
	end
	table.sort(differences)
	print(("%-58s %+7.0f ns   (%+.0f .. %+.0f)"):format(name, differences[13], differences[7], differences[19]))
end

local event = '{"event_id":"evt_00000001","type":"message.opened","account_id":"acct-01","occurred_at":1700000001,"contact":'
	.. '{"id":9007199254740,"external_id":"user-1","email":"person1@example.com","first":"Ann","last":"Mueller"},"message":'
	.. '{"id":"msg_0000001","subject":"Your statement for March is ready to be looked at"},"campaign":{"id":"c1","name":'
	.. '"Newsletter for the spring"},"client":{"ip":"192.0.2.1","agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},'
	.. '"count":1,"score":0.7}'

local function_source = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "acme-mail", version = "1.2.3",
	account = get "account_id", event = get "type", id = get "event_id", time = get "occurred_at",
	on = { ["message.opened"] = function(event, emit)
		local message, campaign = event.message, event.campaign
		emit(source.track "Email Opened" {
			email_id = message.id, email_subject = message.subject, campaign_id = campaign.id,
			campaign_name = campaign.name, opens = event.count, score = event.score,
		}, { user = event.contact.external_id })
	end },
}
]]

local apply_source = function_source:gsub("\n\ton = .*", [[

	user = get "contact.external_id",
	on = { ["message.opened"] = source.track "Email Opened" {
		email_id = get "message.id", email_subject = get "message.subject":apply(function(s) return s end),
		campaign_id = get "campaign.id", campaign_name = get "campaign.name", opens = get "count", score = get "score",
	} },
}]])

measure("for contrast, and the yardstick: lua-cjson, decoding it", function(n)
	for _ = 1, n do
		cjson.decode(event)
	end
end)

local LINES = 200
local lines = (event .. "\n"):rep(LINES)

for _, case in ipairs {
	{ "declared, no Lua value made", workload.source },
	{ "one :apply", apply_source },
	{ "function on the view, a track of six properties", function_source },
} do
	local map = assert(compile(assert(sandbox.load("bench.lua", case[2]))))
	local m = core.mapper(map)
	local tally, problems = m:tally(event)
	assert(tally.messages == 1, problems and problems[1].message)
	measure(case[1] .. ", one by one", function(n)
		for _ = 1, n do
			m:tally(event)
		end
	end)
	local checked = core.mapper(map, { review = review.new().core })
	compare("  checked by the Spec", function(n)
		for _ = 1, n do
			m:tally(event)
		end
	end, function(n)
		for _ = 1, n do
			checked:tally(event)
		end
	end)
	local options = { format = "ndjson" }
	measure(case[1] .. ", in lines", function(n)
		for _ = 1, n do
			m:tally(lines, options)
		end
	end, LINES)
end

local function track()
	return {
		userId = "user-1", event = "Email Opened", messageId = "acme-mail:acct-01:evt_00000001:0",
		timestamp = "2023-11-14T22:13:21.000Z",
		properties = {
			email_id = "msg_0000001", email_subject = "Your statement for March is ready to be looked at",
			campaign_id = "c1", campaign_name = "Newsletter for the spring", opens = 1, score = 0.7,
		},
		context = { integration = { name = "acme-mail", version = "1.2.3" } },
	}
end

local ready = track()
measure("core.encode of a track of 4 tables, 16 pairs", function(n)
	for _ = 1, n do
		core.encode(ready)
	end
end)
measure("building that table", function(n)
	for _ = 1, n do
		track()
	end
end)
measure("for contrast: lua-cjson, encoding that table", function(n)
	for _ = 1, n do
		cjson.encode(ready)
	end
end)

-- Rate 0.001: nothing is sent.
local function track_all(checked)
	return function(n)
		local client = assert(mw.open {
			write_key = "bench", endpoint = "http://127.0.0.1:9", rate = 0.001, queue_bytes = 4e9, check = checked,
			integration = { name = "acme-mail", version = "1.2.3" },
		})
		local own, all = own_clock(), os.clock()
		for _ = 1, n do
			client:track("acct-01", ready)
		end
		own, all = own_clock() - own, os.clock() - all
		client:close(0)
		return own / n * 1e9, all / n * 1e9
	end
end
do
	local run, own, all = track_all(false), {}, {}
	local n = rounds_of(run) * 4
	for i = 1, 5 do
		collectgarbage()
		own[i], all[i] = run(n)
	end
	tell("client:track of that table, ready made: the caller's thread", own)
	tell("  and the engine's, which takes it to the queue", all)
end
compare("  checked by the Spec", track_all(false), track_all(true))
