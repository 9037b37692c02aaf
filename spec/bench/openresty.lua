--- What openresty.sh measures, inside a worker: one event a request, and how late the event loop's timers are.

local ffi = require "ffi"
local openresty = require "moonweir.openresty"

ffi.cdef "typedef struct { long seconds; long nanoseconds; } bench_time; int clock_gettime(int clock, bench_time *t);"
local time = ffi.new "bench_time"
local MONOTONIC, THREAD_CPU = 1, 3 -- Linux's numbers

local function clock(which)
	ffi.C.clock_gettime(which, time)
	return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

local bench = {}

local EVENT = '{"type":"request","user":"u1","method":"GET","path":"/v1/orders","status":200}'

local refused = 0

function bench.push()
	if not openresty.push(EVENT) then
		refused = refused + 1
	end
end

local late, busiest = {}, 0

--- Sleeps of a millisecond, one after the other, for as long as the worker lives. How late they end is also a matter of what
--- else runs on the machine; what the worker itself computed meanwhile is not.
function bench.watch()
	ngx.timer.at(0, function()
		while not ngx.worker.exiting() do
			local began, computed = clock(MONOTONIC), clock(THREAD_CPU)
			ngx.sleep(0.001)
			late[#late + 1] = clock(MONOTONIC) - began - 0.001
			busiest = math.max(busiest, clock(THREAD_CPU) - computed)
		end
	end)
end

--- Since the last time that this worker was asked.
function bench.tell()
	local list = late
	late = {}
	table.sort(list)
	local function at(share)
		return 1000 * (list[math.max(1, math.ceil(#list * share))] or 0)
	end
	ngx.say(("median %.2f ms, 99 %% %.2f ms, 99.9 %% %.2f ms, most %.2f ms (computing: %.2f ms)%s"):format(
		at(0.5), at(0.99), at(0.999), at(1), 1000 * busiest, refused > 0 and ("; %d pushes found no room"):format(refused) or ""))
	busiest, refused = 0, 0
end

return bench
