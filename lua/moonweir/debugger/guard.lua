--- guard -- who may see and steer the debugger: the page that was opened with the token, and scripts that know it.
---
--- Three things keep foreign pages out that run in the browser of this machine's user: the Host is one of ours (else its
--- DNS name merely points here), the token is in a header (no page can guess it, and a form can't send it), and the
--- request comes from our own origin.

local guard = {}

guard.HEADER = "X-Moonweir-Token"
guard.TOKEN_MIN = 16

--- Names by which a browser on this machine reaches a loopback server.
guard.LOOPBACK = { ["localhost"] = true, ["127.0.0.1"] = true, ["[::1]"] = true }

--- Does this address belong to this machine alone?
---@param address string
function guard.is_loopback(address)
	return address == "::1" or address:find "^127%.%d+%.%d+%.%d+$" ~= nil
end

--- 32 hexadecimal digits that nobody can guess.
---@return string
function guard.random_token()
	local source = assert(io.open("/dev/urandom", "rb"))
	local bytes = source:read(16)
	source:close()
	return (bytes:gsub(".", function(byte)
		return ("%02x"):format(byte:byte())
	end))
end

--- Is the Host none of ours?
---@param host string?
---@param hosts table<string, boolean>
function guard.is_foreign(host, hosts)
	local name = host and host:lower():gsub(":%d*$", "")
	return not (name and hosts[name])
end

--- Why this request may not see or change anything; nil: it may.
---@param request {method: string, header: fun(name: string): string?}
---@param token string
---@return integer? status
---@return string? code
---@return string? message
function guard.refusal(request, token)
	local site, origin = request.header "Sec-Fetch-Site", request.header "Origin"
	if site and site ~= "same-origin" or origin and origin ~= "http://" .. (request.header "Host" or "") then
		return 403, "foreign_origin", "only the debugger's own page may ask for this"
	elseif request.header(guard.HEADER) ~= token then
		return 401, "bad_token", ("send the token in the header %s; it is behind the # of the address that the debugger prints")
			:format(guard.HEADER)
	elseif request.method == "POST" and not (request.header "Content-Type" or ""):lower():find "^application/json%f[;%s%z]" then
		return 415, "not_json", "send application/json"
	end
end

return guard
