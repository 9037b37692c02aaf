#!/bin/sh
# Redis on a socket of its own, a debugger in Segment's place, two workers: entries from three kinds of producers go through,
# one worker is killed in the middle. Usage: demo.sh; MOONWEIR is the command to call, if it is not on the PATH. LUA_PATH and
# LUA_CPATH must find moonweir, for the producer in Lua.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
moonweir=${MOONWEIR:-moonweir}
work=$(mktemp -d)
redis= debugger= one= two=
trap 'kill $one $two $debugger $redis 2>/dev/null || true; rm -rf "$work"' EXIT
umask 077

say() {
	printf '\n%s\n' "$*"
}
# until_true SECONDS COMMAND
until_true() {
	tries=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { echo "waited in vain for: $*"; cat "$work"/*.err; exit 1; }
		sleep 0.05
	done
}
cli() {
	redis-cli -s "$work/redis.sock" "$@"
}
# worker NAME
worker() {
	"$moonweir" worker "$here/../acme-mail/acme-mail.lua" --redis "unix://$work/redis.sock" --stream events --group segment \
		--consumer "$1" --idle 2 --endpoint "$url" --write-key demoKeyOfEverybody0000000000dk01 >"$work/$1" 2>"$work/$1.err" &
}
is_done() {
	[ "$(cli XPENDING events segment | head -n 1)" = 0 ] && [ "$(wc -l <"$work/arrived")" -ge 100 ]
}

say "Redis, with an append-only file, and a debugger in Segment's place:"
redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work" --save "" --appendonly yes >/dev/null &
redis=$!
"$moonweir" debugger --port 0 >"$work/arrived" 2>"$work/debugger.err" &
debugger=$!
until_true 60 cli PING
until_true 60 grep -q '^listening' "$work/arrived"
url=$(sed -n 's/^listening on //p' "$work/arrived")

say "Events, by the command line, by a Redis function and from Lua:"
head -n 1 "$here/../acme-mail/events.ndjson" | cli -x XADD events '*' body
cli -x FUNCTION LOAD REPLACE <"$here/moonweir-function.lua"
cli FCALL moonweir_push 1 events acme "$(sed -n 2p "$here/../acme-mail/events.ndjson")"
sed 1,2d "$here/../acme-mail/events.ndjson" | "${LUA:-lua5.4}" "$here/push.lua" "$work/redis.sock" events

cli XADD events '*' body '{"type":"no.such.event","id":"e1"}'

say "Two workers; one is killed with -9 as soon as it has something:"
worker one; one=$!
until_true 60 sh -c "redis-cli -s '$work/redis.sock' XINFO CONSUMERS events segment | grep -q one"
kill -9 $one
wait $one 2>/dev/null || true
one=
worker two; two=$!
until_true 30 is_done
kill -TERM $two
wait $two || true
two=
cat "$work/two.err" "$work/two"

say "What could not be delivered, and why:"
cli --no-raw XRANGE '{events}:dead' - + COUNT 2

say "The last 5 of $(($(wc -l <"$work/arrived") - 2)) messages that arrived:"
tail -n 5 "$work/arrived"
