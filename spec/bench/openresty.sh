#!/bin/sh
# What a pushed event costs in nginx: two workers under wrk, the same handler without and with a push, turn by turn.
#
#     openresty.sh [ROUNDS [SECONDS]]
#
# Prints requests/s of each round, the medians and their ratio, and how late a timer of a millisecond comes inside a worker
# meanwhile. The generator and the receiver share the machine, so only the ratios mean anything.
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

rate_of() {
	wrk -t1 -c64 -d"${2:-$seconds}s" "$url/$1" | sed -n 's/^Requests\/sec: *//p'
}
median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
rate_of plain 1 >/dev/null
rate_of push 1 >/dev/null
curl -s "$url/late" >/dev/null
for round in $(seq "$rounds"); do
	for handler in plain push; do
		rate_of $handler | tee -a "$work/$handler" | sed "s/^/$handler: /;s/\$/ requests\/s/"
		curl -s "$url/late" | tee -a "$work/$handler.late" | sed 's/^/  a timer of 1 ms was late by: /'
	done
done
awk -v plain="$(median "$work/plain")" -v push="$(median "$work/push")" 'BEGIN {
	printf "medians: %d and %d requests/s; with a push %.1f %% of without\n", plain, push, 100 * push / plain }'
cat "$work/error.log"
