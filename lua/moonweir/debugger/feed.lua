--- feed -- the live stream: server-sent events to each page that is open.
---
---     event: state      totals, the last minute's numbers, faults: each second, and when faults change
---     event: messages   what came since: { "entries": […], "skipped": 12 }
---
--- A page that can't keep up misses what left the ring meanwhile, and is told how much. What one page costs is bounded:
--- at most BYTES a tick. Messages are checked here, when they are shown: those that nobody sees cost nothing.

local core = require "moonweir.core"
local respond = require "moonweir.web.respond"
local verdict = require "moonweir.debugger.verdict"

local feed = {}

feed.READERS = 8 -- pages at a time
local TICK = 0.2
local STATE = 1
local BYTES = 1024 * 1024
local WAITING_MAX = 8 * 1024 * 1024

---@class moonweir.debugger.Feed
local Feed = {}
Feed.__index = Feed

---@param options {ring: moonweir.debugger.Ring, state: fun(now: number): table, changes: fun(): integer}
function feed.new(options)
	return setmetatable({ ring = options.ring, state = options.state, changes = options.changes, readers = {}, at = 0 }, Feed)
end

local function text_or_nil(value)
	return type(value) == "string" and value or nil
end

local function id_of(call)
	return text_or_nil(call.userId) or text_or_nil(call.anonymousId)
end

--- An entry as JSON, made once.
---@param entry table of the ring
---@return string
function feed.encode(entry)
	if entry.json then
		return entry.json
	end
	local word, found, call = verdict.of(entry)
	local request = entry.request
	local made = {
		number = entry.number, at = entry.at, kind = entry.kind, account = entry.account, verdict = word,
		type = text_or_nil(entry.type), name = text_or_nil(call.event) or text_or_nil(call.name), user = id_of(call),
		anonymous = not text_or_nil(call.userId) and call.anonymousId ~= nil or nil, id = text_or_nil(call.messageId),
		fault = entry.fault, bytes = #entry.raw, raw = entry.raw, findings = core.array(found),
		request = {
			number = request.number, path = request.path, status = request.status, bytes = request.bytes,
			messages = request.messages, dropped = request.dropped, answer = request.answer, injected = request.injected,
			encoding = request.encoding,
		},
	}
	-- Bytes that are not UTF-8 can't be in JSON; what has them was refused.
	entry.json = core.encode(made) or core.encode { number = entry.number, at = entry.at, kind = entry.kind, verdict = word,
		raw = "", findings = core.array {}, request = made.request }
	return entry.json
end

local function event(name, json)
	return ("event: %s\ndata: %s\n\n"):format(name, json)
end

--- Answer an exchange with the stream; false: there are too many readers.
---@param exchange table
---@param after integer entries up to this one are known there
---@return boolean
function Feed:add(exchange, after)
	self:forget_closed()
	if #self.readers >= feed.READERS then
		return false
	end
	local stream = exchange:stream(200, respond.headers "text/event-stream", WAITING_MAX)
	if stream then
		self.readers[#self.readers + 1] = { stream = stream, sent = math.min(after, self.ring.last), state_at = 0 }
		self.at = 0
	end
	return true
end

function Feed:forget_closed()
	for i = #self.readers, 1, -1 do
		if not self.readers[i].stream:is_open() then
			self.readers[i].stream:close()
			table.remove(self.readers, i)
		end
	end
end

local function send_state(self, reader, now)
	local changes = self.changes()
	if now - reader.state_at < STATE and changes == reader.changes then
		return
	end
	-- A client that has not taken the last one gets the next one later.
	if reader.stream:waiting() == 0 or reader.state_at == 0 then
		reader.stream:write(event("state", core.encode(self.state(now))))
		reader.state_at, reader.changes = now, changes
	end
end

local function send_entries(self, reader)
	if reader.sent == self.ring.last or reader.stream:waiting() > BYTES then
		return
	end
	local skipped = math.max(self.ring.first - reader.sent - 1, 0)
	local parts, bytes, last = {}, 0, reader.sent + skipped
	for entry in self.ring:after(reader.sent) do
		local json = feed.encode(entry)
		if bytes > 0 and bytes + #json > BYTES then
			break
		end
		parts[#parts + 1], bytes, last = json, bytes + #json, entry.number
	end
	local json = ('{"skipped":%d,"entries":[%s]}'):format(skipped, table.concat(parts, ","))
	if reader.stream:write(event("messages", json)) then
		reader.sent = last
	end
end

--- Bring every reader up to date, some times a second however often it is called.
---@param now number
function Feed:tick(now)
	if not self.readers[1] or now - self.at < TICK then
		return
	end
	self.at = now
	self:forget_closed()
	for _, reader in ipairs(self.readers) do
		send_state(self, reader, now)
		send_entries(self, reader)
	end
end

function Feed:close()
	for _, reader in ipairs(self.readers) do
		reader.stream:close()
	end
	self.readers = {}
end

return feed
