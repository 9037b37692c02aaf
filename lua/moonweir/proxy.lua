--- Is this a proxy that libcurl takes? Of one that it doesn't, libcurl would say so at each request, password and all.

local SCHEMES = { http = true, https = true, socks4 = true, socks4a = true, socks5 = true, socks5h = true }

local proxy = { shape = "http://host:port, or http://user:password@host:port" }

---@param url any
---@return boolean
function proxy.is_valid(url)
	if type(url) ~= "string" then
		return false
	end
	local scheme, rest = url:match "^(%a[%w+.-]*)://(.+)$"
	local host = (rest or url):match "([^@]*)$":gsub("/$", "")
	local port = host:match ":(%d+)$" or "0"
	local name = host:gsub(":%d+$", "")
	local plain = name:find "^[%w._-]+$" or name:find "^%[[%x:.]+%]$"
	return plain ~= nil and tonumber(port) <= 65535 and (not rest or SCHEMES[scheme:lower()] == true)
end

return proxy
