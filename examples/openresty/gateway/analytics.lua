--- analytics -- what one request to the gateway was, as an event for gateway.lua. For log_by_lua: no I/O, no yield.

local cjson = require "cjson.safe"

local analytics = {}

--- The claims of a JWT, unverified. Whether it is genuine the API has decided: see `user_of`.
local function claims(token)
	local payload = token:match "^[%w_-]+%.([%w_-]+)%.[%w_-]*$"
	if not payload then
		return nil
	end
	local text = ngx.decode_base64((payload:gsub("[-_]", { ["-"] = "+", ["_"] = "/" })) .. ("="):rep(-#payload % 4))
	local value = text and cjson.decode(text)
	return type(value) == "table" and value or nil
end

--- Whose request it was: the token's subject, where the API accepted the token. A header that your own authentication sets
--- does as well; take one that clients can't set themselves.
local function user_of(status)
	if status == 401 or status == 403 then
		return nil
	end
	local token = (ngx.var.http_authorization or ""):match "^[Bb]earer (%S+)$"
	local said = token and claims(token)
	return said and type(said.sub) == "string" and said.sub or nil
end

-- "/v1/orders/83f2/items" is "/v1/orders/:id/items": Segment is to know routes, not every id that there is.
local function route_of(path)
	return (path:gsub("/[^/]*%d[^/]*", function(part)
		return part:find "^/v%d+$" and part or "/:id"
	end))
end

function analytics.event()
	local status = ngx.status
	return {
		type = status < 400 and "request.served" or "request.failed",
		time = ngx.req.start_time(),
		user = user_of(status),
		method = ngx.req.get_method(),
		route = route_of(ngx.var.uri),
		status = status,
		seconds = tonumber(ngx.var.request_time),
		ip = ngx.var.remote_addr,
		user_agent = ngx.var.http_user_agent,
	}
end

return analytics
