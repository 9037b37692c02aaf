--- moonweir debugger -- a local Segment that shows what it gets: one line a message, and a page to look at.

local core = require "moonweir.core"
local desk = require "moonweir.debugger.desk"
local guard = require "moonweir.debugger.guard"
local keys = require "moonweir.cli.keys"
local mask = require "moonweir.debugger.mask"
local terminal = require "moonweir.cli.terminal"
local token = require "moonweir.debugger.token"

local process = core.process

local command = {
	summary = "Play Segment on this machine and show what arrives.",
	example = [[
Example:
  $ moonweir debugger
  listening on http://127.0.0.1:4400
  watch it at  http://127.0.0.1:4400/#5b0c…
  12:00:01.123 …k3y4 track "Email Opened" user-17

Send to it with --endpoint http://127.0.0.1:4400; any Segment library can. What Segment would answer
with 200 and drop all the same is marked with the documented code. Of a write key only the last four
characters are shown, before them the account's name if --accounts names the key.

Open the address with the # in a browser: the last 500 messages as they come, search and
filters, what is wrong with each by Segment's Spec and by the rules for partners and how to mend
it, requests a second against 50, and buttons that make it answer 429, 500 or 401, stall, cut the
connection or lose the answer.

Scripts steer it the same way. MOONWEIR_DEBUGGER_TOKEN sets the token, 16 characters or more;
else it is another one each time:
  H="X-Moonweir-Token: $MOONWEIR_DEBUGGER_TOKEN"; J="Content-Type: application/json"
  U=http://127.0.0.1:4400/control
  curl -H "$H" $U/state                  totals, the last minute, faults
  curl -H "$H" "$U/messages?after=0"     what came: messages, verdicts, findings
  curl -H "$H" -H "$J" $U/faults -d '{"kind":"429","retry_after":3,"times":2}'
  curl -H "$H" -X DELETE $U/faults       no more faults
A fault has kind (429, 500, 401, stall, cut, lost) and may have times, account ("acme…k3y4"),
retry_after and, to stall, seconds. POST release lets go of what stalls, POST clear forgets what
came, GET stream are server-sent events.

With --oauth-app it has a token server as well, at /token, and takes its tokens:
  moonweir debugger --oauth-app 2aBcD:kid1:public.pem
  moonweir oauth set segment --token-server http://127.0.0.1:4400]],
}

-- Larger than what Segment takes, so that it is the debugger that says so, in Segment's words.
local BODY_MAX = 4 * 1024 * 1024

function command.define(parser, number)
	parser
		:option("--port", "Port to listen on, on 127.0.0.1; 0: any free one.", "4400")
		:argname("<n>")
		:convert(number("--port", true))
	parser:option("--listen", "Address to listen on; one that others can reach needs --expose.", "127.0.0.1"):argname "<ip>"
	parser:flag("--expose", "Yes: whoever reaches --listen may send to it, and with the token see what others sent.")
	parser
		:option("--allow-host", "A name that it answers to, besides those of this machine; may be repeated.")
		:argname("<name>")
		:count "*"
	parser:flag("--json", "Print each message as a line of JSON, with the raw message in it.")
	parser
		:option("--oauth-app", "An OAuth app: its client id, its key id and a file with its public key (PEM).")
		:argname("<id:kid:file>")
		:count "*"
	parser:option("--token-life", "Seconds that tokens are good for.", "86400"):argname("<s>"):convert(number "--token-life")
	parser:option("--log", "Write the lines to a file as well."):argname "<file>"
	parser:option("--max-requests", "Stop after so many requests."):argname("<n>"):convert(number("--max-requests", true))
	parser:option("--max-messages", "Stop after so many messages."):argname("<n>"):convert(number("--max-messages", true))
	parser
		:option("--exit-after-idle", "Stop when nothing came for so many seconds, once something came.")
		:argname("<s>")
		:convert(number "--exit-after-idle")
end

local function names_by_key(path)
	local names = {}
	if not path then
		return names
	end
	local accounts, message = keys.accounts(path)
	if not accounts then
		return nil, message
	end
	for name, entry in pairs(accounts) do
		names[type(entry) == "table" and entry.write_key or entry] = name
	end
	return names
end

--- What --oauth-app says, checked; nil if there are none, or a message.
local function token_server(args)
	local apps = {}
	for i, text in ipairs(args.oauth_app) do
		local client_id, key_id, path = text:match "^([^:]+):([^:]+):(.+)$"
		if not client_id then
			return nil, "--oauth-app takes a client id, a key id and a file, with colons between"
		end
		local file, message = io.open(path, "rb")
		if not file then
			return nil, message
		end
		local pem = file:read "*a"
		file:close()
		local known, reason = core.rs256(pem, "", "")
		if known == nil then
			return nil, path .. ": " .. reason
		end
		apps[i] = { client_id = client_id, key_id = key_id, public_key = pem }
	end
	return apps[1] and token.new { apps = apps, life = args.token_life }
end

local function clock(now, format)
	local seconds = math.floor(now)
	return os.date(format, seconds) .. (".%03d"):format(math.floor((now - seconds) * 1000))
end

---@class moonweir.cli.Listener
local Listener = {}
Listener.__index = Listener

function Listener:write(line)
	self.lines[#self.lines + 1] = line
end

--- `"key_last4":"k3y4","account":"acme"`, made once for a batch.
function Listener:key_members(key)
	if key ~= self.key then
		self.key, self.members = key, '"key_last4":' .. core.encode(mask.tail(key))
		if self.names[key] then
			self.members = self.members .. ',"account":' .. core.encode(self.names[key])
		end
	end
	return self.members
end

function Listener:write_json(m)
	local raw = m.raw
	-- A line break inside a message can only be white space between its tokens.
	if raw:find("\n", 1, true) or raw:find("\r", 1, true) then
		raw = raw:gsub("[\r\n]", " ")
	end
	raw = mask.text(mask.text(raw, m.key), m.body_key)
	self:write(
		('{"received_at":"%sZ",%s,"request":%d,"path":"%s"%s,"message":'):format(
			self.now_iso,
			self:key_members(m.key),
			m.request,
			m.path,
			m.fault and (',"fault":"%s"'):format(m.fault) or ""
		)
	)
	self:write(raw)
	self:write "}\n"
end

function Listener:write_text(m)
	local account = terminal.safe(self.names[m.key] or "", 40)
	local function shown(text, max) -- who mistakes one field for another may have put the key there
		return terminal.safe(mask.text(mask.text(text, m.key), m.body_key), max)
	end
	local name = m.name and ' "' .. shown(m.name, 120) .. '"' or ""
	local user = m.user and " " .. (m.anonymous and "anonymous " or "") .. shown(m.user, 80) or ""
	local fault = m.fault and "  " .. terminal.paint(1, "red", ("dropped: %s (%s)"):format(m.fault, m.reason)) or ""
	self:write(
		("%s %s %s%s%s%s\n"):format(
			terminal.paint(1, "grey", self.now_text),
			terminal.paint(1, "cyan", account .. "…" .. terminal.safe(mask.tail(m.key), 16)),
			terminal.safe(m.type or "?", 20),
			name,
			user,
			fault
		)
	)
end

--- What is said about a request as such: refused, or with nothing to show for it.
function Listener:note_request(r)
	local problem
	if r.status ~= 200 then
		problem = ("status %d: %s"):format(r.status, r.answer:match '"message":"(.*)"}' or r.answer)
	elseif r.fault then
		problem = ("%s (%s)"):format(r.fault, r.reason)
	end
	if not problem then
		return
	end
	if self.json then
		self:write(
			('{"received_at":"%sZ","request":%d,"path":"%s","status":%d,"bytes":%d,"problem":%s}\n'):format(
				self.now_iso,
				r.number,
				r.path,
				r.status,
				r.bytes,
				core.encode(problem)
			)
		)
	else
		self:write(
			("%s %s\n"):format(
				terminal.paint(1, "grey", self.now_text),
				terminal.paint(1, "red", ("request %d to %s: %s"):format(r.number, r.path, terminal.safe(problem, 300)))
			)
		)
	end
end

function Listener:note_time()
	local now = process.wall()
	self.now_iso, self.now_text = clock(now, "!%Y-%m-%dT%H:%M:%S"), clock(now, "%H:%M:%S")
end

--- The lines go out before the answer does: who has been answered can rely on them being there.
function Listener:print()
	local text = table.concat(self.lines)
	self.lines = {}
	if text == "" then
		return
	end
	terminal.write(text)
	terminal.flush()
	if self.log and not (self.log:write(text) and self.log:flush()) and not self.log_failed then
		self.log_failed = true
		terminal.say("error", "the file of --log can't be written; its disk may be full")
	end
end

function Listener:is_done(args, idle_since)
	local d = self.desk.debugger
	return (args.max_requests and d.requests >= args.max_requests)
		or (args.max_messages and d.messages >= args.max_messages)
		or (args.exit_after_idle and d.requests > 0 and process.monotonic() - idle_since >= args.exit_after_idle)
		or process.interrupted()
		or not terminal.is_heard()
end

local function listen(args)
	local found, server = pcall(require, "moonweir.server")
	if not found then
		return nil, "the debugger needs the module moonweir.server, which is not installed here (rock moonweir-server)"
	end
	local s, message = server.open { host = args.listen, port = math.floor(args.port), body_max = BODY_MAX }
	return s, message and message .. "; is another debugger running? --port 0 takes any free port"
end

--- The names it answers to, or nil and what is wrong with what the command line says about them.
local function hosts(args)
	if args.listen:find "^%[?[%x:.]*%]?:%d+$" and args.listen:find "[.%]]" then
		return nil, ("--listen takes an address alone, not %s; the port is --port"):format(terminal.safe(args.listen, 80))
	elseif not (args.expose or guard.is_loopback(args.listen)) then
		return nil, ("others can reach %s: --expose says that this is meant"):format(terminal.safe(args.listen, 80))
	end
	local names = { [args.listen:find ":" and "[" .. args.listen .. "]" or args.listen] = true }
	for name in pairs(guard.LOOPBACK) do
		names[name] = true
	end
	for _, name in ipairs(args.allow_host) do
		names[name:lower()] = true
	end
	return names
end

local function page_token()
	local given = os.getenv "MOONWEIR_DEBUGGER_TOKEN"
	if given and not (given:find "^[%w_-]+$" and #given >= guard.TOKEN_MIN and #given <= 128) then
		return nil, ("MOONWEIR_DEBUGGER_TOKEN has to be %d to 128 letters, digits, - and _"):format(guard.TOKEN_MIN)
	end
	return given or guard.random_token()
end

--- Where it is: for people and programs that wait for it.
local function say_hello(args, port, secret)
	local url = ("http://%s:%d"):format(args.listen:find ":" and "[" .. args.listen .. "]" or args.listen, port)
	for _, line in ipairs { "listening on " .. url, "watch it at  " .. url .. "/#" .. secret } do
		if args.json then
			io.stderr:write(line, "\n") -- stdout belongs to the messages
		else
			terminal.print(line)
		end
	end
end

function command.run(args)
	local names, message = names_by_key(args.accounts)
	if not names then
		terminal.say("error", message)
		return 2
	end
	local log
	if args.log then
		log, message = io.open(args.log, "a")
		if not log then
			terminal.say("error", message)
			return 1
		end
	end
	if args.port > 65535 then
		terminal.say("error", "--port takes a whole number up to 65535")
		return 2
	end
	local names_of_host, secret, server, tokens
	names_of_host, message = hosts(args)
	if names_of_host then
		secret, message = page_token()
	end
	if not secret then
		terminal.say("error", message)
		return 2
	end
	tokens, message = token_server(args)
	if message then
		terminal.say("error", terminal.safe(message, 300))
		return 2
	end
	server, message = listen(args)
	if not server then
		terminal.say("error", message)
		return 1
	end
	process.catch_signals()
	local self = setmetatable({ names = names, lines = {}, log = log, json = args.json }, Listener)
	self.desk = desk.new {
		token = secret,
		hosts = names_of_host,
		names = names,
		tokens = tokens,
		on_message = function(m)
			if args.json then
				self:write_json(m)
			else
				self:write_text(m)
			end
		end,
		on_request = function(r)
			self:note_request(r)
		end,
		before_answer = function()
			self:print()
		end,
	}
	io.stdout:setvbuf("full", 1024 * 1024)
	say_hello(args, server:port(), secret)
	local idle_since = process.monotonic()
	while not self:is_done(args, idle_since) do
		local exchange = server:next(0.1)
		self:note_time()
		if exchange and self.desk:take(exchange) then
			idle_since = process.monotonic()
		end
		self.desk:tick(process.monotonic())
	end
	self.desk:close()
	server:close()
	if log then
		log:close()
	end
	local d = self.desk.debugger
	terminal.say(
		"note",
		("%s messages in %s requests, %s of them dropped by Segment's rules"):format(
			terminal.count(d.messages),
			terminal.count(d.requests),
			terminal.count(d.faults)
		)
	)
	return self.log_failed and 1 or 0
end

return command
