--- link -- links to the settings page: made by the tool's own app, good for minutes, used once.
---
---     https://events.acme.example/settings#v1.eyJhY2NvdW50…  .  MAC
---                                          |  |                 HMAC-SHA256 of "v1." and the fields as written, base64url
---                                          |  base64url of the fields as JSON: {"account":"blue-bottle",
---                                          |  "aud":"https://events.acme.example","iat":…,"exp":…,"jti":"…"}
---                                          the only version; there is nothing to choose an algorithm with
---
--- The token stands behind the #, so it is in no server's log and no Referer. Whoever presents it first has a session
--- (session.lua); that it was used is kept in the spool's state, for all processes, until it would be too old anyway.

local core = require "moonweir.core"

local link = {}

link.TTL_MAX = 300 -- seconds between iat and exp
link.SKEW = 60 -- by which the clock of the tool's app may be off
link.TOKEN_MAX = 4096
local USER_MAX, JTI_MIN, JTI_MAX = 200, 16, 64

--- A base URL without its last slash: https, or http on this machine.
---@param url any
---@return string|nil base
---@return string? origin scheme, host and port
function link.base(url)
	if type(url) ~= "string" or #url > 500 or url:find "[%c%s\"'<>#?@\\]" then
		return nil
	end
	local scheme, host, path = url:match "^(https?)://([%w.%-:%[%]]+)(/?.*)$"
	if not scheme or (path ~= "" and path:sub(1, 1) ~= "/") then
		return nil
	end
	host = host:lower()
	local name = host:match "^(%[[%x:]+%])" or host:match "^([^:]+)"
	if not name or scheme == "http" and name ~= "localhost" and name ~= "127.0.0.1" and name ~= "[::1]" then
		return nil
	end
	local origin = scheme .. "://" .. (scheme == "https" and host:gsub(":443$", "") or host:gsub(":80$", ""))
	return origin .. path:gsub("/+$", ""), origin
end

local function is_account(name)
	return type(name) == "string" and #name >= 1 and #name <= 255
end

local OPTIONS = { user = true, base_url = true, key = true, ttl = true, now = true }

--- Misuse raises in the name of whoever called settings_link.
local function check(account, options, base)
	local function refuse(what)
		error("settings_link: " .. what, 4)
	end
	if not is_account(account) then
		refuse "an account is named by 1 to 255 bytes"
	elseif not base then
		refuse "base_url must be the daemon's https URL, without ? and # (http only for localhost)"
	end
	for name in pairs(options) do
		if not OPTIONS[name] then
			refuse(("no option %q"):format(tostring(name)))
		end
	end
	local ttl, user = options.ttl, options.user
	if ttl ~= nil and (type(ttl) ~= "number" or not (ttl >= 1 and ttl <= link.TTL_MAX)) then
		refuse "ttl must be 1 to 300 seconds"
	elseif user ~= nil and (type(user) ~= "string" or #user > USER_MAX) then
		refuse "user must be a text of at most 200 bytes"
	end
end

--- A link for one account, to be opened within `ttl` seconds. For the person who is logged in to the tool's own app: who
--- has the link has the account's settings.
---@param account string
---@param options {base_url: string, key: string|table, user: string?, ttl: number?, now: number?} key: the path of the link
--- key's file, or what core.link_key gave; user: for the audit log; ttl: default and most 300; now: seconds since 1970
---@return string|nil url
---@return string? message
---@return "io"|"bad_master_key"|"no_memory"|"forked"|nil code
function link.make(account, options)
	local base = link.base(options.base_url)
	check(account, options, base)
	local key = options.key
	if type(key) ~= "userdata" then
		local message, code
		key, message, code = core.link_key(key)
		if not key then
			return nil, message, code
		end
	end
	local now = math.floor(options.now or os.time())
	local signed = "v1." .. core.base64url(core.encode {
		account = account,
		user = options.user,
		aud = base,
		iat = now,
		exp = now + math.floor(options.ttl or link.TTL_MAX),
		jti = core.random_id(),
	})
	local mac, message, code = key:sign(signed)
	if not mac then
		return nil, message, code
	end
	return base .. "/settings#" .. signed .. "." .. mac
end

local function whole(n)
	return type(n) == "number" and n >= 0 and n < 1e12 and n == math.floor(n)
end

local function has_form(fields)
	return type(fields) == "table"
		and is_account(fields.account)
		and (fields.user == nil or type(fields.user) == "string" and #fields.user <= USER_MAX)
		and type(fields.aud) == "string"
		and whole(fields.iat)
		and whole(fields.exp)
		and type(fields.jti) == "string"
		and #fields.jti >= JTI_MIN
		and #fields.jti <= JTI_MAX
end

--- Is this a good token, and here for the first time? Then it is used up.
---@param token any
---@param options {key: table, claims: table, base: string, now: number}
---@return {account: string, user: string?}|nil fields
---@return "invalid"|"expired"|"used"|"io"|"full"|"no_memory"|"forked"|nil code
---@return string? message if the claim could not be written, or clocks differ
function link.open(token, options)
	if type(token) ~= "string" or #token > link.TOKEN_MAX then
		return nil, "invalid"
	end
	local signed, mac = token:match "^(v1%.[%w_-]+)%.([%w_-]+)$"
	if not signed or not options.key:is_genuine(signed, mac) then
		return nil, "invalid"
	end
	local json = core.from_base64url(signed:sub(4))
	local fields = json and core.decode(json)
	if type(fields) == "table" and fields.user == core.null then
		fields.user = nil
	end
	if not has_form(fields) or fields.exp <= fields.iat or fields.exp - fields.iat > link.TTL_MAX then
		return nil, "invalid"
	elseif fields.aud ~= options.base then
		return nil, "invalid"
	elseif options.now < fields.iat - link.SKEW then
		return nil, "expired", ("made %.0f s in the future: one of the two clocks is wrong"):format(fields.iat - options.now)
	elseif options.now >= fields.exp + link.SKEW then
		return nil, "expired"
	end
	local taken, message, code = options.claims:take("link " .. signed, fields.exp + link.SKEW, options.now)
	if taken == nil then
		return nil, code, message
	elseif not taken then
		return nil, "used"
	end
	return { account = fields.account, user = fields.user }
end

return link
