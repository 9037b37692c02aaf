--- readiness -- is all there that a config names? What `moonweir serve --check` tells, and what a start tells of the keys.
---
---     for _, one in ipairs(readiness.check(config, definition)) do print(one.event, one.reason) end
---     local reason = readiness.vault(vault, values)          -- nil: what is saved there can be opened
---
--- A check opens what is there, and makes nothing. A start goes on without the right master key: what comes in is kept until
--- the key is there, where a daemon that refuses to start would lose it.

local accounts = require "moonweir.accounts"
local process = require("moonweir.core").process
local setup = require "moonweir.serve.setup"
local terminal = require "moonweir.cli.terminal"

local readiness = {}

local NAME_IT = 'name its file, master_key_file = "path", or give the service the credential moonweir-master-key'

local function is_folder(path)
	return process.file_kind(path .. "/.") == "directory" -- with "/." a link counts as what it leads to
end

-- The spool itself is made when it is not there; what it stands in is not.
local function check_spool(path)
	path = path:gsub("(.)/+$", "%1")
	if process.file_kind(path) then
		return not is_folder(path) and path .. ": this is not a directory" or nil
	end
	local parent = path:match "^(.*)/" or "."
	parent = parent == "" and "/" or parent
	return not is_folder(parent) and ("%s: can't be made, because %s is not a directory that is there"):format(path, parent) or nil
end

-- Without a master key, and with nothing saved. Where one key is for every account nobody needs one of their own, unless there
-- is a page to save it.
local function no_key_to_seal(values)
	local is_needed = values.settings or not values.write_key_file
	return is_needed and "there is no master key, without which no account's write key can be saved: " .. NAME_IT or nil
end

-- How many keys are sealed, and which of them with another master key.
local function count_sealed(vault)
	local lists, sealed, foreign = { vault:list() or {}, vault:list_apps() or {} }, 0, {}
	for _, list in ipairs(lists) do
		for _, one in ipairs(list) do
			if one.has_key or one.app then
				sealed = sealed + 1
				foreign[#foreign + 1] = one.other_master_key and one or nil
			end
		end
	end
	return sealed, foreign
end

--- Why what the vault holds, or should hold, can't be used.
---@param vault moonweir.Vault
---@param values table of a config
---@return string|nil reason
function readiness.vault(vault, values)
	local sealed, foreign = count_sealed(vault)
	if not vault:has_master_key() then
		if sealed > 0 then
			return ("there is no master key, and %d saved key%s can't be opened: %s"):format(sealed, sealed > 1 and "s" or "", NAME_IT)
		end
		return no_key_to_seal(values)
	elseif foreign[1] then
		local one = foreign[1]
		return ("%d of %d saved keys can't be opened: that of %s was sealed with the master key %s, which is not the one that is given")
			:format(#foreign, sealed, terminal.safe(one.account or one.app, 80), one.master_key)
	end
	return nil
end

-- As it will be found; a vault that is not there yet is not made for that.
local function check_vault(values)
	local id, message = accounts.master_key_id(values.master_key_file)
	if id == nil then
		return "the master key: " .. message
	elseif process.file_kind(values.spool .. "/state/data.mdb") then
		local vault
		vault, message = accounts.open { spool = values.spool, master_key_file = values.master_key_file, existing = true }
		if not vault then
			return message
		end
		local reason = readiness.vault(vault, values)
		vault:close()
		return reason
	end
	return not id and no_key_to_seal(values) or nil
end

local function check_files(values, definition)
	local _, message = setup.client_options(values, definition)
	if not message and values.segment then
		_, message = setup.segment_keys(values)
	end
	if not message and values.settings then
		_, message = setup.enable_options(values)
	end
	return message
end

--- What is missing, or can't be used.
---@param config moonweir.serve.Config
---@param definition moonweir.Definition
---@return {event: string, reason: string}[] empty: nothing
function readiness.check(config, definition)
	local found, values = {}, config.values
	for event, reason in pairs {
		config = check_files(values, definition), spool = check_spool(values.spool), vault = check_vault(values),
	} do
		found[#found + 1] = { event = event, reason = reason }
	end
	table.sort(found, function(a, b)
		return a.event < b.event
	end)
	return found
end

return readiness
