--- strings -- the string functions that mapping scripts get: the usual ones, with a bound on what one call may cost.
---
--- Limits on instructions do not see inside a C function, and `("a"):rep(1e9)` or a pattern that backtracks is one
--- instruction. So each function here works out beforehand what it could cost at worst, and refuses.

local core = require "moonweir.core"

local strings = {}

--- The longest text a script may make at once.
strings.LENGTH_MAX = 16 * 1024 * 1024

--- Steps that a pattern may take at worst; 3 to 5 ns each.
strings.STEPS_MAX = 3e7

--- Longer patterns nobody writes by hand.
strings.PATTERN_MAX = 1000

--- Characters or steps from which a call counts as a thousand instructions: the clock is looked at before it.
strings.COSTLY = 65536

-- gsub's buffers stand on C's stack, which LuaJIT lets overflow; Lua 5.4 would stop it a little later.
local LEVELS_MAX = 300

local byte, char, find, format, gmatch, gsub = string.byte, string.char, string.find, string.format, string.gmatch, string.gsub
local lower, match, rep, reverse, sub, upper = string.lower, string.match, string.rep, string.reverse, string.sub, string.upper
local unpack = table.unpack or unpack
local metatable_of, registry = debug.getmetatable, debug.getregistry()

-- An id with more digits than a Lua number holds: a userdata that prints as what it is.
local function is_digits(value)
	return type(value) == "userdata" and metatable_of(value) ~= nil and metatable_of(value) == registry["moonweir.digits"]
end
strings.is_digits = is_digits

-- error(message, level), but never at a line of the sandbox's own: where a script's tail call gave up its place, its next
-- line that is still there. Scripts are named by their file alone, others by a path.
local function raise(message, level)
	local up = level + 1
	local info = debug.getinfo(up, "S")
	while info and (info.what == "C" or find(info.source, "/", 1, true)) do
		up = up + 1
		info = up < 50 and debug.getinfo(up, "S") or nil
	end
	error(message, info and up or level + 1)
end

local function refuse(name, why, level)
	raise(name .. ": " .. why, (level or 3))
end

local function check_text(name, position, value)
	local kind = type(value)
	if kind == "number" or is_digits(value) then
		return tostring(value)
	elseif kind ~= "string" then
		raise(("bad argument #%d to '%s' (string expected, got %s)"):format(position, name, kind == "nil" and "no value" or kind), 3)
	end
	return value
end

-- What a C function answered or threw. Called as the last thing of its wrapper, so that the error's line is the script's;
-- what a script's own callback threw has its line already.
local function relay(name, ok, ...)
	if ok then
		return ...
	end
	local message = ...
	if type(message) == "string" then
		message = gsub(message, "^[^\n:]*/[^\n:]*:%d+: ", "") -- a line of ours says nothing to the script's author
		if not find(message, "^[^\n]-:%d+: ") then
			raise((gsub(message, "'%?'", "'" .. name .. "'")), 2)
		end
	end
	error(message, 0)
end
strings.relay = relay

-- Patterns ------------------------------------------------------------------------------------------

--- One item of a pattern: the class it matches, and whether any number of times.
---@return string class
---@return boolean repeated
---@return integer after
local function item(pattern, at)
	local c = sub(pattern, at, at)
	local after = at + 1
	if c == "%" then
		local kind = sub(pattern, at + 1, at + 1)
		if kind == "b" then
			return ".", true, at + 4 -- walks to the closing bracket, at worst to the end
		elseif kind == "f" then
			return "", false, at + 2
		elseif find(kind, "^%d") then
			return "", false, at + 2 -- compares a capture: one memcmp
		end
		after = at + 2
	elseif c == "[" then
		if sub(pattern, after, after) == "^" then
			after = after + 1
		end
		repeat -- the first "]" of a set stands for itself
			after = after + (sub(pattern, after, after) == "%" and 2 or 1)
		until after > #pattern or sub(pattern, after, after) == "]"
		after = after + 1
	end
	local class, quantifier = sub(pattern, at, after - 1), sub(pattern, after, after)
	if quantifier == "*" or quantifier == "+" or quantifier == "-" then
		return class, true, after + 1
	end
	return class, false, quantifier == "?" and after + 1 or after
end

-- The longest run of characters of a class: what `class*` can span at most.
local function longest_run(subject, class)
	if class == "." then
		return #subject
	end
	local longest = 0
	for run in gmatch(subject, class .. "+") do
		longest = #run > longest and #run or longest
	end
	return longest
end

---@class moonweir.Pattern
---@field anchored boolean
---@field spans string[] the classes of its repeated items
---@field compares integer how many captures of any length it compares with the text
---@field tries number how often each start is tried over: 2 for each "?", and a little for each item
---@field first? string a plain character that every match starts with

