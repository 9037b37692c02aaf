--- identity_file -- identities as lines of JSON or CSV: what `identities import` reads and `export` writes.
---
---     {"account":"acme","userId":"u1","email":"ann@example.com","timestamp":"2026-01-31T12:00:00.000Z"}
---
---     account,userId,email,phone,anonymousId,toolId,previousId,timestamp
---     acme,u1,ann@example.com,,,,,2026-01-31T12:00:00.000Z
---
--- A line may name several ids of one user. Without a userId it says what is known of an anonymousId.

local core = require "moonweir.core"
local suggest = require "moonweir.suggest"

local file = {}

--- In the order of CSV's columns.
local FIELDS = { "account", "userId", "email", "phone", "anonymousId", "toolId", "previousId", "timestamp" }
local KINDS = { email = "email", phone = "phone", anonymousId = "anonymous_id", toolId = "tool_id", previousId = "user_id" }
local NAMES = { email = "email", phone = "phone", anonymous_id = "anonymousId", tool_id = "toolId", user_id = "previousId" }

-- user_id, UserID and userId are one field: spreadsheets write as they like.
local field_of, is_field = {}, {}
for _, name in ipairs(FIELDS) do
	field_of[name:lower()] = name
	is_field[name] = true
end

local function field_named(name)
	local field = field_of[(name:gsub("[_ ]", "")):lower()]
	if field then
		return field
	end
	return nil, ("unknown field %q%s"):format(name:sub(1, 60), suggest(name, is_field))
end

-- Reading -------------------------------------------------------------------------------------------

local function json_record(line)
	local value, message = core.decode(line)
	if type(value) ~= "table" or #value > 0 then
		return nil, value == nil and "not JSON: " .. message or "not a JSON object"
	end
	local record = {}
	for name, content in pairs(value) do
		local field, why = field_named(name)
		if not field then
			return nil, why
		elseif content ~= core.null then
			if type(content) == "number" or type(content) == "userdata" then
				content = core.encode(content)
			elseif type(content) ~= "string" then
				return nil, ("%s must be a text"):format(field)
			end
			record[field] = content
		end
	end
	return record
end

