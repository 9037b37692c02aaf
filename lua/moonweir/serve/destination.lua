--- destination -- POST /segment/<account>: Segment tells who the tool's users are (moonweir.receive.destination), and what
--- waited for that as a dead letter is tried again.

local core = require "moonweir.core"
local process = core.process

local destination = {}

local JSON = { ["Content-Type"] = "application/json", ["X-Content-Type-Options"] = "nosniff" }

---@param path string JSON { "account": "key" }
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
		if type(account) ~= "string" or (type(key) ~= "string" and type(key) ~= "table") then
			return nil, path .. ': not JSON like { "account": "key" }'
		end
	end
	return keys
end

---@param self {identities: userdata, slug: string, api_keys: table, shared_secret: (fun(): string[]?), log: moonweir.serve.Log,
--- now: (fun(): number), learned: fun(account: string)}
---@return moonweir.web.Handler
function destination.new(self)
	local receive = require "moonweir.receive.destination"
	return function(request)
		local config = {
			account = request.account, api_key = self.api_keys[request.account] or {}, shared_secret = self.shared_secret() or {},
			identities = self.identities, slug = self.slug, now = math.floor(self.now() * 1000),
		}
		-- An account without a key is answered as one with a wrong key is: who asks does not learn which there are.
		local status, reply, counts = receive.receive(request, config)
		if counts.reason then
			self.log:say("warning", "segment", { account = request.account, status = status, reason = counts.reason })
		end
		if (counts.learned or 0) > 0 then
			self.learned(request.account)
		end
		return status, JSON, reply
	end
end

return destination
