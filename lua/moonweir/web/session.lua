--- session -- who has opened a link works for a while, in the name of one account.
---
---     s1.<base64url of {"account":…,"user":…,"test":…,"start":…,"seen":…}>.<MAC>
---
--- Signed with the link key and kept nowhere here: any process of any host with the key knows it, and none has to remember,
--- nor which test event was sent in it. The page holds it in a variable and sends it as `Authorization: Bearer`; no cookie, so
--- nothing a foreign page can make a browser send along. It is good for half an hour, and is given anew, up to eight hours,
--- when its user does something.

local core = require "moonweir.core"

local session = {}

session.IDLE = 1800 -- seconds
session.LIFE = 28800
local SKEW = 60 -- between the hosts that share a key
local TOKEN_MAX = 4096

local function sealed(fields, key)
	local signed = "s1." .. core.base64url(core.encode(fields))
	local mac, message, code = key:sign(signed)
	if not mac then
		return nil, message, code
	end
	return signed .. "." .. mac
end

--- A new session.
---@param fields {account: string, user: string?}
---@param key table
---@param now number seconds since 1970
---@return string|nil token
function session.start(fields, key, now)
	now = math.floor(now)
	return sealed({ account = fields.account, user = fields.user, start = now, seen = now }, key)
end

--- What an Authorization header says, if it is a session that still holds.
---@param authorization string|nil
---@param key table
---@param now number
---@return {account: string, user: string?, test: {id: string, at: number, by: string}?, start: number, seen: number}|nil
function session.check(authorization, key, now)
	local token = type(authorization) == "string" and #authorization <= TOKEN_MAX and authorization:match "^[Bb]earer +(%S+)$"
	local signed, mac = (token or ""):match "^(s1%.[%w_-]+)%.([%w_-]+)$"
	if not signed or not key:is_genuine(signed, mac) then
		return nil
	end
	local fields = core.decode(core.from_base64url(signed:sub(4)) or "")
	if type(fields) ~= "table" or type(fields.account) ~= "string" then
		return nil
	end
	local start, seen = tonumber(fields.start), tonumber(fields.seen)
	if not start or not seen or seen > now + SKEW or now - seen >= session.IDLE or now - start >= session.LIFE then
		return nil
	end
	return fields
end

--- The same session, with its idle time beginning now.
---@return string|nil token
---@return number seconds until it ends if nothing more is done
function session.renew(fields, key, now)
	now = math.floor(now)
	local renewed = {
		account = fields.account, user = fields.user, test = fields.test, start = fields.start, seen = math.max(now, fields.seen),
	}
	return sealed(renewed, key), math.min(session.IDLE, fields.start + session.LIFE - now)
end

return session
