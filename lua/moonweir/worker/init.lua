--- worker -- one consumer of a Redis stream: its entries go through a source to Segment.
---
---     local worker = require("moonweir.worker").open { client = client, red = red, stream = "events", group = "segment",
---       consumer = "host-1", slug = "acme-mail" }
---     while running do worker:round() end
---     worker:stop(10)
---
--- Redis keeps the events, the engine's queue is in memory: an entry is acknowledged when Segment has its last message, or
--- when it is in the dead stream or with the parked ones. A worker that dies leaves its entries pending; it reads them first
--- when it comes back under its name, or others claim them. Repeats have the same messageIds.
---
--- A round is one exchange with Redis: what is over is finished, more is read. Bounded: at most `in_flight` entries,
--- MESSAGES_MAX messages and about BYTES_MAX bytes of them (but for one entry that holds more).

local chores = require "moonweir.worker.chores"
local entries = require "moonweir.worker.entry"
local exchange = require "moonweir.worker.exchange"
local groups = require "moonweir.worker.group"
local ledger = require "moonweir.worker.ledger"
local letters = require "moonweir.worker.letter"
local names = require "moonweir.worker.names"
local parking = require "moonweir.worker.parking"
local scripts = require "moonweir.worker.scripts"

local process = require("moonweir.core").process

local worker = {}

local MESSAGES_MAX = 40000 -- well below the reports that the engine keeps (MW_REPORTS_MAX)
local BYTES_MAX = 64 * 1024 * 1024
local READ_BYTES = 8 * 1024 * 1024 -- of one read, by the size of the entries before
local FIRST_BYTES = 64 * 1024 -- what an entry is thought to have before one was seen
local FINISHED_MAX = 500 -- entries that are buried or parked in one round, each by a script
local FINISHED_BYTES = 64 * 1024 * 1024 -- of them, but for one that has more: a pipeline holds MW_REDIS_PIPELINE_MAX
local IDLE_BLOCK_MS = 200 -- as long a signal may go unnoticed
local BUSY_BLOCK_MS = 5
local TROUBLE_PAUSE = 0.2
local LATE_MS = 366 * 86400 * 1000 -- a time before that is none

---@class moonweir.Worker
---@field client moonweir.Client
---@field group moonweir.worker.Group
---@field ledger moonweir.worker.Ledger
---@field parking moonweir.worker.Parking
---@field held moonweir.worker.Entry[]  read, and not taken by the engine yet, which is full
---@field after? string own pending entries are being read, from here on
---@field idle number seconds after which a consumer's entries are taken over
---@field was_empty? boolean nothing was left to read, a moment ago
---@field trouble? {message: string, code: string} with Redis, in the last round
local Worker = {}
Worker.__index = Worker

---@class moonweir.worker.Options
---@field client moonweir.Client  opened with report = "all", without a spool
---@field red userdata            moonweir.hiredis
---@field stream string
---@field group string
---@field consumer string
---@field slug string             of the source: a part of the messageIds that are made from entries' ids
---@field account? string         whose events are those that say nothing
---@field in_flight? integer      entries at most; default 20,000
---@field batch? integer          entries in one read; default 1,000
---@field idle? number            seconds; default 60
---@field delete? boolean         entries are deleted when they are finished: no other group reads the stream
---@field prepare? fun(): boolean  called between the reading of entries and their mapping; false: they are to wait for it
---@field start? string           where a new group begins: an id, or "$"; default "0", all that is there

---@param options moonweir.worker.Options
---@return moonweir.Worker|nil
---@return string? message
---@return string? code
function worker.open(options)
	local keys, message = names.of(options.stream)
	if not keys then
		return nil, message, "usage"
	end
	local hiredis = require "moonweir.hiredis"
	local group = groups.new(options.red, keys, options.group, options.consumer)
	local self = setmetatable({
		client = options.client, red = options.red, names = keys, group = group, ledger = ledger.new(),
		in_flight = options.in_flight or 20000, batch = options.batch or 1000, idle = options.idle or 60,
		delete = options.delete, start = options.start, account = options.account, prepare = options.prepare, is_ready = true,
		seed = ("%s\0%s\0%s\0"):format(options.slug, options.account or "", keys.stream),
		bury = hiredis.script(scripts.bury), park = hiredis.script(scripts.park), leave = hiredis.script(scripts.leave),
		push_options = {}, held = {}, entry_bytes = FIRST_BYTES, after = "0-0",
		finished = { acknowledged = 0, dead = 0, parked = 0, vanished = 0, read = 0 },
	}, Worker)
	self.parking = parking.new(group, hiredis.script(scripts.unpark), function()
		return math.floor(process.wall() * 1000)
	end)
	self.chores = chores.new(self)
	self.batch = math.min(self.batch, self.in_flight)
	return self
end

