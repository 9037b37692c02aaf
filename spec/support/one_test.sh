#!/bin/sh
# One test of several that run side by side: what it says comes in one piece, and a failure stops the rest.
#
#     one_test.sh build/test/budget_test            a program
#     one_test.sh luajit:spec/trim_spec.lua         a spec, on that Lua (BUSTED: more options)
specs() {
	MOONWEIR_LUA=$1 LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH="$MW_BUILD/$1/?.so;;" \
		$1 /usr/bin/busted --output=plainTerminal $BUSTED "$2" </dev/null
}
case $1 in
*:*) said=$(specs "${1%%:*}" "${1#*:}" 2>&1) ;;
*) said=$("$@" 2>&1) ;;
esac
code=$?
printf '== %s\n%s\n' "$*" "$said"
[ "$code" -eq 0 ] || exit 255
