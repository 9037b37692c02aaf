#!/bin/sh
# One test program of several that run side by side: what it says comes in one piece, and a failure stops the rest.
said=$("$@" 2>&1)
code=$?
printf '== %s\n%s\n' "$*" "$said"
[ "$code" -eq 0 ] || exit 255
