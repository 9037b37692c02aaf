--- verification -- what `source.verify` and `source.secret` make: how a tool's requests prove whose they are.
---
---     verify = source.verify.stripe { secret = source.secret "STRIPE_WEBHOOK_SECRET" }
---     verify = source.verify.slack { secret = { source.secret "NEW", source.secret "OLD" } }    -- while a secret is changed
---
--- A script names secrets; the host finds them when a request is there. What is made here is opaque to the script: it can't
--- be changed once it is checked. receive/ does what it says.

local place = require "moonweir.place"
local tools = require "moonweir.receive.tools"
place.is_own()

local verification = {}

local Verification = { __metatable = "moonweir.verification", __tostring = function() return "source.verify" end }
local Secret = { __metatable = "moonweir.secret", __tostring = function() return "source.secret" end }

-- What was said of each, out of the script's reach.
local said = setmetatable({}, { __mode = "k" })

---@class moonweir.Verification opaque
---@class moonweir.Secret opaque

---@class moonweir.Said
---@field tool moonweir.Tool with what the script said of it
---@field wanted (string|{name: string})[]
---@field has_literal boolean a secret stands in the script

function verification.is(value)
	return type(value) == "table" and debug.getmetatable(value) == Verification
end

--- What a verification says.
---@param value moonweir.Verification
---@return moonweir.Said
function verification.said(value)
	return said[value]
end

--- `source.secret "NAME"`: a secret that the host finds by this name.
---@param name string
---@return moonweir.Secret
function verification.secret(name)
	if type(name) ~= "string" or not name:find "^[%w_.-]+$" or #name > 100 then
		place.fail('source.secret: expected a name of letters, digits, "_", "." and "-", as in source.secret "STRIPE_SECRET"; '
			.. "not the secret itself")
	end
	local made = setmetatable({}, Secret)
	said[made] = { name = name }
	return made
end

-- Options -------------------------------------------------------------------------------------------

local function is_secret(value)
	return type(value) == "table" and debug.getmetatable(value) == Secret
end

-- One, or a list of several that all count. The value itself is never shown: it may be the secret.
local function read_secrets(value, option, fail)
	local list = (is_secret(value) or type(value) ~= "table") and { value } or value
	local wanted, has_literal = {}, false
	for i = 1, #list do
		local one = rawget(list, i)
		if is_secret(one) then
			wanted[i] = said[one]
		elseif type(one) == "string" and one ~= "" and #one <= 4096 then
			wanted[i], has_literal = one, true
		else
			fail(('%s must be source.secret "NAME" or a list of several, not %s'):format(option,
				one == "" and "an empty text" or "a " .. type(one)))
		end
	end
	if #wanted == 0 then
		fail(("%s is an empty list"):format(option))
	elseif #wanted > 8 then
		fail(("%s lists more than 8"):format(option))
	end
	return wanted, has_literal
end

local function one_of(words)
	return function(value)
		for _, word in ipairs(words) do
			if value == word then
				return true
			end
		end
		return false, '"' .. table.concat(words, '" or "') .. '"'
	end
end

local function header_name(value)
	return type(value) == "string" and value:find "^[%w!#$%%&'*+.^_`|~-]+$" ~= nil, 'the name of a header, as "X-Signature"'
end

local function some_text(value)
	return type(value) == "string" and value ~= "", "a text"
end

local checks = {
	tolerance = function(value)
		local is_seconds = type(value) == "number" and value > 0 and value <= 30 * 86400
		return value == false or is_seconds, "seconds, at most 30 days, or false for any time"
	end,
	header = header_name,
	timestamp = header_name,
	id = header_name,
	prefix = some_text,
	user = function(value)
		return type(value) == "string" and value ~= "" and not value:find ":", 'a text without ":"'
	end,
	parameter = some_text,
	url = function(value)
		return type(value) == "string" and value:find "^https?://[^/?#]+[^?#]*$" ~= nil,
			"the URL that the tool calls, without a query"
	end,
	kind = one_of { "hmac-sha256", "hmac-sha1", "hmac-sha512", "sha256" },
	form = one_of { "hex", "HEX", "base64", "base64url" },
	time = one_of { "unix", "ms", "date" },
	signed = function(value)
		if type(value) ~= "string" or not value:find("{body}", 1, true) then
			return false, 'a text with {body} in it, as "{timestamp}.{body}"'
		end
		for name in value:gmatch "{(.-)}" do
			if not ({ body = 1, timestamp = 1, id = 1, method = 1, url = 1 })[name] then
				return false, "made of {body}, {timestamp}, {id}, {method}, {url} and what stands between them"
			end
		end
		return true
	end,
}

