--- nginx -- an nginx with its Lua module, of its own: a folder, a free port, two workers unless told otherwise.
--
--     local it = nginx.start { config = { source =, spool =, … }, server = "location / { … }" }
--     local status, body, head = it:http("POST", "/webhooks/acme", {}, body)
--     it:reload() it:quit()                                 -- both wait until it is done
--     it:errors()                                           -- what the error log says at level error and above
--
-- Nothing here waits a fixed time: every wait is for a condition and has a deadline.

local child = require "spec.support.child"
local core = require "moonweir.core"
local server = require "moonweir.server"

local process = core.process

local nginx = {}
local Nginx = {}
Nginx.__index = Nginx

local DEADLINE = 120
local PAUSE = 0.01

local function output(command)
	local pipe = io.popen(command)
	local text = pipe:read "*a"
	pipe:close()
	return text
end

local function is_root()
	return output "id -u" == "0\n"
end

--- Why it can't run here; nil if it can.
function nginx.missing()
	local modules = output("nginx -V 2>&1"):match "%-%-modules%-path=(%S+)"
	if not modules then
		return "no nginx here"
	elseif not child.read(modules .. "/ngx_http_lua_module.so") then
		return "this nginx has no Lua module (libnginx-mod-http-lua)"
	end
	return nil
end

--- A port that was free a moment ago.
function nginx.free_port()
	local one = assert(server.open {})
	local port = one:port()
	one:close()
	return port
end

local count = 0
local running = {}

local function tree()
	return (output "pwd":gsub("\n$", ""))
end

