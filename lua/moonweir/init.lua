--- Moonweir: feed Segment from any tool.
--
--     local mw = require "moonweir"
--     local client = assert(mw.open { source = "acme-mail.lua", write_key = os.getenv "SEGMENT_WRITE_KEY" })
--     client:push(webhook_body, { headers = headers })
--     client:close(5)
--
-- Misuse (wrong type, unknown option, use after close) raises. Whatever depends on data, load, network or
-- time returns nil, message, code; the codes are listed in the README.

local core = require "moonweir.core"
local proxy = require "moonweir.proxy"
local sandbox = require "moonweir.sandbox"
local compile = require "moonweir.compile"
local definition = require "moonweir.definition"
local identities = require "moonweir.identities"
local review = require "moonweir.review"
local suggest = require "moonweir.suggest"
require "moonweir.dead" -- gives clients their methods for dead letters

local mw = {
	version = core.version,
	null = core.null,
	array = core.array,
}

local LIBRARY = { name = "moonweir", version = core.version }

---@class moonweir.Options
---@field source? string|table  path of a mapping script, or what source.define returned; without it only the six calls work
---@field write_key? string     for every account without a key of its own
---@field accounts? table<string, string|{write_key: string, endpoint: string?}>  keys by account
---@field account? string       whose events are those that name nobody; "default" if `write_key` is given
---@field endpoint? string      "us" (default), "eu", or a base URL
---@field rate? number          requests a second over all accounts; default 50, 0 is unlimited
---@field leased? boolean      true: permits come from Redis (moonweir.redis.budget), `rate` is that of all hosts together
---@field linger? number        seconds a partial batch waits for company; default 0.2
---@field batch_messages? integer  at most this many messages a request; default and most 2500
---@field queue_bytes? integer  undelivered bytes in memory before push answers "full"; default 256 MiB
---@field identities? moonweir.Identities  who is known by which address; default: those of the spool, if there is a master key
---@field spool? string         directory where messages are kept until Segment has them; without it, in memory
---@field state? string         without a spool: a spool's directory whose accounts, identities and budget are used; no
---                             message is kept there
---@field master_key_file? string  what opens the write keys in the spool; default: the credential of the service manager
---@field disk_bytes? integer   the most that the spool may take on disk; default 10 GiB, at least 4 MiB
---@field repeats_max? integer  ids remembered at most, the oldest are forgotten first; default 32 Mi
---@field repeats? number       seconds for which an event's id is remembered, so that a repeat is not queued twice;
---                             default two days, 0: not at all; only with a spool
---@field dead_days? number     days for which dead letters are kept; default 30, 0: as long as there is room
---@field dead_bytes? integer   room for dead letters, at most a ninth of disk_bytes; default a tenth, or 1 GiB
---@field retries? integer      attempts beyond the first before a message is dead; default: no limit
---@field timeout? number       seconds for one request; default 30
---@field proxy? string         URL of an HTTP proxy; the environment's is never used
---@field ca_file? string       PEM file of the authorities to trust, in place of the system's
---@field report? "dead"|"all"  what poll() tells: dead and parked messages, or delivered ones too
---@field send? boolean         false: only queue what is pushed; a process that opens the spool later sends it
---@field check? boolean        false: messages are not checked by Segment's Spec while they are sent; default true
---@field strict? boolean       true: a message with an error by the Spec is not sent; it fails as an event of the mapping does
---@field integration? {name: string, version: string}  context.integration for calls made without a source

local function positive(value)
	return type(value) == "number" and value >= 0 and value < math.huge
end

--- Longer waits are a misplaced unit, and far from what a clock can't add.
local function seconds(value)
	return positive(value) and value <= 86400
end

local function whole(value)
	return positive(value) and value == math.floor(value)
end

local function text(value)
	return type(value) == "string" and value ~= ""
end

--- The system would read no further than the first "\0".
local function path(value)
	return text(value) and not value:find("\0", 1, true)
end

local function account_name(value)
	return text(value) and #value <= 255
end

