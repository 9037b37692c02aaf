--- gallery -- examples/gallery.md: the sources for real tools side by side. `make examples` writes it, spec/examples_spec.lua
--- finds it stale.
---
--- Lines of code are counted without comments, empty lines and `about`, which is said to people.

local declared = require "moonweir.declared"
local sandbox = require "moonweir.sandbox"
local spec = require "moonweir.spec"

local gallery = {}

local HEAD = [[
# Sources for real tools

Written by `make examples`. Behind each name: how to set it up, and where the customer's own id rides. Lines are those of the
script's code, without comments and without what it tells people.

]]

local function read(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	local text = file:read "*a"
	file:close()
	return text
end

--- Lines and words of a script's code.
---@param text string
---@return integer lines
---@return integer words
function gallery.measure(text)
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

--- Names of the sources that have a documentation page.
---@return string[]
function gallery.sources()
	local names, pipe = {}, io.popen "ls examples"
	for name in pipe:lines() do
		if read(("examples/%s/docs.md"):format(name)) then
			names[#names + 1] = name
		end
	end
	pipe:close()
	return names
end

local function add(list, name)
	if not list[name] then
		list[name] = true
		list[#list + 1] = name
	end
end

local function row(name)
	local path = ("examples/%s/%s.lua"):format(name, name)
	local definition = assert(sandbox.load(path, (assert(sandbox.read(path)))))
	local known, custom, functions, ignored = {}, {}, 0, 0
	for _, entry in ipairs(declared.read(definition)) do
		functions = functions + (entry.kind == "function" and 1 or 0)
		ignored = ignored + (entry.kind == "ignore" and 1 or 0)
		for _, call in ipairs(entry.calls) do
			for _, event in ipairs(#call.names > 0 and call.names or { call.call }) do
				add((call.call ~= "track" or spec.event(event)) and known or custom, event)
			end
		end
	end
	table.sort(known)
	table.sort(custom)
	local title, lines = definition.about and definition.about.name or name, gallery.measure(read(path))
	return ("| [%s](%s/README.md) | %d | %s | %s | %d | %d |"):format(title, name, lines, table.concat(known, ", "),
		table.concat(custom, ", "), ignored, functions)
end

--- The page.
---@return string
function gallery.page()
	local lines = {
		"| tool | lines | calls and events of the Spec | events of its own | ignored | functions |",
		"|---|---|---|---|---|---|",
	}
	for _, name in ipairs(gallery.sources()) do
		lines[#lines + 1] = row(name)
	end
	return HEAD .. table.concat(lines, "\n") .. "\n"
end

return gallery