--- What stands before http { in an nginx.conf of a test, and at the beginning of it.
---@return string main
---@return string http
function nginx.preamble(workers)
	local modules, here = output("nginx -V 2>&1"):match "%-%-modules%-path=(%S+)", tree()
	return ([[
%s
daemon off;
worker_processes %d;
pid nginx.pid;
error_log error.log notice;
load_module %s/ndk_http_module.so;
load_module %s/ngx_http_lua_module.so;
worker_rlimit_core 0;
events { worker_connections 1024; }
]]):format(is_root() and "user root;" or "", workers or 2, modules, modules), ([[
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  lua_package_path "%s/lua/?.lua;%s/lua/?/init.lua;;";
  lua_package_cpath "%s/%s/luajit/?.so;;";
]]):format(here, here, here, os.getenv "MW_BUILD" or "build")
end

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

--- Lua text of a table, for a config in nginx.conf or a file.
nginx.literal = literal

local CONF = [[
%shttp {
%s  %s
  server {
    listen 127.0.0.1:%d;
    %s
  }
}
]]

local DEFAULTS = {
	open = 'init_worker_by_lua_block { require("moonweir.openresty").open(%s) }',
	close = 'exit_worker_by_lua_block { require("moonweir.openresty").close(1) }',
}

--- Write the folder and its nginx.conf. Options: config (what open is given: a table, or a path), workers, http (directives),
-- server (directives), open and close (directives in place of the usual ones, "" for none), dict (false: no shared memory);
-- or conf, a function from the port to all of nginx.conf.
function nginx.prepare(options)
	count = count + 1
	local self = setmetatable({ folder = child.folder() .. "/nginx" .. count, port = nginx.free_port() }, Nginx)
	os.execute("mkdir -m 700 '" .. self.folder .. "'")
	self:configure(options)
	return self
end

function Nginx:configure(options)
	self.options = options
	if options.conf then
		local file = assert(io.open(self.folder .. "/nginx.conf", "w"))
		file:write(options.conf(self.port))
		file:close()
		return
	end
	local main, beginning = nginx.preamble(options.workers)
	local http = {
		options.dict == false and "" or "lua_shared_dict moonweir 1m;", options.http or "",
		options.open or DEFAULTS.open:format(literal(options.config)), options.close or DEFAULTS.close,
	}
	local file = assert(io.open(self.folder .. "/nginx.conf", "w"))
	file:write(CONF:format(main, beginning, table.concat(http, "\n  "), self.port, options.server or ""))
	file:close()
end

function Nginx:log()
	return child.read(self.folder .. "/error.log") or ""
end

--- Lines of the error log at these levels, "error" and above unless told otherwise.
function Nginx:errors(levels)
	local list = {}
	for line in self:log():gmatch "[^\n]+" do
		local level = line:match "^%S+ %S+ %[(%w+)%]"
		if level and (levels or " error crit alert emerg "):find(" " .. level .. " ", 1, true) then
			list[#list + 1] = line
		end
	end
	return list
end

function Nginx:wait(what, condition)
	local until_ = process.monotonic() + DEADLINE
	while true do
		local value = condition()
		if value then
			return value
		elseif process.monotonic() > until_ then
			error(("waited in vain for %s\n%s"):format(what, self:log():sub(-3000)), 2)
		end
		process.wait(PAUSE)
	end
end

--- Pids of the workers of the newest generation, and of older ones that are shutting down.
function Nginx:workers()
	local new, old = {}, {}
	local said = output("ps -o pid=,args= --ppid " .. self.pid .. " 2>/dev/null")
	for pid, title in said:gmatch "(%d+) nginx: worker process([^\n]*)" do
		local list = title:find("shutting", 1, true) and old or new
		list[#list + 1] = tonumber(pid)
	end
	return new, old
end

function Nginx:launch(expects_failure)
	os.execute(("cd '%s' && { env -u LUA_PATH -u LUA_CPATH %s nginx -p '%s/' -c nginx.conf -e error.log </dev/null >stdout 2>&1; "
		.. "echo $? >rc.tmp; mv rc.tmp rc; } &"):format(self.folder, self.options.env or "", self.folder))
	self:wait("nginx to start", function()
		local text = child.read(self.folder .. "/nginx.pid")
		self.pid = text and text:match "(%d+)\n"
		return self.pid and #self:workers() == (self.options.workers or 2) or child.read(self.folder .. "/rc")
	end)
	if child.read(self.folder .. "/rc") and not expects_failure then
		error("nginx did not start: " .. (child.read(self.folder .. "/stdout") or "") .. self:log():sub(-2000), 2)
	end
	running[#running + 1] = self
end

function nginx.start(options)
	local self = nginx.prepare(options)
	self:launch()
	return self
end

--- An example's folder, copied, with free ports in place of those in its nginx.conf (of each a number: ports[8080]) and with
-- other texts replaced in its files: { ["moonweir-config.lua"] = { ["http://127.0.0.1:4400"] = url } }. It is not started.
function nginx.example(path, replaced)
	count = count + 1
	local here = tree()
	local self = setmetatable({ folder = child.folder() .. "/example" .. count, ports = {} }, Nginx)
	os.execute(("cp -r '%s' '%s' && chmod 700 '%s' && mkdir '%s/tmp'"):format(path, self.folder, self.folder, self.folder))
	self.options = { env = ("LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s/%s/luajit/?.so;;'"):format(here, here, here,
		os.getenv "MW_BUILD" or "build") }
	local function rewrite(name, change)
		local text = change(child.read(self.folder .. "/" .. name))
		local file = assert(io.open(self.folder .. "/" .. name, "w"))
		file:write(text)
		file:close()
	end
	rewrite("nginx.conf", function(text)
		text = text:gsub("127%.0%.0%.1:(%d+)", function(port)
			self.ports[port] = self.ports[port] or nginx.free_port()
			return "127.0.0.1:" .. self.ports[port]
		end):gsub("/usr/lib/nginx/modules", (output("nginx -V 2>&1"):match "%-%-modules%-path=(%S+)"))
		return "daemon off;\n" .. (is_root() and "user root;\n" or "") .. text
	end)
	for name, texts in pairs(replaced or {}) do
		rewrite(name, function(text)
			for old, new in pairs(texts) do
				local from, to = text:find(old, 1, true)
				text = text:sub(1, from - 1) .. new .. text:sub(to + 1)
			end
			return text
		end)
	end
	self.port = self.ports["8080"]
	return self
end

--- One request on a connection of its own: status, body with its chunks put together, head.
function Nginx:http(method, path, headers, body)
	local status, text, head = child.http(self.port, method, path, headers, body)
	if head and head:lower():find("\r\ntransfer%-encoding: chunked") then
		local parts, at = {}, 1
		while true do
			local size, first = text:match("^(%x+)\r\n()", at)
			if not size or tonumber(size, 16) == 0 then
				break
			end
			parts[#parts + 1] = text:sub(first, first + tonumber(size, 16) - 1)
			at = first + tonumber(size, 16) + 2
		end
		text = table.concat(parts)
	end
	return status, text, head
end

--- A metric over all workers; nil if it is not shown.
function Nginx:metric(name, labels)
	local _, text = self:http("GET", "/metrics")
	local sum
	for found, value in ("\n" .. text):gmatch("\nmoonweir_" .. name .. '{worker="%d+"([^\n]*)} ([^\n]+)') do
		if found == (labels and "," .. labels or "") then
			sum = (sum or 0) + tonumber(value)
		end
	end
	return sum
end

--- To the master, or to the process that is named.
function Nginx:signal(name, pid)
	os.execute(("kill -%s %s 2>/dev/null"):format(name, pid or self.pid))
end

--- HUP, and wait until others serve and the old ones are gone.
function Nginx:reload()
	local before = {}
	for _, pid in ipairs(self:workers()) do
		before[pid] = true
	end
	self:signal "HUP"
	self:wait("new workers alone", function()
		local new, old = self:workers()
		if #old > 0 or #new ~= (self.options.workers or 2) then
			return false
		end
		for _, pid in ipairs(new) do
			if before[pid] then
				return false
			end
		end
		return true
	end)
end

--- Kill all of it at once: a master that only sees its workers die would start others, which it would leave behind.
function Nginx:kill()
	self:signal "STOP"
	local new, old = self:workers()
	for _, list in ipairs { new, old } do
		for _, pid in ipairs(list) do
			self:signal("KILL", pid)
		end
	end
	self:stop "KILL"
end

--- End it with a signal (QUIT: what is under way is finished) and wait for that.
function Nginx:stop(signal)
	if not child.read(self.folder .. "/rc") then
		self:signal(signal or "QUIT")
		self:wait("nginx to end", function()
			return child.read(self.folder .. "/rc")
		end)
	end
end

--- End all that still run.
function nginx.clean()
	for _, self in ipairs(running) do
		self:stop "TERM"
	end
	running = {}
end

return nginx
