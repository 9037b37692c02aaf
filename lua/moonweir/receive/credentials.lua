--- credentials -- tools that sign nothing and send a secret with each request: as a password, a token, or in the URL.

local core = require "moonweir.core"
local form = require "moonweir.receive.form"

local credentials = {}

-- What the request brings, to be compared with the secrets.
local readers = {
	basic = function(tool, request)
		local value, why = request:header "Authorization"
		if not value then
			return nil, why
		end
		local text = core.binary("base64", value:match "^[Bb][Aa][Ss][Ii][Cc] +(%S+)%s*$" or "?")
		local user, password = (text or ""):match "^([^:]*):(.*)$"
		if not user then
			return nil, "the header Authorization holds no user and password"
		end
		return password, nil, core.equal(user, { tool.user })
	end,
	bearer = function(tool, request)
		local name = tool.header or "Authorization"
		local value, why = request:header(name)
		if value and not tool.header then
			value, why = value:match "^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)%s*$", "the header Authorization holds no bearer token"
		end
		return value, why, true
	end,
	query = function(tool, request)
		local list = form.pairs(request.url:match "%?([^#]*)" or "")
		local value = list and form.value(list, tool.parameter)
		return value, ("the URL has no parameter %s"):format(tool.parameter), true
	end,
}

function credentials.verify(tool, request, _, keys)
	local given, why, is_user = readers[tool.name](tool, request)
	if not given then
		return nil, why, "unsigned"
	end
	local is_one, message, code = core.equal(given, keys)
	if is_one == nil then
		return nil, message, code
	elseif not (is_one and is_user) then
		return nil, tool.name == "basic" and "the user or the password is wrong" or "the token is wrong", "forged"
	end
	return true
end

return credentials
