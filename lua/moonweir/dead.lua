--- dead -- what could not be delivered: listed, sent once more, dropped.
--
-- Works on a spool's directory, whoever has it open. A client's own methods (client:dead, replay, drop_dead) are the
-- same on its spool; requiring this module adds them.

local core = require "moonweir.core"
local suggest = require "moonweir.suggest"

local dead = {}

---@class moonweir.Letter
---@field id string         "0-17": no other letter of this spool ever has this name
---@field at number         when it died, seconds since 1970
---@field account? string   whose it is, if that is known
---@field code moonweir.Code|"refused"
---@field reason? string    for people
---@field place? string     "acme.lua:14", where the script is to be mended
---@field source? string    "acme-mail 1.0.0"
---@field status? integer   Segment's
---@field answer? string    what Segment said
---@field attempts integer
---@field count integer     messages that it stands for; 0: an event that never became one
---@field event? string     raw: a body that holds this event alone
---@field format? "json"|"form"|"xml"  of the event; xml may be JSON made of XML before
---@field headers? table<string, string>  that came with it, but those that hold secrets
---@field message? string   the refused message's JSON
---@field tag integer

---@class moonweir.DeadFilter
---@field ids? string[]     these letters, and no other condition
---@field account? string   "": those that name none
---@field code? string
---@field source? string    "acme-mail", or with a version "acme-mail 1.0.0"
---@field since? number     seconds since 1970
---@field until_? number    before then
---@field limit? integer

local PAGE = 256 -- letters read at once
local WAIT = 30 -- seconds, for room in the queue and for the disk

local function check(filter, extra, level)
	if type(filter) ~= "table" then
		error("which dead letters: a table of conditions", level + 1)
	end
	local known = {
		ids = "table",
		account = "string",
		code = "string",
		source = "string",
		since = "number",
		until_ = "number",
		limit = "number",
	}
	for name, kind in pairs(extra) do
		known[name] = kind
	end
	for name, value in pairs(filter) do
		if not known[name] then
			error(("dead letters: no condition %q%s"):format(tostring(name), suggest(name, known)), level + 1)
		elseif type(value) ~= known[name] then
			error(("dead letters: %s must be a %s"):format(name, known[name]), level + 1)
		end
	end
	if filter.limit and (filter.limit < 1 or filter.limit ~= math.floor(filter.limit)) then
		error("dead letters: limit must be a whole number from 1 up", level + 1)
	end
end

local function conditions(filter)
	return {
		account = filter.account,
		code = filter.code,
		source = filter.source,
		since = filter.since,
		until_ = filter.until_,
	}
end

--- The letters with these names, one by one; those that are not there are left out.
local function each_named(dir, ids)
	local i = 0
	return function()
		while i < #ids do
			i = i + 1
			local letter, message, code = core.dead_get(dir, ids[i])
			if letter or message then
				return letter or false, message, code
			end
		end
	end
end

