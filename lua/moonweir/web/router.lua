--- router -- which handler a request goes to, by the exact path and nothing else: there is no folder behind it.
---
---     local routes = router.new {
---       ["/healthz"] = handler,              that path
---       ["/webhooks/<account>"] = handler,   one part more, which is the account: request.account, percent signs undone
---       ["/settings/*"] = handler,           that path and whatever stands below it
---     }
---     local status, headers, body, when = routes:handle { method =, target =, headers =, body =, remote = }
---
--- A handler gets what its host made of a request, the same table in the daemon and in OpenResty, with path, query and
--- header(name) added; and returns status, headers, body, and "durable" if the answer is to wait until what it pushed is
--- safe, or "again" if the host may rather call it once more in a moment, for there was no room. It neither waits nor writes
--- to a socket.

local router = {}

---@class moonweir.web.Request
---@field method string
---@field target string   path and query as they came
---@field path string     as it came
---@field query string    "" if there is none
---@field headers table<string, string|string[]> names as they came; of one that came more than once a list
---@field body string
---@field remote string   the peer's address
---@field account? string
---@field header fun(name: string): string|nil  without regard to case; nil if it is not there, or there twice
---@field exchange? userdata  of a host that has one: the headers as client:push takes them, too, without a table

---@alias moonweir.web.Handler fun(request: moonweir.web.Request): integer, table<string, string>?, string?, ("durable"|"again")?

local Request = {}

local function lookup(request)
	local by_name = {}
	for name, value in pairs(request.headers) do
		name = name:lower()
		by_name[name] = by_name[name] == nil and type(value) == "string" and value or false
	end
	return function(name)
		return by_name[name:lower()] or nil
	end
end

-- Made when it is first asked for: most requests never are.
function Request.__index(request, name)
	if name == "header" then
		local header = lookup(request)
		rawset(request, "header", header)
		return header
	end
	return nil
end

--- A part of a path with its percent signs undone; nil if one is malformed or stands for a byte 0.
---@param text string
---@return string|nil
function router.decode(text)
	if not text:find("%", 1, true) then
		return text
	end
	local good = true
	local decoded = text:gsub("%%(.?.?)", function(digits)
		local byte = digits:find "^%x%x$" and tonumber(digits, 16)
		good = good and byte ~= nil and byte ~= 0 and byte ~= false
		return byte and string.char(byte) or ""
	end)
	return good and decoded or nil
end

---@class moonweir.Router
local Router = {}
Router.__index = Router

---@param routes table<string, moonweir.web.Handler>
function router.new(routes)
	local self = setmetatable({ exact = {}, named = {}, trees = {}, known = {}, known_count = 0 }, Router)
	for path, handler in pairs(routes) do
		local named, tree = path:match "^(/%w+/)<account>$", path:match "^(/%w+)/%*$"
		if named then
			self.named[named] = handler
		elseif tree then
			self.exact[tree] = handler
			self.trees[tree .. "/"] = handler
		else
			self.exact[path] = handler
		end
	end
	return self
end

local NONE = {}
local TEXT = { ["Content-Type"] = "text/plain; charset=utf-8", ["X-Content-Type-Options"] = "nosniff" }

--- Whose request is it, and which route, for counting?
---@return moonweir.web.Handler|nil
---@return string route a word of few: never a part of what came
---@return string? account
function Router:find(path)
	local handler = self.exact[path]
	if handler then
		return handler, path
	end
	local first, rest = path:match "^(/%w+/)(.*)$"
	handler = first and self.named[first]
	if handler then
		return handler, first .. "<account>", rest
	end
	handler = first and self.trees[first]
	return handler, handler and first .. "*" or "none"
end

-- Targets whose way is remembered; tools call few of them. Beyond that it begins anew.
local KNOWN_MAX = 4096

--- What a target comes to: looked for once, for the same few are called again and again.
function Router:resolve(target)
	local path, query = target:match "^([^?#]*)%??(.*)$"
	local handler, route, account = self:find(path)
	local found = { handler = handler, route = route, path = path, query = query }
	if not handler then
		found.refusal = "there is nothing here\n"
	elseif account then
		account = not account:find("/", 1, true) and router.decode(account) or ""
		if account == "" or #account > 255 then
			found.refusal = "an account is one part of the path, of 1 to 255 bytes\n"
		end
		found.account = account
	end
	if self.known_count >= KNOWN_MAX then
		self.known, self.known_count = {}, 0
	end
	self.known[target], self.known_count = found, self.known_count + 1
	return found
end

---@param request {method: string, target: string, headers: table, body: string, remote: string}
--- A host's request with a metatable brings `header` itself.
---@return integer status
---@return table<string, string> headers
---@return string body
---@return "durable"|"again"|nil when
---@return string route
function Router:handle(request)
	local found = self.known[request.target] or self:resolve(request.target)
	if found.refusal then
		return 404, TEXT, found.refusal, nil, found.route
	end
	request.path, request.query, request.account = found.path, found.query, found.account
	if not getmetatable(request) then
		setmetatable(request, Request)
	end
	local status, headers, body, when = found.handler(request)
	return status, headers or NONE, body or "", when, found.route
end

return router
