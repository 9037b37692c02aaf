#!/bin/sh
# make install below a folder of its own: the command works from there on both Luas, with what is beside it and nothing of
# the tree; make uninstall takes away what it brought, and leaves what others did.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

make -s install PREFIX="$prefix"
for lua in lua5.4 luajit; do
	export MOONWEIR_LUA=$lua
	(cd "$prefix/share/doc/moonweir/examples" && env -u LUA_PATH -u LUA_CPATH MOONWEIR="$prefix/bin/moonweir" sh acme-mail/demo.sh) \
		>"$work/log" 2>&1 || { cat "$work/log"; fail "the demo on $lua"; }
done
unset MOONWEIR_LUA
grep -q "^ExecStart=$prefix/bin/moonweir serve" "$prefix/lib/systemd/system/moonweir.service" || fail "the unit starts another command"
man -l "$prefix/share/man/man1/moonweir.1" 2>/dev/null | grep -q 'dead replay' || ! command -v man >/dev/null || fail "the manual page"

# The same files, wherever a packager puts them.
make -s install PREFIX="$prefix" DESTDIR="$work/dest"
diff -r "$prefix" "$work/dest$prefix" || fail "DESTDIR"

touch "$prefix/share/lua/5.4/moonweir/others.lua"
make -s uninstall PREFIX="$prefix"
left=$(cd "$prefix" && find . ! -type d)
[ "$left" = ./share/lua/5.4/moonweir/others.lua ] || fail "left: $left"
[ ! -e "$prefix/share/doc/moonweir" ] || fail "left: share/doc/moonweir"
echo "make install and make uninstall work"
