--- How long a source is beside a handler for the same tool that was written by hand: lines and words of code, without comments,
--- empty lines, and without what `about` says to people, which no handler has.
---
---     lua5.4 spec/bench/length.lua

local function read(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	local text = file:read "*a"
	file:close()
	return text
end

local function measure(text)
	local lines, words = 0, 0
	text = text:gsub("\n\tabout = {.-\n\t},\n", "\n")
	for line in text:gmatch "[^\n]+" do
		line = line:gsub("^%s*%-%-.*", ""):gsub("%-%-[^\"']*$", "")
		if line:find "%S" then
			lines = lines + 1
			for _ in line:gmatch "[%w_]+" do
				words = words + 1
			end
		end
	end
	return lines, words
end

print(("%-10s %16s %16s %8s %8s"):format("", "source", "by hand", "lines", "words"))
for _, name in ipairs { "stripe", "sendgrid" } do
	local source, handler = read(("examples/%s/%s.lua"):format(name, name)), read(("spec/bench/handlers/%s.lua"):format(name))
	if source and handler then
		local lines, words = measure(source)
		local hand_lines, hand_words = measure(handler)
		print(("%-10s %5d %10s %5d %10s %7.0f%% %7.0f%%"):format(name, lines, words .. " words", hand_lines, hand_words .. " words",
			100 * lines / hand_lines, 100 * words / hand_words))
	end
end