local OPTIONS = {
	source = { function(v) return path(v) or definition.is(v) end, "a path or what source.define returned" },
	write_key = { function(v) return type(v) == "string" end, "a string" },
	accounts = { function(v) return type(v) == "table" end, "a table of keys by account" },
	account = { account_name, "a string of 1 to 255 bytes" },
	endpoint = { text, '"us", "eu" or a URL' },
	rate = { positive, "requests a second, 0 for unlimited" },
	linger = { seconds, "seconds, at most a day" },
	batch_messages = { function(v) return whole(v) and v >= 1 and v <= 2500 end, "1 to 2500" },
	queue_bytes = { function(v) return whole(v) and v >= 64000 and v <= 2 ^ 48 end, "bytes, at least 64000" },
	spool = { path, "the path of a directory" },
	state = { path, "the path of a directory" },
	identities = { function(v) return type(v) == "userdata" end, "what identities.open gave" },
	master_key_file = { path, "a path" },
	disk_bytes = { function(v) return whole(v) and v >= 4194304 and v <= 2 ^ 48 end, "bytes, at least 4194304" },
	repeats_max = { function(v) return whole(v) and v >= 256 and v <= 2 ^ 32 end, "ids, at least 256" },
	repeats = { function(v) return positive(v) and v <= 31622400 end, "seconds, at most a year" },
	dead_days = { function(v) return positive(v) and v <= 36500 end, "days, at most 36500" },
	dead_bytes = { function(v) return whole(v) and v >= 65536 and v <= 2 ^ 48 end, "bytes, at least 65536" },
	retries = { function(v) return whole(v) and v <= 1e6 end, "a whole number up to a million" },
	timeout = { function(v) return seconds(v) and v > 0 end, "seconds, at most a day" },
	proxy = { proxy.is_valid, proxy.shape },
	ca_file = { path, "a path" },
	report = { function(v) return v == "dead" or v == "all" end, '"dead" or "all"' },
	leased = { function(v) return type(v) == "boolean" end, "true or false" },
	send = { function(v) return type(v) == "boolean" end, "true or false" },
	check = { function(v) return type(v) == "boolean" end, "true or false" },
	strict = { function(v) return type(v) == "boolean" end, "true or false" },
	integration = {
		function(v) return type(v) == "table" and text(v.name) and text(v.version) end,
		"{ name = , version = }",
	},
}

local function check_source(name, source)
	if not OPTIONS.source[1](source) then
		error(("%s: the source must be %s"):format(name, OPTIONS.source[2]), 3)
	end
end

local function check_options(options)
	if type(options) ~= "table" then
		error("moonweir.open takes a table of options", 3)
	end
	for name, value in pairs(options) do
		local rule = OPTIONS[name]
		if not rule then
			error(("moonweir.open: no option %q%s"):format(tostring(name), suggest(name, OPTIONS)), 3)
		end
		if not rule[1](value) then
			-- The value itself is not quoted: it may be a key in the wrong place.
			error(("moonweir.open: %s must be %s"):format(name, rule[2]), 3)
		end
	end
	if options.send == false and not options.spool then
		error("moonweir.open: send = false needs a spool, from where a later process sends", 3)
	end
	if options.state and options.spool then
		error("moonweir.open: state is for clients without a spool, which has its own", 3)
	end
	if options.check == false and options.strict then
		error("moonweir.open: strict = true needs the check that check = false turns off", 3)
	end
end

--- A source compiled, and its definition: from a path, or from what source.define returned.
local function compiled(source)
	local defined = source
	if type(source) == "string" then
		local message, code
		defined, message, code = sandbox.load(source)
		if not defined then
			return nil, message, code
		end
	end
	local map, message, code = compile(defined, LIBRARY)
	return map, message, code, defined
end

--- Who is known by which address: the store that was given, or that of the spool, where there is a master key to it.
local function identities_of(options)
	local directory = options.spool or options.state
	if options.identities or not directory then
		return options.identities
	end
	if not options.master_key_file and not os.getenv "CREDENTIALS_DIRECTORY" then
		return nil
	end
	local store, message, code = identities.open { spool = directory, master_key_file = options.master_key_file }
	if not store and code == "bad_master_key" and not options.master_key_file then
		return nil -- credentials there are, and none of them is ours
	end
	return store, message, code
end

--- The members that end every context, where no source gives them.
local function stamp(integration)
	local library = '"library":' .. core.encode(LIBRARY)
	if not integration then
		return library
	end
	return '"integration":' .. core.encode { name = integration.name, version = integration.version } .. "," .. library
end

--- Keys by account, each as a table. Checked before a thread is started for them.
local function read_accounts(accounts)
	local read = {}
	for name, entry in pairs(accounts or {}) do
		if type(name) ~= "string" then
			error("moonweir.open: accounts is a table of keys by account name", 3)
		end
		if type(entry) == "string" then
			entry = { write_key = entry }
		end
		if type(entry) ~= "table" or type(entry.write_key) ~= "string" then
			error(("moonweir.open: account %q needs a write_key"):format(name), 3)
		elseif entry.endpoint ~= nil and type(entry.endpoint) ~= "string" then
			error(("moonweir.open: account %q: endpoint must be a string"):format(name), 3)
		elseif #name > 255 then
			error("moonweir.open: an account is named by at most 255 bytes", 3)
		end
		for member in pairs(entry) do
			if member ~= "write_key" and member ~= "endpoint" then
				error(("moonweir.open: account %q: no member %q%s"):format(name, tostring(member),
					suggest(member, { "write_key", "endpoint" })), 3)
			end
		end
		read[name] = entry
	end
	return read
end

