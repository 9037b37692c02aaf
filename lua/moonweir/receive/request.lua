--- request -- one HTTP request as a host hands it over, with the few questions that schemes ask of it.
---
---     { method = "POST", url = "https://hooks.acme.com/webhooks/blue-bottle?x=1", headers = { … }, body = "…" }
---
--- The URL is the one that the tool called, in full: behind a proxy the host puts it together. Names of headers have any
--- case; a header that came more than once is a list of texts. The body is the bytes that came, before anything is undone.

---@class moonweir.Request
---@field method string
---@field url string
---@field headers table<string, string|string[]>
---@field body string

local Request = {}
Request.__index = Request

local request = {}

--- Wrong types are the host's mistake, and raise.
---@param r moonweir.Request
---@param level integer of the caller to blame
function request.new(r, level)
	if type(r) ~= "table" then
		error("a request is a table { method =, url =, headers =, body = }", level + 1)
	end
	for _, name in ipairs { "method", "url", "body" } do
		if type(r[name]) ~= "string" then
			error(("request.%s must be a text, not a %s"):format(name, type(r[name])), level + 1)
		end
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
		headers[name] = headers[name] or {}
		for _, one in ipairs(type(value) == "table" and value or { value }) do
			if type(one) ~= "string" then
				error(("request.headers: %s must be a text or a list of texts"):format(name), level + 1)
			end
			table.insert(headers[name], one)
		end
	end
	return setmetatable({ method = r.method, url = r.url, body = r.body, headers = headers }, Request)
end

--- The value of the first of these headers that is there. One that came twice has none: which of the two counts?
---@param names string|string[]
---@return string|nil value
---@return string? why
function Request:header(names)
	names = type(names) == "table" and names or { names }
	for _, name in ipairs(names) do
		local values = self.headers[name:lower()]
		if values and #values == 1 then
			return values[1]
		elseif values and #values > 1 then
			return nil, ("the header %s came %d times"):format(name, #values)
		end
	end
	return nil, ("the header %s is missing"):format(table.concat(names, " or "))
end

--- The media type without its parameters, in lower case; "" if there is none.
---@return string
function Request:content_type()
	return ((self:header "Content-Type" or ""):match "^%s*([^;%s]*)" or ""):lower()
end

return request
