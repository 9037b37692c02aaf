--- Every scheme of receive/tools.lua: what the tool signed is taken, and nothing else is.

local openssl = require "spec.support.openssl"
local receive = require "moonweir.receive"
local source = require "moonweir.source"
local tools = require "moonweir.receive.tools"

local NOW = 1767268800 -- 2026-01-01T12:00:00Z
local URL = "https://hooks.example.com/webhooks/blue-bottle"
local BODY = '{"id":"evt_1","caf\195\169":[1,2]}\r\n'
local KEY = "s3cret/with+signs="
local RAW = "\1\2\3 raw bytes of a key \250\251" -- of those whose secret is base64

local key_file, public_key = openssl.key "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
local ed_file, ed_public = openssl.key "-algorithm ed25519"
teardown(function()
	os.remove(key_file)
	os.remove(ed_file)
end)

local function hmac_hex(text, kind, key)
	return openssl.hex(openssl.hmac(kind or "sha256", key or KEY, text))
end

local function hmac_base64(text, kind, key)
	return openssl.base64(openssl.hmac(kind or "sha256", key or KEY, text))
end

-- How each tool sends BODY at NOW: options, headers, which header holds the signature, which the time, and further fields
-- of the request.
local sent = {
	stripe = function()
		return { ["Stripe-Signature"] = ("t=%d,v1=%s"):format(NOW, hmac_hex(NOW .. "." .. BODY)) }, "Stripe-Signature"
	end,
	calendly = function()
		local name = "Calendly-Webhook-Signature"
		return { [name] = ("t=%d,v1=%s"):format(NOW, hmac_hex(NOW .. "." .. BODY)) }, name
	end,
	sendgrid = function()
		local name = "X-Twilio-Email-Event-Webhook-"
		return { [name .. "Signature"] = openssl.base64(openssl.ecdsa(key_file, NOW .. BODY)), [name .. "Timestamp"] = "" .. NOW },
			name .. "Signature", name .. "Timestamp"
	end,
	twilio = function()
		local hash = openssl.hex(openssl.sha256(BODY))
		local url = URL .. "?bodySHA256=" .. hash
		return { ["X-Twilio-Signature"] = hmac_base64(url, "sha1"), ["Content-Type"] = "application/json" },
			"X-Twilio-Signature", nil, { url = url }
	end,
	zendesk = function()
		local name = "X-Zendesk-Webhook-Signature"
		local time = "2026-01-01T12:00:00Z"
		return { [name] = hmac_base64(time .. BODY), [name .. "-Timestamp"] = time }, name, name .. "-Timestamp"
	end,
	shopify = function()
		return { ["X-Shopify-Hmac-Sha256"] = hmac_base64(BODY) }, "X-Shopify-Hmac-Sha256"
	end,
	github = function()
		return { ["X-Hub-Signature-256"] = "sha256=" .. hmac_hex(BODY) }, "X-Hub-Signature-256"
	end,
	intercom = function()
		return { ["X-Hub-Signature"] = "sha1=" .. hmac_hex(BODY, "sha1") }, "X-Hub-Signature"
	end,
	slack = function()
		return { ["X-Slack-Signature"] = "v0=" .. hmac_hex("v0:" .. NOW .. ":" .. BODY), ["X-Slack-Request-Timestamp"] = "" .. NOW },
			"X-Slack-Signature", "X-Slack-Request-Timestamp"
	end,
	typeform = function()
		return { ["Typeform-Signature"] = "sha256=" .. hmac_base64(BODY) }, "Typeform-Signature"
	end,
	svix = function()
		return { ["svix-id"] = "msg_1", ["svix-timestamp"] = "" .. NOW,
			["svix-signature"] = "v1," .. hmac_base64("msg_1." .. NOW .. "." .. BODY, nil, RAW) }, "svix-signature", "svix-timestamp"
	end,
	standard_webhooks = function()
		return { ["webhook-id"] = "msg_1", ["webhook-timestamp"] = "" .. NOW,
			["webhook-signature"] = "v1," .. hmac_base64("msg_1." .. NOW .. "." .. BODY, nil, RAW) },
			"webhook-signature", "webhook-timestamp"
	end,
	segment = function()
		return { ["X-Signature"] = hmac_hex(BODY, "sha1") }, "X-Signature"
	end,
	hubspot = function()
		local name = "X-HubSpot-Request-Timestamp"
		return { ["X-HubSpot-Signature-v3"] = hmac_base64("POST" .. URL .. BODY .. NOW .. "000"), [name] = NOW .. "000" },
			"X-HubSpot-Signature-v3", name
	end,
	customerio = function()
		return { ["X-CIO-Signature"] = hmac_hex("v0:" .. NOW .. ":" .. BODY), ["X-CIO-Timestamp"] = "" .. NOW },
			"X-CIO-Signature", "X-CIO-Timestamp"
	end,
	klaviyo = function()
		local time = "Thu, 01 Jan 2026 12:00:00 GMT"
		return { ["Klaviyo-Signature"] = hmac_hex(BODY .. time), ["Klaviyo-Timestamp"] = time },
			"Klaviyo-Signature", "Klaviyo-Timestamp"
	end,
	mailersend = function()
		return { ["Signature"] = hmac_hex(BODY) }, "Signature"
	end,
	hmac = function()
		local mac = openssl.base64(openssl.hmac("sha512", KEY, "POST|" .. NOW .. "|" .. BODY))
		return { ["X-Acme"] = "sig=" .. mac, ["X-Acme-Time"] = "" .. NOW }, "X-Acme", "X-Acme-Time"
	end,
}

