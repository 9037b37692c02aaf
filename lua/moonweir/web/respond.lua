--- respond -- answers to browsers, with the headers that keep what they show harmless.
---
---     local status, headers, body = respond.json(200, { paused = false })
---     local asset = respond.assets { ["/"] = { "text/html", html }, ["/style.css"] = { "text/css", css } }
---     local status, headers, body = asset("GET", "/style.css")               -- nil: there is no such page
---
--- Every answer has all of them, errors too: a page loads nothing from elsewhere, runs no script but its own files, turns no
--- text into markup, is not framed by strangers, not guessed to be of another type and not kept in a cache.

local core = require "moonweir.core"

local respond = {}

local POLICY = {
	"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "form-action 'self'",
	"base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
}

-- What no page of ours asks for, so that no script on it can.
local PERMISSIONS = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), midi=(), display-capture=()"

---@class moonweir.web.Options
---@field frame_ancestors? string[] origins that may embed the page, such as "https://app.example"; none without it
---@field secure? boolean it is reached by https, and shall be from now on
---@field more? table<string, string> further headers

--- The headers of an answer of this type.
---@param content_type string such as "text/html"; text is in UTF-8
---@param options? moonweir.web.Options
---@return table<string, string> headers the caller's own
function respond.headers(content_type, options)
	options = options or {}
	local framers = options.frame_ancestors and options.frame_ancestors[1] and table.concat(options.frame_ancestors, " ")
	local headers = {
		["Content-Type"] = content_type .. (content_type:find "^text/" and "; charset=utf-8" or ""),
		["Content-Security-Policy"] = table.concat(POLICY, "; ") .. "; frame-ancestors " .. (framers or "'none'"),
		["X-Content-Type-Options"] = "nosniff",
		["Referrer-Policy"] = "no-referrer",
		["Cache-Control"] = "no-store",
		["Cross-Origin-Opener-Policy"] = "same-origin",
		["Cross-Origin-Resource-Policy"] = "same-origin",
		["Permissions-Policy"] = PERMISSIONS,
	}
	if not framers then
		headers["X-Frame-Options"] = "DENY" -- it knows no list of origins
	end
	if options.secure then
		headers["Strict-Transport-Security"] = "max-age=31536000"
	end
	for name, value in pairs(options.more or {}) do
		headers[name] = value
	end
	return headers
end

--- A value as JSON.
---@param status integer
---@param value any what core.encode takes
---@param options? moonweir.web.Options
---@return integer status
---@return table<string, string> headers
---@return string body
function respond.json(status, value, options)
	return status, respond.headers("application/json", options), core.encode(value) .. "\n"
end

--- A refusal as JSON: {"error":{"code":…,"message":…}}.
---@param status integer
---@param code string a stable word
---@param message string what is wrong and what to do
---@param options? moonweir.web.Options
function respond.refusal(status, code, message, options)
	return respond.json(status, { error = { code = code, message = message } }, options)
end

--- Files of a page by their exact path; there is no folder behind them, so no path leads out of one.
---@param files table<string, string[]> path -> { content type, text }
---@param options? moonweir.web.Options
---@return fun(method: string, path: string): integer?, table<string, string>?, string? asset nil for other paths
function respond.assets(files, options)
	return function(method, path)
		local file = files[path]
		if not file then
			return nil
		elseif method ~= "GET" and method ~= "HEAD" then
			return respond.refusal(405, "method_not_allowed", "this is a page: GET it", options)
		end
		return 200, respond.headers(file[1], options), file[2]
	end
end

return respond
