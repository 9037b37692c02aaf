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
	# Debian's own argparse, which LuaRocks does not know of; and the Lua that the command is to start.
	echo "rocks_provided = { argparse = '0.7.1-1' } lua_interpreter = '$lua'" >"$work/config.lua"
	export LUAROCKS_CONFIG="$work/config.lua"
	headers=LUA_INCDIR=$(pkg-config --cflags-only-I "$lua" | sed 's/^-I//; s/ *$//')
	for rockspec in moonweir moonweir-server moonweir-receive moonweir-redis; do
		(cd "$work" && luarocks --lua-version="$abi" --tree="$tree" make --deps-mode=one "rockspec/$rockspec-scm-1.rockspec" $headers) \
			>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
	done
	LUA_PATH="$tree/share/lua/$abi/?.lua;$tree/share/lua/$abi/?/init.lua;;" LUA_CPATH="$tree/lib/lua/$abi/?.so;;" \
		"$lua" -e 'local mw = require "moonweir"; local c = assert(mw.open { write_key = "rock", endpoint = "http://127.0.0.1:9" }); c:close(0); assert(require("moonweir.xml").to_json "<a/>" and require "moonweir.inflate" and require "moonweir.hiredis"); assert(require("moonweir.debugger.page").new()("GET", "/main.js") == 200); print("rock works on " .. (jit and jit.version or _VERSION))'
	"$tree/bin/moonweir" --help >/dev/null
done
