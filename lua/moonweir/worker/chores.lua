--- chores -- what a worker does once a second beside its events: take over from the dead, stay known as alive, look after
--- parked accounts, know how far behind the group is.

local Chores = {}
Chores.__index = Chores

local chores = {}

local EVERY = 1 -- seconds
local WITHDRAW_EVERY = 0.1
local CLAIM_EVERY = 5 -- at most; a quarter of `idle` if that is less

---@class moonweir.worker.Chores
---@field state moonweir.worker.State
---@field claimed integer
---@field returned integer
---@param worker moonweir.Worker
function chores.new(worker)
	return setmetatable({ worker = worker, due = 0, claim_due = 0, withdraw_due = 0, claim_from = "0-0", claimed = 0, returned = 0,
		state = { pending = 0, consumers = 0, length = 0, dead = 0, parked = 0 }, lost = 0 }, Chores)
end

--- Messages of parked accounts come back from the engine.
function Chores:withdraw(now)
	if now < self.withdraw_due or not next(self.worker.parking.mine) then
		return
	end
	self.withdraw_due = now + WITHDRAW_EVERY
	self.worker.client:withdraw()
end

--- Entries that their consumers have left, as far as there is room.
function Chores:claim(x, now)
	local worker = self.worker
	local room = worker:room()
	if now < self.claim_due or room == 0 then
		return
	end
	self.claim_due = now + math.min(CLAIM_EVERY, worker.idle / 4)
	x:add(worker.group:claim(self.claim_from, worker.idle, room), function(reply)
		if not reply then
			return
		end
		self.claim_from = reply[1]
		if reply[1] ~= "0-0" then
			self.claim_due = 0 -- there is more
		end
		-- From Redis 7 on it clears away what was deleted from the stream while it was pending, whoever's it was.
		worker.finished.vanished = worker.finished.vanished + #(reply[3] or {})
		for _, one in ipairs(reply[2]) do
			if worker:take(one[1], one[2]) then
				self.claimed = self.claimed + 1
			end
		end
	end)
end

function Chores:return_parked(x)
	local worker = self.worker
	for _, choice in ipairs(worker.parking:choose(worker.client)) do
		worker.parking:note(choice.account)
		x:add(worker.parking:command(choice), function(count)
			self.returned = self.returned + (count or 0)
			if count then
				worker.parking:tried(choice.account)
			end
			if count and count > 0 then
				self.due = 0
			end
		end)
	end
end

function Chores:ask_state(x)
	local worker = self.worker
	local commands, replies = {}, {}
	local count = worker.group:ask_state(commands)
	for i, command in ipairs(commands) do
		x:add(command, function(reply)
			replies[i] = reply
			if i == count and replies[1] then
				local due
				self.state, due = worker.group:state(replies, 1)
				self.has_looked = true
				worker.parking:refresh(due)
			end
		end)
	end
end

--- Reports that got lost: what they were about is found again among the pending entries.
function Chores:find_lost()
	local worker = self.worker
	local stats = worker.client:stats()
	if stats.reports_lost > self.lost then
		self.is_searching, self.lost = true, stats.reports_lost
	end
	worker.is_searching = self.is_searching
	if self.is_searching and stats.queued + stats.in_flight == 0 then
		worker:collect()
		for _, entry in ipairs(worker.ledger:unfinished()) do
			worker.ledger:forget(entry)
		end
		worker.held, worker.after = {}, "0-0"
		self.is_searching, worker.is_searching = false, false
	end
	return stats
end

--- Puts what is due into the exchange.
function Chores:add(x, now)
	self:withdraw(now)
	if now < self.due then
		return
	end
	self.due = now + EVERY
	local worker = self.worker
	worker.engine = self:find_lost()
	local commands = {}
	worker.group:renew(commands, worker.ledger:stale(now, worker.idle / 3))
	for _, command in ipairs(commands) do
		x:add(command)
	end
	if not worker.is_stopping then
		self:return_parked(x)
		self:claim(x, now)
	end
	self:ask_state(x)
end

return chores
