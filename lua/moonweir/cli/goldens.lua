--- goldens -- what the golden files beside a source show of it.

local core = require "moonweir.core"
local fixtures = require "moonweir.cli.fixtures"
local terminal = require "moonweir.cli.terminal"

local goldens = {}

--- The messages of all golden files in a folder, in the order of their names. What can't be read is told to `complain`.
---@param dir string
---@param complain fun(file: string, message: string)
---@return table[] messages decoded
function goldens.messages(dir, complain)
	local messages = {}
	for _, fixture in ipairs((fixtures.list(dir))) do
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

--- A script, and the messages of the golden files beside it; what can't be read is said.
---@param args {source: string, fixtures: string?}
---@return {text: string, definition: moonweir.Definition}|nil script nil: it does not load
---@return table[]? messages
function goldens.read(args)
	local script, message = fixtures.load(args.source)
	if not script then
		terminal.say("error", terminal.safe(message, 1000))
		return nil
	end
	return script, goldens.messages(fixtures.dir(args), function(file, why)
		terminal.say("warning", terminal.safe(("%s can't be read: %s"):format(file, why), 400))
	end)
end

--- Golden files that are out of date show events that nothing sends any more.
---@param it moonweir.Stream
function goldens.say_stale(it)
	if #it.stale > 0 then
		terminal.say("warning", terminal.safe(("golden files show %s, which the script does not send (any more); see moonweir test")
			:format(table.concat(it.stale, ", ")), 600))
	end
end

return goldens
