local unpack = table.unpack or unpack -- luacheck: ignore
local cjson = require "cjson"
local child = require "spec.support.child"

local KEY = "canary0123456789abcdefghijklk3y4"

describe("moonweir oauth", function()
	local spool, master, pem, other_pem, public
	local spools = 0

	setup(function()
		master = child.folder() .. "/master-key"
		assert.equal(0, (child.run { "accounts", "new-master-key", master }))
		local function generate(name, bits)
			local path = child.folder() .. "/" .. name
			os.execute(("umask 077; openssl genrsa -out %s %d 2>/dev/null"):format(path, bits))
			return path
		end
		pem, other_pem = generate("app.pem", 2048), generate("other.pem", 2048)
		public = child.folder() .. "/public.pem"
		os.execute(("openssl pkey -in %s -pubout -out %s"):format(pem, public))
	end)
	teardown(child.clean)

	before_each(function()
		spools = spools + 1
		spool = child.folder() .. "/oauth-spool" .. spools
	end)

	--- What no output may hold: the lines of the private key.
	local function is_leaked(text)
		for line in child.read(pem):gmatch "[^\n]+" do
			if not line:find "^%-%-" and #line > 40 and text:find(line, 1, true) then
				return true
			end
		end
		return false
	end

	local function run(arguments, options)
		options = options or {}
		options.env = options.env or { MOONWEIR_SPOOL = spool, MOONWEIR_MASTER_KEY_FILE = master }
		local code, out, err = child.run(arguments, options)
		assert.is_false(is_leaked(out .. err))
		assert.not_matches("canary", out .. err)
		return code, out, err
	end

	local function set_app(...)
		return run { "oauth", "set", "segment", "--client-id", "client", "--key-id", "kid", "--private-key-file", pem, ... }
	end

	it("saves an app and shows all but its key", function()
		local code, out = set_app()
		assert.equal(0, code)
		assert.matches("segment +client +kid +%x+ +region", out)
		code, out = run { "oauth", "show", "segment", "--json" }
		assert.equal(0, code)
		local app = cjson.decode(out)
		local pipe = io.popen(("openssl pkey -in %s -pubout -outform DER | sha256sum | cut -c1-16"):format(pem))
		assert.equal(pipe:read "*l", app.public_key)
		pipe:close()
		assert.same({ 2048, "tracking_api:write", cjson.null }, { app.bits, app.scope, app.token_server })
		assert.equal(0, (run { "oauth", "set", "segment", "--token-server", "eu", "--scope", "a b" }))
		code, out = run { "oauth", "list", "--json" }
		assert.equal(0, code)
		assert.same({ "eu", "a b", "client" }, { cjson.decode(out).token_server, cjson.decode(out).scope, cjson.decode(out).client_id })
		assert.equal(0, (run { "oauth", "set", "segment", "--token-server", "region" }))
	end)

	it("takes the key through a pipe, and PKCS#1 as well", function()
		local pkcs1 = child.folder() .. "/pkcs1.pem"
		os.execute(("umask 077; openssl rsa -in %s -traditional -out %s 2>/dev/null"):format(pem, pkcs1))
		assert.matches("BEGIN RSA PRIVATE KEY", child.read(pkcs1), 1, true)
		assert.equal(0, (set_app()))
		local _, before = run { "oauth", "show", "segment", "--json" }
		assert.equal(0, (run({ "oauth", "set", "segment", "--private-key-file", "-" }, { stdin = pkcs1 })))
		local _, after = run { "oauth", "show", "segment", "--json" }
		assert.equal(cjson.decode(before).public_key, cjson.decode(after).public_key)
	end)

	it("gives accounts an app and takes it away", function()
		assert.equal(0, (set_app()))
		local code, out = run { "accounts", "set", "acme", "--write-key", KEY, "--oauth", "segment" }
		assert.equal(0, code)
		assert.matches("acme +…k3y4 +default +segment +active", out)
		local _, _, err = run { "oauth", "remove", "segment" }
		assert.matches('1 account sends with it, "acme"', err, 1, true)
		code, out = run { "accounts", "show", "acme", "--json" }
		assert.same({ 0, "segment" }, { code, cjson.decode(out).oauth })
		code, out = run { "accounts", "set", "acme", "--basic" }
		assert.equal(0, code)
		assert.not_matches("segment", out)
		assert.equal(0, (run { "oauth", "remove", "segment" }))
		code, out, err = run { "accounts", "set", "acme", "--oauth", "segment" }
		assert.same({ 1, "" }, { code, out })
		assert.matches('there is no OAuth app "segment"', err, 1, true)
	end)

	local function refused(code, words, arguments, options)
		local got, out, err = run(arguments, options)
		assert.same({ code, "" }, { got, out })
		assert.matches(words, err, 1, true)
	end

	it("says what is wrong with a key when it is saved", function()
		local function set(path)
			return { "oauth", "set", "segment", "--client-id", "c", "--key-id", "k", "--private-key-file", path }
		end
		local function made(name, command)
			local path = child.folder() .. "/" .. name
			os.execute(("umask 077; openssl %s -out %s 2>/dev/null"):format(command, path))
			return path
		end
		refused(2, "has 1024 bits", set(made("weak.pem", "genrsa 1024 2>/dev/null | openssl pkey")))
		refused(2, "encrypted", set(made("locked.pem", "pkey -aes128 -passout pass:x -in " .. pem)))
		refused(2, "no RSA key", set(made("ec.pem", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")))
		refused(2, "this is the public key", set(child.file("public.pem", child.read(public), "600")))
		refused(2, "no private key in PEM", set(child.file("text.pem", "hello", "600")))
		refused(2, "empty", set(child.file("empty.pem", "", "600")))
		refused(1, "No such file", set(child.folder() .. "/none.pem"))
		refused(1, "chmod 600", set(child.file("open.pem", child.read(pem), "644")))
	end)

	it("refuses command lines that make no sense", function()
		refused(2, "is new, and needs", { "oauth", "set", "segment", "--client-id", "c" })
		refused(2, "nothing to set", { "oauth", "set", "segment" })
		refused(2, "named by 1 to 64", { "oauth", "set", "a b", "--client-id", "c" })
		refused(2, "client id", { "oauth", "set", "segment", "--client-id", "c d" })
		refused(2, "write https://example.com", { "oauth", "set", "segment", "--token-server", "http://example.com" })
		refused(2, "can not be used", { "accounts", "set", "a", "--oauth", "x", "--basic" })
		refused(2, "no master key", { "oauth", "set", "segment", "--client-id", "c" }, { env = { MOONWEIR_SPOOL = spool .. "x" } })
	end)

	it("teaches", function()
		for _, name in ipairs { "set", "list", "show", "remove" } do
			local code, out = child.run { "oauth", name, "--help" }
			assert.equal(0, code)
			assert.matches("moonweir oauth " .. name, out:match "Example.*", 1, true)
		end
	end)

	it("leaves no private key in the spool's files", function()
		assert.equal(0, (set_app()))
		assert.is_false(is_leaked(child.read(spool .. "/state/data.mdb")))
	end)

	local function script()
		return child.file("tiny.lua", [[
			local source = require "moonweir.source"
			return source.define {
				slug = "tiny", version = "1", event = source.get "type", user = source.user { source.get "user" },
				on = { opened = source.track "Opened" {} },
			}]])
	end

	it("sends with tokens over real HTTP, and says why there are none", function()
		local event = child.file("event", '{"type":"opened","user":"u1"}\n')
		local d, url, port = child.debugger { "--json", "--oauth-app", "client:kid:" .. public }
		assert.equal(0, (set_app("--token-server", url)))
		assert.equal(0, (run { "accounts", "set", "acme", "--write-key", KEY, "--oauth", "segment", "--endpoint", url }))
		local code, out, err = run { "run", script(), event, "--account", "acme" }
		assert.equal(0, code, err)
		assert.matches("requests +2", out)
		local messages = d:messages()
		assert.equal(1, #messages)
		assert.equal("k3y4", messages[1].key_last4)
		-- Without a token, and with one that nobody gave out.
		local body = '{"writeKey":"' .. KEY .. '","userId":"u","event":"E"}'
		assert.equal(401, (child.http(port, "POST", "/v1/track", { Authorization = "Bearer nonsense" }, body)))
		-- The public key there is no longer that of the private one here.
		assert.equal(0, (run { "oauth", "set", "segment", "--private-key-file", other_pem }))
		code, out, err = run { "run", script(), event, "--account", "acme" }
		assert.equal(1, code, out)
		assert.matches("account acme is parked: its OAuth app gets no token", err, 1, true)
		assert.matches("answered 400: invalid_client: the signature is not that of the app's key", err, 1, true)
		local _, top = run { "top", "--once", "--interval", "0" }
		assert.matches("parked: no OAuth token", top, 1, true)
		d:signal "INT"
		local _, shown = d:finish()
		assert.matches('"path":"/token","status":400', shown, 1, true)
	end)
end)
