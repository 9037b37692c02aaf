--- literal -- a value as it is written in Lua: `return { name = "…" }` in a file of settings.
---
--- It runs where there is nothing to call but a string's methods, under the limits of a script that is loaded.

local core = require "moonweir.core"

local literal = {}

---@param text string
---@param name string what messages call it
---@return any value nil with a message: it could not be read
---@return string? message may repeat what stands in the text
function literal.read(text, name)
	if text:byte(1) == 27 then
		return nil, "bytecode is not read"
	end
	local chunk, message
	if setfenv then
		chunk, message = loadstring(text, "=" .. name)
		if chunk then
			setfenv(chunk, {})
		end
	else
		chunk, message = load(text, "=" .. name, "t", {})
	end
	if not chunk then
		return nil, message
	end
	if jit then
		jit.off(chunk, true) -- compiled loops look at no limit
	end
	local ok, value = core.guard_call(chunk, "load")
	if not ok then
		return nil, tostring(value)
	end
	return value
end

return literal
