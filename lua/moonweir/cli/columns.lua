--- columns -- rows of text as columns that are as wide as what is in them.

local terminal = require "moonweir.cli.terminal"

local columns = {}

--- Characters, as good as columns for most writing.
local function width(text)
	local _, continued = text:gsub("[\128-\191]", "")
	return #text - continued
end

--- Print rows, the first of which has the titles, to stdout.
---@param rows string[][]
---@param right? boolean[] which columns stand at their right edge, as numbers do
function columns.print(rows, right)
	right = right or {}
	local widths = {}
	for _, row in ipairs(rows) do
		for i, cell in ipairs(row) do
			widths[i] = math.max(widths[i] or 0, width(cell))
		end
	end
	for n, row in ipairs(rows) do
		local parts = {}
		for i, cell in ipairs(row) do
			local room = (" "):rep(widths[i] - width(cell))
			parts[i] = right[i] and room .. cell or cell .. room
		end
		local line = table.concat(parts, "  "):gsub(" +$", "")
		terminal.write(n == 1 and terminal.paint(1, "bold", line) or line, "\n")
	end
end

return columns