--- The group, made if there is none; if somebody destroys it, once more where it began.
---@return string|nil began, string? message, string? code
function Worker:ensure()
	local began, message, code = self.group:ensure(self.start)
	if began and self.start == "$" then
		self.start = began
	end
	return began, message, code
end

-- Entries in ----------------------------------------------------------------------------------------------

local function say_problems(entry, problems, tally)
	for _, problem in ipairs(problems) do
		entry.letter = letters.add(entry.letter, problem.code, problem.message, 0)
	end
	entry.letter.failed = tally and tally.failed or #problems
end

--- When it came to Redis, which is when it happened if the source has no time: the id begins with that, in ms, unless the
--- producer gave ids of its own.
function Worker:time_of(id)
	local text, now = id:sub(1, 13), self.wall
	if text ~= self.time_text then -- entries come in runs of one millisecond
		self.time_text, self.time = text, tonumber(text)
	end
	local ms = self.time
	return ms and ms > now - LATE_MS and ms <= now and ms or now
end

--- False: the engine is full.
function Worker:push(entry)
	local options = self.push_options
	if entry.wrong then
		entry.letter = letters.add(nil, "invalid", entry.wrong)
		self.ledger:finish(entry)
		return true
	end
	options.account, options.headers, options.tag = entry.account or self.account, entry.headers, entry.tag
	local id = entry.first_id or entry.id
	options.seed, options.now = self.seed .. id, self:time_of(id)
	local ok, queued, message, code, problems, tally = pcall(self.client.push, self.client, entry.event, options)
	if not ok then -- what would be misuse in a program, such as too many headers, came with the entry
		queued, message, code = nil, tostring(queued), "invalid"
	elseif code == "full" or code == "no_memory" then
		return false
	end
	if problems then
		say_problems(entry, problems, tally)
	elseif not queued then
		entry.letter = letters.add(nil, code, message)
	end
	self.ledger:start(entry, queued or 0)
	return true
end

--- What the mapping needs is there. Without it no entry is mapped: what was not known of its user would bury it.
function Worker:make_ready()
	self.is_ready = not self.prepare or self.prepare()
end

