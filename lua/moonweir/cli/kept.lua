--- kept -- what `accounts`, `oauth` and `identities` have in common: commands about something that a spool's state, or
--- Redis, keeps.
---
---     local VIEW = { rows = rows_of, members = members_of, none = "there are no apps yet; …" }
---     function actions.list(args, vault) return kept.list(VIEW, args, vault:list_apps()) end
---     function command.run(args) return kept.run(actions, args) end
---
--- An action gives true, or nil, message, code.

local columns = require "moonweir.cli.columns"
local core = require "moonweir.core"
local keys = require "moonweir.cli.keys"
local sharing = require "moonweir.cli.sharing"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local kept = {}

---@class moonweir.cli.KeptView
---@field rows fun(list: table[]): string[][]              a table for people; the first row has the titles
---@field members fun(entry: table): {[1]: string, [2]: any}[]  a line of JSON, in an order that people can read
---@field none string                                      what is said of an empty list

local function print_json(members)
	for i, member in ipairs(members) do
		members[i] = ('"%s":%s'):format(member[1], core.encode(member[2]))
	end
	terminal.write("{", table.concat(members, ","), "}\n")
end

local function print_list(view, list, as_json)
	if not as_json then
		columns.print(view.rows(list))
		return
	end
	for _, entry in ipairs(list) do
		print_json(view.members(entry))
	end
end

--- Seconds since 1970 as a date in UTC.
function kept.date(seconds)
	return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(seconds))
end

--- One entry, or why there is none.
---@param view moonweir.cli.KeptView
function kept.show(view, args, entry, message, code)
	if not entry then
		return nil, message, code
	end
	print_list(view, { entry }, args.json)
	return true
end

--- All of them.
---@param view moonweir.cli.KeptView
function kept.list(view, args, list, message, code)
	if not list then
		return nil, message, code
	end
	if #list == 0 and not args.json then
		terminal.say("note", view.none)
	else
		print_list(view, list, args.json)
	end
	return true
end

--- Say why nothing came of it.
---@return integer exit_code
function kept.fail(message, code)
	terminal.say("error", terminal.safe(message, 600))
	return (keys.is_usage(code) or code == "invalid") and 2 or 1
end

--- Do to the vault what the command line asks for. Only `set` makes a vault where there is none.
---@param actions table<string, fun(args: table, vault: moonweir.Vault): boolean|nil, string?, string?>
---@return integer exit_code
function kept.run(actions, args)
	local vault, message, code = sharing.vault(args, args.action ~= "set")
	if not vault then
		return kept.fail(message, code)
	end
	local ok
	ok, message, code = actions[args.action](args, vault)
	vault:close()
	if not ok and process.interrupted() then
		return 130
	end
	return ok and 0 or kept.fail(message, code)
end

return kept
