--- gallery -- the README's table of the sources in examples/: how long each script is, and what it covers.
---
---     lua5.4 spec/support/gallery.lua     writes it into README.md (`make gallery`); spec/gallery_spec.lua says when it is stale
---
--- All of it is read off the scripts and their golden files.

package.path = "./?.lua;" .. package.path
local fixtures = require "moonweir.cli.fixtures"
local goldens = require "moonweir.cli.goldens"
local length = require "spec.support.length"
local spec = require "moonweir.spec"
local stream = require "moonweir.stream"
local verification = require "moonweir.verification"

local gallery = {}

local HEAD = {
	"| source | lines | a request proves itself by | what it sends, of the Spec and custom | functions |", "|---|---|---|---|---|",
}

-- Those of `credentials`; all others sign.
local PROOFS = { basic = "a password", bearer = "a token", query = "a key in the URL" }

local function read(path)
	local file = io.open(path, "rb")
	local text = file and file:read "*a"
	if file then
		file:close()
	end
	return text
end

--- The folders with a script of their own name, sorted.
---@return string[]
function gallery.names()
	local names, pipe = {}, io.popen "ls examples"
	for name in pipe:lines() do
		names[#names + 1] = read(("examples/%s/%s.lua"):format(name, name)) and name
	end
	pipe:close()
	return names
end

-- "38 (159)": and of the handler that was written by hand, where there is one.
local function lines_of(name, text)
	local _, by_hand = length.compared(name)
	return (length.of(text)) .. (by_hand and (" (%d)"):format(by_hand.lines) or "")
end

-- "4 of Live chat, 5 custom; identify, group"
local function sent(definition, messages)
	local counts, words = {}, {}
	for _, event in ipairs(stream.read(definition, messages).events) do
		if event.call == "track" then
			local category = event.spec and event.spec.category or "custom"
			counts[category] = (counts[category] or 0) + 1
		else
			words[#words + 1] = event.call
		end
	end
	local parts = {}
	for _, category in ipairs(spec.categories) do
		parts[#parts + 1] = counts[category.id] and ("%d of %s"):format(counts[category.id], category.title)
	end
	parts[#parts + 1] = counts.custom and ("%d custom"):format(counts.custom)
	parts[#parts + 1] = words[1] and table.concat(words, ", ")
	return table.concat(parts, "; ")
end

local function functions(definition, text)
	local entries = 0
	for _, entry in ipairs(definition.entries) do
		entries = entries + (entry.kind == "function" and 1 or 0)
	end
	local _, fields = text:gsub(":apply%s*%(", "")
	local parts = {}
	parts[#parts + 1] = entries > 0 and ("%d entr%s"):format(entries, entries == 1 and "y" or "ies") or nil
	parts[#parts + 1] = fields > 0 and ("%d field%s"):format(fields, fields == 1 and "" or "s") or nil
	return #parts > 0 and table.concat(parts, ", ") or "none"
end

local function row(name)
	local path = ("examples/%s/%s.lua"):format(name, name)
	local script = assert(fixtures.load(path))
	local messages = goldens.messages(("examples/%s/fixtures/"):format(name), error)
	local verify = script.definition.verify
	return ("| [%s](%s) | %s | %s | %s | %s |"):format(
		script.definition.about and script.definition.about.name or name, path, lines_of(name, script.text),
		verify and (PROOFS[verification.said(verify).tool.name] or "a signature") or "nothing",
		sent(script.definition, messages), functions(script.definition, script.text))
end

--- The table as it is to stand in the README.
---@return string
function gallery.table()
	local lines = { HEAD[1], HEAD[2] }
	for _, name in ipairs(gallery.names()) do
		lines[#lines + 1] = row(name)
	end
	return table.concat(lines, "\n") .. "\n"
end

--- The table that stands in a README, and where.
---@param readme string
---@return string|nil
---@return integer? from
---@return integer? to
function gallery.find(readme)
	local from = readme:find(HEAD[1], 1, true)
	if not from then
		return nil
	end
	local to = from
	while readme:sub(to, to) == "|" do
		to = (readme:find("\n", to, true) or #readme) + 1
	end
	return readme:sub(from, to - 1), from, to - 1
end

if arg and arg[0] and arg[0]:find "gallery%.lua$" then
	local readme = read "README.md"
	local _, from, to = gallery.find(readme)
	assert(from, "README.md has no table that begins with " .. HEAD[1])
	local file = assert(io.open("README.md", "wb"))
	assert(file:write(readme:sub(1, from - 1), gallery.table(), readme:sub(to + 1)))
	assert(file:close())
end

return gallery
