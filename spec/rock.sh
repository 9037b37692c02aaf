#!/bin/sh
# The rocks of a release: they pass luarocks lint, they are what `luarocks pack` makes, and they install into empty trees, for
# both Luas, with no registry at hand. The library alone needs nobody else's library; the command works from there, and says
# which rock brings what it lacks. `luarocks make` does the same from the tree.
set -eu
cd "$(dirname "$0")/.."
make -s rocks
rocks=$PWD/build/rocks
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

quietly() {
	"$@" >"$work/log-$abi" 2>&1 || { cat "$work/log-$abi"; fail "$@"; }
}

# names WHAT COMMAND…: the command fails, and its complaint names the rock that helps.
names() {
	expected=$1
	shift
	! "$@" >"$work/said-$abi" 2>&1 </dev/null || fail "works without $expected: $*"
	grep -q "$expected" "$work/said-$abi" || { cat "$work/said-$abi"; fail "no word of $expected: $*"; }
}

# Debian's own argparse, which LuaRocks does not know of; and the Lua that the command is to start.
prepare() {
	lua=$1 abi=$2
	echo "rocks_provided = { argparse = '0.7.1-1' } lua_interpreter = '$lua'" >"$work/config-$abi.lua"
	export LUAROCKS_CONFIG="$work/config-$abi.lua"
	headers=LUA_INCDIR=$(pkg-config --cflags-only-I "$lua" | sed 's/^-I//; s/ *$//')
}

# Whether it builds and works, not how fast: half of the time.
quick="CFLAGS=-O0 -fPIC"
# All but the binding is the same for both Luas, and for a rock and the tree: ccache, if it is there, compiles that once.
export PATH="/usr/lib/ccache:$PATH" CCACHE_DIR="$work/ccache"

installs() {
	prepare "$@"
	tree=$work/tree-$abi
	moonweir=$tree/bin/moonweir
	quietly luarocks --lua-version="$abi" --tree="$tree" install --deps-mode=one "$rocks"/moonweir-[0-9]*.src.rock "$quick" "$headers"

	! readelf -d "$tree/lib/lua/$abi/moonweir/core.so" | grep -E 'NEEDED.*(microhttpd|hiredis|expat|libz)' ||
		fail "the library needs more than it should"
	LUA_PATH="$tree/share/lua/$abi/?.lua;$tree/share/lua/$abi/?/init.lua;;" LUA_CPATH="$tree/lib/lua/$abi/?.so;;" "$lua" -e '
		local client = assert(require "moonweir".open { write_key = "rock", endpoint = "http://127.0.0.1:9" })
		client:close(0)'
	[ "$(head -n 5 examples/acme-mail/events.ndjson | "$moonweir" map examples/acme-mail/acme-mail.lua | wc -l)" -ge 5 ] || fail "map"
	quietly "$moonweir" check examples/acme-mail/acme-mail.lua
	quietly "$moonweir" test examples/acme-mail/acme-mail.lua
	names moonweir-server "$moonweir" debugger --port 0
	printf 'return { source = "examples/acme-mail/acme-mail.lua", spool = "%s" }' "$work/spool-$abi" >"$work/serve-$abi.lua"
	names moonweir-server "$moonweir" serve "$work/serve-$abi.lua"
	echo '<a/>' >"$work/event-$abi.xml"
	names moonweir-receive "$moonweir" map --format xml examples/acme-mail/acme-mail.lua "$work/event-$abi.xml"

	for rock in "$rocks"/moonweir-[a-z]*.src.rock; do
		quietly luarocks --lua-version="$abi" --tree="$tree" install --deps-mode=one "$rock" "$quick" "$headers"
	done
	names no_event "$moonweir" map --format xml examples/acme-mail/acme-mail.lua "$work/event-$abi.xml"
	MOONWEIR=$moonweir sh examples/acme-mail/demo.sh >"$work/demo-$abi" 2>&1 || { cat "$work/demo-$abi"; fail "the demo"; }
	grep -q '^listening\|listens on' "$work/demo-$abi" || fail "the demo said nothing"
	echo "the rocks install and work on $lua"
}

# Once more from the sources.
makes() {
	prepare "$@"
	tree=$work/made-$abi
	cp -R "$work/sources" "$work/sources-$abi"
	cd "$work/sources-$abi"
	for rockspec in rockspec/moonweir-scm-1.rockspec $(ls rockspec/moonweir-*-scm-1.rockspec); do
		quietly luarocks --lua-version="$abi" --tree="$tree" make --deps-mode=one "$rockspec" "$quick" "$headers"
	done
	quietly "$tree/bin/moonweir" --help
	echo "luarocks make works for $lua"
}

packs() {
	prepare "$@"
	mkdir "$work/packed"
	cd "$work/packed"
	for rockspec in "$rocks"/*.rockspec; do
		sed "s|file://|file://$rocks/|" "$rockspec" >"${rockspec##*/}"
		quietly luarocks --lua-version="$abi" pack "${rockspec##*/}"
		rock=$(basename "$rockspec" .rockspec).src.rock
		[ "$(zipinfo -1 "$rock" | sort)" = "$(zipinfo -1 "$rocks/$rock" | sort)" ] || fail "$rock is not what luarocks pack makes"
	done
	echo "luarocks pack makes the same source rocks"
}

mkdir "$work/sources"
tar -xzf "$rocks"/moonweir-*.tar.gz -C "$work/sources" --strip-components=1
(packs lua5.4 5.4)
(installs lua5.4 5.4) # what it compiles, the others find
(makes lua5.4 5.4) >"$work/lua5.4" 2>&1 &
first=$!
(installs luajit 5.1; makes luajit 5.1) >"$work/luajit" 2>&1 &
code=0
wait $! || code=$?
wait $first || code=$?
cat "$work/lua5.4" "$work/luajit"
exit $code
