--- options -- every option of `moonweir serve`, once: what it means, what it may be, what it is if nobody says.
---
--- The same table checks a config file, suggests for a name that is none, and prints the file that the README sends people
--- to (`moonweir serve --print-config`). A dotted name stands in a table: "limits.body_bytes" is limits = { body_bytes = }.

local suggest = require "moonweir.suggest"

local options = {}

---@class moonweir.serve.Option
---@field name string
---@field doc string[]
---@field check fun(value: any): boolean
---@field expects string      what the check wants, for messages
---@field default any         nil: there is none
---@field example? string     Lua text shown where there is no default
---@field is_path? boolean    a relative one begins at the folder of the config file
---@field reload? boolean     SIGHUP changes it

local function text(value)
	return type(value) == "string" and value ~= ""
end

local function whole(least, most)
	return function(value)
		return type(value) == "number" and value % 1 == 0 and value >= least and value <= most
	end, ("a whole number from %.0f to %.0f"):format(least, most)
end

local function number(least, most)
	return function(value)
		return type(value) == "number" and value >= least and value <= most
	end, ("a number from %g to %g"):format(least, most)
end

local function one_of(...)
	local words = { ... }
	return function(value)
		for _, word in ipairs(words) do
			if value == word then
				return true
			end
		end
		return false
	end, '"' .. table.concat(words, '" or "') .. '"'
end

local function flag(value)
	return type(value) == "boolean"
end

--- "127.0.0.1:8080", "[::1]:8080"
---@return string|nil host
---@return integer|nil port
function options.address(value)
	if type(value) ~= "string" then
		return nil
	end
	local host, port = value:match "^%[([%x:.]+)%]:(%d+)$"
	if not host then
		host, port = value:match "^([%d.]+):(%d+)$"
	end
	port = tonumber(port)
	return port and port <= 65535 and host or nil, port
end

local function is_address(value)
	return options.address(value) ~= nil
end

local function is_base_url(value)
	return type(value) == "string" and value:find "^https?://[^/?#%s]+[^?#%s]*$" ~= nil and not value:find "/$"
end