---@return moonweir.Pattern
local function read_pattern(pattern)
	local anchored = sub(pattern, 1, 1) == "^"
	local read = { anchored = anchored, spans = {}, tries = 1, compares = 0 }
	local at, items, weight = anchored and 2 or 1, 0, 0
	local spans_before, is_long, open = {}, {}, {} -- of captures: by their number; by their number; the numbers
	while at <= #pattern do
		local c = sub(pattern, at, at)
		if c == "(" then
			spans_before[#spans_before + 1] = #read.spans
			open[#open + 1] = #spans_before
			at = at + 1
		elseif c == ")" then
			local number = table.remove(open)
			is_long[number or 0] = number and #read.spans > spans_before[number]
			at = at + 1
		else
			if is_long[tonumber(match(pattern, "^%%(%d)", at))] then
				read.compares = read.compares + 1
			end
			local class, repeated
			class, repeated, at = item(pattern, at)
			items = items + 1
			weight = weight + (#class > 2 and #class / 2 or 1) -- a set is gone through
			local optional = not repeated and sub(pattern, at - 1, at - 1) == "?"
			if repeated then
				read.spans[#read.spans + 1] = class
			elseif optional then
				read.tries = read.tries * 2
			end
			if items == 1 and not repeated and not optional and (find(class, "^[^%%.%[]$") or find(class, "^%%%p$")) then
				read.first = class
			end
		end
	end
	if find(pattern, "[*+-]%)*$") and not find(pattern, "%%[*+-]%)*$") and not find(pattern, "%%b..%)*$") then
		read.spans[#read.spans] = nil -- with nothing behind it, what repeats at the end takes its fill once
	end
	read.tries = read.tries * (1 + weight / 16)
	return read
end

local known, known_count = {}, 0

--- At most how many steps a match takes: places to start × what each repeated item can span.
local function steps(subject, pattern)
	local read = known[pattern]
	if not read then
		if known_count >= 1000 then
			known, known_count = {}, 0
		end
		read = read_pattern(pattern)
		known[pattern], known_count = read, known_count + 1
	end
	-- The ends of k spans in a text of n characters, one behind the other, can be chosen in about n^k / k! ways.
	local free = read.anchored and 0 or 1
	local tries = read.tries * (1 + read.compares * #subject / 64)
	local ways = tries
	for k = 1, #read.spans + free do
		ways = ways * (#subject + k) / k
	end
	local cost = ways
	if cost <= strings.STEPS_MAX then
		return cost
	end
	-- Worth a closer look: the spans as they really are, and only starts at which the first item matches.
	local starts = read.anchored and 1 or #subject + 1
	if not read.anchored and read.first then
		starts = select(2, gsub(subject, read.first, "")) + 1
	end
	cost = starts * tries
	for _, class in ipairs(read.spans) do
		local ok, run = pcall(longest_run, subject, class)
		cost = cost * ((ok and run or #subject) + 1)
	end
	return cost < ways and cost or ways
end

local function check_pattern(name, subject, pattern)
	if #pattern > strings.PATTERN_MAX then
		error(("%s: the pattern is longer than %d characters"):format(name, strings.PATTERN_MAX), 3)
	end
	local cost = steps(subject, pattern)
	if cost > strings.STEPS_MAX then
		error(("%s: this pattern could take too long on a text of %d characters; anchor it with ^, or use fewer of * + -")
			:format(name, #subject), 3)
	elseif cost > strings.COSTLY then
		core.guard_look()
	end
end

local function searcher(name, search)
	return function(subject, pattern, init, plain)
		subject, pattern = check_text(name, 1, subject), check_text(name, 2, pattern)
		if name == "find" and plain then
			if #subject * #pattern / 16 > strings.STEPS_MAX then
				refuse(name, "the texts are too long to be searched")
			elseif #subject > strings.COSTLY then
				core.guard_look()
			end
		else
			check_pattern(name, subject, pattern)
		end
		return relay(name, pcall(search, subject, pattern, init, plain))
	end
end

strings.find = searcher("find", find)
strings.match = searcher("match", match)

function strings.gmatch(subject, pattern)
	subject, pattern = check_text("gmatch", 1, subject), check_text("gmatch", 2, pattern)
	check_pattern("gmatch", subject, pattern)
	return relay("gmatch", pcall(gmatch, subject, pattern))
end

-- A replacement by function or table, with its answers counted.
local function counted(replacement)
	local total = 0
	return function(...)
		local answer
		if type(replacement) == "function" then
			answer = replacement(...)
		else
			answer = replacement[(...)]
		end
		if type(answer) == "string" then
			total = total + #answer
			if total > strings.LENGTH_MAX then
				error("gsub: the result is too long", 0)
			end
		end
		return answer
	end
end

function strings.gsub(subject, pattern, replacement, limit)
	subject, pattern = check_text("gsub", 1, subject), check_text("gsub", 2, pattern)
	check_pattern("gsub", subject, pattern)
	local kind = type(replacement)
	if kind == "string" or kind == "number" then
		replacement = tostring(replacement)
		-- Matches do not overlap, so all the text that one %n brings in is no longer than the subject.
		local matches = math.min(#subject + 1, tonumber(limit) or math.huge)
		local captures = select(2, gsub(replacement, "%%", ""))
		if #subject * (1 + captures) + matches * #replacement > strings.LENGTH_MAX then
			refuse("gsub", "the result could be too long")
		end
	elseif kind == "function" or kind == "table" or kind == "userdata" then
		if debug.getinfo(LEVELS_MAX, "l") then
			refuse("gsub", "functions that gsub calls nest too deep")
		end
		replacement = counted(replacement)
	end
	return relay("gsub", pcall(gsub, subject, pattern, replacement, limit))
end

-- Others --------------------------------------------------------------------------------------------

function strings.rep(text, n, separator)
	text = check_text("rep", 1, text)
	separator = separator ~= nil and check_text("rep", 3, separator) or ""
	n = tonumber(n) or n
	if type(n) == "number" and n > 0 and math.max(#text + #separator, 1) * n > strings.LENGTH_MAX then
		refuse("rep", ("the result would be longer than %d characters"):format(strings.LENGTH_MAX))
	end
	return relay("rep", pcall(rep, text, n, separator))
end

function strings.format(template, ...)
	template = check_text("format", 1, template)
	local length = 0
	for i = 1, select("#", ...) do
		local value = select(i, ...)
		length = length + (type(value) == "string" and 4 * #value or 100) -- %q at most quadruples
	end
	for width in gmatch((gsub(template, "%%%%", "")), "%%[-+ #0]*(%d*)") do
		if #width > 2 then
			refuse("format", "a width has two digits at most")
		end
	end
	if length + 100 * #template > strings.LENGTH_MAX then
		refuse("format", "the result could be too long")
	end
	return relay("format", pcall(format, template, ...))
end

local function whole(name, make)
	return function(text)
		text = check_text(name, 1, text)
		if #text > strings.COSTLY then
			core.guard_look()
		end
		return make(text)
	end
end

strings.lower, strings.reverse, strings.upper = whole("lower", lower), whole("reverse", reverse), whole("upper", upper)
strings.byte, strings.char, strings.sub = byte, char, sub

function strings.len(text)
	return #check_text("len", 1, text)
end

local function check_list(name, list)
	if type(list) ~= "table" and type(list) ~= "userdata" then
		refuse(name, "expected a list, got a " .. type(list), 4)
	end
end

-- Where numbers go up by one. No place is NaN.
local function is_place(number)
	return type(number) == "number" and number % 1 == 0 and number > -2^53 and number < 2^53
end

--- Join the texts of a list. Works on lists of the event too.
---@param list any[]
function strings.concat(list, separator, first, last)
	check_list("concat", list)
	local length, items = 0, {}
	separator = separator ~= nil and check_text("concat", 2, separator) or ""
	first, last = first or 1, last or #list
	if not is_place(first) or not is_place(last) or last - first > 1e6 then
		refuse("concat", "that is not a list of up to a million texts")
	end
	for i = first, last do
		local value = list[i]
		local kind = type(value)
		if kind ~= "string" and kind ~= "number" and not is_digits(value) then
			refuse("concat", ("element %d is a %s"):format(i, kind))
		end
		value = tostring(value)
		length = length + #value + #separator
		if length > strings.LENGTH_MAX then
			refuse("concat", "the result would be too long")
		end
		items[#items + 1] = value
	end
	return table.concat(items, separator)
end

--- The elements of a list as values, at most 200 of them.
function strings.unpack(list, first, last)
	check_list("unpack", list)
	first, last = first or 1, last or #list
	if not is_place(first) or not is_place(last) or last - first >= 200 then
		refuse("unpack", "that is not a list of up to 200 values")
	elseif type(list) == "table" then
		return relay("unpack", pcall(unpack, list, first, last))
	end
	local copy = {}
	for i = first, last do
		copy[i - first + 1] = list[i]
	end
	return unpack(copy, 1, last - first + 1)
end

--- The functions for a script's `string` table.
---@return table<string, function>
function strings.library()
	local library = {}
	for _, name in ipairs { "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse",
		"sub", "upper" } do
		library[name] = strings[name]
	end
	return library
end

return strings
