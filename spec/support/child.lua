--- child -- the command as a process of its own: started, watched through files, stopped.
--
-- Nothing here waits a fixed time: every wait is for a condition and has a deadline, after which the test fails with what
-- the process said so far.

local core = require "moonweir.core"
local process = core.process

local child = {}
local Child = {}
Child.__index = Child

local DEADLINE = 120 -- seconds; generous, as machines under test are busy
local PAUSE = 0.01 -- between two looks at a file

child.lua = rawget(_G, "jit") and "luajit" or "lua5.4"

local function quote(text)
	return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	local text = file:read "*a"
	file:close()
	return text
end
child.read = read

--- The lines of a file, without those that are empty; none if it is not there.
function child.lines(path)
	local list = {}
	for line in (read(path) or ""):gmatch "[^\n]+" do
		list[#list + 1] = line
	end
	return list
end

--- A folder that is gone when the test is over (child.clean).
local folder
function child.folder()
	if not folder then
		local pipe = io.popen "mktemp -d"
		folder = pipe:read "*l"
		pipe:close()
	end
	return folder
end

--- A file with these contents; mode as chmod takes it.
function child.file(name, text, mode)
	local path = child.folder() .. "/" .. name
	os.remove(path)
	local file = assert(io.open(path, "wb"))
	file:write(text)
	file:close()
	os.execute(("chmod %s %s"):format(mode or "600", quote(path)))
	return path
end

local started = {}
local count = 0

--- Start `moonweir` with these arguments. Options: stdin (a path), env (a table), program (another Lua script),
--- descriptors (no more than so many).
function child.start(arguments, options)
	options = options or {}
	count = count + 1
	local base = child.folder() .. "/child" .. count
	local words = { options.descriptors and ("ulimit -n %d && exec env"):format(options.descriptors) or "exec env" }
	for name, value in pairs(options.env or {}) do
		words[#words + 1] = quote(name .. "=" .. value)
	end
	words[#words + 1] = child.lua
	words[#words + 1] = options.program or "lua/moonweir/cli/moonweir.lua"
	for _, argument in ipairs(arguments) do
		words[#words + 1] = quote(argument)
	end
	-- The inner shell becomes the command, so its number is the command's own.
	local script = ('sh -c %s <%s >%s.out 2>%s.err & p=$!; echo $p >%s.pid; wait $p; echo $? >%s.tmp; mv %s.tmp %s.rc'):format(
		quote(table.concat(words, " ")), quote(options.stdin or "/dev/null"), base, base, base, base, base, base
	)
	os.execute("( " .. script .. " ) </dev/null >/dev/null 2>&1 &")
	local self = setmetatable({ base = base }, Child)
	started[#started + 1] = self
	self.pid = self:wait("its number", function()
		local text = read(base .. ".pid")
		return text and text:match "(%d+)\n"
	end)
	return self
end

function Child:out()
	return read(self.base .. ".out") or ""
end

function Child:err()
	return read(self.base .. ".err") or ""
end

--- Wait until `condition()` is true and return what it gave.
function Child:wait(what, condition)
	local until_ = process.monotonic() + DEADLINE
	while true do
		local value = condition()
		if value then
			return value
		end
		if process.monotonic() > until_ then
			error(("waited in vain for %s\nstdout: %s\nstderr: %s"):format(what, self:out():sub(-2000), self:err():sub(-2000)), 2)
		end
		process.wait(PAUSE)
	end
end

--- Wait for a pattern in what it prints (both streams); returns the captures.
function Child:wait_for(pattern)
	return self:wait(pattern, function()
		return self:out():match(pattern) or self:err():match(pattern)
	end)
end

--- Wait until it has ended: exit code, stdout, stderr.
function Child:finish()
	local code = self:wait("its end", function()
		local text = read(self.base .. ".rc")
		return text and tonumber(text)
	end)
	return code, self:out(), self:err()
end

function Child:signal(name)
	os.execute(("kill -%s %s 2>/dev/null"):format(name, self.pid))
end

--- Run to the end: exit code, stdout, stderr.
function child.run(arguments, options)
	return child.start(arguments, options):finish()
end

--- Start a debugger on a free port; returns it and its URL.
function child.debugger(arguments)
	local all = { "debugger", "--port", "0" }
	for _, argument in ipairs(arguments or {}) do
		all[#all + 1] = argument
	end
	local self = child.start(all)
	local port = self:wait_for "listening on http://127.0.0.1:(%d+)"
	return self, "http://127.0.0.1:" .. port, tonumber(port)
end

--- The messages that a debugger started with --json has printed, decoded.
function Child:messages()
	local cjson = require "cjson"
	local list = {}
	for line in self:out():gmatch "([^\n]+)\n" do -- it may be in the middle of one
		list[#list + 1] = cjson.decode(line)
	end
	return list
end

--- Send raw bytes to a port of this machine and return all that comes back until the other end closes.
function child.exchange(port, bytes)
	local request = child.file("request", bytes)
	local script = "exec 3<>/dev/tcp/127.0.0.1/%d && cat %s >&3 2>/dev/null; timeout %d cat <&3 2>/dev/null"
	local pipe = io.popen("bash -c '" .. script:format(port, request, DEADLINE) .. "'")
	local answer = pipe:read "*a"
	pipe:close()
	return answer
end

--- One HTTP request on a connection of its own: status, body, head.
function child.http(port, method, path, headers, body)
	local lines = { ("%s %s HTTP/1.1"):format(method, path), "Connection: close" }
	headers = headers or {}
	if not headers.Host then
		lines[#lines + 1] = "Host: 127.0.0.1:" .. port
	end
	for name, value in pairs(headers) do
		lines[#lines + 1] = name .. ": " .. value
	end
	if body then
		lines[#lines + 1] = "Content-Length: " .. #body
	end
	local answer = child.exchange(port, table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or ""))
	local head, rest = answer:match "^(.-)\r\n\r\n(.*)$"
	return tonumber((head or ""):match "^HTTP/1%.1 (%d+)"), rest, head
end

--- End what still runs and remove the files.
function child.clean()
	for _, self in ipairs(started) do
		if not read(self.base .. ".rc") then
			self:signal "KILL"
			self:finish()
		end
	end
	started = {}
	if folder then
		os.execute("rm -rf " .. quote(folder))
		folder = nil
	end
end

return child
