--- moonweir oauth -- the OAuth apps by whose tokens accounts send, as they are kept in a spool's vault.
--
-- A private key is read by the C side, from a file or a pipe, and sealed there; nothing here ever holds or prints one.

local columns = require "moonweir.cli.columns"
local core = require "moonweir.core"
local keys = require "moonweir.cli.keys"
local redislink = require "moonweir.cli.redislink"
local sharing = require "moonweir.cli.sharing"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local command = {
	summary = "Keep the OAuth apps that accounts send with: set, list, show, remove.",
	example = [[
Example, behind moonweir accounts new-master-key (moonweir accounts --help):
  (umask 077; openssl genrsa -out segment.pem 2048)
  openssl pkey -in segment.pem -pubout                  paste this into Segment: Settings, OAuth
  moonweir oauth set segment --client-id 2aBcD --key-id kid1 --private-key-file segment.pem
  moonweir accounts set acme --oauth segment

An app gets its accounts one token for each region, and a new one when half of its life is over.
Private keys are encrypted with the master key, and never shown again. What is saved counts at once
for every process that sends from this spool; with --redis URL, for the workers of all hosts.]],
}

local NAME = "What the app is called here: letters, digits, '.', '_' and '-'."

--- The commands below `oauth`, in the order of --help: name, summary, example.
local ACTIONS = {
	{
		"set",
		"Save an app, or what is new about it.",
		[[
Examples:
  moonweir oauth set segment --client-id 2aBcD --key-id kid1 --private-key-file segment.pem
  pass show segment/pem | moonweir oauth set segment --key-id kid2 --private-key-file -
  moonweir oauth set segment --token-server https://auth.example.com

The private key is RSA of 2,048 bits or more, in PEM ("BEGIN PRIVATE KEY" or "BEGIN RSA PRIVATE KEY"),
and not encrypted; only its owner may read the file. Saving an app anew sends what its refusal held
back.]],
	},
	{
		"list",
		"Show all apps.",
		[[
Example:
  $ moonweir oauth list
  APP      CLIENT ID  KEY ID  PUBLIC KEY        TOKENS FROM  CHANGED
  segment  2aBcD      kid1    9f3c62d0b1a47e58  region       2026-01-31T12:00:00Z

PUBLIC KEY is what this prints: openssl pkey -in segment.pem -pubout -outform DER | sha256sum | cut -c1-16]],
	},
	{ "show", "Show one app.", "Example:\n  moonweir oauth show segment --json" },
	{ "remove", "Forget an app. No account may have it any more.", "Example:\n  moonweir oauth remove segment" },
}

local function define_action(parser, name, summary, example)
	local action = parser:command(name, summary):help_max_width(100):epilog(example)
	if name ~= "list" then
		action:argument("name", NAME)
	end
	if name == "set" then
		action:option("--client-id", "The app's id in Segment (App ID)."):argname "<id>"
		action:option("--key-id", "The id that Segment gave its public key."):argname "<id>"
		action:option("--private-key-file", "A file that holds the private key; - is standard input."):argname "<file>"
		action:option("--scope", "What tokens are asked for (tracking_api:write)."):argname "<words>"
		action
			:option("--token-server", "Where tokens come from: us, eu, a base URL, or region, which is the account's region.")
			:argname "<where>"
	elseif name ~= "remove" then
		action:flag("--json", "An app a line, as JSON.")
	end
end

function command.define(parser)
	parser:command_target "action"
	redislink.define(parser)
	for _, action in ipairs(ACTIONS) do
		define_action(parser, action[1], action[2], action[3])
	end
end

local function fail(message, code)
	terminal.say("error", terminal.safe(message, 600))
	return (keys.is_usage(code) or code == "invalid") and 2 or 1
end

local function when(a)
	return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(a.updated_at))
end

local function print_table(list)
	local rows = { { "APP", "CLIENT ID", "KEY ID", "PUBLIC KEY", "TOKENS FROM", "CHANGED" } }
	for i, a in ipairs(list) do
		rows[i + 1] = a.damaged and { a.app, "damaged", "?", "?", "?", "?" }
			or {
				a.app,
				terminal.safe(a.client_id, 60),
				terminal.safe(a.key_id, 60),
				a.fingerprint .. (a.other_master_key and " (other master key)" or ""),
				terminal.safe(a.token_server or "region", 80),
				when(a),
			}
	end
	columns.print(rows)
end

--- Members in an order that people can read.
local function print_json(a)
	local members = { { "app", a.app }, { "damaged", a.damaged } }
	if not a.damaged then
		members[3] = { "client_id", a.client_id }
		members[4] = { "key_id", a.key_id }
		members[5] = { "scope", a.scope }
		members[6] = { "token_server", a.token_server or core.null }
		members[7] = { "public_key", a.fingerprint }
		members[8] = { "bits", a.bits }
		members[9] = { "updated_at", when(a) }
		members[10] = { "revision", a.revision }
		members[11] = { "master_key", a.master_key }
		members[12] = { "other_master_key", a.other_master_key }
	end
	for i, member in ipairs(members) do
		members[i] = ('"%s":%s'):format(member[1], core.encode(member[2]))
	end
	io.stdout:write("{", table.concat(members, ","), "}\n")
end

local function print_list(list, as_json)
	if not as_json then
		print_table(list)
		return
	end
	for _, a in ipairs(list) do
		print_json(a)
	end
end

local actions = {}

function actions.set(args, vault)
	local change = {
		client_id = args.client_id,
		key_id = args.key_id,
		private_key_file = args.private_key_file,
		scope = args.scope,
		token_server = args.token_server,
	}
	if not next(change) then
		return nil, "nothing to set. Give --client-id, --key-id, --private-key-file, --scope or --token-server", "usage"
	elseif not vault:has_master_key() then
		return nil,
			"no master key to encrypt with. Give --master-key-file FILE, or set MOONWEIR_MASTER_KEY_FILE; "
				.. "moonweir accounts new-master-key FILE makes one",
			"usage"
	elseif change.private_key_file == "-" and process.is_terminal(0) then
		return nil, "a private key is not typed: give --private-key-file FILE, or pipe it in", "usage"
	elseif change.token_server == "region" then
		change.token_server = ""
	end
	local ok, message, code = vault:set_app(args.name, change)
	if not ok then
		return nil, message, code
	end
	return actions.show(args, vault)
end

function actions.show(args, vault)
	local a, message, code = vault:show_app(args.name)
	if not a then
		return nil, message, code
	end
	print_list({ a }, args.json)
	return true
end

function actions.list(args, vault)
	local list, message, code = vault:list_apps()
	if not list then
		return nil, message, code
	end
	if #list == 0 and not args.json then
		terminal.say("note", "there are no OAuth apps yet; moonweir oauth set NAME makes one")
	else
		print_list(list, args.json)
	end
	return true
end

function actions.remove(args, vault)
	return vault:remove_app(args.name)
end

function command.run(args)
	local vault, message, code = sharing.vault(args, args.action ~= "set")
	if not vault then
		return fail(message, code)
	end
	local ok
	ok, message, code = actions[args.action](args, vault)
	vault:close()
	return ok and 0 or fail(message, code)
end

return command