-- One record of CSV from `at` on (RFC 4180): its cells and where the next begins; nil if it is not all there yet.
local function csv_cells(text, at, is_last)
	local cells = {}
	while true do
		local cell
		if text:sub(at, at) == '"' then
			local parts, from = {}, at + 1
			while true do
				local quote = text:find('"', from, true)
				if not quote then
					return nil
				end
				parts[#parts + 1] = text:sub(from, quote - 1)
				from = quote + 1
				if text:sub(from, from) ~= '"' then
					break
				end
				parts[#parts + 1], from = '"', from + 1
			end
			cell, at = table.concat(parts), from
		else
			local stop = text:find("[,\r\n]", at) or #text + 1
			cell, at = text:sub(at, stop - 1), stop
		end
		cells[#cells + 1] = cell
		local mark = text:sub(at, at)
		if mark == "," then
			at = at + 1
		elseif mark == "\n" then
			return cells, at + 1
		elseif mark == "\r" and text:sub(at + 1, at + 1) == "\n" then
			return cells, at + 2
		elseif mark == "" then
			return is_last and cells or nil, at
		else
			return cells, (text:find("\n", at, true) or #text) + 1, "text behind a closing quote"
		end
	end
end

---@class moonweir.cli.IdentityReader
local Reader = {}
Reader.__index = Reader

---@param format "ndjson"|"csv"
function file.reader(format)
	return setmetatable({ format = format, rest = "", line = 0 }, Reader)
end

local function newlines(text)
	local _, count = text:gsub("\n", "")
	return count
end

-- The first record of CSV names the columns.
local function columns_of(cells)
	local columns, seen = {}, {}
	cells[1] = cells[1]:gsub("^\239\187\191", "")
	for i, cell in ipairs(cells) do
		local field, why = field_named(cell)
		if field and seen[field] then
			field, why = nil, field .. " is there twice"
		end
		if not field then
			return nil, why
		end
		columns[i], seen[field] = field, true
	end
	return columns
end

function Reader:csv_record(cells)
	if #cells ~= #self.names then
		return nil, ("%d cells, and the first line names %d"):format(#cells, #self.names)
	end
	local record = {}
	for i, cell in ipairs(cells) do
		record[self.names[i]] = cell ~= "" and cell or nil
	end
	return record
end

function Reader:feed_csv(is_last, visit)
	local at, text = 1, self.rest
	while at <= #text do
		local cells, next_at, trouble = csv_cells(text, at, is_last)
		if not cells then
			if is_last then
				visit(nil, self.line + 1, "a quote is not closed")
				at = #text + 1
			end
			break
		end
		local line = self.line + 1
		self.line = self.line + math.max(newlines(text:sub(at, next_at - 1)), 1)
		at = next_at
		local is_empty = #cells == 1 and cells[1] == ""
		if trouble then
			visit(nil, line, trouble)
		elseif self.names and not is_empty then
			local record, why = self:csv_record(cells)
			visit(record, line, why)
		elseif not is_empty then
			local why
			self.names, why = columns_of(cells)
			if not self.names then
				return nil, ("line %d: %s; the columns are %s"):format(line, why, table.concat(FIELDS, ", "))
			end
		end
	end
	self.rest = text:sub(at)
	return true
end

function Reader:feed_lines(visit)
	for line in self.rest:gmatch "([^\n]*)\n?" do
		self.line = self.line + 1
		if line:find "%S" then
			local record, why = json_record(line)
			visit(record, self.line, why)
		end
	end
	self.rest = ""
	return true
end

--- Take a block of whole lines; the last one is nil. `visit(record, line, why)` gets each record, or nil and what is wrong.
---@param block string|nil
---@param visit fun(record: table|nil, line: integer, why: string|nil)
---@return true|nil
---@return string? message the file can't be read at all
function Reader:feed(block, visit)
	if self.format == "csv" then
		self.rest = self.rest .. (block or "")
		return self:feed_csv(block == nil, visit)
	elseif block then
		self.rest = block:gsub("\n$", "")
		return self:feed_lines(visit)
	end
	return true
end

--- What a record says.
---@param record table
---@param account string|nil of records that name none
---@param now integer ms since 1970, when those are true that have no timestamp
---@return moonweir.Fact[]|nil
---@return string? message
function file.facts(record, account, now)
	account = record.account or account
	if not account then
		return nil, "no account; name one in the line, or give --account"
	elseif #account > 255 then
		return nil, "an account is named by at most 255 bytes"
	end
	local at = now
	if record.timestamp then
		at = core.timestamp(record.timestamp)
		if not at then
			return nil, ("timestamp: %q is no date"):format(record.timestamp:sub(1, 60))
		end
	end
	local user = record.userId or record.anonymousId
	if not user then
		return nil, "neither userId nor anonymousId"
	end
	local facts = {}
	for _, name in ipairs(FIELDS) do
		local id = KINDS[name] and record[name]
		if id and (record.userId or name ~= "anonymousId") then
			if #id > 512 or #user > 512 then
				return nil, ("%s: longer than 512 bytes"):format(#id > 512 and name or "userId")
			end
			facts[#facts + 1] =
				{ account = account, kind = KINDS[name], id = id, user = user, at = at, fallback = not record.userId or nil }
		end
	end
	if #facts == 0 then
		return nil, "it names a user, and nothing that the user is known by"
	elseif record.previousId and not record.userId then
		return nil, "a previousId without userId"
	end
	return facts
end

-- Writing -------------------------------------------------------------------------------------------

--- "2026-01-31T12:00:00.000Z"
function file.date(ms)
	return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ms / 1000)) .. (".%03dZ"):format(ms % 1000)
end

local function record_of(known)
	local record = { account = known.account, timestamp = file.date(known.at) }
	record[known.fallback and "anonymousId" or "userId"] = known.user
	record[NAMES[known.kind]] = known.id
	return record
end

local function cell(text)
	if text and text:find '[",\r\n]' then
		return '"' .. text:gsub('"', '""') .. '"'
	end
	return text or ""
end

--- The first line of CSV.
function file.head()
	return table.concat(FIELDS, ",")
end

--- One of what is known as a line, without its end.
---@param known moonweir.Known
---@param format "ndjson"|"csv"
function file.line(known, format)
	local record, parts = record_of(known), {}
	for _, name in ipairs(FIELDS) do
		if format == "csv" then
			parts[#parts + 1] = cell(record[name])
		elseif record[name] then
			parts[#parts + 1] = ('"%s":%s'):format(name, core.encode(record[name]))
		end
	end
	return format == "csv" and table.concat(parts, ",") or "{" .. table.concat(parts, ",") .. "}"
end

return file
