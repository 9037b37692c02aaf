--- exchange -- one HTTP request of nginx, through the handlers that the daemon has, to its answer.
---
---     exchange.serve(service, service.router, commits)       -- in content_by_lua
---
--- nginx has read the head already; what is doubtful in it nginx has refused. The body is read here, whole: from memory, or
--- from the file that nginx wrote it to if it is longer than client_body_buffer_size. Yields while a body comes, while there is
--- no room, and until an answer's events are on disk; never blocks for them.

local process = require("moonweir.core").process
local service = require "moonweir.serve.service"

local exchange = {}

local HEADERS_MAX = 100 -- as the daemon has it, and nginx's own default
local PAUSE = 0.02 -- seconds between two tries of a request for which there was no room

local TEXT = { ["Content-Type"] = "text/plain; charset=utf-8", ["X-Content-Type-Options"] = "nosniff" }

local function read_file(path, most)
	local file, why = io.open(path, "rb")
	if not file then
		return nil, 500, why
	end
	local body = file:read(most + 1) or ""
	file:close()
	return body
end

--- The whole body, as it came but for chunks, which nginx has put together.
---@param most integer bytes
---@return string|nil body
---@return integer? status to answer instead
---@return string? why for the log
local function read_body(most)
	local length = tonumber(ngx.var.http_content_length)
	if length and length > most then
		return nil, 413
	end
	ngx.req.read_body() -- past client_max_body_size nginx itself answers 413, and this does not return
	local body, status, why = ngx.req.get_body_data(), nil, nil
	if not body then
		local path = ngx.req.get_body_file()
		if not path then
			return ""
		end
		body, status, why = read_file(path, most)
	end
	if body and #body > most then
		return nil, 413
	end
	return body, status, why
end

--- What a handler gets, of what nginx knows.
---@param most integer bytes of body
---@return table|nil request
---@return integer? status
---@return string? text
---@return string? why for the log
local function read_request(most)
	local headers, truncated = ngx.req.get_headers(HEADERS_MAX, true)
	if truncated then
		return nil, 431, "too many headers\n"
	end
	local body, status, why = read_body(most)
	if not body then
		return nil, status, status == 413 and "this body is too large\n" or "this body could not be read\n", why
	end
	-- nginx hangs a metatable on the headers that finds "x-a" as "X-A"; handlers have a way of their own.
	setmetatable(headers, nil)
	return {
		method = ngx.req.get_method(), target = ngx.var.request_uri, headers = headers, body = body, remote = ngx.var.remote_addr,
	}
end

---@param status integer
---@param headers table<string, string>
---@param body string
function exchange.answer(status, headers, body)
	ngx.status = status
	for name, value in pairs(headers) do
		ngx.header[name] = value
	end
	ngx.header["Content-Length"] = #body
	ngx.print(body)
end

-- Once more as long as that has hope; a worker that is to end keeps nobody waiting for it.
local function handle(of, routes, request)
	local since
	while true do
		local status, headers, body, when, route = of:handle(routes, request)
		if when ~= "again" or ngx.worker.exiting() or not of:has_hope(since) then
			return status, headers, body, when, route
		end
		since = since or process.monotonic()
		ngx.sleep(PAUSE)
	end
end

--- Read the request, have it handled, answer it: durably, where the handler asks for that.
---@param of moonweir.serve.Service
---@param routes moonweir.Router
---@param commits moonweir.openresty.Commits
function exchange.serve(of, routes, commits)
	local request, refused, text, why = read_request(of.config.values["limits.body_bytes"])
	if not request then
		if why then
			of.log:say("error", "body", { reason = why })
		end
		of:count("none", refused)
		return exchange.answer(refused, TEXT, text)
	end
	local status, headers, body, when, route = handle(of, routes, request)
	if when == "durable" then
		local safe, message, code = commits:wait(service.ANSWER_SECONDS)
		of:kept(safe == true, message, code)
		if not safe then
			status, headers, body = service.busy()
		end
	end
	of:count(route, status)
	exchange.answer(status, headers, body)
end

return exchange
