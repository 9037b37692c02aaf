#!/bin/sh
# The whole way on one machine: a debugger in Segment's place, the example's events through it, and what arrived.
# Usage: demo.sh; MOONWEIR is the command to call, if it is not on the PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
moonweir=${MOONWEIR:-moonweir}
work=$(mktemp -d)
debugger=
trap 'test -z "$debugger" || kill "$debugger" 2>/dev/null || true; rm -rf "$work"' EXIT

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then
	say() { printf '\n%s\n' "$*"; }
fi

# Ten customers of Acme Mail, each with a write key of its own (made up here).
umask 077
cat >"$work/accounts.json" <<KEYS
{"blue-bottle":"demoKeyBlueBottle000000000000bb01", "müller-söhne":"demoKeyMueller00000000000000ms02",
 "kyoto-tea":"demoKeyKyotoTea0000000000000kt03", "northwind":"demoKeyNorthwind000000000000nw04",
 "pixel-forge":"demoKeyPixelForge00000000000pf05", "sol-y-mar":"demoKeySolYMar00000000000000sm06",
 "12345678901234567890":"demoKeyDigits00000000000000dg07", "tiny":"demoKeyTiny000000000000000000ty08",
 "harbour & sons":"demoKeyHarbour00000000000000hs09", "zürich-velo":"demoKeyZuerich00000000000000zv10"}
KEYS

say "A debugger stands in for Segment:"
"$moonweir" debugger --port 0 --accounts "$work/accounts.json" >"$work/arrived" 2>"$work/said" &
debugger=$!
tries=0
until grep -q '^listening' "$work/arrived"; do
	kill -0 "$debugger" 2>/dev/null || { cat "$work/said"; exit 1; }
	tries=$((tries + 1))
	[ "$tries" -lt 1200 ] || { echo "the debugger did not start"; exit 1; }
	sleep 0.05
done
url=$(sed -n 's/^listening on //p' "$work/arrived")
echo "moonweir debugger --port 0       # listens on $url"

say "300 events of 10 customers go through the mapping script:"
echo "moonweir run acme-mail.lua events.ndjson --endpoint $url --accounts accounts.json"
"$moonweir" run "$here/acme-mail.lua" "$here/events.ndjson" --endpoint "$url" --accounts "$work/accounts.json"

kill -INT "$debugger"
wait "$debugger" || true
debugger=
sed 1,2d "$work/arrived" >"$work/lines"

say "What arrived (the last 12 of $(wc -l <"$work/lines" | tr -d ' ') messages):"
tail -n 12 "$work/lines"

say "Calls by kind:"
sed 's/^.*…[^ ]* \([a-z]*\).*$/\1/' "$work/lines" | sort | uniq -c | sort -rn
cat "$work/said"

say "See it live, with what is wrong and how to mend it:"
echo "moonweir debugger                # and open the address that it prints in a browser"
