--- sockets -- where a daemon listens: alone, or with its siblings on one socket.

local options = require "moonweir.serve.options"
local server = require "moonweir.server"

local sockets = {}

--- A socket that several processes listen on, and its port.
---@param address string
---@return integer|nil fd
---@return integer|string port or what is wrong
function sockets.shared(address)
	return server.listen(options.address(address))
end

---@param address string
---@param values table
---@param shared? {fd: integer, port: integer} what sockets.shared gave
---@return userdata|nil server
---@return string? message
---@return string? code
function sockets.listen(address, values, shared)
	local host, port = options.address(address)
	return server.open {
		host = host, port = shared and shared.port or port, listener = shared and shared.fd,
		body_max = values["limits.body_bytes"], memory_max = values["limits.memory_bytes"],
		head_max = values["limits.head_bytes"], connections_max = values["limits.connections"],
		connections_per_ip = values["limits.connections_per_ip"], head_timeout = values["limits.head_seconds"],
		idle_timeout = values["limits.idle_seconds"], body_rate_min = values["limits.body_rate"],
	}
end

return sockets
