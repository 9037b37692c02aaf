--- moonweir.redis.identities -- who is known by which address, on many hosts.
--
--     local identities = require "moonweir.redis.identities"
--     local store = assert(identities.open { red = red, dir = dir, master_key_file = "/etc/acme/master-key" })
--     store:teach(facts); store:find("acme", "email", "ann@example.com")       -- as a store of moonweir.identities
--     store:look()                                                             -- what other hosts were taught
--
-- In Redis lie facts, what messages said, and not what follows from them: {moonweir}:identities has one for each pair of an
-- id and a user, with the earliest and the latest time it was said. `dir` is this host's store (io/identities.h), which is
-- taught all of them. It comes out the same in whatever order, and however often, it hears them; so hosts agree as soon as
-- they have heard the same facts, a mapping looks up in a microsecond, and also while Redis is away. The price: every host
-- has all of it, and Redis some 500 bytes for a fact.
--
-- Facts are sealed with the master key and named by keyed hashes: no address and no id is in Redis in clear, only how many
-- facts there are, which are about the same user, and when they were said.
--
-- A user who is forgotten takes along the facts by which an address, a number or a tool's id led to him, in Redis too; facts
-- that connect userIds and anonymousIds stay, sealed, for hosts that have not heard them yet must forget those, too.

local core_identities = require "moonweir.identities"
local hiredis = require "moonweir.hiredis"
local replica = require "moonweir.redis.replica"

local process = require("moonweir.core").process

local identities = {}

--- How often :look asks Redis, in seconds, unless told to do so now.
identities.EVERY = 0.25

local FACTS_MAX = 500 -- in one script
local NODES = { user_id = true, anonymous_id = true }

-- KEYS: facts (name -> earliest, latest, sealed), order, names by user. ARGV, four by four: name, "node", "leaf" or "forget",
-- when, sealed. A name's first 16 bytes are the user's, the second are zeros where he is to be forgotten.
local TEACH = hiredis.script [[
local last = tonumber(redis.call("ZREVRANGE", KEYS[2], 0, 0, "WITHSCORES")[2]) or 0
local time = redis.call("TIME")
last = math.max(last, time[1] * 1000000 + time[2])
local function times(name)
  local value = redis.call("HGET", KEYS[1], name)
  if value then
    local from, to = string.match(value, "^(%S+) (%S+) ")
    return tonumber(from), tonumber(to)
  end
end
local function forget_leaves(user, before)
  for _, name in ipairs(redis.call("ZRANGEBYLEX", KEYS[3], "[" .. user, "[" .. user .. string.rep("\255", 17))) do
    local _, to = times(name)
    if not to or to <= before then
      redis.call("HDEL", KEYS[1], name)
      redis.call("ZREM", KEYS[2], name)
      redis.call("ZREM", KEYS[3], name)
    end
  end
end
for i = 1, #ARGV, 4 do
  local name, kind, at, sealed = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local user = string.sub(name, 1, 16)
  local from, to = times(name)
  local known = from and from <= at and at <= to
  if kind == "leaf" and not known then
    local _, forgotten = times(user .. string.rep("\0", 16))
    known = forgotten and at <= forgotten
  end
  if not known then
    last = last + 1
    from, to = math.min(from or at, at), math.max(to or at, at)
    redis.call("HSET", KEYS[1], name, string.format("%.0f %.0f ", from, to) .. sealed)
    redis.call("ZADD", KEYS[2], string.format("%.0f", last), name)
    if kind == "leaf" then
      redis.call("ZADD", KEYS[3], 0, name)
    elseif kind == "forget" then
      forget_leaves(user, at)
    end
  end
end
return 1
]]

---@class moonweir.redis.Identities: moonweir.Identities
local Identities = {}
Identities.__index = Identities

