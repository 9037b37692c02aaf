#!/usr/bin/env lua
-- The command `moonweir`: installed by LuaRocks as it is, started from the tree by build/moonweir.
os.exit(require "moonweir.cli.main"(arg), true)
