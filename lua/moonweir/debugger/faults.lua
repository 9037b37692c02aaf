--- faults -- misbehaviour on request: what a sender has to bear from a real server, at will.
---
---     local f = faults.new()
---     f:add { kind = "429", retry_after = 3, times = 2 }       -- the next two requests
---     f:add { kind = "401", account = "acme…k3y4" }            -- one account's, until it is removed
---     local fault = f:next("acme…k3y4")                        -- which one strikes this request; nil: none
---
--- 429, 500 and 401 are answers, and nothing is taken; "stall" holds the request, which is taken once it is let go; "cut"
--- closes the connection and takes nothing; "lost" takes all and closes the connection, so that the sender can't know.

local faults = {}

faults.KINDS = { "429", "500", "401", "stall", "cut", "lost" }

local RULES_MAX = 20
local LIMITS = { times = 1000000, retry_after = 3600, seconds = 3600 }

---@class moonweir.debugger.Fault
---@field id integer
---@field kind "429"|"500"|"401"|"stall"|"cut"|"lost"
---@field times? integer how many requests more; nil: until it is removed
---@field account? string nil: all
---@field retry_after? integer seconds, of a 429
---@field seconds? integer how long it stalls; nil: until it is let go

---@class moonweir.debugger.Faults
---@field changes integer goes up with each change
local Faults = {}
Faults.__index = Faults

---@return moonweir.debugger.Faults
function faults.new()
	return setmetatable({ rules = {}, ids = 0, changes = 0 }, Faults)
end

local function is_kind(kind)
	for _, known in ipairs(faults.KINDS) do
		if known == kind then
			return true
		end
	end
end

--- From now on.
---@param wish table as it came: nothing in it is trusted
---@return moonweir.debugger.Fault|nil fault
---@return string? message
function Faults:add(wish)
	if type(wish) ~= "table" or not is_kind(wish.kind) then
		return nil, "kind is one of " .. table.concat(faults.KINDS, ", ")
	elseif #self.rules >= RULES_MAX then
		return nil, ("there are %d faults already; remove some"):format(RULES_MAX)
	elseif wish.account ~= nil and type(wish.account) ~= "string" then
		return nil, 'account is a text such as "acme…k3y4", as messages show it'
	end
	local rule = { kind = wish.kind, account = wish.account }
	for name, max in pairs(LIMITS) do
		local n = wish[name]
		if n ~= nil and not (type(n) == "number" and n >= (name == "times" and 1 or 0) and n <= max and n % 1 == 0) then
			return nil, ("%s is a whole number up to %d"):format(name, max)
		end
		rule[name] = n and math.floor(n)
	end
	self.ids = self.ids + 1
	rule.id = self.ids
	rule.retry_after = rule.kind == "429" and (rule.retry_after or 2) or nil
	rule.seconds = rule.kind == "stall" and rule.seconds or nil
	self.rules[#self.rules + 1] = rule
	self.changes = self.changes + 1
	return rule
end

--- Remove one, or all of them; says whether there was any.
---@param id? integer
function Faults:remove(id)
	for i = #self.rules, 1, -1 do
		if not id or self.rules[i].id == id then
			table.remove(self.rules, i)
			self.changes = self.changes + 1
			if id then
				return true
			end
		end
	end
	return not id
end

--- Does any of them ask whose request it is? Finding out costs a look into the body.
function Faults:ask_for_account()
	for _, rule in ipairs(self.rules) do
		if rule.account then
			return true
		end
	end
	return false
end

--- The fault that strikes this request: the oldest that is meant for it.
---@param account? string
---@return moonweir.debugger.Fault?
function Faults:next(account)
	for i, rule in ipairs(self.rules) do
		if not rule.account or rule.account == account then
			if rule.times then
				rule.times = rule.times - 1
				self.changes = self.changes + 1
				if rule.times == 0 then
					table.remove(self.rules, i)
				end
			end
			return rule
		end
	end
end

--- Those that are active, oldest first.
---@return moonweir.debugger.Fault[]
function Faults:list()
	local list = {}
	for i, rule in ipairs(self.rules) do
		list[i] = rule
	end
	return list
end

local ANSWERS = {
	["429"] = { "rate_limited", "a fault that was asked for: too many requests" },
	["500"] = { "server_error", "a fault that was asked for: the server has failed" },
	["401"] = { "invalid_write_key", "a fault that was asked for: this write key is not accepted" },
}

--- The answer of a 429, 500 or 401.
---@param rule moonweir.debugger.Fault
---@return integer status
---@return table<string, string> headers
---@return string body
function faults.answer(rule)
	local headers = { ["Content-Type"] = "application/json" }
	if rule.kind == "429" then
		headers["Retry-After"] = tostring(rule.retry_after)
		headers["X-RateLimit-Reset"] = headers["Retry-After"]
	end
	return tonumber(rule.kind), headers,
		('{"success":false,"code":"%s","message":"%s"}\n'):format(ANSWERS[rule.kind][1], ANSWERS[rule.kind][2])
end

return faults
