--- settings_host -- the settings page on a port of its own: lua settings_host.lua CONFIG.json. For tests, and for looking at it.
---
--- CONFIG: { folder, tool, color, frame_ancestors, endpoints, oauth, port_file }. Writes its port to port_file when it listens,
--- the audit log to folder/audit.ndjson, and ends on SIGTERM.

local core = require "moonweir.core"
local mw = require "moonweir"
local accounts = require "moonweir.accounts"
local server = require "moonweir.server"
local settings = require "moonweir.web.settings"

local function read(path)
	local file = assert(io.open(path, "rb"))
	local text = file:read "*a"
	file:close()
	return text
end

local config = assert(core.decode(read(arg[1])))
local spool, master = config.folder .. "/spool", config.folder .. "/master-key"
core.process.catch_signals()

local s = assert(server.open { port = config.port or 0, body_max = 100000 })
local client = assert(mw.open {
	spool = spool, master_key_file = master, linger = 0.05, report = "all",
	integration = { name = "acme-mail", version = "1.0.0" },
})
local audit = assert(io.open(config.folder .. "/audit.ndjson", "a"))
local page = assert(settings.new {
	base_url = "http://127.0.0.1:" .. s:port(),
	link_key_file = config.folder .. "/link-key",
	spool = spool,
	client = client,
	vault = assert(accounts.open { spool = spool, master_key_file = master }),
	about = { name = config.tool or "Acme Mail", slug = "acme-mail" },
	color = config.color,
	frame_ancestors = config.frame_ancestors,
	endpoints = config.endpoints,
	oauth = config.oauth,
	enable = config.enable,
	log = function(entry)
		audit:write(core.encode(entry), "\n")
		audit:flush()
	end,
})

local file = assert(io.open(config.port_file .. ".tmp", "w"))
file:write(s:port())
file:close()
assert(os.rename(config.port_file .. ".tmp", config.port_file))

while not core.process.interrupted() do
	page:tick()
	local x = s:next(0.05)
	if x then
		local ok, status, headers, body = pcall(page.handle, page, {
			method = x.method, path = x.path, query = x.query, body = x.body, remote = "127.0.0.1",
			header = function(name)
				return x:header(name)
			end,
		})
		if not ok then
			io.stderr:write(tostring(status), "\n")
			status, headers, body = 500, {}, "error\n"
		end
		x:answer(status, headers, body)
	end
end
page:close()
client:close(1)
