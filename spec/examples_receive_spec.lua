--- The `verify` of the examples: what the tool signed becomes a message, and what somebody changed does not.

local child = require "spec.support.child"
local cjson = require "cjson"
local golden = require "moonweir.golden"
local mw = require "moonweir"
local openssl = require "spec.support.openssl"
local receive = require "moonweir.receive"

local NOW = golden.NOW
local key_file, public_key = openssl.key "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
local secrets = {
	SENDGRID_VERIFICATION_KEY = openssl.base64(public_key), MAILGUN_SIGNING_KEY = "key-of-the-examples",
	POSTMARK_WEBHOOK_PASSWORD = "a long password", TWILIO_AUTH_TOKEN = "token-of-the-examples",
}

local function fixture(tool, file)
	return child.read(("examples/%s/fixtures/%s"):format(tool, file))
end

-- What becomes of a request: the event and user of each message, or why it was refused.
local function outcome(tool, request)
	local source = assert(mw.load(("examples/%s/%s.lua"):format(tool, tool)))
	request.method = "POST"
	local taken = receive.take(source.definition, request, NOW, function(name)
		return secrets[name]
	end)
	if not taken.body then
		return taken.code
	end
	local messages = source:map(taken.body, { format = taken.format, headers = taken.headers, account = "default" })
	for i, it in ipairs(messages) do
		local m = cjson.decode(it.message)
		messages[i] = m.event .. " " .. m.userId
	end
	return table.concat(messages, ", ")
end

describe("the example", function()
	teardown(function()
		os.remove(key_file)
		child.clean()
	end)

	it("sendgrid takes what SendGrid signed", function()
		local body, time = fixture("sendgrid", "clicked.json"), ("%d"):format(NOW / 1000)
		local function request(text)
			return { url = "https://hooks.example/webhooks/acme", body = text, headers = {
				["Content-Type"] = "application/json",
				["X-Twilio-Email-Event-Webhook-Signature"] = openssl.base64(openssl.ecdsa(key_file, time .. body)),
				["X-Twilio-Email-Event-Webhook-Timestamp"] = time,
			} }
		end
		assert.equal("Email Link Clicked user-17", outcome("sendgrid", request(body)))
		assert.equal("forged", outcome("sendgrid", request((body:gsub("user%-17", "user-18")))))
	end)

	it("mailgun takes what Mailgun signed", function()
		local body = fixture("mailgun", "opened.json")
		local time = body:match '"timestamp": "(%d+)"'
		local function request(text)
			return { url = "https://hooks.example/webhooks/acme", body = text, headers = { ["Content-Type"] = "application/json" } }
		end
		assert.equal("Email Opened user-17", outcome("mailgun", request(body)))
		assert.equal("forged", outcome("mailgun", request((body:gsub(time, time + 1, 1)))))
	end)

	it("postmark takes what comes with its password", function()
		local function request(password)
			return { url = "https://hooks.example/webhooks/acme", body = fixture("postmark", "open.json"), headers = {
				["Content-Type"] = "application/json", Authorization = "Basic " .. openssl.base64("postmark:" .. password),
			} }
		end
		assert.equal("Email Opened user-17", outcome("postmark", request "a long password"))
		assert.equal("forged", outcome("postmark", request "a guess"))
	end)

	it("twilio takes what Twilio signed, the customer's id in the URL included", function()
		local url = "https://hooks.example/webhooks/acme?user_id=user-17"
		local body = fixture("twilio", "message-delivered.txt"):gsub("\n$", "")
		local fields = {}
		for name, value in body:gmatch "([^&=]+)=([^&]*)" do
			fields[#fields + 1] = name .. value:gsub("%%(%x%x)", function(hex)
				return string.char(tonumber(hex, 16))
			end)
		end
		table.sort(fields)
		local signature = openssl.base64(openssl.hmac("sha1", secrets.TWILIO_AUTH_TOKEN, url .. table.concat(fields)))
		local function request(called)
			return { url = called, body = body, headers = {
				["Content-Type"] = "application/x-www-form-urlencoded", ["X-Twilio-Signature"] = signature,
			} }
		end
		assert.equal("SMS Delivered user-17", outcome("twilio", request(url)))
		assert.equal("forged", outcome("twilio", request((url:gsub("user%-17", "user-18")))))
	end)
end)
