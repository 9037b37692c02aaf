--- examples/openresty, each as its README has it: in an nginx of its own, with a debugger or a mock server as Segment.

local child = require "spec.support.child"
local core = require "moonweir.core"
local mock = require "spec.support.mock"
local nginx = require "spec.support.nginx"

local missing = not rawget(_G, "jit") and "nginx runs LuaJIT" or nginx.missing()

describe("the example for OpenResty", function()
	local segment
	before_each(function()
		segment = mock.start()
	end)
	after_each(function()
		nginx.clean()
		segment:finish()
	end)
	teardown(child.clean)

	for _, path in ipairs { "gateway/gateway.lua", "webhooks/acme-desk.lua", "kong/kong.lua" } do
		it(path .. " makes of its fixtures what its golden files say, and passes the review", function()
			local code, out, err = child.run { "test", "examples/openresty/" .. path }
			assert.equal(0, code, out .. err)
			code, out, err = child.run { "check", "examples/openresty/" .. path }
			assert.equal(0, code, out .. err)
		end)
	end

	local function arrived(host, count)
		return host:wait(count .. " messages", function()
			local list = segment:messages()
			return #list >= count and list
		end)
	end

	if missing then
		it("runs in nginx", function()
			pending("skipped: " .. missing)
		end)
		return
	end

	local function private(host, name, text)
		os.execute(("(umask 077; printf %%s '%s' >'%s/%s')"):format(text, host.folder, name))
	end

	local function base64url(text)
		return (core.base64url(text))
	end

	it("gateway tells who called what, and never what a token said that was refused", function()
		local host = nginx.example("examples/openresty/gateway", {
			["moonweir-config.lua"] = { ["http://127.0.0.1:4400"] = segment.url } })
		private(host, "write-key", "demo-key-0001")
		host:launch()
		local token = "x." .. base64url '{"sub":"user-17"}' .. ".x"
		assert.equal(200, (host:http("GET", "/v1/orders/83f2?secret=1", {
			Authorization = "Bearer " .. token, ["User-Agent"] = "sdk/1" })))
		assert.equal(401, (host:http("GET", "/v1/orders")))
		for _, wrong in ipairs { "Bearer x", "Bearer a.b.c", "Bearer x." .. base64url '[1]' .. ".x", "Basic eDp5" } do
			assert.equal(200, (host:http("GET", "/v1/orders", { Authorization = wrong })))
		end
		assert.equal(200, (host:http("POST", "/v1/orders", { Authorization = "bearer " .. token }, "{}")))
		local list = arrived(host, 2)
		assert.equal(2, #list)
		table.sort(list, function(a, b) return a.properties.method < b.properties.method end)
		assert.same({ "API Request Served", "user-17", "/v1/orders/:id", 200 },
			{ list[1].event, list[1].userId, list[1].properties.route, list[1].properties.status })
		assert.equal("sdk/1", list[1].context.userAgent)
		host:wait("metrics", function()
			return (host:metric("events_total") or 0) == 7
		end)
		host:stop()
		assert.same({}, host:errors())
	end)

	it("webhooks answers when the event is on disk, and refuses as the daemon does", function()
		local host = nginx.example "examples/openresty/webhooks"
		local function moonweir(...)
			local code, _, err = child.run { ... }
			assert.equal(0, code, err)
		end
		moonweir("accounts", "new-master-key", host.folder .. "/master-key")
		private(host, "desk-secret", "hush")
		host:launch()
		moonweir("accounts", "set", "blue-bottle", "--spool", host.folder .. "/spool",
			"--master-key-file", host.folder .. "/master-key",
			"--endpoint", segment.url, "--write-key-file", child.file("wk", "demo-key-0001"))
		local readme = child.read "examples/openresty/webhooks/README.md"
		local body = readme:match "\nbody='([^']+)'"
		local function post(account, signature)
			return host:http("POST", "/webhooks/" .. account, { ["X-Acme-Signature"] = signature, ["Content-Type"] = "application/json" },
				body)
		end
		local pipe = io.popen(("printf %%s '%s' | openssl dgst -sha256 -hmac hush -r | cut -d' ' -f1"):format(body))
		local right = pipe:read "*l"
		pipe:close()
		assert.equal(401, (post("blue-bottle", ("0"):rep(64))))
		assert.equal(404, (post("nobody", right)))
		assert.equal(200, (post("blue-bottle", right)))
		assert.equal(200, (post("blue-bottle", right))) -- a repeat
		-- Names of headers have any case; which of two signatures would count?
		local function raw(lines)
			return child.exchange(host.port, ("POST /webhooks/blue-bottle HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s"
				.. "Content-Length: %d\r\n\r\n%s"):format(lines, #body, body)):match "^HTTP/1.1 (%d+)"
		end
		assert.equal("200", raw("x-acme-SIGNATURE: " .. right .. "\r\n"))
		assert.equal("401", raw("X-Acme-Signature: " .. right .. "\r\nX-Acme-Signature: " .. right .. "\r\n"))
		assert.equal("401", raw("X-Acme-Signature: " .. right .. "\r\nx-acme-signature: " .. right .. "\r\n"))
		local list = arrived(host, 1)
		assert.same({ "Ticket Created", "user-17", "acme-desk" }, { list[1].event, list[1].userId, list[1].context.integration.name })
		assert.equal(200, (host:http("GET", "/healthz")))
		host:stop()
		assert.same({}, host:errors())
		for _, message in ipairs(segment:messages()) do
			assert.equal(list[1].messageId, message.messageId)
		end
	end)

	it("kong's plugin sends what the PDK says of a request, and no header but what it names", function()
		local folder = child.folder() .. "/kong"
		os.execute(("cp -r examples/openresty/kong '%s'"):format(folder))
		child.file("kong-source.lua", child.read "examples/openresty/kong/kong.lua")
		child.file("write-key", "demo-key-0001")
		local config = child.read "examples/openresty/kong/moonweir-config.lua"
			:gsub('"/var/lib/moonweir/kong"', ("%q, delivery = { endpoint = %q }"):format(child.folder() .. "/kong-spool", segment.url))
		local path = child.file("kong-config.lua", config)
		local host = nginx.prepare {
			env = ("MOONWEIR_CONFIG='%s'"):format(path), close = "",
			http = 'init_by_lua_block { kong = require "spec.support.kong" plugin = require "kong.plugins.moonweir.handler" }',
			open = "init_worker_by_lua_block { plugin:init_worker() }",
			server = 'location / { content_by_lua_block { ngx.say "{}" } log_by_lua_block { plugin:log { user_header = "X-User" } } }',
		}
		local conf = child.read(host.folder .. "/nginx.conf"):gsub('lua_package_path "', ('%%0%s/?.lua;%s/?.lua;'):format(folder,
			(io.popen "pwd":read "*l")))
		local file = assert(io.open(host.folder .. "/nginx.conf", "w"))
		file:write(conf)
		file:close()
		host:launch()
		local secret = { apikey = "key-ann", Authorization = "Bearer s3cret", Cookie = "session=s3cret" }
		assert.equal(200, (host:http("GET", "/v1/orders", secret)))
		assert.equal(200, (host:http("GET", "/v1/orders", { apikey = "key-bob" })))
		assert.equal(200, (host:http("GET", "/v1/orders", { ["X-User"] = "carl" })))
		assert.equal(200, (host:http("GET", "/v1/orders"))) -- nobody's
		local users = {}
		for _, message in ipairs(arrived(host, 3)) do
			users[message.userId] = message
		end
		local ann = users["user-17"]
		assert.is_truthy(ann and users.bob and users.carl)
		assert.same({
			event = "API Request Served", method = "GET", service = "orders", route = "/v1", status = 200, duration_ms = 4,
		}, {
			event = ann.event, method = ann.properties.method, service = ann.properties.service, route = ann.properties.route,
			status = ann.properties.status, duration_ms = ann.properties.duration_ms })
		assert.is_nil((child.read(segment.arrived) .. host:log()):find("s3cret", 1, true))
		host:stop()
		assert.same({}, host:errors())
	end)

	it("in the README works as it stands there", function()
		local block = child.read("README.md"):match "\n## In OpenResty\n.-```nginx\n(.-)```"
		child.file("called.lua", [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define { slug = "api", version = "1.0.0", event = get "type", user = source.user { get "user" },
				on = { called = source.track "API Called" { path = get "path" } } }]])
		child.file("readme-key", "demo-key-0001")
		local config = child.file("readme-config.lua", ('return { source = "called.lua", spool = "readme-spool", '
			.. 'write_key_file = "readme-key", delivery = { endpoint = %q } }'):format(segment.url))
		local host = nginx.start { conf = function(port)
			local main, http = nginx.preamble()
			return main .. block:gsub("http {\n", function(line) return line .. http end, 1):gsub("/etc/acme/moonweir%.lua", config)
				:gsub("server {", "server { listen 127.0.0.1:" .. port .. ";"):gsub("proxy_pass http://api;", "content_by_lua 'ngx.say(1)';")
		end }
		assert.equal(200, (host:http("GET", "/api/x", { ["X-User"] = "user-17" })))
		assert.equal(200, (host:http("POST", "/webhooks/acme", {}, '{"type":"called","user":"user-18","path":"/y"}')))
		local list = arrived(host, 2)
		table.sort(list, function(a, b) return a.userId < b.userId end)
		assert.same({ "/api/x", "/y" }, { list[1].properties.path, list[2].properties.path })
		host:wait("metrics of both workers", function()
			return host:metric "healthy" == 2 and host:metric "events_total" == 2
		end)
		host:stop()
		assert.same({}, host:errors())
	end)

	it("kong's schema is one that Kong's own loader would read", function()
		local typedefs = setmetatable({}, { __index = function(_, name) return { typedef = name } end })
		package.loaded["kong.db.schema.typedefs"] = typedefs
		local schema = dofile "examples/openresty/kong/kong/plugins/moonweir/schema.lua"
		package.loaded["kong.db.schema.typedefs"] = nil
		assert.equal("moonweir", schema.name)
		assert.same({ "protocols", "config" }, { (next(schema.fields[1])), (next(schema.fields[2])) })
		assert.equal("record", schema.fields[2].config.type)
	end)
end)
