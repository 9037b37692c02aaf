--- request -- one HTTP request as a host hands it over, with the few questions that schemes ask of it.
---
---     { method = "POST", url = "https://hooks.acme.com/webhooks/blue-bottle?x=1", headers = { … }, body = "…" }
---
--- The URL is the one that the tool called, in full: behind a proxy the host puts it together. Names of headers have any
--- case; a header that came more than once is a list of texts. The body is the bytes that came, before anything is undone.
--- In place of `headers` a host may have `header`, a function from a name in any case to the value, or to nil and how often
--- that header came.

local core = require "moonweir.core"

---@class moonweir.Request
---@field method string
---@field url string
---@field headers? table<string, string|string[]>
---@field header? fun(name: string): string|nil, integer?
---@field body string

local Request = {}
Request.__index = Request

-- Of a host whose request has its bytes elsewhere: `body` becomes a text when it is asked for.
local Lazy = {}

function Lazy.__index(self, name)
	if name == "body" then
		local text = self.from.body
		rawset(self, "body", text)
		return text
	end
	return Request[name]
end

local request = {}

-- A list of what a header had so far and what else it has; of one text the text.
local function add(before, value, name, level)
	local list = type(before) == "table" and before or { before }
	for _, one in ipairs(type(value) == "table" and value or { value }) do
		if type(one) ~= "string" then
			error(("request.headers: %s must be a text or a list of texts"):format(name), level + 1)
		end
		list[#list + 1] = one
	end
	return #list == 1 and list[1] or #list > 1 and list or nil
end

--- Wrong types are the host's mistake, and raise.
---@param r moonweir.Request
---@param level integer of the caller to blame
function request.new(r, level)
	if type(r) ~= "table" then
		error("a request is a table { method =, url =, headers =, body = }", level + 1)
	end
	local method, url, look = r.method, r.url, r.header
	if r.exchange and type(method) == "string" and type(url) == "string" then -- our own server's
		return setmetatable({ method = method, url = url, look = look, from = r }, Lazy)
	end
	local body = r.body
	if type(method) ~= "string" or type(url) ~= "string" or type(body) ~= "string" then
		for _, name in ipairs { "method", "url", "body" } do
			if type(r[name]) ~= "string" then
				error(("request.%s must be a text, not a %s"):format(name, type(r[name])), level + 1)
			end
		end
	end
	if type(look) == "function" then
		return setmetatable({ method = method, url = url, body = body, look = look }, Request)
	end
	if type(r.headers) ~= "table" then
		error(("request.headers must be a table, not a %s"):format(type(r.headers)), level + 1)
	end
	local headers = {}
	for name, value in pairs(r.headers) do
		if type(name) ~= "string" then
			error("request.headers are texts by name", level + 1)
		end
		name = name:lower()
		if type(value) == "string" and headers[name] == nil then
			headers[name] = value -- nearly always, and a table less
		else
			headers[name] = add(headers[name], value, name, level + 1)
		end
	end
	return setmetatable({ method = method, url = url, body = body, headers = headers }, Request)
end

-- The value of one header; nil and how often it came.
function Request:find(name)
	if self.look then
		local value, count = self.look(name)
		return value, count or 0
	end
	local value = self.headers[name:lower()]
	if type(value) == "table" then
		return nil, #value
	end
	return value, 0
end

--- The value of the first of these headers that is there. One that came twice has none: which of the two counts?
---@param names string|string[]
---@return string|nil value
---@return string? why
function Request:header(names)
	if type(names) == "string" then
		local value, count = self:find(names)
		return value, not value and (count > 1 and ("the header %s came %d times"):format(names, count)
			or ("the header %s is missing"):format(names)) or nil
	end
	for _, name in ipairs(names) do
		local value, count = self:find(name)
		if value then
			return value
		elseif count > 1 then
			return nil, ("the header %s came %d times"):format(name, count)
		end
	end
	return nil, ("the header %s is missing"):format(table.concat(names, " or "))
end

--- The bytes of a signature that is all that a header holds.
---@param name string
---@param form "hex"|"base64"
---@return string|nil signature
---@return string? why
function Request:signature(name, form)
	local text, why = self:header(name)
	if not text then
		return nil, why
	end
	local signature = core.binary(form, text)
	return signature, not signature and ("the header %s holds no signature"):format(name) or nil
end

--- The same of one header without a reason: for those that may well be missing.
---@param name string
---@return string|nil
function Request:value(name)
	return (self:find(name))
end

--- The media type without its parameters, in lower case; "" if there is none.
---@return string
function Request:content_type()
	return ((self:find "Content-Type" or ""):match "^%s*([^;%s]*)" or ""):lower()
end

return request
