--- twilio -- HMAC-SHA1 of the URL that was called and the form's fields behind it, sorted.
---
--- What Twilio takes for the URL varies: with or without the port, and with a query that was or was not escaped anew on its
--- way. So each spelling is tried. A body that is no form is not in what is signed; its hash is, in the URL, as
--- `bodySHA256`. There is no timestamp: a repeat is known by the event's id.

local core = require "moonweir.core"
local form = require "moonweir.receive.form"

local twilio = {}

local HEADER = "X-Twilio-Signature"

-- Bytes of a form. Twilio's hold a message of some 1,600 characters and attributes of some 16 KiB; a stranger's would keep
-- everybody waiting, for each spelling of the URL is hashed with all of it.
local FORM_MAX = 256 * 1024

local function escape(text, kept)
	return (text:gsub("[^%w" .. kept .. "]", function(c)
		return ("%%%02X"):format(c:byte())
	end))
end

-- As a browser's URL parser writes a query: what needs no escape stays, whatever is escaped stays so.
local function browser_query(query)
	return (query:gsub("[^%w!$%%&()*+,%-./:;=?@%[\\%]%^_`{|}~]", function(c)
		return ("%%%02X"):format(c:byte())
	end))
end

-- Taken apart and put together again, each part escaped as JavaScript's encodeURIComponent does.
local function legacy_query(query)
	local list, parts = form.pairs(query), {}
	if not list then
		return query
	end
	for i, pair in ipairs(list) do
		parts[i] = escape(pair[1], "%-_.!~*'()") .. "=" .. escape(pair[2], "%-_.!~*'()")
	end
	return table.concat(parts, "&")
end

--- The spellings of a URL that Twilio may have signed; the URL itself is one of them.
---@param url string
---@return string[]
function twilio.spellings(url)
	local scheme, host, path, query = url:match "^(%a[%w+.-]*)://([^/?#]*)([^?#]*)%??([^#]*)"
	if not scheme then
		return { url }
	end
	scheme = scheme:lower()
	local bare = host:gsub(":%d*$", "")
	local port = host:match ":(%d+)$" or (scheme == "https" and "443" or "80")
	local queries = query == "" and { "" } or
		{ "?" .. query, "?" .. browser_query(query), "?" .. legacy_query(query) }
	local spellings, known = { url }, { [url] = true }
	for _, at in ipairs { bare, bare .. ":" .. port } do
		for _, q in ipairs(queries) do
			local spelling = scheme .. "://" .. at .. path .. q
			if not known[spelling] then
				known[spelling] = true
				spellings[#spellings + 1] = spelling
			end
		end
	end
	return spellings
end

--- Names and values behind each other, sorted by name; of one name, each different value once, sorted.
---@param list string[][]
---@return string
function twilio.fields(list)
	local sorted, texts = {}, {}
	for i, pair in ipairs(list) do
		sorted[i] = pair
	end
	table.sort(sorted, function(a, b)
		if a[1] ~= b[1] then
			return a[1] < b[1]
		end
		return a[2] < b[2]
	end)
	for i, pair in ipairs(sorted) do
		local before = sorted[i - 1]
		if not before or before[1] ~= pair[1] or before[2] ~= pair[2] then
			texts[#texts + 1] = pair[1] .. pair[2]
		end
	end
	return table.concat(texts)
end

-- What stands behind the URL in what is signed; nil if nothing vouches for the body.
local function covered(request, query)
	local hash = form.value(form.pairs(query) or {}, "bodySHA256")
	if hash then
		local bytes = core.binary("hex", hash)
		if not bytes or not core.signature("sha256", { "" }, { request.body }, { bytes }) then
			return nil, "the body is not the one that bodySHA256 in the URL stands for", "forged"
		end
		return ""
	elseif request:content_type() == "application/x-www-form-urlencoded" then
		if #request.body > FORM_MAX then
			return nil, ("the form has %d bytes, and those of Twilio at most %d"):format(#request.body, FORM_MAX), "unsigned"
		end
		local list = form.pairs(request.body)
		if not list then
			return nil, "the form is malformed", "unsigned"
		end
		return twilio.fields(list)
	elseif request.body ~= "" then
		return nil, "the body is no form, and the URL has no bodySHA256", "unsigned"
	end
	return ""
end

function twilio.verify(tool, request, _, keys)
	local signature, why = request:signature(HEADER, "base64")
	if not signature then
		return nil, why, "unsigned"
	end
	local url = tool.url or request.url
	if tool.url then -- the script says how the tool calls us; what differs from call to call is the query
		url = tool.url .. (request.url:match "%?[^#]*" or "")
	end
	local fields, reason, code = covered(request, url:match "%?([^#]*)" or "")
	if not fields then
		return nil, reason, code
	end
	local found = false
	for _, spelling in ipairs(twilio.spellings(url)) do
		local genuine, message, trouble = core.signature("hmac-sha1", keys, { spelling, fields }, { signature })
		if genuine == nil then
			return nil, message, trouble
		end
		found = found or genuine
	end
	if not found then
		return nil, "the signature is not one that these tokens make of this URL and form; is the URL the one that Twilio calls?",
			"forged"
	end
	return true
end

return twilio
