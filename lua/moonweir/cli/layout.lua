--- layout -- text that fits a window: lines are lists of pieces, a piece is { text, colour }.
---
---     lines = layout.columns({ { title = "ACCOUNT" }, { title = "QUEUED", right = true } }, { { "acme", "12" } }, 80)
---     layout.text(lines[1], 80, paint)

local layout = {}

local GAP = "  "

--- Columns that text takes. East Asian and emoji take two; where in doubt two, so that no line is too long.
function layout.width(text)
	local columns = 0
	for char in text:gmatch "[%z\1-\127\192-\255][\128-\191]*" do
		columns = columns + ((char:byte() >= 0xE1 and char:sub(1, 2) ~= "\226\128") and 2 or 1)
	end
	return columns
end

--- As much of it as `columns` hold.
function layout.clip(text, columns)
	if layout.width(text) <= columns then
		return text
	end
	local parts, left = {}, columns - 1
	for char in text:gmatch "[%z\1-\127\192-\255][\128-\191]*" do
		left = left - layout.width(char)
		if left < 0 then
			break
		end
		parts[#parts + 1] = char
	end
	return columns > 0 and table.concat(parts) .. "…" or ""
end

--- Columns as wide as what is in them. Where the window is too narrow one that may be `narrow` gives way, then those with
--- the highest `drop` go.
---@param columns {title: string, right: boolean?, drop: integer?, max: integer?, narrow: integer?}[]
---@param rows {colour: string?, [integer]: string|{[1]: string, [2]: string?}}[]
---@return {[1]: string, [2]: string?}[][] lines
function layout.columns(columns, rows, width)
	local shown, total = {}, -#GAP
	for i, column in ipairs(columns) do
		local wide = #column.title
		for _, row in ipairs(rows) do
			wide = math.max(wide, layout.width(type(row[i]) == "table" and row[i][1] or row[i]))
		end
		shown[i] = { index = i, width = math.min(wide, column.max or wide), column = column }
		total = total + shown[i].width + #GAP
	end
	while total > width do
		local at
		for i, s in ipairs(shown) do
			local room = s.width - (s.column.narrow or s.width)
			if room > 0 then
				local less = math.min(room, total - width)
				s.width, total = s.width - less, total - less
			end
			if s.column.drop and (not at or s.column.drop > shown[at].column.drop) then
				at = i
			end
		end
		if not at or total <= width then
			break
		end
		total = total - shown[at].width - #GAP
		table.remove(shown, at)
	end
	local function line_of(cell_of)
		local line = {}
		for at, s in ipairs(shown) do
			local text, colour = cell_of(s)
			text = layout.clip(text, s.width)
			local padding = (" "):rep(s.width - layout.width(text))
			if s.column.right then
				text = padding .. text
			elseif at < #shown then
				text = text .. padding
			end
			line[#line + 1] = { text .. (at < #shown and GAP or ""), colour }
		end
		return line
	end
	local lines = { line_of(function(s)
		return s.column.title, "bold"
	end) }
	for _, row in ipairs(rows) do
		lines[#lines + 1] = line_of(function(s)
			local cell = row[s.index]
			if type(cell) == "table" then
				return cell[1], cell[2] or row.colour
			end
			return cell, row.colour
		end)
	end
	return lines
end

--- One line of pieces as text, painted and no wider than `width`.
---@param paint fun(colour: string, text: string): string
function layout.text(line, width, paint)
	local parts, left = {}, width or math.huge
	for _, piece in ipairs(line) do
		local text = layout.clip(piece[1], left)
		left = left - layout.width(text)
		parts[#parts + 1] = (piece[2] and text ~= "") and paint(piece[2], text) or text
		if left <= 0 then
			break
		end
	end
	return table.concat(parts)
end

return layout
