--- secrets -- the keys of one verification, fetched now. What is wrong with one is told by its name, never by its value.

local core = require "moonweir.core"

local secrets = {}

--- More than any rotation needs, and a bound on the work of a refusal.
local KEYS_MAX = 16

-- As bytes: "whsec_MfKQ…" is base64 behind a prefix.
local function decode(text, key)
	if not key then
		return text
	end
	local prefix = key.prefix or ""
	if prefix ~= "" and text:sub(1, #prefix) == prefix then
		text = text:sub(#prefix + 1)
	end
	local bytes = core.binary(key.form, text)
	return bytes ~= "" and bytes or nil
end

---@param wanted (string|{name: string})[] literal secrets, or names
---@param key? {prefix: string?, form: string} how a secret is written
---@param find fun(name: string): string|string[]|nil
---@return string[]|nil keys
---@return string? reason
---@return "no_secret"|nil code
function secrets.fetch(wanted, key, find)
	local keys, trouble = {}, nil
	local function add(text, name)
		if type(text) ~= "string" then
			error(("secrets: expected a text or a list of texts for %q, got a %s"):format(name, type(text)), 0)
		end
		local bytes = text ~= "" and decode(text, key) or nil
		if bytes then
			keys[#keys + 1] = bytes
		else
			trouble = ("secret %s is %s"):format(name, text == "" and "empty" or "not " .. (key and key.form or "?"))
		end
	end
	for i, one in ipairs(wanted) do
		if type(one) == "string" then
			add(one, ("number %d of the script"):format(i))
		else
			local found = find and find(one.name)
			if found == nil then
				trouble = ("there is no secret %s"):format(one.name)
			elseif type(found) == "table" then
				for _, text in ipairs(found) do
					add(text, one.name)
				end
			else
				add(found, one.name)
			end
		end
	end
	if #keys == 0 then
		return nil, trouble or "there is no secret", "no_secret"
	elseif #keys > KEYS_MAX then
		return nil, ("%d secrets; %d is the most"):format(#keys, KEYS_MAX), "no_secret"
	end
	return keys
end

return secrets
