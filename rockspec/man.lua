--- man -- the manual page, moonweir(1), made of what each command's --help says.
---
---     lua5.4 rockspec/man.lua build/moonweir > moonweir.1
---
--- argparse indents by three: names of options and commands begin in the fourth column, what they do in the 26th.

local command = assert(arg[1], "usage: man.lua COMMAND")

local function output(words)
	local pipe = assert(io.popen(command .. " " .. words))
	local text = pipe:read "*a"
	assert(pipe:close(), command .. " " .. words .. " failed")
	return text
end

local function escape(text)
	text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
	return (text:gsub("^[.']", "\\&%0"))
end

local function put(macro, text)
	print(text and ("%s %s"):format(macro, escape(text)) or macro)
end

--- A help text as blocks of lines, which stand between empty ones.
local function blocks(text)
	local list = {}
	for block in (text:gsub("\n+$", "") .. "\n\n"):gmatch "(.-\n)\n+" do
		local lines = {}
		for line in block:gmatch "([^\n]*)\n" do
			lines[#lines + 1] = line
		end
		list[#list + 1] = lines
	end
	return list
end

--- A list of options, arguments or commands. The names that are not options, in their order.
local function list(lines)
	local names = {}
	for i = 2, #lines do
		local name, what = lines[i]:match "^   (%S.-)%s%s+(%S.*)$"
		name = name or lines[i]:match "^   (%S.*)$"
		if name then
			put ".TP"
			put(".B", name)
			names[#names + 1] = name:match "^%w%S*$"
		end
		what = what or not name and lines[i]:match "^%s*(.*)$"
		if what then
			print(escape(what))
		end
	end
	return names
end

--- Sentences, and between them examples, which are indented or follow a line that announces them.
local function prose(lines)
	local shown = false
	put ".PP"
	for _, line in ipairs(lines) do
		local example = line:find "^  " ~= nil
		if example ~= shown then
			put(example and ".RS\n.nf" or ".fi\n.RE")
			shown = example
		end
		print(escape((line:gsub("^  ", ""))))
	end
	if shown then
		put ".fi\n.RE"
	end
end

--- One command's help, and below it those of its own commands.
local function page(words)
	local below = {}
	for i, lines in ipairs(blocks(output(words .. " --help"))) do
		local title = lines[1]:match "^(%u%a+):$"
		if i == 1 then
			put(words == "" and ".SH SYNOPSIS" or ".SH MOONWEIR" .. words:upper())
			print(escape((table.concat(lines, "\n"):gsub("^Usage: ", ""):gsub("\n%s+", " "))))
			if words == "" then
				put ".SH DESCRIPTION"
			end
		elseif title and lines[2] and lines[2]:find "^   %S" then
			put(words == "" and ".SH" or ".SS", words == "" and title:upper() or title)
			local names = list(lines)
			below = title == "Commands" and names or below
		elseif words == "" or not lines[1]:find "^Global options" then
			prose(lines)
		end
	end
	for _, name in ipairs(below) do
		if name ~= "help" then
			page(words .. " " .. name)
		end
	end
end

local version = output("--version"):match "%S+%s+(%S+)"
print(('.TH MOONWEIR 1 "" "Moonweir %s" "User Commands"'):format(version))
put(".SH NAME")
put("moonweir \\- feed Segment from any tool: a script says how its events become Segment calls")
page ""
put(".SH", "SEE ALSO")
print "README.md and examples, in the documentation directory of Moonweir (/usr/share/doc/moonweir on Debian)."