-- NAME = "file" or { "file", "older file" }: several count while a secret is changed.
local function are_files(value)
	if type(value) ~= "table" then
		return false
	end
	for name, files in pairs(value) do
		if type(name) ~= "string" or not name:find "^[%w_.-]+$" then
			return false
		end
		for _, file in ipairs(type(files) == "table" and files or { files }) do
			if not text(file) then
				return false
			end
		end
		if type(files) == "table" and (#files == 0 or #files > 8) then
			return false
		end
	end
	return true
end

local function texts(value)
	if type(value) ~= "table" then
		return false
	end
	for key, one in pairs(value) do
		if type(key) ~= "number" or not text(one) then
			return false
		end
	end
	return true
end

local function option(name, check, expects, default, doc, more)
	local made = { name = name, check = check, expects = expects, default = default, doc = doc }
	for key, value in pairs(more or {}) do
		made[key] = value
	end
	options[#options + 1] = made
end

local AN_ADDRESS = 'an IP address and a port, such as "127.0.0.1:8080" or "[::1]:8080"'
local RELOADS = { reload = true }

local function whole_option(name, least, most, default, doc, more)
	local check, expects = whole(least, most)
	option(name, check, expects, default, doc, more)
end

local function number_option(name, least, most, default, doc, more)
	local check, expects = number(least, most)
	option(name, check, expects, default, doc, more)
end

local function path_option(name, doc, example, more)
	local made = { example = example, is_path = true }
	for key, value in pairs(more or {}) do
		made[key] = value
	end
	option(name, text, "a path; a relative one begins at this file's folder", nil, doc, made)
end

path_option("source", { "The mapping script." }, '"acme-mail.lua"', { reload = true, required = true })
path_option("spool", { "Where messages are kept until Segment has them, and the accounts: a directory whose parent is there." },
	'"/var/lib/moonweir/spool"', { required = true })
path_option("master_key_file", { "What opens the accounts' write keys; without it the systemd credential moonweir-master-key." },
	'"/etc/moonweir/master-key"')

option("listen", is_address, AN_ADDRESS, "127.0.0.1:8080", {
	"Where tools post to: /webhooks/<account>, /segment/<account>, /settings and /healthz. Put nginx in front for TLS." })
option("operations", function(v) return v == false or is_address(v) end, AN_ADDRESS .. ", or false", "127.0.0.1:9464", {
	"Where /metrics and /healthz are served, and nothing else: /metrics names accounts, so it is not for the internet.",
	"false: nowhere." })
whole_option("workers", 1, 32, 1, {
	"Processes that serve side by side, for more than one core. They share address, accounts and the 50 requests a second;",
	"each has a partition of the spool, and limits, disk_bytes among them, are those of each." })
option("public_url", is_base_url, 'a URL without "/" at its end, such as "https://hooks.acme.example"', nil, {
	"How the world calls `listen`: signatures that cover the URL (Twilio, HubSpot) are checked against it. Without it the",
	"Host header is believed, which a proxy may have changed." }, { example = '"https://hooks.acme.example"', reload = true })
do
	local check, expects = one_of("refuse", "accept")
	option("unknown_accounts", check, expects, "refuse", {
		"An account in the URL that `moonweir accounts` has never heard of: refuse answers 404, so that nobody can fill the disk",
		"by making up names; accept keeps its events until a write key is saved. Without effect where write_key_file is set." },
		RELOADS)
end
path_option("write_key_file", { "The write key for every account without one of its own: for a tool with one customer." },
	'"/etc/moonweir/write-key"')

option("secrets", are_files, 'files by name: { STRIPE_SECRET = "path" }, or { NAME = { "new", "old" } }, at most 8 each', nil, {
	'Files of the secrets that the script names with source.secret "NAME"; only their owner may read them. A name that is not',
	"here is looked for among systemd's credentials (LoadCredential=NAME:path). A secret never stands in this file." },
	{ example = '{ ACME_WEBHOOK_SECRET = "/etc/moonweir/acme-webhook-secret" }', reload = true })

option("delivery.endpoint", text, '"us", "eu" or a base URL', "us", { "Where accounts without an endpoint of their own send." })
number_option("delivery.rate", 0, 1e6, 50, { "Requests a second over all accounts and processes of the spool; 0: no limit." })
number_option("delivery.timeout", 1, 3600, 30, { "Seconds for one request." })
option("delivery.proxy", text, "http://host:port", nil, { "An HTTP proxy; the environment's is never used." },
	{ example = '"http://proxy.internal:3128"' })
path_option("delivery.ca_file", { "Authorities to trust in place of the system's (PEM)." }, '"/etc/moonweir/ca.pem"')

whole_option("spooling.disk_bytes", 4194304, 2 ^ 48, 10 * 2 ^ 30, {
	"The most that messages take on disk. Beyond it webhooks are answered 503 until some are delivered." })
number_option("spooling.repeats", 0, 31622400, 172800, {
	"Seconds for which an event's id is known, so that a repeat is no second message." })
number_option("spooling.dead_days", 0, 36500, 30, { "Days for which dead letters are kept." })

whole_option("limits.body_bytes", 1024, 16 * 2 ^ 20 - 1, 4 * 2 ^ 20, { "One body, as it comes: 413." })
whole_option("limits.head_bytes", 1024, 24 * 1024, 16 * 1024, {
	"Request line and headers: 431. The line alone: 4,096 bytes, 414." })
whole_option("limits.memory_bytes", 2 ^ 20, 2 ^ 31 - 1, 256 * 2 ^ 20, {
	"All bodies together; beyond it slow ones give way to new ones: 503." })
whole_option("limits.connections", 1, 60000, 10000, {
	"Open connections; more wait in the system's queue. The limit of descriptors is raised to fit." })
whole_option("limits.connections_per_ip", 0, 60000, 1000, {
	"Open connections of one address; 0: no limit. Behind a proxy all come from its address: set 0 there." })
whole_option("limits.head_seconds", 1, 3600, 10, { "A request's line and headers have to be there in this time." })
whole_option("limits.idle_seconds", 1, 86400, 60, { "A connection with nothing under way is closed after this." })
whole_option("limits.body_rate", 0, 2 ^ 20, 500, { "Bytes a second that a body has to make, in every 10 seconds." })

do
	local check, expects = one_of("debug", "info", "warning", "error")
	option("log.level", check, expects, "info", {
		"What is written to standard error, as lines of logfmt. Never secrets, never bodies." }, RELOADS)
end
whole_option("metrics.accounts", 0, 256, 20, { "So many of the busiest accounts are shown one by one." }, RELOADS)
number_option("health.stuck_seconds", 1, 86400, 300, {
	"/healthz says unhealthy when a message has waited so long that could have been sent, and none was delivered since." }, RELOADS)
number_option("stop.seconds", 0, 3600, 20, {
	"On SIGTERM: requests under way are answered and what is queued is delivered for so long; the spool keeps the rest." }, RELOADS)

path_option("settings.link_key_file", {
	"The settings page, where the tool's customers paste their write key, is there if `settings` is; public_url has to be set.",
	"The key that signs its links; without it the systemd credential moonweir-link-key." }, '"/etc/moonweir/link-key"')
option("settings.name", text, "a text", nil, { "The tool, as its customers know it." }, { example = '"Acme Mail"' })
local function is_color(v)
	return text(v) and v:find "^#%x%x%x%x%x%x$" ~= nil
end
option("settings.color", is_color, 'a color, "#1c5bb8"', nil, { "Of the main buttons." }, { example = '"#1c5bb8"' })
option("settings.frame_ancestors", texts, "a list of origins", nil, { "Pages that may embed it." },
	{ example = '{ "https://app.acme.example" }' })
option("settings.oauth", flag, "true or false", nil, { "Offer OAuth 2.0 in place of a write key alone." }, { example = "false" })
option("settings.enable_client_id", text, "a text", nil, {
	"Offer Enable with Segment, which brings the write key without pasting: the app that Segment registered for the tool." },
	{ example = '"your-client-id"' })
path_option("settings.enable_client_secret_file", { "That app's secret; only its owner may read it." },
	'"/etc/moonweir/enable-secret"')
option("settings.enable_authorize_url", text, "a URL", nil, { "Where it goes to, if not to Segment's own, and the two below." },
	{ example = '"https://id.segmentapis.com/oauth2/auth"' })
option("settings.enable_token_url", text, "a URL", nil, {}, { example = '"https://id.segmentapis.com/oauth2/token"' })
option("settings.enable_api_url", text, "a URL", nil, {}, { example = '"https://platform.segmentapis.com"' })
option("settings.enable_scope", text, "a text", nil, { "What the app asks for." }, { example = '"workspace:read"' })

path_option("segment.api_keys_file", {
	"/segment/<account>, where Segment tells who the tool's users are, is there if `segment` is. The keys that the tool issued:",
	'JSON { "account": "key" }; only its owner may read it.' }, '"/etc/moonweir/segment-keys.json"', RELOADS)
option("segment.shared_secret", text, "the name of a secret", nil, { "The name of the secret of X-Signature, as in `secrets`." },
	{ example = '"SEGMENT_SHARED_SECRET"' })

local by_name, sections = {}, {}
for _, one in ipairs(options) do
	by_name[one.name] = one
	local section = one.name:match "^(%w+)%."
	if section then
		sections[section] = true
	end
end

local function shown(name)
	return type(name) == "string" and ("%q"):format(name) or tostring(name)
end

-- Without the value: it may be a secret in the wrong place.
local function check_one(name, value)
	local rule = by_name[name]
	if not rule then
		local known = {}
		for _, one in ipairs(options) do
			known[one.name] = true
		end
		return ("no option %s%s"):format(shown(name), suggest(name, known))
	elseif not rule.check(value) then
		return ("%s must be %s"):format(name, rule.expects)
	end
	return nil
end

--- What is wrong with one value; nil: nothing.
---@return string|nil message
options.check = check_one

--- Check what a file returned, and fill in what it does not say.
---@param given any
---@return table<string, any>|nil values by dotted name; a section that was given at all is true under its own
---@return string? message
function options.read(given)
	if type(given) ~= "table" then
		return nil, "the file must return a table: return { source = \"…\", spool = \"…\" }"
	end
	local values = {}
	for name, value in pairs(given) do
		if sections[name] and type(value) == "table" then
			values[name] = true
			for inner, one in pairs(value) do
				local dotted = type(inner) == "string" and name .. "." .. inner or inner
				local wrong = check_one(dotted, one)
				if wrong then
					return nil, wrong
				end
				values[dotted] = one
			end
		elseif sections[name] then
			return nil, ("%s must be a table of options"):format(name)
		else
			local wrong = check_one(name, value)
			if wrong then
				return nil, wrong
			end
			values[name] = value
		end
	end
	for _, one in ipairs(options) do
		if values[one.name] == nil then
			values[one.name] = one.default
		end
		if one.required and values[one.name] == nil then
			return nil, ("%s is missing: %s = %s"):format(one.name, one.name, one.example)
		end
	end
	return values
end

local function literal(value)
	if type(value) == "number" then
		return value % 1 == 0 and ("%.0f"):format(value) or tostring(value)
	elseif type(value) == "string" then
		return ("%q"):format(value)
	end
	return tostring(value)
end

--- A config file with every option, its meaning and its default.
---@return string
function options.print()
	local lines = {
		"-- What `moonweir serve CONFIG` runs. Lua, but a table of values is all that it may be. What stands behind -- is the",
		"-- default, or an example where there is none. SIGHUP reads the file again; what is marked (reload) takes effect then.",
		"return {",
	}
	local section
	for _, one in ipairs(options) do
		local of, name = one.name:match "^(%w+)%.(.+)$"
		name = name or one.name
		if of ~= section then
			if section then
				lines[#lines + 1] = "\t-- },"
			end
			lines[#lines + 1] = ""
			if of then
				lines[#lines + 1] = ("\t-- %s = {"):format(of)
			end
			section = of
		elseif not of and lines[#lines] ~= "return {" then
			lines[#lines + 1] = ""
		end
		local indent = of and "\t--\t" or "\t"
		for i, line in ipairs(one.doc) do
			lines[#lines + 1] = ("%s-- %s%s"):format(indent, line, i == #one.doc and one.reload and " (reload)" or "")
		end
		local value = one.default ~= nil and literal(one.default) or one.example
		lines[#lines + 1] = ("%s%s%s = %s,"):format(indent, (one.required or of) and "" or "-- ", name, value)
	end
	if section then
		lines[#lines + 1] = "\t-- },"
	end
	lines[#lines + 1] = "}"
	return table.concat(lines, "\n") .. "\n"
end

return options
