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
	local coding = trim(request:header "Content-Encoding" or ""):lower()
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

--- The body of a request as bytes for the mapping, and their format.
---@param request table from request.new
---@return string|nil bytes
---@return "json"|"ndjson"|"form"|"xml"|string format or why there are none
---@return "unsupported"|"invalid"|"too_large"|"no_memory"|nil code
function body.read(request)
	local bytes, message, code = decompress(request)
	if not bytes then
		return nil, message, code
	end
	local kind = request:content_type()
	local header = request:header "Content-Type" or ""
	local format = formats[kind] or (kind:find "%+xml$" and "xml") or "json"
	if kind == "application/x-www-form-urlencoded" and bytes:find "^%s*[{%[]" then -- in a form these are escaped
		format = "json"
	end
	if kind == "multipart/form-data" then
		bytes, message = multipart.to_form(bytes, header)
		if not bytes then
			return nil, message, "invalid"
		end
	end
	local name = header:lower():match ";%s*charset%s*=%s*\"?([^%s;\"]+)"
	if name and format ~= "xml" then -- XML says of itself in what it is written
		local reader = charset.reader(name)
		if not reader then
			return nil, "the charset is neither UTF-8 nor windows-1252", "unsupported"
		end
		bytes = (format == "form" and convert_form or convert)(bytes, reader)
	end
	return bytes, format
end

return body
