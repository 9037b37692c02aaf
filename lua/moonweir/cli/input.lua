--- input -- events from a file or a pipe, in blocks that the mapping takes whole.

local core = require "moonweir.core"
local terminal = require "moonweir.cli.terminal"

local input = {}

function input.define(parser)
	parser:argument("events", "A file of events; standard input if left out or -."):args "?"
	parser
		:option("--format", "What the input is: ndjson (an event a line), json (one event, or an array of them), form, xml.", "ndjson")
		:choices { "ndjson", "json", "form", "xml" }
end

---@class moonweir.cli.Input
---@field lines integer        lines handed out so far
---@field bytes integer        bytes handed out so far
---@field size integer|nil     bytes there are, if known
---@field failed_lines integer lines too long to be read
---@field error string|nil     why reading ended early
local Input = {}
Input.__index = Input

---@return moonweir.cli.Input|nil
---@return string? message
function input.open(args)
	local path = args.events or "-"
	if path == "-" and core.process.is_terminal(0) then
		terminal.say("note", "reading events from the terminal, one a line; Ctrl-D ends")
	end
	local reader, message = core.reader(path)
	if not reader then
		return nil, message
	end
	return setmetatable({
		reader = reader,
		whole = args.format ~= "ndjson",
		parts = {}, -- of what is read whole; nil: it was given
		lines = 0,
		bytes = 0,
		size = reader:size(),
		failed_lines = 0,
	}, Input)
end

local WHOLE_MAX = 16 * 1024 * 1024

--- Everything there is as one block, where a body can't be cut. One that is too large is refused whole: what follows
-- its first 16 MiB is no body of its own.
local function read_whole(self, seconds)
	local block, message, code = self.reader:next(seconds)
	if block then
		self.parts_len = (self.parts_len or 0) + #block
		self.parts[#self.parts + 1] = block
	end
	if code == "too_large" or self.refused or (self.parts_len or 0) > WHOLE_MAX then
		self.parts, self.parts_len, self.refused = {}, 0, true
	end
	if block or code == "too_large" then
		return nil, nil, "timeout"
	elseif code == "eof" and self.refused then
		self.refused, self.parts = false, nil
		return nil, "the body is longer than 16 MiB", "too_large"
	elseif code ~= "eof" or not self.parts then
		return nil, message, code
	end
	block, self.parts = table.concat(self.parts), nil -- of nothing, too: no event came, and that is no JSON
	return block, 0
end

--- The next block: text and the number of lines before it; nil, nil if none came in that time; false at the end.
---@param seconds number
---@return string|nil|false block
---@return integer|nil lines_before
function Input:next(seconds)
	local block, lines, code
	if self.whole then
		block, lines, code = read_whole(self, seconds)
	else
		block, lines, code = self.reader:next(seconds)
	end
	if block then
		local before = self.lines
		self.lines = before + lines
		self.bytes = self.bytes + #block
		return block, before
	elseif code == "timeout" then
		return nil
	elseif code == "too_large" then
		self.lines = self.lines + 1
		self.failed_lines = self.failed_lines + 1
		input.say_problem({ index = self.lines, code = code, message = lines }, 0)
		return nil
	elseif code ~= "eof" then
		self.error = ("reading failed behind line %d: %s"):format(self.lines, lines)
	end
	return false
end

--- "event 12: no_user: …", where events are counted over the whole input.
---@param problem {index: integer, code: string, message: string, account: string?}
---@param lines_before integer
function input.say_problem(problem, lines_before)
	local account = problem.account and problem.account ~= "" and " (account " .. problem.account .. ")" or ""
	io.stderr:write(
		("event %d: %s: %s\n"):format(
			lines_before + problem.index,
			problem.code,
			terminal.safe(problem.message .. account, 1000)
		)
	)
end

--- What the mapping says of one block; `problems` may be nil.
function input.say_problems(problems, lines_before)
	for _, problem in ipairs(problems or {}) do
		input.say_problem(problem, lines_before)
	end
	if problems and (problems.more or 0) > 0 then
		io.stderr:write(("… and %d more events behind event %d\n"):format(problems.more, lines_before + problems[#problems].index))
	end
end

--- A sentence about a tally.
function input.describe(tally)
	return ("%s events: %s messages, %s ignored, %s unmatched, %s failed"):format(
		terminal.count(tally.events),
		terminal.count(tally.messages),
		terminal.count(tally.ignored),
		terminal.count(tally.unmatched),
		terminal.count(tally.failed)
	)
end

return input