-- What each may say beside its secret, which stands under the name given first; those after "!" must be there.
local options = {
	hmac = { "secret", "!header", "kind", "form", "prefix", "signed", "timestamp", "time", "id", "tolerance" },
	basic = { "password", "!user" },
	bearer = { "token", "header" },
	query = { "secret", "!parameter" },
	twilio = { "secret", "url" },
	mailgun = { "secret", "tolerance" },
	segment = { "secret" },
	sendgrid = { "public_key", "tolerance" },
	standard_webhooks = { "secret", "tolerance", "public_key" },
}

local defaults = { hmac = { kind = "hmac-sha256", form = "hex", signed = "{body}", tolerance = 300 } }

local function options_of(name)
	return options[name] or (tools[name].timestamp and { "secret", "tolerance" } or { "secret" })
end

local function check_hmac(made, fail)
	local needs_time = made.signed:find("{timestamp}", 1, true) ~= nil
	if needs_time ~= (made.timestamp ~= nil) then
		fail(needs_time and "signed has {timestamp}, so timestamp must name its header"
			or "timestamp is not signed, so it proves nothing; write it into signed, as \"{timestamp}.{body}\"")
	elseif (made.signed:find("{id}", 1, true) ~= nil) ~= (made.id ~= nil) then
		fail "{id} in signed and the header's name in id belong together"
	end
end

local function constructor(name)
	local tool = tools[name]
	local secret_name, known, required = nil, {}, {}
	for i, option in ipairs(options_of(name)) do
		local plain = option:gsub("^!", "")
		required[plain] = plain ~= option or nil
		known[i] = plain
		secret_name = secret_name or plain
	end

	return function(fields)
		local function fail(why)
			place.fail(("source.verify.%s: %s"):format(name, why))
		end
		if type(fields) ~= "table" or is_secret(fields) or debug.getmetatable(fields) ~= nil then
			fail(('expected a table like { %s = source.secret "NAME" }'):format(secret_name))
		end
		local made = {}
		for _, base in ipairs { tool, defaults[name] or {} } do
			for key, value in pairs(base) do
				made[key] = value
			end
		end
		local holder = name == "standard_webhooks" and rawget(fields, "public_key") ~= nil and "public_key" or secret_name
		for key, value in next, fields do
			if type(key) ~= "string" or not table.concat(known, " "):find("%f[%w_]" .. key:gsub("%W", "%%%0") .. "%f[^%w_]") then
				fail(("unknown option %s%s"):format(type(key) == "string" and ('"%s"'):format(key) or "number " .. tostring(key),
					type(key) == "string" and place.nearest(key, known) or ""))
			end
			if checks[key] then
				local ok, expected = checks[key](value)
				if not ok then
					fail(("%s must be %s"):format(key, expected))
				end
				made[key] = value
			elseif key ~= holder then
				fail("either secret or public_key, not both")
			end
		end
		for option in pairs(required) do
			if rawget(fields, option) == nil then
				fail(("%s is missing"):format(option))
			end
		end
		if rawget(fields, holder) == nil then
			fail(('%s is missing: %s = source.secret "NAME"'):format(holder, holder))
		end
		local wanted, has_literal = read_secrets(rawget(fields, holder), holder, fail)
		if holder == "public_key" then
			for key, value in pairs(tool.public) do
				made[key] = value
			end
		end
		if name == "hmac" then
			check_hmac(made, fail)
		end
		local it = setmetatable({}, Verification)
		said[it] = { tool = made, wanted = wanted, has_literal = has_literal and holder ~= "public_key" }
		return it
	end
end

--- `source.verify`: a constructor for each tool.
---@return table<string, fun(fields: table): moonweir.Verification>
function verification.constructors()
	local made, names = {}, {}
	for name in pairs(tools) do
		made[name] = constructor(name)
		names[#names + 1] = name
	end
	table.sort(names)
	return setmetatable(made, {
		__metatable = "moonweir.verify",
		__index = function(_, name)
			place.fail(("there is no source.verify.%s%s"):format(tostring(name), place.nearest(name, names)))
		end,
	})
end

return verification
