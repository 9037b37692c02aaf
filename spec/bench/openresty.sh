#!/bin/sh
# What a pushed event costs in nginx: two workers under wrk, the same handler without and with a push, turn by turn.
#
#     openresty.sh [ROUNDS [SECONDS]]
#
# Prints requests/s of each round, the medians and their ratio, the workers' CPU time a request, and how late a timer of a
# millisecond comes inside a worker meanwhile. Generator and receiver share the machine, so only ratios mean anything.
set -eu
build=${MW_BUILD:-build}
rounds=${1:-5} seconds=${2:-4}
tree=$(pwd)
work=$(mktemp -d)
sink=
stop() {
	[ ! -f "$work/nginx.pid" ] || kill "$(cat "$work/nginx.pid")" 2>/dev/null || true
	kill $sink 2>/dev/null || true
	while [ -f "$work/nginx.pid" ]; do sleep 0.05; done
	rm -rf "$work"
}
trap stop EXIT

mkfifo "$work/sink"
"$build/test/sink" --port 0 >"$work/sink" &
sink=$!
read -r endpoint <"$work/sink"
endpoint=http://127.0.0.1:${endpoint##*[!0-9]}

(umask 077; echo bench-key-0001 >"$work/key")
cp spec/bench/openresty_source.lua "$work/source.lua"
cp spec/bench/openresty.lua "$work/bench.lua"

port=$((20000 + $$ % 20000))
modules=$(nginx -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
cat >"$work/nginx.conf" <<CONF
$([ "$(id -u)" != 0 ] || echo "user root;")
load_module $modules/ndk_http_module.so;
load_module $modules/ngx_http_lua_module.so;
worker_processes 2;
pid $work/nginx.pid;
error_log $work/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  lua_package_path "$work/?.lua;$tree/lua/?.lua;$tree/lua/?/init.lua;;";
  lua_package_cpath "$tree/$build/luajit/?.so;;";
  lua_shared_dict lateness 1m;
  init_worker_by_lua_block {
    require("moonweir.openresty").open {
      source = "source.lua", spool = "spool", write_key_file = "key", delivery = { endpoint = "$endpoint" } }
    require("bench").watch()
  }
  exit_worker_by_lua_block { require("moonweir.openresty").close(0) }
  server {
    listen 127.0.0.1:$port reuseport;
    keepalive_requests 1000000;
    location = /plain { content_by_lua_block { ngx.exit(204) } }
    location = /push { content_by_lua_block { require("bench").push() ngx.exit(204) } }
    location = /late { content_by_lua_block { require("bench").tell() } }
  }
}
CONF
nginx -p "$work/" -c nginx.conf -e "$work/error.log"
url=http://127.0.0.1:$port

# Nanoseconds of CPU of both workers with their engines' threads.
cpu() {
	for worker in $(pgrep -P "$(cat "$work/nginx.pid")"); do cat /proc/"$worker"/task/*/schedstat; done | awk '{ ns += $1 } END { printf "%.0f", ns }'
}
# From what `times` wrote: seconds of CPU of all that this shell has waited for, wrk among it.
waited_for() {
	awk 'NR == 2 { split($1 " " $2, t, /[ms ]+/); printf "%.2f", (t[1] + t[3]) * 60 + t[2] + t[4] }' "$1"
}
# measure HANDLER SECONDS: requests/s, and microseconds of CPU a request, of the workers and of wrk.
measure() {
	before=$(cpu)
	times >"$work/before"
	wrk -t1 -c64 -d"$2s" "$url/$1" >"$work/wrk"
	times >"$work/after"
	ns=$(($(cpu) - before))
	awk -v ns="$ns" -v before="$(waited_for "$work/before")" -v after="$(waited_for "$work/after")" '/requests in/ { n = $1 }
		/^Requests\/sec/ { printf "%d %.2f %.2f\n", $2, ns / n / 1000, (after - before) * 1e6 / n }' "$work/wrk"
}
# median FILE COLUMN
median() {
	sort -n -k"$2" "$1" | awk -v column="$2" '{ v[NR] = $column } END { print v[int((NR + 1) / 2)] }'
}
measure plain 1 >/dev/null
measure push 1 >/dev/null
curl -s "$url/late" >/dev/null
for _ in $(seq "$rounds"); do
	for handler in plain push; do
		measure $handler "$seconds" >"$work/round"
		cat "$work/round" >>"$work/$handler"
		awk -v handler=$handler '{ printf "%-6s %7d requests/s, %5.2f us of CPU each (wrk: %.2f); a timer of 1 ms was late by ", handler ":", $1, $2, $3 }' "$work/round"
		curl -s "$url/late"
	done
done
for handler in plain push; do
	printf '%s, medians: %d requests/s, %s us of CPU each, wrk %s\n' $handler "$(median "$work/$handler" 1)" \
		"$(median "$work/$handler" 2)" "$(median "$work/$handler" 3)"
done
awk -v plain="$(median "$work/plain" 1)" -v push="$(median "$work/push" 1)" 'BEGIN {
	printf "with a push %.1f %% of the requests/s without\n", 100 * push / plain }'
cat "$work/error.log"
