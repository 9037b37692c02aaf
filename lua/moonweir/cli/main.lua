--- main -- the command line: what is there to be called, and how to say no.

local process = require("moonweir.core").process
process.prepare()

local keys = require "moonweir.cli.keys"
local terminal = require "moonweir.cli.terminal"

-- In the order of --help. Each module gives name, summary, define(parser) and run(args) -> exit code.
local COMMANDS = {
	"new", "map", "check", "test", "docs", "plan", "bench", "run", "serve", "worker", "send", "accounts", "oauth",
	"identities", "dead", "verify", "top", "debugger",
}

local GLOBAL_OPTIONS = [[
Global options, before or behind the command (moonweir --help explains them):
  --endpoint, --write-key-file, --write-key, --accounts, --account, --spool,
  --master-key-file, --rate, --proxy, --ca-file]]

--- What turns an option's text into a number, or says how the option is to be written.
local function number(option, whole)
	return function(text)
		local n = text:find "^[%d.]+$" and tonumber(text)
		if n and not (whole and n % 1 ~= 0) then
			return n
		end
		return nil, ("%s takes a %s, not '%s'"):format(option, whole and "whole number" or "number from 0 up", terminal.safe(text, 80))
	end
end

--- Takes a path, and not what a script's unset variable leaves of one: without a directory nothing would be kept.
local function directory(option)
	return function(text)
		if text ~= "" then
			return text
		end
		return nil, option .. " takes a directory, not an empty text"
	end
end

local function account(name)
	if name ~= "" and #name <= 255 then
		return name
	end
	return nil, "--account takes a name of 1 to 255 bytes"
end

local function define_globals(parser)
	parser:option("--endpoint", "Where to send: us, eu, or the base URL of a Tracking API (us)."):argname "<where>"
	parser
		:option("--write-key-file", "A file that holds the write key; only its owner may read it. Segment shows the key "
			.. "under Connections, Sources, your source, Settings, API Keys.")
		:argname "<file>"
	parser
		:option("--write-key", "The key itself. Visible to others for a moment; prefer the file or MOONWEIR_WRITE_KEY.")
		:argname "<key>"
	parser
		:option("--accounts", 'A file of keys by account: JSON {"name":"key"} or Lua; only its owner may read it.')
		:argname "<file>"
	parser:option("--account", "Whose events are those that name no account."):argname("<name>"):convert(account)
	parser
		:option("--spool", "A directory where messages are kept until Segment has them, so that a crash loses none, and "
			.. "the accounts' write keys (MOONWEIR_SPOOL).")
		:argname("<dir>")
		:convert(directory "--spool")
	parser
		:option("--master-key-file", "What opens those write keys (MOONWEIR_MASTER_KEY_FILE, or the systemd credential "
			.. "moonweir-master-key).")
		:argname "<file>"
	parser:option("--rate", "At most so many requests a second, all accounts together; 0: unlimited.")
		:argname("<n>")
		:convert(number "--rate")
	parser:option("--proxy", "URL of a proxy, http://host:port. Proxies of the environment are not used."):argname "<url>"
	parser:option("--ca-file", "Authorities to trust instead of the system's (PEM)."):argname "<file>"
end

--- The names that would have been right, for a message about one that is not.
local function known_names(parser, kind)
	local names = {}
	local owners = { parser }
	while owners[#owners]._parent do
		owners[#owners + 1] = owners[#owners]._parent
	end
	for _, owner in ipairs(kind == "option" and owners or { parser }) do
		for _, element in ipairs(kind == "option" and owner._options or owner._commands) do
			for _, alias in ipairs(element._aliases) do
				names[#names + 1] = alias
			end
		end
	end
	return names
end

local function refuse(parser, message)
	local suggest = require "moonweir.suggest"
	local kind, name = message:match "^unknown (%a+) '([^']*)'"
	if kind then
		local hint = suggest(name, known_names(parser, kind)):gsub("^[%s,]+", "")
		message = ("unknown %s '%s'%s"):format(kind, name, hint ~= "" and "; " .. hint or "")
	end
	local full_name = parser._name
	while parser._parent do
		parser = parser._parent
		full_name = parser._name .. " " .. full_name
	end
	io.stderr:write("moonweir: ", terminal.safe(message, 500), "\n", "Try: ", full_name, " --help\n")
	os.exit(2, true)
end

--- All that was asked for is this text.
local function show(text)
	os.exit(terminal.print(text) and 0 or 1, true)
end

--- argparse's own help would not say that nobody got it.
local function define_help(parser)
	parser:add_help {
		action = function()
			show(parser:get_help())
		end,
	}
	for _, below in ipairs(parser._commands) do
		define_help(below)
	end
end

local function define_help_command(root)
	local help = root:command("help", "Show help for commands.")
	help:argument("command", "The command to show help for."):args("?"):action(function(_, _, name)
		for _, command in ipairs(root._commands) do
			if command._name == name then
				show(command:get_help())
			end
		end
		if name then
			help:error(("unknown command '%s'"):format(name))
		end
		show(root:get_help())
	end)
end

local function build()
	local argparse = require "argparse"
	local root = argparse("moonweir", "Feed Segment from any tool: a script says how its events become Segment calls.", [[
Example, without touching Segment (README.md shows how acme-mail.lua is written):
  moonweir map acme-mail.lua events.ndjson
  moonweir debugger &
  moonweir run acme-mail.lua events.ndjson --endpoint http://127.0.0.1:4400 --write-key-file key

Exit codes: 0 everything came through, 1 something did not, 2 the command line is wrong.]])
	root:command_target "command"
	root:require_command(true)
	define_help_command(root)
	root:help_max_width(100)
	define_globals(root)
	root:flag("--version", "Show the version."):action(function()
		show("moonweir " .. require("moonweir.core").version)
	end)
	local commands = {}
	for _, name in ipairs(COMMANDS) do
		local command = require("moonweir.cli." .. name)
		local parser = root:command(name, command.summary)
		parser:help_max_width(100)
		command.define(parser, number)
		parser:epilog(command.example .. "\n\n" .. GLOBAL_OPTIONS)
		commands[name] = command
	end
	define_help(root)
	local function fail(parser, message)
		refuse(parser, message)
	end
	local function fail_by_exit(parser)
		parser.error = fail
		for _, below in ipairs(parser._commands) do
			fail_by_exit(below)
		end
	end
	fail_by_exit(root)
	return root, commands
end

--- Run the command line; returns the exit code.
---@param arguments string[]
---@return integer
return function(arguments)
	keys.scrub(arguments)
	local root, commands = build()
	local args = root:parse(arguments)
	local code = commands[args.command].run(args)
	return terminal.flush() and code or math.max(code, 1)
end
