--- workers -- what the workers of one nginx know of each other: their numbers and whether they are well.
---
---     local workers = workers.new(ngx.shared.moonweir)       -- lua_shared_dict moonweir 1m;
---     workers:publish(text, code, reason)                    -- once a second; nil, nil: all is well
---     local page = workers:page(text)                        -- for Prometheus, of all of them
---     local code, reason = workers:trouble()
---
--- A request for /metrics comes to one worker, which can't ask the others; so each leaves its page in shared memory. On the
--- common page every sample has a label `worker`, by which Prometheus sees one that began anew. Without the shared memory a
--- worker knows itself alone, and the page says so.

local core = require "moonweir.core"

local workers = {}

local KEPT = 10 -- seconds, after which a worker that says nothing is gone

---@class moonweir.openresty.Workers
local Workers = {}
Workers.__index = Workers

---@param dict table|nil of ngx.shared
function workers.new(dict)
	return setmetatable({ dict = dict, id = ngx.worker.id() or 0 }, Workers)
end

--- Leave this worker's page for the others.
---@param text string of moonweir.serve.metrics
---@param code? string what is wrong with it
---@param reason? string
function Workers:publish(text, code, reason)
	if not self.dict then
		return
	end
	self.dict:set("page " .. self.id, text, KEPT)
	if code then
		self.dict:set("trouble " .. self.id, core.encode { code = code, reason = reason }, KEPT)
	else
		self.dict:delete("trouble " .. self.id)
	end
end

-- Prometheus wants a family's samples in one place.
local function add(families, id, text)
	local family
	for line in text:gmatch "[^\n]+" do
		local name = line:match "^# HELP (%S+)"
		if name then
			family = families[name]
			if not family then
				family = { line }
				families[name] = family
				families[#families + 1] = family
			end
		elseif line:find "^# TYPE " then
			family[2] = family[2] or line
		else
			local metric, labels, value = line:match "^([%w_:]+){(.*)} (%S+)$" -- a label's value may hold braces, too
			if not metric then
				metric, value = line:match "^([%w_:]+) (%S+)$"
			end
			family[#family + 1] = ('%s{worker="%d"%s} %s'):format(metric, id, labels and "," .. labels or "", value)
		end
	end
end

--- The page of all workers.
---@param own string this worker's, as of now
---@return string
function Workers:page(own)
	local families = {}
	for id = 0, ngx.worker.count() - 1 do
		local text = id == self.id and own or self.dict and self.dict:get("page " .. id)
		if text then
			add(families, id, text)
		end
	end
	local parts = {}
	if not self.dict and ngx.worker.count() > 1 then
		parts[1] = "# Of one worker alone; `lua_shared_dict moonweir 1m;` in nginx.conf shows them all.\n"
	end
	for _, family in ipairs(families) do
		parts[#parts + 1] = table.concat(family, "\n") .. "\n"
	end
	return table.concat(parts)
end

--- What is wrong with another worker; nil: nothing that is known.
---@return string|nil code
---@return string? reason
function Workers:trouble()
	for id = 0, self.dict and ngx.worker.count() - 1 or -1 do
		local text = id ~= self.id and self.dict:get("trouble " .. id)
		if text then
			local told = core.decode(text)
			return told.code, ("worker %d: %s"):format(id, told.reason or "")
		end
	end
	return nil
end

return workers
