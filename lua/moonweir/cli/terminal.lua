--- terminal -- how the command speaks to people: colour where it is wanted, numbers that can be read, text that is safe.

local process = require("moonweir.core").process

local terminal = {}

local CODES = { red = 31, green = 32, yellow = 33, blue = 34, cyan = 36, grey = 90, bold = 1 }

local function wants_colour(fd)
	local no_color = os.getenv "NO_COLOR"
	return (no_color == nil or no_color == "") and os.getenv "TERM" ~= "dumb" and process.is_terminal(fd)
end

local coloured = { [1] = wants_colour(1), [2] = wants_colour(2) }

--- Text in a colour, if the stream behind `fd` shows colours.
---@param fd 1|2
---@param name "red"|"green"|"yellow"|"blue"|"cyan"|"grey"|"bold"
---@param text string
function terminal.paint(fd, name, text)
	if not coloured[fd] then
		return text
	end
	return ("\27[%dm%s\27[0m"):format(CODES[name], text)
end

--- 1234567 as "1,234,567".
---@param n number
function terminal.count(n)
	local digits = ("%.0f"):format(n)
	local sign, rest = digits:match "^(-?)(%d+)$"
	if not rest then
		return digits
	end
	rest = rest:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
	return sign .. rest
end

--- How long the UTF-8 sequence at `at` is; nil if there is none that is whole and shortest.
local function sequence(text, at)
	local a, b = text:byte(at, at + 1)
	local len = a < 0x80 and 1 or a >= 0xC2 and a <= 0xDF and 2 or a >= 0xE0 and a <= 0xEF and 3 or a >= 0xF0 and a <= 0xF4 and 4
	if not len then
		return nil
	end
	if len > 1 then
		local low = a == 0xE0 and 0xA0 or a == 0xF0 and 0x90 or 0x80
		local high = a == 0xED and 0x9F or a == 0xF4 and 0x8F or 0xBF
		if not b or b < low or b > high then
			return nil
		end
	end
	if not text:find("^" .. ("[\128-\191]"):rep(math.max(len - 2, 0)), at + 2) then
		return nil
	end
	return len
end

--- Bytes that are no UTF-8 become `mark`: accounts may be named by any bytes, and a message may be cut anywhere.
---@param text string
---@param mark string
function terminal.whole(text, mark)
	return (text:gsub("[\128-\255]+", function(run)
		local parts, at = {}, 1
		while at <= #run do
			local len = sequence(run, at)
			parts[#parts + 1] = len and run:sub(at, at + len - 1) or mark
			at = at + (len or 1)
		end
		return table.concat(parts)
	end))
end

--- Foreign text that can't steer the terminal or reorder a line: control characters and the marks that change the direction
--- of writing become "?", so do bytes that are no UTF-8, and what is longer than `max` bytes is cut between two characters.
---@param text string
---@param max integer bytes
function terminal.safe(text, max)
	if #text > max then
		local cut = max
		while cut > 0 and text:byte(cut + 1) >= 0x80 and text:byte(cut + 1) < 0xC0 do
			cut = cut - 1
		end
		text = text:sub(1, cut) .. "…"
	end
	if not text:find "[%c\128-\255]" then
		return text
	end
	text = terminal.whole(text, "?")
	text = text:gsub("%c", "?")
	text = text:gsub("\194[\128-\159]", "?") -- C1 controls
	text = text:gsub("\226\128[\142\143\168-\174]", "?") -- marks, line separators, embeddings
	text = text:gsub("\226\129[\166-\169]", "?") -- isolates
	return text
end

--- URLs without user and password, whoever wrote them.
function terminal.mask(text)
	return (text:gsub("://[^/%s]+@", "://…@"))
end

local SAID_MAX = 4000 -- bytes: a script may raise any text as its error

--- A line on stderr. Every message of the command that is no result goes through here, and is safe for it: what is quoted
--- may be a script's, or the name of a file.
---@param kind "error"|"warning"|"note"
---@param message string
function terminal.say(kind, message)
	local colour = kind == "error" and "red" or kind == "warning" and "yellow" or "cyan"
	local prefix = kind == "note" and "" or terminal.paint(2, colour, kind .. ": ")
	io.stderr:write("moonweir: ", prefix, terminal.safe(message, SAID_MAX), "\n")
end

local EPIPE = 32 -- a reader that has seen enough, as `head` has: a signal ends us, or whoever ignores those hears nothing

local lost = false

function terminal.is_heard()
	return not lost
end

--- Results that nobody got are a failure: it is told once.
local function heard(ok, reason, code)
	if not ok and not lost then
		lost = true
		if code ~= EPIPE then
			terminal.say("error", "standard output: " .. tostring(reason))
		end
	end
	return not lost
end

--- Text on stdout, when its buffer is full or at the next `flush`. What was lost is known here alone: a buffer that could
--- not be written is empty, and the next flush of it does well.
---@param ... string
---@return boolean ok
function terminal.write(...)
	return heard(io.stdout:write(...))
end

--- Bring what was printed to where it goes.
---@return boolean ok
function terminal.flush()
	return heard(io.stdout:flush())
end

--- A line on stdout, at once.
---@return boolean ok
function terminal.print(line)
	return terminal.write(line, "\n") and terminal.flush()
end

return terminal