local secret_of = { svix = "whsec_" .. openssl.base64(RAW), standard_webhooks = "whsec_" .. openssl.base64(RAW),
	sendgrid = openssl.base64(public_key) }

local function options_of(name, secret)
	if name == "hmac" then
		return { secret = secret, header = "x-acme", prefix = "sig=", kind = "hmac-sha512", form = "base64",
			signed = "{method}|{timestamp}|{body}", timestamp = "X-Acme-Time" }
	end
	return { [name == "sendgrid" and "public_key" or "secret"] = secret }
end

local function verification_of(name, secret)
	return source.verify[name](options_of(name, secret or secret_of[name] or KEY))
end

local function request_of(name)
	local headers, signature, time, more = sent[name]()
	local request = { method = "POST", url = URL, headers = headers, body = BODY }
	for key, value in pairs(more or {}) do
		request[key] = value
	end
	return request, signature, time
end

local function code_of(verify, request, now, secrets)
	local ok, reason, code = receive.verify(verify, request, now or NOW * 1000, secrets)
	if ok then
		return "genuine"
	end
	assert(type(reason) == "string" and reason ~= "")
	assert(not reason:find(KEY, 1, true) and not reason:find(RAW, 1, true), reason)
	return code, reason
end

-- Calls visit(changed) with each bit of the text turned, one at a time.
local function each_flip(text, visit)
	for i = 1, #text do
		local byte = text:byte(i)
		for bit = 0, 7 do
			local weight = 2 ^ bit
			local other = math.floor(byte / weight) % 2 == 1 and byte - weight or byte + weight
			visit(text:sub(1, i - 1) .. string.char(other) .. text:sub(i + 1), i)
		end
	end
end

