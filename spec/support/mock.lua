--- mock -- a mock server (mockserver.c) as a process of its own, told how to misbehave.

local child = require "spec.support.child"

local mock = {}
local Mock = {}
Mock.__index = Mock

local count = 0

local function lines_of(path)
	local list = {}
	for line in (child.read(path) or ""):gmatch "([^\n]+)\n" do -- the last one may be in the middle of being written
		list[#list + 1] = line
	end
	return list
end

function mock.start()
	count = count + 1
	local base = child.folder() .. "/mock" .. count
	local log, messages = base .. ".log", base .. ".messages"
	local pipe = io.popen(("echo $$; exec %s --log '%s' --messages '%s'"):format(os.getenv "MW_MOCKSERVER", log, messages))
	local pid = pipe:read "*l"
	local port = tonumber(pipe:read("*l"):match "%d+")
	return setmetatable({
		url = "http://127.0.0.1:" .. port,
		port = port,
		pid = pid,
		pipe = pipe,
		log = log,
		arrived = messages,
	}, Mock)
end

--- Lines of mockscript.h.
function Mock:control(script)
	assert(child.http(self.port, "POST", "/control", {}, script) == 200)
end

--- The messages that were answered with 2xx so far, decoded.
function Mock:messages()
	local cjson = require "cjson"
	local list = lines_of(self.arrived)
	for i, line in ipairs(list) do
		list[i] = cjson.decode(line)
	end
	return list
end

--- The message whose property `id` is this, once it came.
function Mock:message(id)
	for _, message in ipairs(self:messages()) do
		if message.properties.id == id then
			return message
		end
	end
end

--- Stops the server and gives its log: lists of fields as mockserver.c documents them.
function Mock:finish()
	if not self.pipe then
		return
	end
	os.execute("kill -TERM " .. self.pid)
	self.pipe:close()
	self.pipe = nil
	local requests = {}
	for i, line in ipairs(lines_of(self.log)) do
		requests[i] = {}
		for field in line:gmatch "%S+" do
			table.insert(requests[i], field)
		end
	end
	return requests
end

return mock
