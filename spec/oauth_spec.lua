--- The token server of the debugger, asked by hand: what Segment's page on OAuth 2.0 demands, each demand broken once.

local base64 = require "moonweir.base64"
local child = require "spec.support.child"
local cjson = require "cjson"
local debugger = require "moonweir.debugger"
local token = require "moonweir.debugger.token"

local NOW = 1763935080
local HOST = "127.0.0.1:4400"
local AUDIENCE = "http://" .. HOST

local function run(command)
	local pipe = io.popen(command)
	local text = pipe:read "*a"
	pipe:close()
	return text
end

local function encode(text)
	local out = run(("printf %%s '%s' | openssl base64 -A"):format(text))
	return (out:gsub("+", "-"):gsub("/", "_"):gsub("=", ""))
end

describe("the debugger's token server", function()
	local pems, publics = {}, {}

	setup(function()
		for i = 1, 2 do
			pems[i] = child.file("key" .. i .. ".pem", run "openssl genrsa 2048 2>/dev/null", "600")
			publics[i] = run("openssl pkey -pubout -in " .. pems[i])
		end
	end)
	teardown(child.clean)

	local tokens, now

	before_each(function()
		now = NOW
		tokens = token.new {
			apps = { { client_id = "client", key_id = "kid", public_key = publics[1] } },
			life = 100,
			now = function()
				return now
			end,
		}
	end)

	--- A JWT that openssl has signed. `change` edits header and claims.
	local function jwt(change, key)
		local header = { alg = "RS256", typ = "JWT", kid = "kid" }
		local claims = { iss = "client", sub = "client", aud = AUDIENCE, iat = NOW - 5, exp = NOW + 50, jti = tostring(math.random()) }
		if change then
			change(header, claims)
		end
		local text = encode(cjson.encode(header)) .. "." .. encode(cjson.encode(claims))
		local signature = run(("printf %%s '%s' | openssl dgst -sha256 -sign %s | openssl base64 -A"):format(text, key or pems[1]))
		return text .. "." .. signature:gsub("+", "-"):gsub("/", "_"):gsub("=", "")
	end

	local function ask(assertion, changes)
		local form = {
			grant_type = "client_credentials",
			client_assertion_type = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
			client_assertion = assertion,
			scope = "tracking_api%3Awrite",
		}
		local headers = { ["Content-Type"] = "application/x-www-form-urlencoded", Host = HOST }
		for name, value in pairs(changes or {}) do
			if headers[name] then
				headers[name] = value
			else
				form[name] = value
			end
		end
		local parts = {}
		for name, value in pairs(form) do
			parts[#parts + 1] = name .. "=" .. value
		end
		local status, _, body = tokens:handle {
			method = "POST",
			path = "/token",
			body = table.concat(parts, "&"),
			header = function(name)
				return headers[name]
			end,
		}
		return status, cjson.decode(body)
	end

	it("gives a token that is good for its life", function()
		local status, answer = ask(jwt())
		assert.equal(200, status)
		assert.same({ "Bearer", 100 }, { answer.token_type, answer.expires_in })
		assert.is_true(tokens:accepts("Bearer " .. answer.access_token))
		assert.is_false(tokens:accepts("Bearer " .. answer.access_token .. "0"))
		assert.is_false(tokens:accepts "Bearer ")
		assert.is_false(tokens:accepts(nil))
		now = NOW + 100
		assert.is_false(tokens:accepts("Bearer " .. answer.access_token))
	end)

	it("gives each its own, and revokes all", function()
		local _, one = ask(jwt())
		local _, two = ask(jwt())
		assert.not_equal(one.access_token, two.access_token)
		tokens:revoke()
		assert.is_false(tokens:accepts("Bearer " .. one.access_token))
	end)

	local bad = {
		{ "alg", function(h) h.alg = "none" end, "alg is not RS256" },
		{ "HS256", function(h) h.alg = "HS256" end, "alg is not RS256" },
		{ "kid", function(h) h.kid = "other" end, "no app has a key" },
		{ "a kid that is a number", function(h) h.kid = 7 end, "no app has a key" },
		{ "sub", function(_, c) c.sub = "other" end, "sub" },
		{ "iss", function(_, c) c.iss = "other" end, "iss" },
		{ "aud", function(_, c) c.aud = "https://oauth2.segment.io" end, "aud is not http://127.0.0.1:4400" },
		{ "iat", function(_, c) c.iat = NOW + 100 end, "future" },
		{ "exp", function(_, c) c.exp = NOW - 100 end, "expired" },
		{ "exp as text", function(_, c) c.exp = tostring(NOW + 10) end, "numbers" },
		{ "a long life", function(_, c) c.exp = NOW + 600 end, "more than a minute" },
		{ "jti", function(_, c) c.jti = nil end, "jti" },
	}
	for _, case in ipairs(bad) do
		it("refuses an assertion for its " .. case[1], function()
			local status, answer = ask(jwt(case[2]))
			assert.same({ 400, "invalid_client" }, { status, answer.error })
			assert.matches(case[3], answer.error_description, 1, true)
		end)
	end

	it("takes an iss that is left out, or this server", function()
		assert.equal(200, (ask(jwt(function(_, c) c.iss = nil end))))
		assert.equal(200, (ask(jwt(function(_, c) c.iss = AUDIENCE end))))
	end)

	it("takes an assertion once", function()
		local assertion = jwt()
		assert.equal(200, (ask(assertion)))
		local status, answer = ask(assertion)
		assert.equal(400, status)
		assert.matches("used before", answer.error_description)
	end)

	it("refuses another key's signature, and one that was changed", function()
		local status, answer = ask(jwt(nil, pems[2]))
		assert.equal(400, status)
		assert.matches("signature", answer.error_description)
		local assertion = jwt()
		local claims = assertion:match "%.(.-)%."
		local forged = encode((base64.decode(claims):gsub('"sub":"client"', '"sub":"CLIENT"')))
		assert.equal(400, (ask((assertion:gsub(claims:gsub("%-", "%%-"), (forged:gsub("%%", "%%%%")), 1)))))
	end)

	it("refuses what is no JWT", function()
		for _, text in ipairs { "", "a", "a.b", "a.b.c", "....", "e30.e30.", "e30.e30.e30", "W10.W10.W10", ("x"):rep(10000) } do
			local status, answer = ask(text)
			assert.same({ 400, "invalid_client" }, { status, answer.error })
		end
	end)

	it("refuses forms that are not as they should be", function()
		local function code_of(changes)
			local status, answer = ask(jwt(), changes)
			return status, answer.error
		end
		assert.same({ 400, "unsupported_grant_type" }, { code_of { grant_type = "password" } })
		assert.same({ 400, "invalid_request" }, { code_of { client_assertion_type = "jwt" } })
		assert.same({ 400, "invalid_scope" }, { code_of { scope = "everything" } })
		assert.same({ 415, "invalid_request" }, { code_of { ["Content-Type"] = "application/json" } })
		local status = tokens:handle { method = "GET", path = "/token", body = "", header = function() end }
		assert.equal(405, status)
	end)

	it("guards the Tracking API", function()
		local seen = {}
		local d = debugger.new { tokens = tokens, on_message = function(m) seen[#seen + 1] = m end }
		local function send(authorization)
			return (d:handle {
				method = "POST",
				path = "/v1/batch",
				body = '{"writeKey":"key-of-a-source","batch":[{"type":"track","userId":"u","event":"E"}]}',
				header = function(name)
					return ({ Host = HOST, Authorization = authorization })[name]
				end,
			})
		end
		local _, answer = ask(jwt())
		assert.equal(200, send("Bearer " .. answer.access_token))
		assert.equal("key-of-a-source", seen[1].key)
		assert.equal(401, send "Bearer other")
		tokens:revoke()
		assert.equal(401, send("Bearer " .. answer.access_token))
		assert.equal(200, send(nil))
		assert.equal(2, #seen)
	end)
end)
