--- page -- the debugger's page and its files, by path. Each is a Lua module under moonweir.web, so that they are installed
--- wherever the code is.

local respond = require "moonweir.web.respond"

local page = {}

local SCRIPTS = { "main", "dom", "stream", "store", "list", "pretty", "detail", "figures", "faults" }

---@return fun(method: string, path: string): integer?, table<string, string>?, string?
function page.new()
	local files = {
		["/"] = { "text/html", require "moonweir.web.debugger.html" },
		["/style.css"] = { "text/css", require "moonweir.web.style" },
		["/debugger.css"] = { "text/css", require "moonweir.web.debugger.css" },
		["/icon.svg"] = { "image/svg+xml", require "moonweir.web.debugger.icon" },
	}
	for _, name in ipairs(SCRIPTS) do
		files["/" .. name .. ".js"] = { "text/javascript", require("moonweir.web.debugger." .. name) }
	end
	return respond.assets(files)
end

return page
