--- daemon -- `moonweir serve` as a process of its own, with a config made for the test.

local child = require "spec.support.child"

local daemon = {}

daemon.source = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "hooks", version = "1.0.0", event = get "type", id = get "event_id", user = source.user { get "user" },
	on = {
		t = source.track "Hook" { id = get "event_id" },
		bad = source.track "Bad" { x = get "type":apply(function() error "on purpose" end) },
		quiet = source.ignore,
	},
}
]]

local count = 0

local function literal(value)
	if type(value) ~= "table" then
		return type(value) == "string" and ("%q"):format(value) or tostring(value)
	end
	local parts = {}
	for name, inner in pairs(value) do
		parts[#parts + 1] = type(name) == "number" and literal(inner) or ("[%q] = %s"):format(name, literal(inner))
	end
	return "{ " .. table.concat(parts, ", ") .. " }"
end

--- Write a config file; `options` in place of what every test has. Returns its path.
function daemon.config(options, source)
	count = count + 1
	local values = {
		source = child.file(("source%d.lua"):format(count), source or daemon.source),
		spool = child.folder() .. "/spool" .. count, listen = "127.0.0.1:0", operations = "127.0.0.1:0",
		write_key_file = child.file("key" .. count, ("k"):rep(32)),
	}
	for name, value in pairs(options or {}) do
		if value == "none" then
			value = nil
		end
		values[name] = value
	end
	return child.file(("config%d.lua"):format(count), "return " .. literal(values) .. "\n"), values
end

--- Start it, and wait until it listens: the process, its port, that of operations.
function daemon.start(config, options)
	local self = child.start({ "serve", config }, options)
	local line = self:wait("the daemon to listen", function()
		return self:err():match "event=started[^\n]*\n" or child.read(self.base .. ".rc") and "ended"
	end)
	self.port = tonumber(line:match "listen=127%.0%.0%.1:(%d+)")
	self.operations = tonumber(line:match "operations=127%.0%.0%.1:(%d+)")
	if not self.port then
		error("it did not start: " .. self:err(), 2)
	end
	return self
end

--- Let it end in good order; what it said.
function daemon.stop(self)
	self:signal "TERM"
	local code, _, err = self:finish()
	assert(code == 0, err)
	return err
end

--- Post a body to an account: status, body, head.
function daemon.post(self, path, body, headers)
	return child.http(self.port, "POST", path, headers, body)
end

--- A metric's value by its name, labels included; nil if it is not shown.
function daemon.metric(self, name)
	local _, text = child.http(self.operations, "GET", "/metrics")
	return tonumber((("\n" .. text):match("\n" .. name:gsub("%p", "%%%0") .. " ([^\n]+)")))
end

return daemon
