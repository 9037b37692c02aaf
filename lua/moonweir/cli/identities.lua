--- moonweir identities -- who is known by which address or id: read in, written out, looked at, forgotten.

local core = require "moonweir.core"
local file = require "moonweir.cli.identity_file"
local kept = require "moonweir.cli.kept"
local keys = require "moonweir.cli.keys"
local progress = require "moonweir.cli.progress"
local redislink = require "moonweir.cli.redislink"
local sharing = require "moonweir.cli.sharing"
local terminal = require "moonweir.cli.terminal"

local process = core.process

local command = {
	summary = "Who is known by which e-mail address or id: import, export, show, forget.",
	example = [[
Examples:
  export MOONWEIR_SPOOL=/var/lib/acme/spool MOONWEIR_MASTER_KEY_FILE=/etc/acme/master-key
  moonweir identities import users.csv --account blue-bottle
  moonweir identities show ann@example.com --by email --account blue-bottle
  moonweir identities forget u1 --account blue-bottle

What Segment's identify, alias and delete calls say of who is who lies in the spool's state/,
encrypted with the master key. A source finds users there by source.user { email = get "…" }. What
is changed here counts at once for every process that works on this spool; with --redis URL, for
the workers of all hosts.]],
}

local ACTIONS = {
	{
		"import",
		"Read identities from lines of JSON or CSV.",
		[[
Examples:
  moonweir identities import users.csv --account blue-bottle
  echo '{"userId":"u1","email":"ann@example.com"}' | moonweir identities import --account blue-bottle

Fields: account, userId, email, phone, anonymousId, toolId, previousId, timestamp; a line may name
several ids of a user. CSV names its columns in its first line. Without timestamp a line is true
now. Of two lines, or messages, about one id the later timestamp counts. A line that can't be used
is told with its number and costs no other; the exit code is then 1.]],
	},
	{
		"export",
		"Write all that is known, in the form that import reads.",
		[[
Examples:
  moonweir identities export --output identities.ndjson
  moonweir identities export --format csv --account blue-bottle

These are personal data in clear: the file is made readable by you alone. Users that were forgotten
are not in it, and neither is that they were.]],
	},
	{
		"show",
		"Show a user and what it is known by.",
		[[
Examples:
  moonweir identities show u1 --account blue-bottle
  moonweir identities show ann@example.com --by email --account blue-bottle --json]],
	},
	{
		"forget",
		"Forget users, as a delete from Segment does.",
		[[
Examples:
  moonweir identities forget u1 u2 --account blue-bottle
  moonweir identities forget --everybody --yes --account blue-bottle

All addresses and ids that lead to the user go, those of earlier names too. What is left are hashes,
so that an older message that is replayed does not bring the user back. --everybody drops all that
is kept for the account, those hashes too.]],
	},
}

local BY = { "user_id", "email", "phone", "anonymous_id", "tool_id" }

function command.define(parser)
	parser:command_target "action"
	redislink.define(parser)
	for _, a in ipairs(ACTIONS) do
		local action = parser:command(a[1], a[2]):help_max_width(100):epilog(a[3])
		if a[1] == "import" then
			action:argument("file", "What to read; standard input if left out or -."):args "?"
			action:option("--format", "ndjson or csv; by default what the file's name says, else ndjson."):choices { "ndjson", "csv" }
		elseif a[1] == "export" then
			action:option("--output -o", "The file to write; standard output if left out."):argname "<file>"
			action:option("--format", "ndjson or csv; by default what the file's name says, else ndjson."):choices { "ndjson", "csv" }
		elseif a[1] == "show" then
			action:argument("id", "A userId, or what --by says.")
			action:option("--by", "What kind of id it is.", "user_id"):choices(BY)
			action:flag("--json", "As a line of JSON.")
		else
			action:argument("user", "userIds."):args "*"
			action:flag("--everybody", "All of the account.")
			action:flag("--yes", "Do not ask back.")
		end
	end
end

local function format_of(args, path)
	return args.format or (path or ""):lower():match "%.(csv)$" or "ndjson"
end

local function now_ms()
	return os.time() * 1000
end

-- import --------------------------------------------------------------------------------------------

local SAID_MAX = 20 -- lines that are told one by one
local BATCH = 2000 -- facts a commit

---@class moonweir.cli.Import
local Import = {}
Import.__index = Import

function Import:bad(line, why)
	self.failed = self.failed + 1
	if self.failed <= SAID_MAX then
		self.progress:clear()
		io.stderr:write(("line %d: %s\n"):format(line, terminal.safe(why, 300)))
	end
