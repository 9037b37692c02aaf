--- calls -- Segment calls for the specs of checks: right ones, and ones that are wrong in one way.

local core = require "moonweir.core"

local calls = {}

--- A call with nothing wrong in it.
function calls.right(more)
	local made = {
		type = "track", userId = "user-17", messageId = "acme:1:e1:0", timestamp = "2026-01-31T12:00:00.000Z",
		event = "Ticket Created", properties = core.decode "{}",
		context = { integration = { name = "acme-desk", version = "1.0.0" } },
	}
	for key, value in pairs(more or {}) do
		made[key] = value
	end
	return made
end

--- A context that is right, and more in it.
function calls.context(more)
	local made = { integration = { name = "acme-desk", version = "1.0.0" } }
	for key, value in pairs(more) do
		made[key] = value
	end
	return made
end

--- As it comes from the wire.
function calls.decoded(m)
	return core.decode(core.encode(m))
end

--- The first finding of a rule.
function calls.find(found, rule)
	for _, finding in ipairs(found) do
		if finding.rule == rule then
			return finding
		end
	end
end

--- For messages of a test, and to compare with "".
function calls.list(found)
	local lines = {}
	for i, f in ipairs(found) do
		lines[i] = ("%s at %s: %s"):format(f.rule, f.path, f.what)
	end
	return table.concat(lines, "\n")
end

return calls
