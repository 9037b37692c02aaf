--- fixtures -- the files that `test` and `check` read: a script, and the requests beside it.

local core = require "moonweir.core"
local compile = require "moonweir.compile"
local golden = require "moonweir.golden"
local identity_file = require "moonweir.cli.identity_file"
local sandbox = require "moonweir.sandbox"
local terminal = require "moonweir.cli.terminal"

local fixtures = {
	BODY_MAX = 16 * 1024 * 1024,
}

--- The arguments of a command that reads them.
function fixtures.define(parser)
	parser:argument("source", "The mapping script.")
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

--- The folder, with a slash behind it.
---@param args {source: string, fixtures: string?}
---@return string
function fixtures.dir(args)
	local dir = args.fixtures or (args.source:match "^.*/" or "") .. "fixtures"
	return (dir:gsub("/*$", "")) .. "/"
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

--- Body and headers of a fixture; or why there are none.
---@param dir string
---@param fixture moonweir.Fixture
---@return string|nil body
---@return table<string, string>|string|nil headers or message
function fixtures.read(dir, fixture)
	local body, message = fixtures.read_file(dir .. fixture.file, fixtures.BODY_MAX)
	if not body then
		return nil, message
	end
	local headers
	if fixture.headers then
		local text
		text, message = fixtures.read_file(dir .. fixture.headers, 1024 * 1024)
		if text then
			headers, message = golden.headers(text)
			message = message and fixture.headers .. ": " .. message
		end
		if not headers then
			return nil, message
		end
	end
	return body, headers
end

-- Who is known while the fixtures are mapped.
local function read_identities(path)
	local text, message = fixtures.read_file(path, 1024 * 1024)
	local facts = {}
	local function visit(record, line, why)
		local said = record
		if said then
			said, why = identity_file.facts(record, golden.ACCOUNT, golden.NOW)
		end
		message = message or not said and ("line %d: %s"):format(line, why) or nil
		for _, fact in ipairs(said or {}) do
			facts[#facts + 1] = fact
		end
	end
	if text then
		identity_file.reader("ndjson"):feed(text, visit)
	end
	if message then
		return nil, message
	end
	return core.roll(facts)
end

--- The fixtures of a folder, and why there are none if it can't be read. As golden.fixtures.
---@param dir string
---@return moonweir.Fixture[] fixtures
---@return {file: string, message: string}[] wrong
---@return string[] others
---@return string? message
function fixtures.list(dir)
	local files, message = core.process.files(dir)
	local found, wrong, others = golden.fixtures(files or {})
	local known
	if found[1] and found[1].identities then
		local why
		known, why = read_identities(dir .. found[1].identities)
		if not known then
			wrong[#wrong + 1] = { file = found[1].identities, message = why }
		end
	end
	for _, fixture in ipairs(found) do
		fixture.known = known
	end
	return found, wrong, others, message
end

--- A script that compiles, as it is at its first event.
---@param path string
---@return {path: string, text: string, definition: moonweir.Definition}|nil script
---@return string? message
function fixtures.load(path)
	local text, message = sandbox.read(path)
	if not text then
		return nil, message
	end
	local definition
	definition, message = golden.load(path, text)
	if not definition then
		return nil, message
	end
	local ok
	ok, message = compile(definition)
	if not ok then
		return nil, message
	end
	return { path = path, text = text, definition = definition }
end

return fixtures
