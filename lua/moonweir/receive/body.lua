--- body -- what came as what the mapping takes: decompressed, in UTF-8, and of which format.
---
---     Content-Encoding: gzip                           undone, within bounds (moonweir.inflate)
---     application/x-www-form-urlencoded                form; or json, if it begins with { or [: what curl -d sends
---     multipart/form-data                              form; of a file only its name
---     text/xml, application/xml, …+xml                 xml (moonweir.xml, when it is mapped)
---     application/x-ndjson, application/jsonl, …       ndjson
---     anything else                                    json, for tools send it under all sorts of names

local charset = require "moonweir.receive.charset"
local form = require "moonweir.receive.form"
local multipart = require "moonweir.receive.multipart"
local trim = require "moonweir.trim"

local body = {}

local formats = {
	["application/x-www-form-urlencoded"] = "form", ["multipart/form-data"] = "form",
	["text/xml"] = "xml", ["application/xml"] = "xml",
	["application/x-ndjson"] = "ndjson", ["application/ndjson"] = "ndjson", ["application/jsonl"] = "ndjson",
	["application/x-jsonlines"] = "ndjson",
}

local codings = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate" }

local function decompress(request)
	local coding = request:value "Content-Encoding"
	if not coding then
		return request.body
	end
	coding = trim(coding):lower()
	if coding == "" or coding == "identity" then
		return request.body
	elseif not codings[coding] then
		return nil, "the Content-Encoding is neither gzip nor deflate", "unsupported"
	end
	local there, inflate = pcall(require, "moonweir.inflate")
	if not there then
		return nil, "compressed bodies need the module moonweir.inflate, which is not installed here (rock moonweir-receive)",
			"unsupported"
	end
	return inflate.inflate(codings[coding], request.body)
end

local function convert(text, reader)
	return reader(text)
end

-- A form's bytes are of its charset once its escapes are undone.
local function convert_form(text, reader)
	local list = reader ~= charset.reader "utf-8" and form.pairs(text)
	if not list then
		return text -- the mapping says what is wrong with it
	end
	for _, pair in ipairs(list) do
		pair[1], pair[2] = reader(pair[1]), reader(pair[2])
	end
	return form.encode(list)
end

-- What each Content-Type says: tools send the same few again and again. Beyond so many it begins anew.
local KNOWN_MAX = 256
local known, known_count = {}, 0

---@return {kind: string, format: string, reader: function?, is_unknown: boolean?, is_plain: boolean?}
local function content_of(header)
	local kind = (header:match "^%s*([^;%s]*)" or ""):lower()
	local content = { kind = kind, format = formats[kind] or (kind:find "%+xml$" and "xml") or "json" }
	local name = header:lower():match ";%s*charset%s*=%s*\"?([^%s;\"]+)"
	if name then
		content.reader = charset.reader(name)
		content.is_unknown = not content.reader
	end
	content.is_plain = not name and (content.format == "json" or content.format == "ndjson") and kind ~= "multipart/form-data"
	if known_count >= KNOWN_MAX then
		known, known_count = {}, 0
	end
	known[header], known_count = content, known_count + 1
	return content
end

--- The body of a request as bytes for the mapping, and their format. JSON that came as it is to be, of a request that has
--- its bytes elsewhere, stays there: then it is that request's exchange, which client:push takes.
---@param request table from request.new
---@return string|userdata|nil bytes
---@return "json"|"ndjson"|"form"|"xml"|string format or why there are none
---@return "unsupported"|"invalid"|"too_large"|"no_memory"|nil code
function body.read(request)
	local header = request:value "Content-Type" or ""
	local content = known[header] or content_of(header)
	if content.is_plain and request.from and not request:value "Content-Encoding" then
		return request.from.exchange, content.format
	end
	local bytes, message, code = decompress(request)
	if not bytes then
		return nil, message, code
	end
	local kind, format = content.kind, content.format
	if kind == "application/x-www-form-urlencoded" and bytes:find "^%s*[{%[]" then -- in a form these are escaped
		format = "json"
	elseif kind == "multipart/form-data" then
		bytes, message = multipart.to_form(bytes, header)
		if not bytes then
			return nil, message, "invalid"
		end
	end
	if format ~= "xml" then -- XML says of itself in what it is written
		if content.is_unknown then
			return nil, "the charset is neither UTF-8 nor windows-1252", "unsupported"
		elseif content.reader then
			bytes = (format == "form" and convert_form or convert)(bytes, content.reader)
		end
	end
	return bytes, format
end

return body
