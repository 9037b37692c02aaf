--- fixtures -- the files beside a source: its script, its fixtures and their golden files.

local compile = require "moonweir.compile"
local core = require "moonweir.core"
local golden = require "moonweir.golden"
local sandbox = require "moonweir.sandbox"
local terminal = require "moonweir.cli.terminal"

local fixtures = {}

fixtures.BODY_MAX = 16 * 1024 * 1024

--- Defines --fixtures.
function fixtures.define(parser)
	parser
		:option("--fixtures", "The folder of the fixtures (fixtures, beside the script).")
		:argname("<dir>")
		:convert(function(dir)
			if dir ~= "" then
				return dir
			end
			return nil, "--fixtures takes a directory, not an empty text"
		end)
end

--- The folder of a source's fixtures, with a "/" behind it.
---@param args {source: string, fixtures: string?}
---@return string
function fixtures.dir(args)
	local dir = args.fixtures or (args.source:match "^.*/" or "") .. "fixtures"
	return (dir:gsub("/*$", "") .. "/")
end

---@param path string
---@param max integer bytes
---@return string|nil text
---@return string? message
function fixtures.read_file(path, max)
	local file, why = io.open(path, "rb")
	if not file then
		return nil, why
	end
	local text, failure = file:read(max + 1)
	file:close()
	if failure then
		return nil, path .. ": " .. failure
	elseif text and #text > max then
		return nil, ("%s: longer than %s bytes"):format(path, terminal.count(max))
	end
	return text or ""
end

--- The file has its old contents or all of its new ones.
---@param path string
---@param text string
---@return true|nil
---@return string? message
function fixtures.write_file(path, text)
	local beside = path .. ".new"
	local file, why = io.open(beside, "wb")
	if not file then
		return nil, why
	end
	local ok, failure = file:write(text)
	local closed, late = file:close()
	if ok and closed then
		ok, failure = os.rename(beside, path)
	end
	if not ok or not closed then
		os.remove(beside)
		return nil, failure or late
	end
	return true
end

---@class moonweir.cli.Script
---@field path string
---@field text string
---@field definition moonweir.Definition that compiles

---@param path string
---@return moonweir.cli.Script|nil
---@return string? message
function fixtures.load_source(path)
	local script, message = sandbox.read(path)
	if not script then
		return nil, message
	end
	local definition
	definition, message = golden.load(path, script)
	if not definition then
		return nil, message
	end
	local ok
	ok, message = compile(definition)
	if not ok then
		return nil, message
	end
	return { path = path, text = script, definition = definition }
end

--- The messages of all golden files in a folder, in the order of their names. What can't be read is told to `complain`.
---@param dir string
---@param complain fun(file: string, message: string)
---@return table[] messages decoded
function fixtures.golden_messages(dir, complain)
	local messages = {}
	for _, fixture in ipairs((golden.fixtures(core.process.files(dir) or {}))) do
		local text, message = "", nil
		if fixture.expected then
			text, message = fixtures.read_file(dir .. fixture.expected, 4 * fixtures.BODY_MAX)
		end
		if not text then
			complain(fixture.expected, message)
		end
		local number = 0
		for line in (text or ""):gmatch "([^\n]*)\n?" do
			number = number + 1
			local value, why
			if line:find "%S" then
				value, why = core.decode(line)
			end
			if why then
				complain(fixture.expected, ("line %d: %s"):format(number, why))
			end
			local made = type(value) == "table" and value.message
			if type(made) == "table" then
				messages[#messages + 1] = made
			end
		end
	end
	return messages
end

--- Golden files that are out of date show events that nothing sends any more.
---@param it moonweir.Stream
function fixtures.say_stale(it)
	if #it.stale > 0 then
		terminal.say("warning", terminal.safe(("golden files show %s, which the script does not send (any more); see moonweir test")
			:format(table.concat(it.stale, ", ")), 600))
	end
end

return fixtures