describe("receive.verify", function()
	for name in pairs(sent) do
		describe("for " .. name, function()
			local request, signature, time = request_of(name)
			local verify = verification_of(name)

			it("takes what the tool signed", function()
				assert.equal("genuine", (code_of(verify, request)))
			end)

			it("refuses any other bit of body, signature and time", function()
				local headers, body = request.headers, request.body
				each_flip(body, function(changed, at)
					request.body = changed
					assert.equal("forged", (code_of(verify, request)), "byte " .. at)
				end)
				request.body = body .. "\n"
				assert.equal("forged", (code_of(verify, request)))
				request.body = body
				for _, header in ipairs { signature, time } do
					local value = headers[header]
					each_flip(value, function(changed, at)
						headers[header] = changed
						assert.is_truthy(({ forged = 1, unsigned = 1, stale = 1 })[code_of(verify, request)], header .. " " .. at)
					end)
					headers[header] = value
				end
				assert.equal("genuine", (code_of(verify, request)))
			end)

			it("takes each of several secrets, and no other", function()
				local mine = secret_of[name] or KEY
				local other = name == "sendgrid" and mine:gsub("^(.*)=$", "%1=") or "whsec_b3RoZXI="
				assert.equal("genuine", (code_of(verification_of(name, { other, mine }), request)))
				assert.equal("genuine", (code_of(verification_of(name, { mine, other }), request)))
				if name ~= "sendgrid" then
					assert.equal("forged", (code_of(verification_of(name, other), request)))
				end
			end)

			it("refuses without its headers, and with one that came twice", function()
				local as_sent = {}
				for header, value in pairs(request.headers) do
					as_sent[header] = value
				end
				for header, value in pairs(as_sent) do
					if header ~= "Content-Type" then
						request.headers[header] = nil
						assert.equal("unsigned", (code_of(verify, request)))
						request.headers[header] = { value, value }
						assert.equal("unsigned", (code_of(verify, request)))
						request.headers[header] = value
						request.headers[header:upper()] = header ~= header:upper() and value or nil
						assert.equal(header ~= header:upper() and "unsigned" or "genuine", (code_of(verify, request)))
						request.headers[header:upper()] = nil
						request.headers[header] = value
					end
				end
			end)

			it("knows headers by any case", function()
				local lower = {}
				for header, value in pairs(request.headers) do
					lower[header:lower()] = value
				end
				assert.equal("genuine", (code_of(verify, { method = "POST", url = request.url, headers = lower, body = request.body })))
			end)

			local tolerance = tools[name].tolerance or (name == "hmac" and 300)
			if tolerance then
				it("looks at the time", function()
					assert.equal("genuine", (code_of(verify, request, (NOW + tolerance) * 1000)))
					assert.equal("stale", (code_of(verify, request, (NOW + tolerance + 1) * 1000)))
					assert.equal("genuine", (code_of(verify, request, (NOW - 300) * 1000)))
					assert.equal("stale", (code_of(verify, request, (NOW - 301) * 1000)))
					local options = options_of(name, secret_of[name] or KEY)
					options.tolerance = 10
					local strict = source.verify[name](options)
					assert.equal("genuine", (code_of(strict, request, (NOW + 10) * 1000)))
					assert.equal("stale", (code_of(strict, request, (NOW + 11) * 1000)))
					assert.equal("stale", (code_of(strict, request, (NOW - 11) * 1000)))
					options.tolerance = false
					assert.equal("genuine", (code_of(source.verify[name](options), request, (NOW + 1e9) * 1000)))
				end)
			end
		end)
	end

	it("is tested for every scheme with a signature", function()
		for name, tool in pairs(tools) do
			assert.is_true(sent[name] ~= nil or tool.scheme == "credentials" or name == "mailgun", name)
		end
	end)

	it("takes a public key of Standard Webhooks", function()
		local signature = "v1a," .. openssl.base64(openssl.ed25519(ed_file, "msg_1." .. NOW .. "." .. BODY))
		local request = { method = "POST", url = URL, body = BODY,
			headers = { ["webhook-id"] = "msg_1", ["webhook-timestamp"] = "" .. NOW, ["webhook-signature"] = signature } }
		local verify = source.verify.standard_webhooks { public_key = "whpk_" .. openssl.base64(ed_public:sub(-32)) }
		assert.equal("genuine", (code_of(verify, request)))
		request.headers["webhook-signature"] = "v1," .. signature:sub(5)
		assert.equal("unsigned", (code_of(verify, request)))
		request.headers["webhook-signature"] = "v1,AAAA " .. signature
		assert.equal("genuine", (code_of(verify, request)))
		request.body = "{}"
		assert.equal("forged", (code_of(verify, request)))
	end)
end)

describe("a header with several signatures", function()
	local verify = verification_of "stripe"
	local right = hmac_hex(NOW .. "." .. BODY)

	local function stripe(value)
		return (code_of(verify, { method = "POST", url = URL, headers = { ["Stripe-Signature"] = value }, body = BODY }))
	end

	it("is right if one of them is", function()
		assert.equal("genuine", stripe(("t=%d,v1=%s,v0=%s"):format(NOW, right, ("0"):rep(64))))
		assert.equal("genuine", stripe(("t=%d,v1=%s,v1=bad_signature"):format(NOW, right)))
		assert.equal("genuine", stripe(("t=%d,v1=%s,v1=%s"):format(NOW, ("0"):rep(64), right)))
		assert.equal("genuine", stripe(("t=%d, v1=%s"):format(NOW, right)))
	end)

	it("is wrong if none is, or if it is none", function()
		assert.equal("unsigned", stripe(("t=%d,v0=%s"):format(NOW, right)))
		assert.equal("forged", stripe(("t=%d,v1=%s"):format(NOW, ("0"):rep(64))))
		for _, value in ipairs { "", "v1,t=1", "t=", "t=,v1=" .. right, "v1=" .. right, "t=1e9,v1=" .. right, ("t=%d"):format(NOW),
			("t=%d,t=%d,v1=%s"):format(NOW, NOW, right), ("t=%d,v1=%s"):format(NOW, right:upper()), ("t=%d,,v1=%s"):format(NOW, right),
			("t=0x695661C0,v1=%s"):format(right), ("t= %d,v1=%s"):format(NOW, right) } do
			assert.equal("unsigned", stripe(value), value)
		end
	end)

	it("is not looked at if they are too many", function()
		assert.equal("genuine", stripe(("t=%d"):format(NOW) .. (",v1=" .. ("0"):rep(64)):rep(15) .. ",v1=" .. right))
		assert.equal("unsigned", stripe(("t=%d"):format(NOW) .. (",v1=" .. ("0"):rep(64)):rep(16) .. ",v1=" .. right))
	end)
end)

