--- run -- a daemon from its start to its end: what `moonweir serve` does, and each worker of several.

local process = require("moonweir.core").process

local function serve_until_signal(daemon, log)
	while not process.interrupted() do
		daemon:round()
		if process.reload_wanted() then
			local ok, message = daemon:reload()
			if ok then
				log:say("info", "reloaded", { config = daemon.service.config.path })
			else
				log:say("error", "reload_failed", { reason = message .. "; the old one goes on" })
			end
		end
	end
end

---@param config moonweir.serve.Config
---@param log moonweir.serve.Log
---@param worker? moonweir.serve.Worker
---@param started? fun(daemon: moonweir.Daemon)
---@return integer exit_code
return function(config, log, worker, started)
	local ok, daemon, why = pcall(require("moonweir.serve").open, config, log, worker)
	if not ok or not daemon then
		log:say("error", "start_failed", { reason = tostring(not ok and daemon or why) })
		return 1
	end
	if started then
		started(daemon)
	end
	serve_until_signal(daemon, log)
	log:say("info", "stopping")
	daemon:stop()
	return 0
end
