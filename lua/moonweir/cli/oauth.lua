--- moonweir oauth -- the OAuth apps by whose tokens accounts send, as they are kept in a spool's vault.
--
-- A private key is read by the C side, from a file or a pipe, and sealed there; nothing here ever holds or prints one.

local core = require "moonweir.core"
local kept = require "moonweir.cli.kept"
local keys = require "moonweir.cli.keys"
local redislink = require "moonweir.cli.redislink"
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

local function rows_of(list)
	local rows = { { "APP", "CLIENT ID", "KEY ID", "PUBLIC KEY", "TOKENS FROM", "CHANGED" } }
	for i, a in ipairs(list) do
		rows[i + 1] = a.damaged and { a.app, "damaged", "?", "?", "?", "?" }
			or {
				a.app,
				terminal.safe(a.client_id, 60),
				terminal.safe(a.key_id, 60),
				a.fingerprint .. (a.other_master_key and " (other master key)" or ""),
				terminal.safe(a.token_server or "region", 80),
				kept.date(a.updated_at),
			}
	end
	return rows
end

local function members_of(a)
	local members = { { "app", a.app }, { "damaged", a.damaged } }
	if not a.damaged then
		members[3] = { "client_id", a.client_id }
		members[4] = { "key_id", a.key_id }
		members[5] = { "scope", a.scope }
		members[6] = { "token_server", a.token_server or core.null }
		members[7] = { "public_key", a.fingerprint }
		members[8] = { "bits", a.bits }
		members[9] = { "updated_at", kept.date(a.updated_at) }
		members[10] = { "revision", a.revision }
		members[11] = { "master_key", a.master_key }
		members[12] = { "other_master_key", a.other_master_key }
	end
	return members
end

local VIEW = { rows = rows_of, members = members_of, none = "there are no OAuth apps yet; moonweir oauth set NAME makes one" }

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
		return nil, "no master key to encrypt with. " .. keys.MASTER_KEY_ADVICE, "usage"
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
	return kept.show(VIEW, args, vault:show_app(args.name))
end

function actions.list(args, vault)
	return kept.list(VIEW, args, vault:list_apps())
end

function actions.remove(args, vault)
	return vault:remove_app(args.name)
end

function command.run(args)
	return kept.run(actions, args)
end

return command