--- Facts that came from Redis, into the store.
function Identities:take(list)
	local facts = {}
	for i = 1, #list, 2 do
		local from, to, sealed = (list[i + 1] or ""):match "^(%S+) (%S+) (.*)$"
		local fact = sealed and self.store:unseal(list[i], sealed)
		if fact then
			fact.at = tonumber(to)
			facts[#facts + 1] = fact
			if from ~= to then
				local earlier = {}
				for name, value in pairs(fact) do
					earlier[name] = value
				end
				earlier.at = tonumber(from)
				facts[#facts + 1] = earlier
			end
		elseif list[i + 1] then
			return nil, "identities in Redis are sealed with another master key, or damaged; give the key they were sealed with",
				"bad_master_key"
		end
	end
	local taught, message, code = self.store:teach(facts)
	return taught and true, message, code
end

function Identities:keep_revision()
	local revision = self.replica.revision
	if revision == self.kept then
		return
	end
	local file = io.open(self.seen .. ".new", "w")
	if file then
		file:write(("%.0f\n"):format(revision))
		file:close()
		os.rename(self.seen .. ".new", self.seen)
	end
	self.kept = revision
end

--- What other hosts were taught comes into the store.
---@param now? boolean
---@return true|nil
---@return string? message
---@return string? code of moonweir.hiredis, or of the store
function Identities:look(now)
	local time = process.monotonic()
	if not now and time - self.looked < identities.EVERY then
		return true
	end
	self.looked = time
	local what, message, code = self.replica:look(function(list)
		return self:take(list)
	end)
	if not what then
		return nil, message, code
	end
	self:keep_revision()
	return true
end

--- The userIds that were this user by another name at that time, that one among them. Every store finds out by itself who
--- is to be forgotten along with whom; this is for the facts about them in Redis.
function Identities:names_of(account, user, at, seen, list)
	if seen[user] then
		return list
	end
	seen[user] = true
	list[#list + 1] = user
	for _, known in ipairs(self.store:show(account, user) or {}) do
		if known.kind == "user_id" and known.at <= at then
			self:names_of(account, known.id, at, seen, list)
		end
	end
	return list
end

--- The arguments of the script; what says nothing is left out, and the store counts it.
function Identities:sealed(facts)
	local list = {}
	local function add(fact)
		local name, sealed = self.store:seal(fact)
		if name then
			local kind = fact.forget and "forget" or (NODES[fact.kind] or fact.fallback) and "node" or "leaf"
			list[#list + 1] = { name, kind, ("%.0f"):format(fact.at), sealed }
		end
	end
	for _, fact in ipairs(facts) do
		if fact.forget then
			for _, user in ipairs(self:names_of(fact.account, fact.user, fact.at, {}, {})) do
				add { account = fact.account, user = user, at = fact.at, forget = true }
			end
		else
			add(fact)
		end
	end
	return list
end

--- In Redis and in this host's store when it returns; in those of the others with their next look. An error: perhaps in
--- Redis; teach it again.
function Identities:teach(facts)
	local ok, message, code = self:look(true) -- who is to be forgotten may have names that were learned elsewhere
	if not ok then
		return nil, message, code
	end
	local list = self:sealed(facts)
	for first = 1, #list, FACTS_MAX do
		local command = { TEACH, 3, self.replica.key, self.replica.order, self.replica.key .. ":of" }
		for i = first, math.min(first + FACTS_MAX - 1, #list) do
			for _, argument in ipairs(list[i]) do
				command[#command + 1] = argument
			end
		end
		local replies
		replies, message, code = self.red:pipeline({ command }, true)
		local problem = replies and replies.errors and replies.errors[1]
		if not replies or problem then
			return nil, problem and problem.message or message, problem and problem.code or code
		end
	end
	return self.store:teach(facts)
end

for _, name in ipairs { "find", "page", "show" } do
	Identities[name] = function(self, ...)
		local ok, message, code = self:look(true)
		if not ok then
			return nil, message, code
		end
		return self.store[name](self.store, ...)
	end
end

function Identities.drop()
	return nil, "all identities of an account can't be dropped in Redis, where other hosts have copies; forget its users", "invalid"
end

function Identities:close()
	self.store:close()
end

--- Open the identities in Redis, with this host's store of them.
---@param options {red: userdata, dir: string, master_key_file: string?, prefix: string?} as moonweir.redis.accounts.open has
--- them; `dir` may be the same, and may be kept: then only what is new is read
---@return moonweir.redis.Identities|nil
---@return string? message
---@return string? code
function identities.open(options)
	local store, message, code = core_identities.open { spool = options.dir, master_key_file = options.master_key_file }
	if not store then
		return nil, message, code
	end
	local followed = replica.new(options.red, (options.prefix or "{moonweir}") .. ":identities", true)
	local seen = options.dir .. "/identities-seen"
	local file = io.open(seen)
	if file then
		followed.revision = tonumber(file:read "*l")
		file:close()
	end
	return setmetatable({ store = store, red = options.red, replica = followed, seen = seen, looked = -math.huge }, Identities)
end

return identities
