--- mask -- write keys as they may be shown: by their last four characters.

local mask = {}

--- The last four characters, unless that would be all of it. A client may call anything its key.
---@param key string
function mask.tail(key)
	return #key > 4 and (key:sub(-4):gsub("[^\33-\126]", "?")) or ""
end

--- Text without the key.
---@param text string
---@param key string? "" or nil: there is none
function mask.text(text, key)
	-- What is not of printable characters is no write key; taken out, it could leave half of a character behind.
	if not key or key == "" or key:find "[^\33-\126]" or not text:find(key, 1, true) then
		return text
	end
	return (text:gsub(key:gsub("%p", "%%%0"), "…" .. mask.tail(key):gsub("%%", "%%%%")))
end

--- The raw message without its keys: a single call may carry its own, even another than that of its header.
---@param m moonweir.debugger.Message
function mask.message(m)
	local raw = mask.text(m.raw, m.key)
	return m.body_key ~= m.key and mask.text(raw, m.body_key) or raw
end

--- What an account is called: its name if there is one, and the end of its key.
---@param key string?
---@param names table<string, string> write key -> name
function mask.account(key, names)
	if not key or key == "" then
		return nil
	end
	return (names[key] or "") .. "…" .. mask.tail(key)
end

return mask
