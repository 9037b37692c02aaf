--- control -- what the page and scripts ask of the debugger, below /control. See guard.lua for who may.
---
---     GET    /control/state             totals, the last minute's numbers, faults, requests that stall
---     GET    /control/messages?after=N  what came, as JSON: { "entries": […] }
---     GET    /control/stream?after=N    the same and all that follows, as server-sent events
---     POST   /control/clear             forget what came
---     POST   /control/faults            {"kind":"429","retry_after":3,"times":2,"account":"…k3y4"} -> {"fault":{"id":1,…}}
---     DELETE /control/faults[/ID]       remove one, or all
---     POST   /control/release           let go of what stalls

local core = require "moonweir.core"
local feed = require "moonweir.debugger.feed"
local guard = require "moonweir.debugger.guard"
local respond = require "moonweir.web.respond"

local control = {}

---@class moonweir.debugger.Control
local Control = {}
Control.__index = Control

---@param desk moonweir.debugger.Desk
---@param token string
function control.new(desk, token)
	return setmetatable({ desk = desk, token = token }, Control)
end

local function after(request)
	return tonumber(("&" .. (request.query or "")):match "&after=(%d%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?%d?)%f[&%z]") or 0
end

local routes = {}

routes["GET /control/state"] = function(self)
	return respond.json(200, self.desk:state())
end

routes["GET /control/messages"] = function(self, request)
	local parts = {}
	for entry in self.desk.ring:after(after(request)) do
		parts[#parts + 1] = feed.encode(entry)
	end
	return 200, respond.headers "application/json", '{"entries":[' .. table.concat(parts, ",") .. "]}\n"
end

routes["POST /control/clear"] = function(self)
	self.desk:clear()
	return respond.json(200, { cleared = true })
end

routes["POST /control/faults"] = function(self, request)
	local fault, message = self.desk.faults:add(core.decode(request.body))
	if not fault then
		return respond.refusal(400, "invalid_fault", message)
	end
	return respond.json(201, { fault = fault })
end

routes["DELETE /control/faults"] = function(self)
	self.desk.faults:remove()
	return respond.json(200, { removed = true })
end

routes["POST /control/release"] = function(self)
	return respond.json(200, { released = self.desk:release() })
end

function Control:handle(request, path)
	local id = request.method == "DELETE" and tonumber(path:match "^/control/faults/(%d%d?%d?%d?%d?%d?%d?%d?%d?)$")
	if id then
		if self.desk.faults:remove(id) then
			return respond.json(200, { removed = true })
		end
		return respond.refusal(404, "no_fault", "there is no such fault; it may have struck as often as it was to")
	end
	local route = routes[request.method .. " " .. path]
	if not route then
		return respond.refusal(404, "not_found", "no such route; see moonweir debugger --help")
	end
	return route(self, request)
end

--- Answer an exchange whose path begins with /control.
---@param exchange table
---@param request table
function Control:take(exchange, request)
	local status, code, message = guard.refusal(request, self.token)
	if status then
		return exchange:answer(respond.refusal(status, code, message))
	elseif request.method == "GET" and request.path == "/control/stream" then
		if not self.desk.feed:add(exchange, after(request)) then
			exchange:answer(respond.refusal(503, "too_many_readers", ("at most %d pages at a time"):format(feed.READERS)))
		end
		return
	end
	exchange:answer(self:handle(request, request.path))
end

return control
