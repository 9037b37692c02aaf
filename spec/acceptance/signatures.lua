--- Every published signature in the reference material is taken, and with one bit turned it is not.
---
--- Reads $MW_SHARED/fixtures/signature-vectors.json and the bodies that it names. A vector that is a MAC alone, without a
--- request around it, is put into the request that its tool would send.

local cjson = require "cjson"
local receive = require "moonweir.receive"
local source = require "moonweir.source"

local shared = os.getenv "MW_SHARED" or "../shared"

local function read(name)
	local file = io.open(shared .. "/" .. name, "rb")
	if file then
		local text = file:read "*a"
		file:close()
		return text
	end
end

local text = read "fixtures/signature-vectors.json"
local URL = "https://hooks.example.com/"
local FORM = "application/x-www-form-urlencoded"

local function encode(value)
	return (value:gsub("[^%w]", function(c)
		return ("%%%02X"):format(c:byte())
	end))
end

-- The parameters of a Twilio vector as the form that carried them, in no particular order.
local function form_of(params)
	local parts = {}
	for name, values in pairs(params) do
		for _, value in ipairs(type(values) == "table" and values or { values }) do
			parts[#parts + 1] = encode(name) .. "=" .. encode(value)
		end
	end
	return table.concat(parts, "&")
end

-- Bodies that the vectors of Twilio's JSON requests stand for by their hash.
local hashed = {
	["0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"] = '{"property": "value", "boolean": true}',
	["44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"] = "{}",
}

local function plain(tool, header, tolerance)
	return function(v)
		local options = { secret = v.secret or v.signing_secret or v.shared_secret, tolerance = tolerance }
		return { verify = source.verify[tool](options), body = v.body, headers = { [header] = v.expected }, signature = header }
	end
end

-- A vector as a request: verify, body, headers, now in seconds, url, and which header holds the signature.
local requests = {
	stripe = function(v)
		if v.message then
			return { verify = source.verify.hmac { secret = v.secret, header = "X-MAC" }, body = v.message,
				headers = { ["X-MAC"] = v.expected }, signature = "X-MAC" }
		end
		return { verify = source.verify.stripe { secret = v.secret }, body = read(v.body_file), now = v.timestamp + 100,
			headers = { ["Stripe-Signature"] = v.header:match ": (.*)$":gsub("<expected>", v.expected) },
			signature = "Stripe-Signature", ignored = v.header:match ",v0=.*$", late = v.timestamp + 400 }
	end,
	sendgrid = function(v)
		local name = "X-Twilio-Email-Event-Webhook-"
		return { verify = source.verify.sendgrid { public_key = v.public_key }, body = read(v.body_file), now = tonumber(v.timestamp),
			headers = { [name .. "Signature"] = v.signature, [name .. "Timestamp"] = v.timestamp }, signature = name .. "Signature",
			time = name .. "Timestamp" }
	end,
	mailgun = function(v)
		return { verify = source.verify.mailgun { secret = v.signing_key }, body = read(v.body_file), now = tonumber(v.timestamp),
			headers = { ["Content-Type"] = "application/json" }, inside = { v.timestamp, v.token, v.expected } }
	end,
	twilio = function(v)
		local hash = v.url:match "bodySHA256=(%x+)"
		return { verify = source.verify.twilio { secret = v.auth_token }, url = v.url, signature = "X-Twilio-Signature",
			body = hash and hashed[hash] or form_of(v.params), is_form = not hash,
			headers = { ["X-Twilio-Signature"] = v.expected, ["Content-Type"] = hash and "application/json" or FORM } }
	end,
	zendesk = function(v)
		local name = "X-Zendesk-Webhook-Signature"
		return { verify = source.verify.zendesk { secret = v.signing_secret }, body = v.body, now = 1627207200,
			headers = { [name] = v.expected, [name .. "-Timestamp"] = v.timestamp }, signature = name, time = name .. "-Timestamp",
			is_refused = v.note:find "must be REJECTED" ~= nil }
	end,
	shopify = plain("shopify", "X-Shopify-Hmac-Sha256"),
	github = plain("github", "X-Hub-Signature-256"),
	typeform = plain("typeform", "Typeform-Signature"),
	segment = function(v)
		local made = plain("segment", "X-Signature")(v)
		made.signed_bytes = v.signed and #v.signed + 1 -- of a batch, the bracket and the first message
		return made
	end,
}

local function ask(r, body, headers)
	local request = { method = "POST", url = r.url or URL, headers = headers, body = body }
	local ok, _, code = receive.verify(r.verify, request, (r.now or 0) * 1000)
	return ok and "genuine" or code
end

local function each_flip(value, visit, to)
	for i = 1, to or #value do
		local byte = value:byte(i)
		for bit = 0, 7 do
			local weight = 2 ^ bit
			local other = math.floor(byte / weight) % 2 == 1 and byte - weight or byte + weight
			visit(value:sub(1, i - 1) .. string.char(other) .. value:sub(i + 1), i)
		end
	end
end

-- What a form says, whichever way its letters are escaped: an escape in another case is the same form.
local function meaning(form)
	return (form:gsub("%%(%x%x)", function(hex)
		return "%" .. hex:upper()
	end))
end

local function check_body(r)
	each_flip(r.body, function(changed, at)
		if not (r.is_form and meaning(changed) == meaning(r.body)) then
			assert.is_true(ask(r, changed, r.headers) ~= "genuine", "byte " .. at .. " of the body")
		end
	end, r.signed_bytes)
end

local function check_header(r, name, ignored)
	local value = r.headers[name]
	each_flip(value, function(changed, at)
		local headers = {}
		for key, other in pairs(r.headers) do
			headers[key] = other
		end
		headers[name] = changed
		assert.is_true(ask(r, r.body, headers) ~= "genuine", ("byte %d of %s"):format(at, name))
	end, #value - #(ignored or ""))
end

-- Of Mailgun only three values in the body are signed.
local function check_inside(r)
	for _, value in ipairs(r.inside) do
		local from, to = r.body:find(value, 1, true)
		each_flip(value, function(changed)
			local body = r.body:sub(1, from - 1) .. changed .. r.body:sub(to + 1)
			assert.is_true(ask(r, body, r.headers) ~= "genuine", value)
		end)
	end
end

describe("the published signatures", function()
	if not text then
		it("are taken", function()
			pending("skipped: no signature-vectors.json in " .. shared .. "/fixtures")
		end)
		return
	end
	local vectors = cjson.decode(text)

	it("are all known here", function()
		assert.is_true(#vectors >= 28)
		for _, v in ipairs(vectors) do
			assert.is_function(requests[v.tool], v.tool)
		end
	end)

	for _, v in ipairs(vectors) do
		v.note = v.note or ""
		describe(("of %s: %s"):format(v.tool, v.name), function()
			local r = requests[v.tool](v)
			if r.is_refused then
				it("is refused, for the tool signs otherwise today", function()
					assert.equal("forged", ask(r, r.body, r.headers))
				end)
				return
			end
			it("is taken", function()
				assert.equal("genuine", ask(r, r.body, r.headers))
				if r.late then
					r.now, r.late = r.late, r.now
					assert.equal("stale", ask(r, r.body, r.headers))
					r.now = r.late
				end
			end)
			it("is refused with any bit turned", function()
				if r.inside then
					check_inside(r)
				else
					check_body(r)
					check_header(r, r.signature, r.ignored)
				end
				if r.time then
					check_header(r, r.time)
				end
			end)
		end)
	end

	it("of Twilio stand for the URL as it was called, too", function()
		for _, v in ipairs(vectors) do
			if v.tool == "twilio" then
				local r = requests.twilio(v)
				for _, url in ipairs { (v.url:gsub(":443/", "/")), (v.url:gsub(":80/", "/")), (v.url:gsub("%%27", "'")) } do
					r.url = url
					assert.equal("genuine", ask(r, r.body, r.headers), url)
				end
			end
		end
	end)

	it("of Mailgun are right in every body that is there", function()
		local count = 0
		local pipe = io.popen(("ls %s/fixtures/webhooks/mailgun/*--symfony.json"):format(shared))
		for path in pipe:lines() do
			local file = assert(io.open(path, "rb"))
			local body = file:read "*a"
			file:close()
			local now = tonumber(body:match '"timestamp"%s*:%s*"(%d+)"')
			local r = { verify = source.verify.mailgun { secret = "key-0p6mqbf74lb20gzq9f4dhpn9rg3zyk26" }, now = now }
			assert.equal("genuine", ask(r, body, { ["Content-Type"] = "application/json" }), path)
			count = count + 1
		end
		pipe:close()
		assert.is_true(count >= 8)
	end)
end)