end

function Import:settle()
	if #self.facts == 0 then
		return true
	end
	local taught, message, code = self.store:teach(self.facts)
	if not taught then
		return nil, message, code
	end
	for name, count in pairs(taught) do
		self.counts[name] = (self.counts[name] or 0) + count
	end
	self.facts = {}
	return true
end

function Import:visit(record, line, why)
	local facts
	if record then
		facts, why = file.facts(record, self.account, self.now)
	end
	if not facts then
		return self:bad(line, why)
	end
	self.lines = self.lines + 1
	for _, fact in ipairs(facts) do
		self.facts[#self.facts + 1] = fact
	end
end

-- All of `input`, a block at a time.
function Import:read(input, reader)
	local size, done = input:size(), 0
	local function visit(record, line, why)
		self:visit(record, line, why)
	end
	while not process.interrupted() do
		local block, why, code = input:next(0.2)
		local is_end = code == "eof"
		if not block and not is_end and code ~= "timeout" then
			return nil, why, code
		elseif block or is_end then
			local ok, trouble = reader:feed(block, visit)
			if not ok then
				return nil, trouble, "invalid"
			end
		end
		done = done + #(block or "")
		if #self.facts >= BATCH or is_end then
			local ok, message, word = self:settle()
			if not ok then
				return nil, message, word
			end
		end
		self.progress:draw(size and size > 0 and done / size, { terminal.count(self.lines) .. " lines" })
		if is_end then
			return true
		end
	end
	return self:settle()
end

local function describe(self)
	local counts = self.counts
	local parts = { ("%s lines: %s learned, %s known already"):format(terminal.count(self.lines),
		terminal.count(counts.learned or 0), terminal.count(counts.known or 0)) }
	local rest = {
		{ "void", "of forgotten users" }, { "unusable", "unusable" }, { "full", "not taken: the account has its fill" } }
	for _, part in ipairs(rest) do
		if (counts[part[1]] or 0) > 0 then
			parts[#parts + 1] = ("%s %s"):format(terminal.count(counts[part[1]]), part[2])
		end
	end
	if self.failed > 0 then
		parts[#parts + 1] = ("%s lines could not be used"):format(terminal.count(self.failed))
	end
	return table.concat(parts, ", ")
end

local actions = {}

function actions.import(args, store)
	local path = args.file or "-"
	local input, message, code = core.reader(path)
	if not input then
		return nil, message, code
	end
	process.catch_signals()
	local self = setmetatable({
		store = store, account = args.account, now = now_ms(), lines = 0, failed = 0, facts = {}, counts = {},
		progress = progress.new(input:size()),
	}, Import)
	local ok
	ok, message, code = self:read(input, file.reader(format_of(args, path)))
	self.progress:clear()
	input:close()
	if self.failed > SAID_MAX then
		io.stderr:write(("… and %d more\n"):format(self.failed - SAID_MAX))
	end
	terminal.print(describe(self))
	if not ok then
		return nil, message, code
	end
	return self.failed == 0 and (self.counts.full or 0) == 0 and (self.counts.unusable or 0) == 0
end

-- export --------------------------------------------------------------------------------------------

local function open_output(path)
	if not path then
		return io.stdout
	end
	local ok, message, code = process.make_private(path)
	if not ok then
		return nil, message, code
	end
	return io.open(path, "wb")
end

local function write_all(args, store, output, format)
	local after, damaged, count, shown = nil, 0, 0, progress.new()
	repeat
		local page, next_after, more = store:page(args.account, after)
		if not page then
			return nil, next_after, more
		end
		after, damaged = next_after, damaged + more
		for _, known in ipairs(page) do
			local ok, trouble = output:write(file.line(known, format), "\n")
			if not ok then
				return nil, ("%s: %s"):format(args.output or "standard output", trouble), "io"
			end
		end
		count = count + #page
		shown:draw(nil, { terminal.count(count) .. " identities" })
	until not after or process.interrupted()
	shown:clear()
	if damaged > 0 then
		return nil, ("%d records are damaged and could not be read"):format(damaged), "corrupt"
	end
	return not process.interrupted()
end

function actions.export(args, store)
	local output, message, code = open_output(args.output)
	if not output then
		return nil, message, code
	end
	process.catch_signals()
	local format = format_of(args, args.output)
	if format == "csv" then
		output:write(file.head(), "\n")
	end
	local ok
	ok, message, code = write_all(args, store, output, format)
	if args.output then
		local closed, trouble = output:close()
		if ok and not closed then
			return nil, ("%s: %s"):format(args.output, trouble), "io"
		end
	end
	return ok, message, code
end

-- show, forget --------------------------------------------------------------------------------------

local LABEL = {
	user_id = "earlier userId", anonymous_id = "anonymousId", tool_id = "tool's id", email = "email", phone = "phone",
}

local function print_user(args, user, list, forgotten_at)
	if args.json then
		local parts = {}
		for i, known in ipairs(list) do
			parts[i] = ('{"kind":"%s","id":%s,"timestamp":"%s"}'):format(known.kind, core.encode(known.id), file.date(known.at))
		end
		terminal.print(('{"account":%s,"userId":%s,"forgotten_at":%s,"identities":[%s]}'):format(core.encode(args.account),
			core.encode(user), forgotten_at and '"' .. file.date(forgotten_at) .. '"' or "null", table.concat(parts, ",")))
		return
	end
	terminal.print(terminal.paint(1, "bold", "userId " .. terminal.safe(user, 600)))
	for _, known in ipairs(list) do
		terminal.print(("  %-15s %s  since %s"):format(LABEL[known.kind], terminal.safe(known.id, 600), file.date(known.at)))
	end
	if forgotten_at then
		terminal.print(("  forgotten at %s: what was said before counts for nothing"):format(file.date(forgotten_at)))
	end
end

function actions.show(args, store)
	local user = args.id
	local found, message, code, anonymous = store:find(args.account, args.by, args.id)
	if not found and code then
		return nil, message, code
	elseif args.by ~= "user_id" and not found then
		return nil, anonymous and ("no userId is known by this, only anonymousId %s"):format(terminal.safe(anonymous, 300))
			or ("nobody is known by this in account %s"):format(args.account)
	elseif args.by == "user_id" and found then
		terminal.say("note", ("%s is called %s today"):format(terminal.safe(user, 300), terminal.safe(found, 300)))
	elseif found then
		user = found
	end
	local list, forgotten_at, word = store:show(args.account, user)
	if not list then
		return nil, forgotten_at, word
	elseif #list == 0 and not forgotten_at and not found then
		return nil, ("nothing is known of this user in account %s"):format(args.account)
	end
	print_user(args, user, list, forgotten_at)
	return true
end

--- What is wrong with the command line of `forget`, if something is.
local function misuse(args)
	if args.everybody and #args.user > 0 then
		return "name users or give --everybody, not both"
	elseif args.everybody and not args.yes then
		return ("this drops all identities of account %s; say --yes if it is meant"):format(args.account)
	elseif not args.everybody and #args.user == 0 then
		return "forget whom? Name userIds, or give --everybody"
	end
end

local function forget_everybody(args, store)
	local removed, message, code = store:drop(args.account)
	if not removed then
		return nil, message, code
	end
	terminal.print(("dropped %s records of account %s"):format(terminal.count(removed), args.account))
	return true
end

function actions.forget(args, store)
	if args.everybody then
		return forget_everybody(args, store)
	end
	local facts = {}
	for i, user in ipairs(args.user) do
		facts[i] = { account = args.account, user = user, at = now_ms(), forget = true }
	end
	local taught, message, code = store:teach(facts)
	if not taught then
		return nil, message, code
	end
	local forgotten, plural = terminal.count(taught.forgotten), #facts == 1 and "" or "s"
	terminal.print(("forgot %s identities of %d user%s"):format(forgotten, #facts, plural))
	return taught.unusable == 0, "a userId has 1 to 512 bytes", "invalid"
end

--- The store that the command is about. Only `import` makes one where there is none.
local function open(args)
	if not keys.master_key_file(args) and not os.getenv "CREDENTIALS_DIRECTORY" then
		return nil, "identities are encrypted. " .. keys.MASTER_KEY_ADVICE, "usage"
	end
	return sharing.identities(args, args.action ~= "import")
end

function command.run(args)
	if args.account and (args.account == "" or #args.account > 255) then
		return kept.fail("an account is named by 1 to 255 bytes", "usage")
	elseif not args.account and (args.action == "show" or args.action == "forget") then
		return kept.fail("of which account? Give --account NAME", "usage")
	end
	local wrong = args.action == "forget" and misuse(args)
	if wrong then
		return kept.fail(wrong, "usage")
	end
	local store, message, code = open(args)
	if not store then
		return kept.fail(message, code)
	end
	io.stdout:setvbuf "full"
	local ok
	ok, message, code = actions[args.action](args, store)
	store:close()
	if process.interrupted() then
		return 130
	elseif ok then
		return 0
	end
	return message and kept.fail(message, code) or 1
end

return command
