#!/bin/sh
# What one event costs: the medians of five, side by side in one run. Figures of different machines, or of one machine
# on different days, do not compare; ratios within a run do.
set -eu
build=${MW_BUILD:-build}
work=$(mktemp -d)
sink= daemon=
trap 'kill $sink $daemon 2>/dev/null || true; rm -rf "$work"' EXIT

echo "== length of a source, beside a handler written by hand"
lua5.4 spec/bench/length.lua
echo "== JSON reader and writer"
"$build/test/json_bench"
echo "== compiled mapping, in C"
"$build/test/map_bench"
echo "== known ids, by how many are remembered"
TMPDIR=$work "$build/test/seen_bench"
echo "== who is it? by how many are known"
TMPDIR=$work "$build/test/identities_bench"
echo "== what the spool adds to a message, CPU alone"
TMPDIR=$work "$build/test/spool_bench"

for vm in lua5.4 luajit; do
	echo "== from Lua: $vm"
	LUA_PATH="lua/?.lua;lua/?/init.lua;spec/?.lua;;" LUA_CPATH="$build/$vm/?.so;;" "$vm" spec/bench/lua_bench.lua
done

events=${MW_EVENTS:-1000000}
lua5.4 spec/bench/events.lua "$work/events.ndjson" "$events"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" \
	-days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null

# sink NAME [OPTIONS]: starts one; its port is then in $port
start_sink() {
	mkfifo "$work/port.$1"
	name=$1
	shift
	"$build/test/sink" --port 0 "$@" >"$work/port.$name" &
	sink=$!
	read -r port <"$work/port.$name"
	port=${port##*[!0-9]}
}
stop_sink() {
	kill "$sink"
	wait "$sink" 2>/dev/null || true
}
# The median of five runs, each with an empty spool if there is one; and what they took of CPU, kernel and all, on
# average: without a spool and with one, the difference is what the spool costs.
median_of_runs() {
	{
		for _ in 1 2 3 4 5; do
			rm -rf "$work/spool"
			MOONWEIR_LUA=$vm MOONWEIR_WRITE_KEY=bench "$build/moonweir" run "$work/events.ndjson.lua" "$work/events.ndjson" \
				--rate 0 --json "$@"
		done
		times >"$work/times" # of this shell, then of what it ran
	} | sed -n 's/.*"events_per_second": *\([0-9.]*\).*/\1/p' | sort -n | sed -n 3p >"$work/median"
	awk -v vm="$vm" -v events="$events" -v median="$(cat "$work/median")" 'NR == 2 {
		split($1 " " $2, t, /[ms ]+/)
		us = ((t[1] + t[3]) * 60 + t[2] + t[4]) * 1e6 / 5 / events
		printf "%s: %s events/s, %.2f us of CPU an event\n", vm, median, us
	}' "$work/times"
}

echo "== end to end: $events events from an NDJSON file to a counting sink on loopback, --rate 0"
for vm in lua5.4 luajit; do
	start_sink "$vm"
	median_of_runs --endpoint "http://127.0.0.1:$port"
	stop_sink
done
echo "== the same over TLS; then with a spool too: mapped, committed, synced, their ids remembered, posted"
for vm in lua5.4 luajit; do
	start_sink "$vm.tls" --cert "$work/cert.pem" --key "$work/key.pem"
	median_of_runs --endpoint "https://127.0.0.1:$port" --ca-file "$work/cert.pem"
	median_of_runs --endpoint "https://127.0.0.1:$port" --ca-file "$work/cert.pem" --spool "$work/spool"
	stop_sink
done
echo "== in nginx: two workers under wrk, the same handler without and with a push"
sh spec/bench/openresty.sh 5 3
echo "== a Redis stream through one worker"
sh spec/bench/worker.sh
echo "== how long a sync takes at 45,000 events/s"
start_sink sync
for _ in 1 2 3; do
	rm -rf "$work/spool"
	"$build/test/sync_bench" "$work/spool" 5 "http://127.0.0.1:$port"
done
stop_sink
# serve_on VM MORE: a daemon on $work/daemon.lua; its port in $daemon_port, its number in $daemon.
serve_on() {
	rm -rf "$work/spool"
	cat >"$work/daemon.lua" <<CONFIG
return { source = "bench-source.lua", spool = "spool", listen = "127.0.0.1:0", operations = false,
  write_key_file = "bench-key", delivery = { endpoint = "http://127.0.0.1:$port", rate = 0 },
  limits = { connections_per_ip = 0 } }
CONFIG
	cp examples/acme-mail/acme-mail.lua "$work/bench-source.lua"
	(umask 077; echo bench-key-0001 >"$work/bench-key")
	MOONWEIR_LUA=$1 "$build/moonweir" serve "$work/daemon.lua" 2>"$work/daemon.log" &
	daemon=$!
	until grep -q "event=started" "$work/daemon.log"; do sleep 0.05; done
	daemon_port=$(sed -n 's/.*event=started listen=[0-9.]*:\([0-9]*\).*/\1/p' "$work/daemon.log")
}
echo "== webhooks over keep-alive, each answered when it is synced; the generator on the same machine"
for vm in lua5.4 luajit; do
	start_sink "$vm.serve"
	serve_on "$vm"
	for load in "400 1" "16 1000"; do
		printf '%s, connections and events a POST %s: ' "$vm" "$load"
		"$build/test/serve_load" "$daemon_port" 5 $load /webhooks/acme "" "$daemon" || true
	done
	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null || true
	stop_sink
done
