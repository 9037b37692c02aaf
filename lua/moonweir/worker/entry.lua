--- entry -- a stream's entry as an event.
---
---     body           the event as the tool sent it: JSON, a form, XML; what stands in the other fields is about it
---     account        whose event it is, if the mapping does not say
---     content_type   of the body; default: JSON
---     headers        the webhook's headers, as a JSON object
---     moonweir-…     ours: moonweir-id is the id that the entry had before it was parked, or died
---
--- An entry without `body` is itself the event: its fields are the members, all of them texts.

local core = require "moonweir.core"

local entry = {}

local ACCOUNT_MAX = 255
local STRINGS_MAX = 6000 -- names and values: Redis's Lua has a stack of 8,000, over which scripts move an entry
local BYTES_MAX = 256 * 1024 * 1024 -- half of what one pipeline may hold (MW_REDIS_PIPELINE_MAX), which moves an entry

---@class moonweir.worker.Entry
---@field id string          in the stream
---@field first_id? string   the one it had when it first came, if that is another
---@field fields string[]    name, value, name, value … as they came
---@field event string|table
---@field account? string
---@field headers? table<string, string>
---@field is_wide? boolean   it has too many fields, or too large ones, to be moved
---@field wrong? string      why it can't be read; then there is no event
---@field bytes integer      of its fields
---@field tag integer        of its messages
---@field left integer       messages that are under way; -1: it is over
---@field renewed number     when the claim on it was last made, monotonic
---@field letter? moonweir.worker.Letter
---@field is_withdrawn? boolean  its account is parked

local function headers_of(text, content_type)
	local headers = {}
	if text then
		local decoded = core.decode(text)
		if type(decoded) ~= "table" then
			return nil, "the field headers is not a JSON object"
		end
		for name, value in pairs(decoded) do
			if type(name) ~= "string" or type(value) ~= "string" then
				return nil, "the field headers holds something else than texts by name"
			end
			headers[name] = value
		end
	end
	if content_type then
		headers["Content-Type"] = content_type
	end
	return headers
end

--- An entry without a body, as a table.
local function members_of(fields)
	local event = {}
	for i = 1, #fields, 2 do
		local name = fields[i]
		if name ~= "account" and name:sub(1, 9) ~= "moonweir-" then
			event[name] = fields[i + 1]
		end
	end
	return event
end

--- Whatever Redis gave becomes an entry; what is wrong with it is said in `wrong`.
---@param id string
---@param fields string[]
---@return moonweir.worker.Entry
function entry.read(id, fields)
	-- Eight fields, all there from the start: there is one of these for each event, and a table grows by doubling.
	local self = { id = id, fields = fields, left = 0, event = false, tag = 0, renewed = 0, bytes = 0, account = nil }
	local body, content_type, headers
	local bytes = 0
	for i = 1, #fields, 2 do
		local name, value = fields[i], fields[i + 1]
		bytes = bytes + #name + #value
		if name == "body" then
			body = value
		elseif name == "account" then
			self.account = value
		elseif name == "content_type" then
			content_type = value
		elseif name == "headers" then
			headers = value
		elseif name == "moonweir-id" then
			self.first_id = value
		end
	end
	self.bytes = bytes
	if #fields > STRINGS_MAX then
		self.is_wide, self.wrong = true, "more than 3,000 fields; they are in the stream still, under this id"
	elseif bytes > BYTES_MAX then
		self.is_wide, self.wrong = true, "more than 256 MiB; its fields are in the stream still, under this id"
	end
	if self.account and (self.account == "" or #self.account > ACCOUNT_MAX) then
		self.account, self.wrong = nil, "the field account holds 1 to 255 bytes"
	end
	if not body then
		self.event = members_of(fields)
		return self
	end
	self.event = body
	if headers or content_type then
		local wrong
		self.headers, wrong = headers_of(headers, content_type)
		self.wrong = self.wrong or wrong
	end
	return self
end

--- Its fields for another stream: the name and value of ours first, then those that came, with the first id among them.
---@param self moonweir.worker.Entry
---@param ours? string[]
---@return string[]
function entry.copy(self, ours)
	local copy = { "moonweir-id", self.first_id or self.id }
	for _, text in ipairs(ours or {}) do
		copy[#copy + 1] = text
	end
	for i = 1, self.is_wide and 0 or #self.fields, 2 do
		if self.fields[i] ~= "moonweir-id" then
			copy[#copy + 1], copy[#copy + 2] = self.fields[i], self.fields[i + 1]
		end
	end
	return copy
end

return entry
