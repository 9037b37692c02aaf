--- handler -- each request through Kong as an event for kong.lua, pushed when its answer has gone out.
---
--- What all workers share (source, spool, write key) is in a file like moonweir-config.lua here: its path is the
--- environment variable MOONWEIR_CONFIG, else /etc/moonweir/kong.lua.

local CONFIG = os.getenv "MOONWEIR_CONFIG" or "/etc/moonweir/kong.lua" -- read when Kong starts; its workers see no environment

local Moonweir = {
	PRIORITY = 5, -- beside Kong's own logging plugins, behind whatever authenticates
	VERSION = "0.1.0",
}

--- Once a worker. Kong has no phase at a worker's end for plugins; nginx closes the client when it frees Lua's state, and
--- what is left in the spool another worker adopts.
function Moonweir:init_worker() -- luacheck: ignore self
	require("moonweir.openresty").open(CONFIG)
end

-- Of what Kong would log the few things that the mapping uses: headers hold secrets, and a dead letter keeps an event whole.
local function event_of(entry, conf)
	local consumer, service, route = entry.consumer or {}, entry.service or {}, entry.route or {}
	local user = consumer.custom_id or consumer.username
	if not user and conf.user_header then
		user = kong.request.get_header(conf.user_header)
	end
	local response = entry.response or {}
	return {
		type = (response.status or 0) < 400 and "request.served" or "request.failed",
		time = entry.started_at,
		user = user,
		method = entry.request and entry.request.method,
		service = service.name,
		route = route.name or (route.paths and route.paths[1]),
		status = response.status,
		latency = entry.latencies and entry.latencies.request,
		ip = entry.client_ip,
		user_agent = kong.request.get_header "User-Agent",
	}
end

function Moonweir:log(conf) -- luacheck: ignore self
	require("moonweir.openresty").push(event_of(kong.log.serialize(), conf), { account = conf.account })
end

return Moonweir
