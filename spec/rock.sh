#!/bin/sh
# The rocks build and install into empty trees, for both Luas, with no registry at hand, and the
# installed module and command work from there.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files | tar -c -T - | tar -x -C "$work"

for vm in lua5.4:5.4 luajit:5.1; do
	lua=${vm%%:*} abi=${vm##*:}
	tree=$work/tree-$abi
	for rockspec in moonweir moonweir-server; do
		(cd "$work" && luarocks --lua-version="$abi" --tree="$tree" --deps-mode=none make "rockspec/$rockspec-scm-1.rockspec") \
			>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
	done
	LUA_PATH="$tree/share/lua/$abi/?.lua;$tree/share/lua/$abi/?/init.lua;;" LUA_CPATH="$tree/lib/lua/$abi/?.so;;" \
		"$lua" -e 'local mw = require "moonweir"; local c = assert(mw.open { write_key = "rock", endpoint = "http://127.0.0.1:9" }); c:close(0); print("rock works on " .. (jit and jit.version or _VERSION))'
	"$tree/bin/moonweir" --help >/dev/null
done