describe("credentials", function()
	local function with(verify, headers, url)
		return (code_of(verify, { method = "POST", url = url or URL, headers = headers, body = BODY }))
	end

	it("may be a user and a password", function()
		local verify = source.verify.basic { user = "acme", password = { "old", KEY } }
		local function basic(text)
			return with(verify, { Authorization = "Basic " .. openssl.base64(text) })
		end
		assert.equal("genuine", basic("acme:" .. KEY))
		assert.equal("genuine", basic "acme:old")
		assert.equal("genuine", with(verify, { authorization = "basic  " .. openssl.base64 "acme:old" }))
		for _, text in ipairs { "acme:" .. KEY .. "x", "acme:", "acme1:old", ":old", "Acme:old" } do
			assert.equal("forged", basic(text), text)
		end
		for _, value in ipairs { "Basic", "Basic YWNtZQ==", "Basic YWNtZTpvbGQ", "Bearer YWNtZTpvbGQ=", "" } do
			assert.equal("unsigned", with(verify, { Authorization = value }), value)
		end
		assert.equal("unsigned", with(verify, {}))
	end)

	it("may be a token", function()
		local verify = source.verify.bearer { token = KEY }
		assert.equal("genuine", with(verify, { Authorization = "Bearer " .. KEY }))
		each_flip(KEY, function(changed)
			local code = with(verify, { Authorization = "Bearer " .. changed })
			assert.is_true(code == "forged" or code == "unsigned", code)
		end)
		assert.equal("unsigned", with(verify, { Authorization = KEY }))
		local named = source.verify.bearer { token = KEY, header = "X-Api-Token" }
		assert.equal("genuine", with(named, { ["x-api-token"] = KEY }))
		assert.equal("forged", with(named, { ["x-api-token"] = "Bearer " .. KEY }))
		assert.equal("unsigned", with(named, { Authorization = "Bearer " .. KEY }))
	end)

	it("may be in the URL", function()
		local verify = source.verify.query { parameter = "key", secret = "a b" }
		assert.equal("genuine", with(verify, {}, URL .. "?x=1&key=a+b#f"))
		assert.equal("genuine", with(verify, {}, URL .. "?key=a%20b"))
		assert.equal("forged", with(verify, {}, URL .. "?key=a"))
		assert.equal("unsigned", with(verify, {}, URL .. "?keys=a+b"))
		assert.equal("unsigned", with(verify, {}, URL))
	end)
end)

describe("secrets", function()
	local request = request_of "github"

	it("come from the host by their name, one or several", function()
		local verify = source.verify.github { secret = source.secret "GH" }
		local asked
		local function find(found)
			return function(name)
				asked = name
				return found
			end
		end
		assert.equal("genuine", (code_of(verify, request, nil, find(KEY))))
		assert.equal("GH", asked)
		assert.equal("genuine", (code_of(verify, request, nil, find { "old", KEY })))
		assert.equal("forged", (code_of(verify, request, nil, find { "old" })))
		local two = source.verify.github { secret = { source.secret "A", source.secret "B" } }
		assert.equal("genuine", (code_of(two, request, nil, function(name)
			return name == "B" and KEY or nil
		end)))
	end)

	it("that are missing or malformed are told by their name alone", function()
		local verify = source.verify.github { secret = source.secret "GH" }
		local code, reason = code_of(verify, request, nil, function() end)
		assert.same({ "no_secret", "there is no secret GH" }, { code, reason })
		assert.equal("no_secret", (code_of(verify, request, nil, nil)))
		assert.equal("no_secret", (code_of(verify, request, nil, function() return "" end)))
		code, reason = code_of(source.verify.svix { secret = source.secret "SV" }, (request_of "svix"), nil, function()
			return "whsec_!" .. KEY
		end)
		assert.same({ "no_secret", "secret SV is not base64" }, { code, reason })
		code, reason = code_of(source.verify.sendgrid { public_key = "QUJD" }, (request_of "sendgrid"))
		assert.same({ "no_secret", "not a P-256 public key" }, { code, reason })
		assert.error_matches(function()
			receive.verify(verify, request, NOW, function() return 7 end)
		end, 'expected a text or a list of texts for "GH", got a number')
	end)
end)

describe("misuse of receive.verify", function()
	it("raises", function()
		local verify = verification_of "github"
		local request = request_of "github"
		assert.error_matches(function() receive.verify({}, request, 0) end, "expected what source.verify made")
		assert.error_matches(function() receive.verify(verify, nil, 0) end, "a request is a table")
		assert.error_matches(function() receive.verify(verify, { method = "POST", url = URL, headers = {} }, 0) end,
			"request.body must be a text, not a nil")
		assert.error_matches(function() receive.verify(verify, { method = "", url = URL, headers = { a = 1 }, body = "" }, 0) end,
			"a must be a text or a list of texts")
		assert.error_matches(function() receive.verify(verify, request) end, "now is milliseconds since 1970")
	end)
end)
