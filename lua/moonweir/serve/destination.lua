--- destination -- POST /segment/<account>: Segment tells who the tool's users are (moonweir.receive.destination), and what
--- waited for that as a dead letter is tried again.

local core = require "moonweir.core"
local process = core.process

local destination = {}

-- Nobody's: who has none is told what who has a wrong one is told.
local NO_KEY = core.random_id()

local JSON = { ["Content-Type"] = "application/json", ["X-Content-Type-Options"] = "nosniff" }

local function is_key(key)
	return type(key) == "string" and key ~= ""
end

local function are_keys(keys)
	for _, key in ipairs(type(keys) == "table" and keys or { keys }) do
		if not is_key(key) then
			return false
		end
	end
	return is_key(keys) or type(keys) == "table" and #keys > 0
end

---@param path string JSON { "account": "key" }, or { "account": ["new", "old"] }
---@return table<string, string|string[]>|nil
---@return string? message
function destination.keys(path)
	local text, message = process.read_private(path)
	if not text then
		return nil, message
	end
	local keys = core.decode(text)
	if type(keys) ~= "table" then
		return nil, path .. ': not JSON like { "account": "key" }'
	end
	for account, key in pairs(keys) do
		if type(account) ~= "string" or not are_keys(key) then
			return nil, path .. ': not JSON like { "account": "key" }'
		end
	end
	return keys
end

---@param self {identities: userdata, slug: string, api_key: (fun(account: string): string|string[]|nil),
--- shared_secret: (fun(): string[]?), log: moonweir.serve.Log, now: (fun(): number), learned: fun(account: string)}
---@return moonweir.web.Handler
function destination.new(self)
	local receive = require "moonweir.receive.destination"
	return function(request)
		-- An account without a key is answered as one with a wrong key is: who asks does not learn which there are.
		local key = self.api_key(request.account)
		local config = {
			account = request.account, api_key = key or NO_KEY, shared_secret = self.shared_secret() or {},
			identities = self.identities, slug = self.slug, now = math.floor(self.now() * 1000),
		}
		local status, reply, counts = receive.receive(request, config)
		if counts.reason then
			local reason = status == 401 and not key and "no key is known for this account; " .. counts.reason or counts.reason
			self.log:say("warning", "segment", { account = request.account, status = status, reason = reason })
		end
		if (counts.learned or 0) > 0 then
			self.learned(request.account)
		end
		return status, JSON, reply
	end
end

return destination