--- An entry that was read or claimed. False: it is being worked on already.
function Worker:take(id, fields)
	if self.ledger:has(id) then
		return false
	end
	local entry = entries.read(id, fields or {})
	self:learn_size(entry)
	self.ledger:add(entry, self.now)
	self.finished.read = self.finished.read + 1
	if not fields then -- somebody deleted it: there is nothing left to deliver
		self.finished.vanished = self.finished.vanished + 1
		self.ledger:finish(entry)
	elseif #self.held > 0 or not self.is_ready or not self:push(entry) then
		self.held[#self.held + 1] = entry
	end
	return true
end

--- How many entries may be read now.
function Worker:room()
	local left = math.min(READ_BYTES, BYTES_MAX - self.ledger.bytes)
	if self.is_stopping or self.is_searching or #self.held > 0 or self.ledger.messages >= MESSAGES_MAX or left <= 0 then
		return 0
	end
	return math.max(0, math.min(self.batch, self.in_flight - self.ledger.count, math.ceil(left / self.entry_bytes)))
end

--- How large entries are: the larger of the last one and most of what was thought before.
function Worker:learn_size(entry)
	self.entry_bytes = math.max(entry.bytes, self.entry_bytes * 0.99, 1)
end

function Worker:push_held()
	local held = self.held
	if #held > 0 and not self.is_ready then
		self:make_ready()
	end
	if not self.is_ready then
		return
	end
	local done = 0
	while done < #held and self:push(held[done + 1]) do
		done = done + 1
	end
	if done > 0 then
		self.held = {}
		for i = done + 1, #held do
			self.held[i - done] = held[i]
		end
	end
end

--- Reading goes on with own pending entries until there are none, then with new ones.
function Worker:add_read(x, is_busy)
	local room = self:room()
	-- Many small reads would cost more than they bring, while something is under way.
	local few = math.min(self.batch, self.in_flight / 4, READ_BYTES / self.entry_bytes / 4)
	if room == 0 or (room < few and self.ledger.count > 0) then
		return false
	end
	local after = self.after
	local block = not is_busy and (self.ledger.count > 0 and BUSY_BLOCK_MS or IDLE_BLOCK_MS) or nil
	x:add(self.group:read(room, block, after), function(reply, problem)
		if problem then
			return
		end
		local list = self.group.entries(reply)
		self.was_empty = #list == 0 and not after
		if #list > 0 then
			self:make_ready()
		end
		for _, one in ipairs(list) do
			self:take(one[1], one[2])
		end
		if after and self.after == after then
			self.after = list[1] and list[#list][1] or nil
		end
	end)
	return true
end

-- Entries out ---------------------------------------------------------------------------------------------

--- What came of messages.
function Worker:collect()
	local tags, others = self.client:settled()
	self.ledger:settle_all(tags, others)
	for _, report in ipairs(others) do
		if report.outcome == "parked" then
			self.parking:note(report.account)
		end
	end
	return others
end

function Worker:add_bury(x, entry)
	local fields = entries.copy(entry, letters.fields(entry.letter, self.group.name))
	local command = { self.bury, 2, self.names.stream, self.names.dead, self.group.name, entry.id,
		self.delete and not entry.is_wide and 1 or 0 }
	for i = 1, #fields do
		command[#command + 1] = fields[i]
	end
	x:add(command, function(count)
		self:finish(entry, count, "dead")
	end)
end

function Worker:add_park(x, entry)
	local fields = entries.copy(entry)
	local command = { self.park, 3, self.names.stream, self.names.parked_of(entry.account), self.names.parked,
		self.group.name, entry.id, self.delete and 1 or 0, entry.account, self.parking:next_try() }
	for i = 1, #fields do
		command[#command + 1] = fields[i]
	end
	x:add(command, function(count)
		self.parking:note(entry.account)
		self:finish(entry, count, "parked")
	end)
end

--- `count` nil: it did not work, and is tried again.
function Worker:finish(entry, count, what)
	if count then
		self.ledger:forget(entry)
		self.finished[what] = self.finished[what] + count
	else
		self.ledger.over[#self.ledger.over + 1] = entry
	end
end

function Worker:add_finished(x)
	local over = self.ledger.over
	self.ledger.over = {}
	local ids, acknowledged, scripted, bytes = {}, {}, 0, 0
	for _, entry in ipairs(over) do
		local needs_script = entry.is_withdrawn or entry.letter
		if not needs_script then
			ids[#ids + 1], acknowledged[#acknowledged + 1] = entry.id, entry
		elseif scripted == FINISHED_MAX or (scripted > 0 and bytes + entry.bytes > FINISHED_BYTES) then
			self.ledger.over[#self.ledger.over + 1] = entry
		else
			scripted, bytes = scripted + 1, bytes + entry.bytes
			if entry.is_withdrawn then
				self:add_park(x, entry)
			else
				self:add_bury(x, entry)
			end
		end
	end
	local commands = {}
	self.group:acknowledge(commands, ids, self.delete)
	local left, failed = #commands, false
	for _, command in ipairs(commands) do
		x:add(command, function(reply)
			left, failed = left - 1, failed or not reply
			if left > 0 then
				return
			end
			local count = not failed and 1 or nil
			for i = 1, #acknowledged do
				self:finish(acknowledged[i], count, "acknowledged")
			end
		end)
	end
	return #over > 0
end

-- Rounds --------------------------------------------------------------------------------------------------

--- One exchange with Redis, or a short wait if there is nothing to ask. Never longer than a quarter of a second while Redis
--- answers.
---@return moonweir.Report[] others what became of messages, but for those that were delivered
function Worker:round()
	self.now, self.wall = process.monotonic(), self.parking.now_ms()
	local others = self:collect()
	self:push_held()
	local x = exchange.new(self.red)
	local is_busy = self:add_finished(x)
	self.chores:add(x, self.now)
	local reads = self:add_read(x, is_busy)
	self.trouble = x:run()
	if x.interrupted then
		self.after = "0-0"
	end
	if self.trouble then
		if self.trouble.code == "nogroup" and not self.is_stopping then
			self:ensure() -- somebody deleted group or stream
		end
		process.wait(TROUBLE_PAUSE)
	elseif not reads and not is_busy then
		process.wait(BUSY_BLOCK_MS / 1000)
	end
	return others
end

--- Delivers what is under way for at most so many seconds and acknowledges it; the rest stays pending.
---@param seconds number
---@param forget? boolean this consumer will not come back under its name: if it holds nothing, the group forgets it
---@return integer left entries that stay pending
function Worker:stop(seconds, forget)
	self.is_stopping = true
	for _, entry in ipairs(self.held) do
		self.ledger:forget(entry)
	end
	self.held = {}
	local until_ = process.monotonic() + seconds
	while self.ledger.count > 0 and process.monotonic() < until_ do
		self.client:flush(0.05)
		self:round()
	end
	self.chores.due = 0
	self:round() -- for the figures of the summary
	if forget and self.ledger.count == 0 then
		self.red:call_again(self.leave, 1, self.names.stream, self.group.name, self.group.consumer)
	end
	return self.ledger.count
end

--- Counters of this worker, and of its group as of the last second.
function Worker:stats()
	local f, state = self.finished, self.chores.state
	return {
		read = f.read, acknowledged = f.acknowledged, dead = f.dead, parked = f.parked, vanished = f.vanished,
		claimed = self.chores.claimed, returned = self.chores.returned, in_flight = self.ledger.count,
		messages = self.ledger.messages, group = state, connects = self.red:stats().connects,
	}
end

return worker
