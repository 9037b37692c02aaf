--- letters -- dead letters as people and programs read them: a line, a page, a line of JSON.

local core = require "moonweir.core"
local terminal = require "moonweir.cli.terminal"

local letters = {}

--- Foreign text, and foreign bytes that are no text.
local function safe(text, max)
	if not core.encode(text) then
		text = text:gsub("[\128-\255]", "?")
	end
	return terminal.safe(text, max)
end

local function when(letter)
	local seconds = math.floor(letter.at)
	return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. (".%03dZ"):format(math.floor((letter.at - seconds) * 1000 + 0.5) % 1000)
end

--- Why it is dead, in one sentence.
local function why(letter)
	local parts = {}
	if letter.place then
		parts[#parts + 1] = letter.place .. ":"
	end
	if letter.status then
		parts[#parts + 1] = ("status %d:"):format(letter.status)
	end
	local told = letter.reason or letter.answer
	if not told and not letter.status and letter.attempts > 0 then
		told = ("no answer to %.0f attempt%s"):format(letter.attempts, letter.attempts == 1 and "" or "s")
	end
	parts[#parts + 1] = told or ""
	return (table.concat(parts, " "):gsub(":$", ""))
end

--- A line that is safe to print.
---@param letter moonweir.Letter
function letters.line(letter)
	return ("%s  %s  %s  %s  %s"):format(
		terminal.paint(1, "cyan", letter.id),
		terminal.paint(1, "grey", when(letter)),
		letter.account and safe(letter.account, 60) or "-",
		terminal.paint(1, "yellow", terminal.safe(letter.code or "?", 40)),
		safe(why(letter), 300)
	)
end

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
	local out = {}
	for i = 1, #bytes, 3 do
		local a, b, c = bytes:byte(i, i + 2)
		local n = a * 65536 + (b or 0) * 256 + (c or 0)
		local four = {}
		for k = 4, 1, -1 do
			local digit = n % 64
			four[k] = DIGITS:sub(digit + 1, digit + 1)
			n = math.floor(n / 64)
		end
		out[#out + 1] = table.concat(four, "", 1, c and 4 or b and 3 or 2) .. (c and "" or b and "=" or "==")
	end
	return table.concat(out)
end

-- In the order in which they are written.
local TEXTS = { "account", "code", "reason", "place", "source", "answer", "format", "event", "message" }
local NUMBERS = { "status", "attempts", "count", "tag" }

local function add(members, name, value)
	local text = core.encode(value)
	if not text then -- bytes that are no UTF-8, which JSON can't hold
		name, text = name .. "_base64", core.encode(base64(value))
	end
	members[#members + 1] = ('"%s":%s'):format(name, text)
end

--- A line of JSON with all that is known; event and message as text, as they are.
---@param letter moonweir.Letter
function letters.json(letter)
	local members = { ('"id":"%s"'):format(letter.id), ('"at":"%s"'):format(when(letter)) }
	for _, name in ipairs(TEXTS) do
		if letter[name] then
			add(members, name, letter[name])
		end
	end
	for _, name in ipairs(NUMBERS) do
		if letter[name] then
			members[#members + 1] = ('"%s":%.0f'):format(name, letter[name])
		end
	end
	if letter.headers then
		local pairs_of = {}
		for name, value in pairs(letter.headers) do
			local key, text = core.encode(name), core.encode(value)
			if key and text then
				pairs_of[#pairs_of + 1] = key .. ":" .. text
			end
		end
		table.sort(pairs_of)
		members[#members + 1] = '"headers":{' .. table.concat(pairs_of, ",") .. "}"
	end
	return "{" .. table.concat(members, ",") .. "}"
end

--- JSON on lines of its own, two spaces a level; what is no JSON stays as it is.
local function indented(text)
	if not core.decode(text) then
		return text
	end
	local out, level, at = {}, 0, 1
	local function line()
		out[#out + 1] = "\n" .. ("  "):rep(level)
	end
	while at <= #text do
		local c = text:sub(at, at)
		local stop = at
		if c == '"' then
			stop = text:find('["\\]', at + 1)
			while text:byte(stop) == 92 do -- an escape: what it escapes is no end
				stop = text:find('["\\]', stop + 2)
			end
			out[#out + 1] = text:sub(at, stop)
		elseif c == "{" or c == "[" then
			local empty = text:match("^%s*[}%]]()", at + 1)
			if empty then
				out[#out + 1] = c .. text:sub(empty - 1, empty - 1)
				stop = empty - 1
			else
				level = level + 1
				out[#out + 1] = c
				line()
			end
		elseif c == "}" or c == "]" then
			level = level - 1
			line()
			out[#out + 1] = c
		elseif c == "," then
			out[#out + 1] = c
			line()
		elseif c == ":" then
			out[#out + 1] = ": "
		elseif not c:find "%s" then
			stop = (text:find('[%s,%]}]', at) or #text + 1) - 1
			out[#out + 1] = text:sub(at, stop)
		end
		at = stop + 1
	end
	return table.concat(out)
end

--- Lines that are safe to print, whole.
local function safe_lines(text)
	local lines = {}
	for part in (text .. "\n"):gmatch "([^\n]*)\n" do
		lines[#lines + 1] = "  " .. safe(part, #part)
	end
	return table.concat(lines, "\n")
end

--- Everything there is, for people.
---@param letter moonweir.Letter
function letters.page(letter)
	local lines = {}
	local function field(name, value)
		if value and value ~= "" then
			lines[#lines + 1] = ("%s %s"):format(terminal.paint(1, "bold", ("%-9s"):format(name)), safe(value, #value))
		end
	end
	local function block(name, text)
		if text then
			lines[#lines + 1] = terminal.paint(1, "bold", name)
			lines[#lines + 1] = safe_lines(indented(text))
		end
	end
	field("id", letter.id)
	field("at", when(letter))
	field("account", letter.account)
	field("code", letter.code)
	field("reason", letter.reason)
	field("place", letter.place)
	field("source", letter.source)
	field("status", letter.status and tostring(letter.status))
	field("attempts", letter.attempts > 0 and tostring(letter.attempts) or nil)
	field("messages", letter.count > 1 and tostring(letter.count) or nil)
	for name, value in pairs(letter.headers or {}) do
		field("header", name .. ": " .. value)
	end
	block("answer", letter.answer)
	block("event", letter.event)
	block("message", letter.message)
	return table.concat(lines, "\n")
end

return letters
