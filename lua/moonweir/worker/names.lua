--- names -- the keys that belong to a stream.
---
---     events            the stream
---     {events}:dead     what can't be delivered, with its reason
---     {events}:parked   accounts without a good key (a sorted set), and {events}:parked:ACCOUNT, the entries of each
---
--- In a cluster they all lie in one slot, that of "events", so that one script may touch them: the braces say what counts.
--- A name that has a tag of its own, as in "{shop}:events", keeps it.

local names = {}

---@class moonweir.worker.Names
---@field stream string
---@field dead string
---@field parked string
---@field parked_of fun(account: string): string

---@param stream string
---@return moonweir.worker.Names|nil
---@return string? message
function names.of(stream)
	local tagged = stream
	if stream == "" then
		return nil, "a stream has a name"
	elseif not stream:find "[{}]" then
		tagged = "{" .. stream .. "}"
	elseif not stream:find "^[^{]*{[^}]+}" then
		return nil, ("the stream's name %q has braces that are no hash tag, which reads {tag}"):format(stream)
	end
	return {
		stream = stream,
		dead = tagged .. ":dead",
		parked = tagged .. ":parked",
		parked_of = function(account)
			return tagged .. ":parked:" .. account
		end,
	}
end

return names
