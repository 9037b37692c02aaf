#!/usr/bin/env lua
-- The command `moonweir`: installed by LuaRocks as it is, started from the tree by build/moonweir.
local loaded, main = pcall(require, "moonweir.cli.main")
if not loaded then
	-- Until the command is loaded the interpreter makes an error of Ctrl-C.
	local interrupted = tostring(main):find("interrupted!", 1, true)
	io.stderr:write(interrupted and "" or "moonweir: " .. tostring(main) .. "\n")
	os.exit(interrupted and 130 or 1, true)
end
os.exit(main(arg), true)
