#!/bin/sh
# What one entry of a Redis stream costs: one worker, no rate limit, a sink that is never the bottleneck. CPU time is the
# figure to look at; events/s only on a machine with nothing else to do. MW_EVENTS=300000 MW_RUNS=3
#
# What bounds a worker is Lua: on Lua 5.4 about 64 % of its instructions are the interpreter's own (an entry's fields become a
# table, the ledger counts it in and out), 15 % copying and malloc, 8 % the mapping; hiredis has 2 %, curl 1 %. Counted with
# MW_UNDER="valgrind --tool=callgrind --trace-children=yes" MW_EVENTS=20000 MW_RUNS=1 MW_VMS=lua5.4
set -eu
build=$(realpath "${MW_BUILD:-build}")
work=$(mktemp -d)
redis= sink=
trap 'kill $sink $redis 2>/dev/null || true; rm -rf "$work"' EXIT
events=${MW_EVENTS:-300000}

lua5.4 spec/bench/events.lua "$work/events.ndjson" 20000
redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save "" ${MW_REDIS_OPTIONS:-} >/dev/null &
redis=$!
mkfifo "$work/port"
"$build/test/sink" --port 0 >"$work/port" &
sink=$!
read -r port <"$work/port"
until redis-cli -s "$work/redis.sock" ping >/dev/null 2>&1; do :; done
LUA_PATH="lua/?.lua;lua/?/init.lua;;" LUA_CPATH="$build/lua5.4/?.so;;" \
	lua5.4 spec/bench/fill_stream.lua "unix://$work/redis.sock" events "$work/events.ndjson" "$events"

cpu_of() { # ticks of 10 ms
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}
for vm in ${MW_VMS:-lua5.4 luajit}; do
	times >"$work/before"
	for run in $(seq "${MW_RUNS:-3}"); do
		before=$(cpu_of $redis) sink_before=$(cpu_of $sink)
		MOONWEIR_LUA=$vm MOONWEIR_WRITE_KEY=bench ${MW_UNDER:-} "$build/moonweir" worker "$work/events.ndjson.lua" --rate 0 --json \
			--redis "unix://$work/redis.sock" --stream events --group "$vm-$run" --until-empty \
			--endpoint "http://127.0.0.1:$port" >"$work/summary" &
		worker=$!
		wait $worker
		times >"$work/times"
		awk -v vm="$vm" -v n="$events" -v redis=$(($(cpu_of $redis) - before)) -v sink=$(($(cpu_of $sink) - sink_before)) '
			match($0, /"seconds":[0-9.]+/) { s = substr($0, RSTART + 10, RLENGTH - 10) }
			{ printf "%s: %.0f entries/s; redis %.2f us, sink %.2f us of CPU an entry\n", vm, n / s, redis * 1e4 / n, sink * 1e4 / n }' "$work/summary"
	done
	cat "$work/before" "$work/times" | awk -v vm="$vm" -v n="$events" -v runs="${MW_RUNS:-3}" 'NR % 2 == 0 {
		split($1 " " $2, t, /[ms ]+/)
		seconds = (t[1] + t[3]) * 60 + t[2] + t[4] - seconds
	} END { printf "%s: worker %.2f us of CPU an entry\n", vm, seconds * 1e6 / n / runs }'
done
