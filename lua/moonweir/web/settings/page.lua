--- page -- the settings page's files by path, with the tool's name and colour in them.

local respond = require "moonweir.web.respond"

local page = {}

local SCRIPTS = { "main", "dom", "server", "forms", "view" }
local ENABLING = { ["/settings/enable"] = true, ["/settings/enabled"] = true }

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function escape(text)
	return (text:gsub("[&<>\"']", ENTITIES))
end

local function luminance(hex)
	local sum = 0
	for i, weight in ipairs { 0.2126, 0.7152, 0.0722 } do
		local c = tonumber(hex:sub(2 * i, 2 * i + 1), 16) / 255
		sum = sum + weight * (c <= 0.04045 and c / 12.92 or ((c + 0.055) / 1.055) ^ 2.4)
	end
	return sum
end

local function text_on(color)
	return luminance(color) > 0.179 and "#000000" or "#ffffff"
end

local ICON = [[<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="%s"/>]]
	.. [[<text x="16" y="23" font-family="sans-serif" font-size="20" font-weight="600" text-anchor="middle" fill="%s">%s</text>]]
	.. "</svg>"

local function icon(initial, color)
	return ICON:format(color or "#1c5bb8", text_on(color or "#1c5bb8"), initial)
end

--- The tool's colour, and what can be read on it: black or white, of which one always has a contrast of 4.5.
local function brand(color)
	if not color then
		return ""
	end
	return (":root { --brand: %s; --brand-text: %s; }\n"):format(color, text_on(color))
end

--- A whole page. `base` leads from where it is to the other files.
local function framed(main, base, script, names)
	local whole = require("moonweir.web.settings.frame"):gsub("{{(%u+)}}", { MAIN = main, BASE = base, SCRIPT = script })
	return (whole:gsub("{{(%u+)}}", names))
end

---@param tool string its name
---@param color string|nil "#1c5bb8"
---@param framing moonweir.web.Options
---@param enables boolean is there the window of enable.lua?
---@return fun(method: string, path: string): integer?, table<string, string>?, string?
function page.new(tool, color, framing, enables)
	local initial = tool:match "^[%z\1-\127\194-\244][\128-\191]*" or "?"
	local names = { TOOL = escape(tool), INITIAL = escape(initial:upper()) }
	local files = {
		["/settings"] = { "text/html", framed(require "moonweir.web.settings.html", "settings/", "main", names) },
		["/settings/style.css"] = { "text/css", require "moonweir.web.style" },
		["/settings/icon.svg"] = { "image/svg+xml", icon(names.INITIAL, color) },
		["/settings/settings.css"] = { "text/css", brand(color) .. require "moonweir.web.settings.css" },
	}
	for _, name in ipairs(SCRIPTS) do
		files["/settings/" .. name .. ".js"] = { "text/javascript", require("moonweir.web.settings." .. name) }
	end
	if enables then
		local window = framed(require "moonweir.web.settings.window_html", "", "window", names)
		for path in pairs(ENABLING) do
			files[path] = { "text/html", window }
		end
		files["/settings/window.js"] = { "text/javascript", require "moonweir.web.settings.window" }
	end
	return respond.assets(files, framing)
end

return page
