--- kong -- a stand-in for what the example plugin uses of Kong's plugin development kit, inside a plain nginx.
--
-- In the shapes that Kong 3 documents: kong.log.serialize() gives a request's entry of the log, with consumer, service and route
-- where there are some; kong.request.get_header one header. Who the consumer is says a table here, where Kong asks its database.

local kong = { log = {}, request = {} }

--- Consumers by their key, as key-auth would find them.
kong.consumers = {
	["key-ann"] = { id = "0b2d", username = "ann", custom_id = "user-17" },
	["key-bob"] = { id = "77aa", username = "bob" },
}

function kong.request.get_header(name)
	local value = ngx.req.get_headers()[name]
	return type(value) == "table" and value[1] or value
end

function kong.log.serialize()
	local headers = ngx.req.get_headers()
	local consumer = kong.consumers[headers.apikey]
	headers.authorization = headers.authorization and "REDACTED"
	return {
		request = {
			id = ngx.var.request_id, method = ngx.req.get_method(), uri = ngx.var.request_uri, headers = headers,
			url = "http://localhost:8000" .. ngx.var.request_uri, querystring = {}, size = tonumber(ngx.var.request_length),
		},
		response = { status = ngx.status, headers = ngx.resp.get_headers(), size = tonumber(ngx.var.bytes_sent) },
		latencies = { kong = 1, proxy = 3, request = 4 },
		client_ip = ngx.var.remote_addr,
		started_at = ngx.req.start_time() * 1000,
		consumer = consumer,
		authenticated_entity = consumer and { id = "c0ffee" },
		service = { id = "a1", name = "orders", host = "orders.internal" },
		route = { id = "b2", paths = { "/v1" }, methods = { "GET", "POST" } },
		workspace = "d3",
	}
end

return kong
