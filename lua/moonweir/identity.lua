--- identity -- what a mapping script's functions may ask of the identity store.
---
---     local identity = require "moonweir.identity"
---     …
---     ["bulk.finished"] = function(event, emit)
---       for _, r in ipairs(event.recipients) do
---         emit(source.track "Email Delivered" { email_id = r.id }, { user = identity.lookup("email", r.email) })
---       end
---     end,
---
--- Of the event's own account, and only of that. Where there is no store nobody is known.

local core = require "moonweir.core"
local place = require "moonweir.place"
place.is_own()

---@class moonweir.Identity
---@field lookup fun(kind: "email"|"phone"|"anonymous_id"|"tool_id"|"user_id", id: string|nil): string|nil, string|nil
---  the userId, byte for byte as Segment gave it; else nil and the anonymousId that is known instead, if one is. Of an
---  earlier user_id: today's. An absent id is nobody's

local identity = {}

--- The module for one script.
---@param state {loading: boolean}
---@return moonweir.Identity
function identity.language(state)
	local language = {}

	function language.lookup(kind, id)
		if state.loading then
			place.fail('identity.lookup asks while events are mapped, in a function; for every event there is '
				.. 'source.user { email = get "…" }')
		end
		return core.identify(kind, id)
	end

	return setmetatable(language, {
		__metatable = "moonweir.identity",
		__index = function(_, name)
			place.fail(("there is no identity.%s%s"):format(tostring(name), place.nearest(name, { "lookup" })))
		end,
	})
end

return identity
