--- markdown -- text in a Markdown page that can't become anything else: no table cell ends early, no tag, link or Liquid
--- begins.
---
---     markdown.text "a|b {{ site }} *x* `Email Sent`"     a&#124;b &#123;&#123; site &#125;&#125; \*x\* `Email Sent`
---     markdown.code "order|paid"                          <code>order&#124;paid</code>
---
--- For GitHub's Markdown and for kramdown with Liquid in front, which Segment's documentation is written in.

local markdown = {}

local function entity(character)
	return ("&#%d;"):format(character:byte())
end

--- A name as inline code.
---@param name string
---@return string
function markdown.code(name)
	name = name:gsub("%c+", " ")
	if name:find "^[%w\128-\255][%w\128-\255 _.,:;/()%[%]$@#%%+='\"!?-]*$" and not name:find " $" then
		return "`" .. name .. "`"
	end
	return "<code>" .. name:gsub("[^%w\128-\255 ]", entity) .. "</code>"
end

local function plain(text)
	text = text:gsub("[&<>|{}%[%]`\\]", entity)
	text = text:gsub("[*~^$]", "\\%0")
	for _, edge in ipairs { "%f[%w_]_+", "_+%f[^%w_]" } do -- inside of a word it is no emphasis
		text = text:gsub(edge, function(run)
			return (run:gsub("_", entity))
		end)
	end
	return text
end

--- A text on one line, of which only `code` between backticks is kept.
---@param text string
---@return string
function markdown.text(text)
	text = text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
	local parts, at = {}, 1
	while true do
		local first, last, code = text:find("`([^`]+)`", at)
		parts[#parts + 1] = plain(text:sub(at, (first or 0) - 1))
		if not first then
			return table.concat(parts)
		end
		parts[#parts + 1] = markdown.code(code)
		at = last + 1
	end
end

--- A text that ends as a sentence does.
---@param text string
---@return string
function markdown.sentence(text)
	text = markdown.text(text)
	return text:find "[.!?]$" and text or text .. "."
end

--- The target of a link: what it can't hold is encoded.
---@param url string
---@return string
function markdown.url(url)
	return (url:gsub("[^%w%-._~:/?#@!$&*+,;=%%]", function(character)
		return ("%%%02X"):format(character:byte())
	end))
end

--- A table; cells are Markdown already.
---@param head string[]
---@param rows string[][]
---@return string
function markdown.table(head, rows)
	local lines = { "| " .. table.concat(head, " | ") .. " |", "|" .. (" --- |"):rep(#head) }
	for _, row in ipairs(rows) do
		lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |"
	end
	return table.concat(lines, "\n")
end

return markdown
