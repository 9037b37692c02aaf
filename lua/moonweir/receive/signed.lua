--- signed -- a signature in a header, over the body and little else: most tools. See tools.lua for the words.

local core = require "moonweir.core"
local trim = require "moonweir.trim"

local signed = {}

--- More than any rotation of keys needs, and a bound on the work of a refusal.
local SIGNATURES_MAX = 16

-- t=1533204620,v1=ab…,v1=cd…
local function read_pairs(text, tool)
	local timestamp
	local signatures = {}
	for part in (text .. ","):gmatch "([^,]*)," do
		local name, value = trim(part):match "^([^=]+)=(.*)$"
		if not name then
			return nil, nil, "is malformed"
		elseif name == tool.timestamp then
			if timestamp then
				return nil, nil, "has two timestamps"
			end
			timestamp = value
		elseif name == tool.version then
			signatures[#signatures + 1] = value
		end
	end
	return signatures, timestamp
end

-- v1,ab… v1,cd…
local function read_versions(text, tool)
	local signatures = {}
	for part in text:gmatch "%S+" do
		local version, value = part:match "^([^,]+),(.*)$"
		if not version then
			return nil, nil, "is malformed"
		elseif version == tool.version then
			signatures[#signatures + 1] = value
		end
	end
	return signatures
end

local function read_plain(text, tool)
	local prefix = tool.prefix or ""
	if text:sub(1, #prefix) ~= prefix then
		return nil, nil, ("does not begin with %s"):format(prefix)
	end
	return { text:sub(#prefix + 1) }
end

local readers = { pairs = read_pairs, versions = read_versions, plain = read_plain }

-- Signatures as bytes. One that is not even well-formed can't be right, but one beside it can.
local function decode(texts, form)
	local signatures = {}
	for _, text in ipairs(texts) do
		signatures[#signatures + 1] = core.binary(form, text)
	end
	return signatures
end

local times = {
	unix = function(text)
		return text:find "^%d+$" and #text <= 12 and tonumber(text) * 1000
	end,
	ms = function(text)
		return text:find "^%d+$" and #text <= 15 and tonumber(text)
	end,
	date = core.timestamp,
}

--- Is what a request says of its time near enough to now? A clock may be off to both sides, but only the past is waited
--- for when a tool tries again.
---@param text string
---@param form "unix"|"ms"|"date"
---@param tolerance number|false seconds
---@param now integer ms since 1970
---@return true|nil
---@return string? reason
---@return "unsigned"|"stale"|nil code
function signed.is_fresh(text, form, tolerance, now)
	local at = times[form](text)
	if not at then
		return nil, "the timestamp is malformed", "unsigned"
	elseif not tolerance then
		return true
	end
	local age = (now - at) / 1000
	if age > tolerance then
		return nil, ("signed %.0f s ago; at most %g s are allowed"):format(age, tolerance), "stale"
	elseif -age > math.min(tolerance, 300) then
		return nil, ("signed %.0f s in the future; is this host's clock right?"):format(-age), "stale"
	end
	return true
end

-- "{timestamp}.{body}" as a list of texts: the body is not copied.
local function pieces_of(template, values)
	local pieces = {}
	for before, name in (template .. "{}"):gmatch "([^{]*){(%a*)}" do
		if before ~= "" then
			pieces[#pieces + 1] = before
		end
		if name ~= "" then
			pieces[#pieces + 1] = values[name]
		end
	end
	return pieces
end

--- Check one request.
---@param tool moonweir.Tool
---@param request table from request.new
---@param now integer
---@param keys string[]
---@return true|nil
---@return string? reason
---@return "unsigned"|"forged"|"stale"|"no_secret"|nil code
function signed.verify(tool, request, now, keys)
	local text, why = request:header(tool.header)
	if not text then
		return nil, why, "unsigned"
	end
	local name = type(tool.header) == "table" and tool.header[1] or tool.header
	local texts, timestamp, malformed = readers[tool.layout or "plain"](trim(text), tool)
	if malformed then
		return nil, ("the header %s %s"):format(name, malformed), "unsigned"
	elseif #texts > SIGNATURES_MAX then
		return nil, ("the header %s holds more than %d signatures"):format(name, SIGNATURES_MAX), "unsigned"
	end
	local signatures = decode(texts, tool.form)
	if #signatures == 0 then
		return nil, ("the header %s holds no signature"):format(name), "unsigned"
	end
	local values = { body = request.body, method = request.method, url = request.url }
	if tool.timestamp then
		if tool.layout ~= "pairs" then
			timestamp, why = request:header(tool.timestamp)
		end
		if not timestamp then
			return nil, why or ("the header %s has no timestamp"):format(name), "unsigned"
		end
		local fresh, reason, code = signed.is_fresh(timestamp, tool.time or "unix", tool.tolerance, now)
		if not fresh then
			return nil, reason, code
		end
		values.timestamp = timestamp
	end
	if tool.id then
		values.id, why = request:header(tool.id)
		if not values.id then
			return nil, why, "unsigned"
		end
	end
	local genuine, message, code = core.signature(tool.kind, keys, pieces_of(tool.signed, values), signatures)
	if genuine == nil then
		return nil, message, code == "invalid" and "no_secret" or code
	elseif not genuine then
		return nil, "the signature is not one that these secrets make of this request", "forged"
	end
	return true
end

return signed