local function set_accounts(client, accounts)
	for name, entry in pairs(accounts) do
		local ok, message, code = client:set_account(name, entry)
		if not ok then
			return nil, ("account %q: %s"):format(name, message), code
		end
	end
	return true
end

-- What the mapper of a client knows besides its script, for another script: who is known, and what was judged.
local kept = setmetatable({}, { __mode = "k" })

--- Start an engine: one background thread that delivers what the returned client is given.
---@param options moonweir.Options
---@return moonweir.Client|nil client
---@return string? message
---@return "mapping"|"bad_key"|"bad_endpoint"|"io"|"no_memory"|"locked"|"version"|"corrupt"|nil code
function mw.open(options)
	check_options(options)
	local accounts = read_accounts(options.accounts)
	core.sentinels(package.loaded["cjson"] or package.loaded["cjson.safe"])
	local settings = {}
	for name, value in pairs(options) do
		settings[name] = value
	end
	if options.check ~= false then
		local kinds = review.new { strict = options.strict }
		review.keep(kinds)
		settings.review = kinds.core
	end
	settings.account = options.account or (options.write_key and "default") or nil
	local known = { review = settings.review }
	if options.source then
		local map, message, code = compiled(options.source)
		if not map then
			return nil, message, code
		end
		local store
		store, message, code = identities_of(options)
		if not store and code then
			return nil, message, code
		end
		settings.identities = nil
		known = { review = settings.review, identities = store }
		settings.mapper = core.mapper(map, known)
		settings.stamp = map:stamp()
	else
		settings.stamp = stamp(options.integration)
	end
	local client, message, code = core.client(settings)
	if not client then
		return nil, message, code
	end
	kept[client] = known
	local ok = true
	if options.write_key then
		ok, message, code = client:set_account("", { write_key = options.write_key })
	end
	if ok then
		ok, message, code = set_accounts(client, accounts)
	end
	if not ok then
		client:close(0)
		return nil, message, code
	end
	if options.send ~= false then
		client:start()
	end
	return client
end

--- Run another script from the next push on; what is queued stays as it was made. One that fails to load leaves the old one
--- running.
---@param source string|table a path, or what source.define returned
---@return true|nil
---@return string? message
---@return "mapping"|"no_memory"|nil code
function core.Client:reload(source)
	check_source("reload", source)
	local map, message, code = compiled(source)
	if not map then
		return nil, message, code
	end
	return self:remap(core.mapper(map, kept[self]), map:stamp())
end

--- A link to the settings page of one account, for whoever is logged in to the tool's own app as that account: good for
--- minutes, and once. The README has the same in other languages.
---@param account string
---@param options {base_url: string, key: string, user: string?, ttl: number?}  base_url: of the daemon; key: the path of the
--- link key's file; user: who it is, for the audit log, at most 200 bytes; ttl: seconds, default and most 300
---@return string|nil url
---@return string? message
---@return "io"|"bad_master_key"|"no_memory"|nil code
function mw.settings_link(account, options)
	if type(options) ~= "table" then
		error("settings_link takes an account and a table with base_url and key", 2)
	end
	return require("moonweir.web.link").make(account, options)
end

---@class moonweir.Source
---@field slug string
---@field definition moonweir.Definition what the script says; moonweir.receive reads its `verify`
local Source = {}
Source.__index = Source

--- Map a body without sending anything.
---@param body string
---@param opts? {format: "json"|"ndjson"|"form"|"xml"|nil, headers: table<string,string>|nil, account: string?, now: integer?,
---  seed: string?}
---  now: milliseconds since 1970; seed: gives the same ids each time, where they would be random
---@return {account: string, message: string}[] messages  each one Segment call as JSON text
---@return {events: integer, messages: integer, ignored: integer, unmatched: integer, failed: integer} tally
---@return {index: integer, code: string, message: string, account: string?, raw: string}[]|nil problems
function Source:map(body, opts)
	return self.mapper:map(body, opts)
end

--- What is wrong with messages by Segment's Spec: what is new since the last call, as client:findings gives it.
---@return moonweir.Finding[]
function Source:findings()
	return self.review and self.review:findings() or {}
end

--- Load and compile a mapping script for dry runs.
---@param source string|table
--- check and strict are false by default, else as open has them; identities: who is known by which address, without it
--- nobody is.
---@param opts? {check: boolean?, strict: boolean?, identities: moonweir.Identities?}
---@return moonweir.Source|nil
---@return string? message
---@return "mapping"|nil code
function mw.load(source, opts)
	check_source("load", source)
	local map, message, code, defined = compiled(source)
	if not map then
		return nil, message, code
	end
	local kinds = opts and (opts.check or opts.strict) and review.new { strict = opts.strict } or nil
	local mapper = core.mapper(map, { review = kinds and kinds.core, identities = opts and opts.identities })
	return setmetatable({ mapper = mapper, slug = map:slug(), review = kinds, definition = defined }, Source)
end

return mw
