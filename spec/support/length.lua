--- length -- how long a source is, and a handler for the same tool that was written by hand (spec/bench/handlers): lines and
--- words of code, without empty lines, comments, and what `about` says to people, which no handler has.

local length = {
	BY_HAND = { "sendgrid", "stripe" }, -- handlers that make of each fixture what the source makes of it (handlers_*spec.lua)
}

local function read(path)
	local file = assert(io.open(path, "rb"))
	local text = file:read "*a"
	file:close()
	return text
end

---@param text string of a script
---@return integer lines
---@return integer words
function length.of(text)
	local lines, words = 0, 0
	for line in (text:gsub("\n\tabout = {.-\n\t},\n", "\n")):gmatch "[^\n]+" do
		line = line:gsub("^%s*%-%-.*$", ""):gsub("%-%-[^\"']*$", "")
		if line:find "%S" then
			lines = lines + 1
			for _ in line:gmatch "[%w_]+" do
				words = words + 1
			end
		end
	end
	return lines, words
end

--- The two side by side; nil for a tool that has no handler.
---@param name string
---@return {lines: integer, words: integer}|nil source
---@return {lines: integer, words: integer}? handler
function length.compared(name)
	for _, tool in ipairs(length.BY_HAND) do
		if tool == name then
			local of_source, of_handler = {}, {}
			of_source.lines, of_source.words = length.of(read(("examples/%s/%s.lua"):format(name, name)))
			of_handler.lines, of_handler.words = length.of(read(("spec/bench/handlers/%s.lua"):format(name)))
			return of_source, of_handler
		end
	end
	return nil
end

--- What part of the handlers' length the sources have, on average.
---@param unit "lines"|"words"
---@return number
function length.average(unit)
	local sum = 0
	for _, name in ipairs(length.BY_HAND) do
		local of_source, of_handler = length.compared(name)
		sum = sum + of_source[unit] / of_handler[unit]
	end
	return sum / #length.BY_HAND
end

return length
