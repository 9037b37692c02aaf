--- multipart -- multipart/form-data as fields, as some mail tools post them. Of a file only its name is kept.

local form = require "moonweir.receive.form"

local multipart = {}

--- Beyond any tool's form; each part costs a search.
local PARTS_MAX = 1000

local function parameter(header, name)
	header = ";" .. header
	return header:match("[;%s]" .. name .. '="([^"]*)"') or header:match("[;%s]" .. name .. "=([^%s;\"]+)")
end

--- The body's fields in order.
---@param body string
---@param content_type string the header, with its boundary
---@return string[][]|nil list of { name, value }
---@return string? message
function multipart.pairs(body, content_type)
	local boundary = parameter(content_type or "", "[Bb]oundary")
	if not boundary or #boundary > 70 then
		return nil, "multipart without a usable boundary"
	end
	local mark = "--" .. boundary
	local list = {}
	local at = body:find(mark, 1, true)
	while true do
		local start = at and at + #mark
		if start and body:sub(start, start + 1) == "--" then
			return list
		end
		local head_end, value_start = body:find("\r\n\r\n", start or #body + 1, true)
		local stop = value_start and body:find("\r\n" .. mark, value_start - 1, true)
		if not stop then
			return nil, "multipart that ends early"
		elseif #list == PARTS_MAX then
			return nil, ("more than %d parts"):format(PARTS_MAX)
		end
		local head = body:sub(start, head_end - 1)
		local disposition = head:match "\r\n[Cc]ontent%-[Dd]isposition:%s*([^\r\n]*)" or ""
		local name, file = parameter(disposition, "name"), parameter(disposition, "filename")
		if not name then
			return nil, "a part without a name"
		end
		list[#list + 1] = { name, file or body:sub(value_start + 1, stop - 1) }
		at = stop + 2
	end
end

--- The same as a form is written, which the mapping reads.
---@param body string
---@param content_type string
---@return string|nil form
---@return string? message
function multipart.to_form(body, content_type)
	local list, message = multipart.pairs(body, content_type)
	if not list then
		return nil, message
	end
	return form.encode(list)
end

return multipart
