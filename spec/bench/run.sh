#!/bin/sh
# What one event costs: the medians of five, side by side in one run. Figures of different machines, or of one machine
# on different days, do not compare; ratios within a run do.
set -eu
build=${MW_BUILD:-build}
work=$(mktemp -d)
sink=
trap 'kill $sink 2>/dev/null || true; rm -rf "$work"' EXIT

echo "== JSON reader and writer"
"$build/test/json_bench"
echo "== compiled mapping, in C"
"$build/test/map_bench"
echo "== known ids, by how many are remembered"
TMPDIR=$work "$build/test/seen_bench"
echo "== what the spool adds to a message, CPU alone"
TMPDIR=$work "$build/test/spool_bench"

for vm in lua5.4 luajit; do
	echo "== from Lua: $vm"
	LUA_PATH="lua/?.lua;lua/?/init.lua;spec/?.lua;;" LUA_CPATH="$build/$vm/?.so;;" "$vm" spec/bench/lua_bench.lua
done

events=${MW_EVENTS:-1000000}
echo "== end to end: $events events from an NDJSON file to a counting sink on loopback, --rate 0"
lua5.4 spec/bench/events.lua "$work/events.ndjson" "$events"
for vm in lua5.4 luajit; do
	mkfifo "$work/port.$vm"
	"$build/test/sink" --port 0 >"$work/port.$vm" &
	sink=$!
	read -r port <"$work/port.$vm"
	port=${port##*[!0-9]}
	for _ in 1 2 3 4 5; do
		MOONWEIR_LUA=$vm MOONWEIR_WRITE_KEY=bench "$build/moonweir" run "$work/events.ndjson.lua" "$work/events.ndjson" \
			--endpoint "http://127.0.0.1:$port" --rate 0 --json
	done | sed -n 's/.*"events_per_second": *\([0-9.]*\).*/\1/p' | sort -n | sed -n 3p | sed "s/^/$vm: /; s/\$/ events\/s/"
	kill "$sink"
	wait "$sink" 2>/dev/null || true
done
