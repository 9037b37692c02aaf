--- moonweir accounts -- the customers' write keys, as they are kept in a spool's vault.
--
-- A key is read by the C side, from a file, a pipe or the terminal, and sealed there; nothing here ever holds or prints
-- more of one than its last four characters.

local accounts = require "moonweir.accounts"
local core = require "moonweir.core"
local kept = require "moonweir.cli.kept"
local keys = require "moonweir.cli.keys"
local link = require "moonweir.web.link"
local redislink = require "moonweir.cli.redislink"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local command = {
	summary = "Keep the customers' write keys: set, list, show, pause, resume, remove; link.",
	example = [[
Examples:
  moonweir accounts new-master-key master-key
  export MOONWEIR_SPOOL=/var/lib/acme/spool MOONWEIR_MASTER_KEY_FILE=$PWD/master-key
  moonweir accounts set acme --endpoint eu --label "Acme Inc"
  moonweir accounts list

Keys are encrypted with the master key, and never shown again. What is saved counts at once for
every process that sends from this spool.

With --redis the accounts are those in Redis, for the workers of all hosts:
  moonweir accounts set acme --redis redis://10.0.0.7 --master-key-file master-key]],
}

local NAME = "The account, as the tool calls its customer."

--- The commands below `accounts`, in the order of --help: name, summary, example.
local ACTIONS = {
	{
		"set",
		"Save a write key, an endpoint or a label; make the account if it is new.",
		[[
Examples:
  moonweir accounts set acme                                    asks for the key, unseen
  moonweir accounts set acme --write-key-file key --endpoint eu
  pass show segment/acme | moonweir accounts set acme --write-key-file -
  moonweir accounts set acme --label "Acme Inc"                 the key stays as it was
  moonweir accounts set acme --oauth segment                    by the tokens of an OAuth app
  moonweir accounts set acme --basic                            no longer

The key comes from --write-key-file (- is standard input), the environment variable
MOONWEIR_WRITE_KEY or --write-key. Saving a key anew sends what its refusal held back.
OAuth apps are saved with moonweir oauth set; the write key is needed all the same.]],
	},
	{
		"list",
		"Show all accounts.",
		[[
Example:
  $ moonweir accounts list
  ACCOUNT  KEY    ENDPOINT  STATE   CHANGED               LABEL
  acme     …a1b2  eu        active  2026-01-31T12:00:00Z  Acme Inc]],
	},
	{ "show", "Show one account.", "Example:\n  moonweir accounts show acme --json" },
	{
		"pause",
		"Send nothing for an account, and keep what comes for it.",
		"Example:\n  moonweir accounts pause acme",
	},
	{ "resume", "Send for a paused account again.", "Example:\n  moonweir accounts resume acme" },
	{
		"remove",
		"Forget an account and its key. Its undelivered messages are kept.",
		"Example:\n  moonweir accounts remove acme",
	},
	{
		"link",
		"Make a link that opens the settings page for an account, once and within five minutes.",
		[[
Example:
  $ moonweir accounts link acme --base-url https://events.acme.example --link-key-file link-key
  https://events.acme.example/settings#v1.eyJhY2NvdW50Ijoi…

For trying, and for support: otherwise the tool's own app makes such links for whoever is logged in
there (README, Settings page). Whoever has the link has the account's settings. The key's file comes
from --link-key-file, MOONWEIR_LINK_KEY_FILE or the systemd credential moonweir-link-key;
moonweir accounts new-link-key makes one.]],
	},
	{
		"new-link-key",
		"Make a key for links to the settings page, in a new file.",
		[[
Example:
  moonweir accounts new-link-key /etc/acme/link-key

64 random hex digits that only you can read. The tool's own app needs the same file. A new key
ends all links and sessions of the old one.]],
	},
	{
		"new-master-key",
		"Make a master key in a new file.",
		[[
Example:
  moonweir accounts new-master-key /etc/acme/master-key

64 random hex digits that only you can read. Keep a copy in a safe place that is not where the
spool is: without it no write key can ever be read again.]],
	},
}

local function define_action(parser, name, summary, example)
	local action = parser:command(name, summary):help_max_width(100):epilog(example)
	if name == "new-master-key" or name == "new-link-key" then
		action:argument("file", "The file to make.")
	elseif name ~= "list" then
		action:argument("name", NAME)
	end
	if name == "set" then
		action:option("--label", "What people call it."):argname "<text>"
		action:mutex(
			action:option("--oauth", "Authenticate with the tokens of this OAuth app (moonweir oauth --help)."):argname "<app>",
			action:flag("--basic", "Authenticate with the write key alone, as without an app.")
		)
	elseif name == "link" then
		action:option("--base-url", "Where the daemon is reached, without /settings."):argname("<url>"):count(1)
		action:option("--link-key-file", "The key that signs it (MOONWEIR_LINK_KEY_FILE)."):argname "<file>"
		action:option("--user", "Who opens it, for the audit log."):argname "<name>"
	elseif name == "list" or name == "show" then
		action:flag("--json", "An account a line, as JSON.")
	end
end

function command.define(parser)
	parser:target "accounts_command" -- apart from the option --accounts
	redislink.define(parser)
	parser:command_target "action"
	for _, action in ipairs(ACTIONS) do
		define_action(parser, action[1], action[2], action[3])
	end
end

local function tail(a)
	if not a.has_key then
		return "none"
	end
	return "…" .. a.last
end

local function has_app(list)
	for _, a in ipairs(list) do
		if a.oauth then
			return true
		end
	end
	return false
end

--- The app's column is there if an account has one.
local function rows_of(list)
	local apps = has_app(list)
	local rows = { { "ACCOUNT", "KEY", "ENDPOINT", "STATE", "CHANGED", "LABEL" } }
	for i, a in ipairs(list) do
		rows[i + 1] = { terminal.safe(a.account, 60), "?", "?", "damaged", "?", "" }
		if a.state ~= "damaged" then
			rows[i + 1] = {
				terminal.safe(a.account, 60),
				tail(a) .. (a.other_master_key and " (other master key)" or ""),
				terminal.safe(a.endpoint or "default", 80),
				a.state,
				kept.date(a.updated_at),
				terminal.safe(a.label or "", 60),
			}
		end
		if apps then
			table.insert(rows[i + 1], 4, a.oauth or "none")
		end
	end
	if apps then
		table.insert(rows[1], 4, "OAUTH APP")
	end
	return rows
end

local function members_of(a)
	local members = { { "account", a.account }, { "state", a.state } }
	if a.state ~= "damaged" then
		members[3] = { "key", a.has_key and tail(a) or core.null }
		members[4] = { "endpoint", a.endpoint or core.null }
		members[5] = { "label", a.label or core.null }
		members[6] = { "updated_at", kept.date(a.updated_at) }
		members[7] = { "revision", a.revision }
		members[8] = { "master_key", a.master_key }
		members[9] = { "other_master_key", a.other_master_key }
		members[10] = { "oauth", a.oauth or core.null }
	end
	return members
end

local VIEW = { rows = rows_of, members = members_of, none = "there are no accounts yet; moonweir accounts set NAME makes one" }

local actions = {}

local NO_KEY = "no write key, and no terminal to ask for it. Give --write-key-file FILE (- is standard input), or set "
	.. "MOONWEIR_WRITE_KEY; to leave the key as it is, give --endpoint, --label, --oauth or --basic"

--- Where the key comes from: the command line, a file, the environment, the terminal. Nothing if it is to stay as it was.
local function key_source(args, change)
	if args.write_key then
		change.write_key = args.write_key
	elseif args.write_key_file then
		change.write_key_file = args.write_key_file
	elseif keys.environment "MOONWEIR_WRITE_KEY" then
		change.write_key = keys.environment "MOONWEIR_WRITE_KEY"
	elseif not (args.endpoint or args.label or change.oauth) then
		if not process.is_terminal(0) then
			return nil, NO_KEY, "usage"
		end
		change.write_key_file = "-"
	end
	return true
end

function actions.set(args, vault)
	local change = { endpoint = args.endpoint, label = args.label, oauth = args.basic and "" or args.oauth }
	local ok, message, code = key_source(args, change)
	if not ok then
		return nil, message, code
	end
	if not vault:has_master_key() and (change.endpoint or change.oauth or change.write_key or change.write_key_file) then
		return nil, "no master key to encrypt with. " .. keys.MASTER_KEY_ADVICE, "usage"
	end
	change.prompt = ("write key of %s (not shown): "):format(terminal.safe(args.name, 60))
	process.catch_signals() -- so that an interrupt at the prompt leaves the terminal as it was
	ok, message, code = vault:set(args.name, change)
	if not ok then
		return nil, message, code
	end
	return actions.show(args, vault)
end

function actions.show(args, vault)
	return kept.show(VIEW, args, vault:show(args.name))
end

function actions.list(args, vault)
	return kept.list(VIEW, args, vault:list())
end

for _, name in ipairs { "pause", "resume", "remove" } do
	actions[name] = function(args, vault)
		local ok, message, code = vault[name](vault, args.name)
		return ok, message, code
	end
end

local function make_link(args)
	if not link.base(args.base_url) then
		return kept.fail("--base-url takes the daemon's https URL, without ? and # (http only for localhost)", "usage")
	end
	local key = args.link_key_file or keys.environment "MOONWEIR_LINK_KEY_FILE"
	local url, message, code = link.make(args.name, { base_url = args.base_url, key = key, user = args.user })
	if not url then
		return kept.fail(message, code)
	end
	terminal.write(url, "\n")
	return 0
end

function command.run(args)
	if args.action == "new-master-key" or args.action == "new-link-key" then
		local ok, message, code = accounts.new_master_key(args.file)
		return ok and 0 or kept.fail(message, code)
	end
	if args.name and (args.name == "" or #args.name > 255) then
		return kept.fail("an account is named by 1 to 255 bytes", "usage")
	elseif args.user and #args.user > 200 then
		return kept.fail("--user takes at most 200 bytes", "usage")
	elseif args.action == "link" then
		return make_link(args)
	end
	return kept.run(actions, args)
end

return command