--- Walk the letters that match, oldest first in each partition, a page at a time. Gives false, message, code when reading
-- fails, and ends there.
---@param dir string
---@param filter moonweir.DeadFilter
---@return fun(): moonweir.Letter|false|nil, string?, string?
function dead.each(dir, filter)
	local left = filter.limit or math.huge
	local step
	if filter.ids then
		step = each_named(dir, filter.ids)
	else
		local asked, page, at = conditions(filter), {}, 0
		step = function()
			if at == #page then
				local message, code
				page, message, code = core.dead_list(dir, asked, math.min(PAGE, left))
				if not page then
					return false, message, code
				end
				at = 0
				if #page == 0 then
					return nil
				end
				asked.behind = page[#page].id
			end
			at = at + 1
			return page[at]
		end
	end
	return function()
		if left <= 0 then
			return nil
		end
		local letter, message, code = step()
		left = letter and left - 1 or 0
		return letter, message, code
	end
end

---@param dir string
---@param filter? moonweir.DeadFilter limit: 1000 if it is left out
---@return moonweir.Letter[]|nil
---@return string? message
---@return "io"|"version"|"corrupt"|"no_memory"|nil code
function dead.list(dir, filter)
	filter = filter or {}
	check(filter, {}, 2)
	local list, asked = {}, conditions(filter)
	asked.ids, asked.limit = filter.ids, filter.limit or 1000
	for letter, message, code in dead.each(dir, asked) do
		if not letter then
			return nil, message, code
		end
		list[#list + 1] = letter
	end
	return list
end

--- The names of the letters that match, without what is in them: a filter with a limit drops by name.
local function names_of(dir, filter)
	local ids = {}
	for letter, message, code in dead.each(dir, filter) do
		if not letter then
			return nil, message, code
		end
		ids[#ids + 1] = letter.id
	end
	return ids
end

--- Drop letters for good. Without a condition nothing is dropped but with `all = true`.
---@param dir string
---@param filter moonweir.DeadFilter|{all: boolean}
---@return integer|nil count
---@return string? message
---@return "io"|"full"|"version"|"corrupt"|"no_memory"|nil code
function dead.drop(dir, filter)
	check(filter, { all = "boolean" }, 2)
	local asked = conditions(filter)
	if not filter.ids and not filter.all and not filter.limit and next(asked) == nil then
		error("dead letters: drop which? Name ids or a condition, or all = true", 2)
	end
	local ids = filter.ids
	if filter.limit then
		local message, code
		ids, message, code = names_of(dir, filter)
		if not ids then
			return nil, message, code
		end
	end
	if ids then
		return core.dead_drop(dir, ids)
	end
	return core.dead_drop(dir, asked, true)
end

--- Letters that come into being meanwhile are not replayed: a message that is refused again would be for ever.
local function is_new(ends, id)
	local partition, number = id:match "^(%d+)%-(%d+)$"
	return not ends[partition] or tonumber(number) > ends[partition]
end

local FATAL = { full = true, timeout = true, closed = true, forked = true, io = true, no_memory = true }

---@class moonweir.Replay
local Replay = {}
Replay.__index = Replay

--- What was queued since the last time is on disk: its letters can go.
function Replay:settle()
	if #self.queued == 0 then
		return true
	end
	local ok, message, code
	if self.sync then
		ok, message, code = self.sync(self.wait)
	else
		ok, message, code = self.client:sync(self.wait)
	end
	if not ok then
		return nil, message, code
	end
	ok, message, code = core.dead_drop(self.dir, self.queued)
	if not ok then
		return nil, message, code
	end
	self.counts.replayed = self.counts.replayed + #self.queued
	self.queued = {}
	return true
end

function Replay:take(letter)
	local messages, message, code = self.client:resend(letter, { wait = self.wait })
	if messages then
		self.queued[#self.queued + 1] = letter.id
		self.counts.messages = self.counts.messages + messages
	elseif FATAL[code] then
		return nil, message, code
	else
		self.counts.failed = self.counts.failed + 1
		if self.failed then
			self.failed(letter, message, code)
		end
	end
	if #self.queued >= PAGE then
		return self:settle()
	end
	return true
end

--- Send letters once more: events through the client's source as it is now, refused messages as they are. Each keeps
-- its messageId. A letter goes when what was made of it is on disk; one whose event fails again stays. A host that must
-- not block gives `sync`, which does as client:sync does in a way of its own.
---@param client moonweir.Client
---@param dir string
---@param filter moonweir.DeadFilter|{wait: number?, failed: fun(letter: moonweir.Letter, message: string, code: string)?,
--- sync: (fun(seconds: number): true?, string?, string?)?}
---@return {replayed: integer, messages: integer, failed: integer}|nil counts
---@return string? message
---@return moonweir.Code? code  what was queued until then stays queued, and counts is the fourth value
function dead.replay(client, dir, filter)
	check(filter, { wait = "number", failed = "function", sync = "function" }, 2)
	local ends, message, code = core.dead_ends(dir)
	if not ends then
		return nil, message, code
	end
	local counts = { replayed = 0, messages = 0, failed = 0 }
	local self = setmetatable({
		client = client,
		dir = dir,
		wait = filter.wait or WAIT,
		sync = filter.sync,
		failed = filter.failed,
		counts = counts,
		queued = {},
	}, Replay)
	local ok = true
	for letter, reason, word in dead.each(dir, filter) do
		if not letter then
			ok, message, code = nil, reason, word
		elseif not is_new(ends, letter.id) then
			ok, message, code = self:take(letter)
		end
		if not ok then
			break
		end
	end
	local settled, reason, word = self:settle()
	if not ok then
		return nil, message, code, counts
	elseif not settled then
		return nil, reason, word, counts
	end
	return counts
end

--- A client's methods.
local Client = core.Client

local function dir_of(client)
	local dir = client:spool_dir()
	if not dir then
		error("this client keeps no dead letters; open it with spool = a directory", 3)
	end
	return dir
end

function Client:dead(filter)
	return dead.list(dir_of(self), filter)
end

function Client:replay(filter)
	return dead.replay(self, dir_of(self), filter or {})
end

function Client:drop_dead(filter)
	return dead.drop(dir_of(self), filter)
end

return dead
