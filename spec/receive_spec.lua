--- What is in a request, what it asks, and what to answer.

local child = require "spec.support.child"
local core = require "moonweir.core"
local mw = require "moonweir"
local openssl = require "spec.support.openssl"
local receive = require "moonweir.receive"
local source = require "moonweir.source"

local URL = "https://hooks.example.com/webhooks/blue-bottle"
local NOW = 1767268800000

local function request(body, headers, method)
	return { method = method or "POST", url = URL, headers = headers or {}, body = body }
end

local function gzip(text)
	local path = child.file("plain", text)
	local pipe = io.popen("gzip -c " .. path)
	local bytes = pipe:read "*a"
	pipe:close()
	return bytes
end

describe("receive.body", function()
	teardown(child.clean)

	local function read(body, content_type, coding)
		local headers = {}
		headers["Content-Type"] = content_type
		headers["Content-Encoding"] = coding
		return receive.body(request(body, headers))
	end

	it("knows the format by the Content-Type", function()
		for kind, format in pairs {
			["application/json"] = "json", ["text/plain"] = "json", ["application/vnd.acme+json; v=1"] = "json", [""] = "json",
			["application/x-www-form-urlencoded; charset=UTF-8"] = "form", ["text/xml"] = "xml", ["Application/SOAP+XML"] = "xml",
			["application/x-ndjson"] = "ndjson", ["application/jsonl;charset=utf-8"] = "ndjson",
		} do
			assert.same({ "x=1", format }, { read("x=1", kind) }, kind)
		end
		assert.same({ "{}", "json" }, { read("{}") })
	end)

	it("takes JSON that is called a form for JSON, as curl -d sends it", function()
		for _, text in ipairs { '{"a":1}', ' [{"a":"b=c&d"}]' } do
			assert.same({ text, "json" }, { read(text, "application/x-www-form-urlencoded") })
		end
		assert.same({ "%7B=1", "form" }, { read("%7B=1", "application/x-www-form-urlencoded") })
	end)

	it("makes a form of many parts", function()
		local body = '--b\r\nContent-Disposition: form-data; name="event-data"\r\n\r\n{"a": "\195\169"}\r\n--b--'
		assert.same({ "event-data=%7B%22a%22%3A%20%22%C3%A9%22%7D", "form" }, { read(body, "multipart/form-data; boundary=b") })
		local bytes, message, code = read(body, "multipart/form-data")
		assert.same({ nil, "multipart without a usable boundary", "invalid" }, { bytes, message, code })
	end)

	it("undoes compression", function()
		assert.same({ '{"a":1}', "json" }, { read(gzip '{"a":1}', "application/json", "gzip") })
		assert.same({ '{"a":1}', "json" }, { read(gzip '{"a":1}', nil, " X-GZIP ") })
		assert.same({ "{}", "json" }, { read("{}", nil, "identity") })
		local bytes, message, code = read("{}", nil, "gzip")
		assert.same({ nil, "not a compressed body, or a damaged one", "invalid" }, { bytes, message, code })
		bytes, message, code = read("{}", nil, "br")
		assert.same({ nil, "the Content-Encoding is neither gzip nor deflate", "unsupported" }, { bytes, message, code })
		assert.equal("unsupported", select(3, read(gzip(gzip "{}"), nil, "gzip, gzip")))
		bytes, message, code = read(gzip(("0"):rep(17 * 1024 * 1024)), nil, "gzip")
		assert.same({ nil, "too_large" }, { bytes, code })
		assert.matches("a body of %d+ bytes that grows beyond 16777215, or 200 times its size", message)
	end)

	it("reads windows-1252", function()
		assert.same({ '{"a":"\195\169\226\130\172"}', "json" }, { read('{"a":"\233\128"}', "application/json; charset=ISO-8859-1") })
		assert.same({ "a=%C3%A9&b[c]=%E2%82%AC", "form" },
			{ read("a=%E9&b[c]=\128", 'application/x-www-form-urlencoded; charset="windows-1252"') })
		assert.same({ "a=%", "form" }, { read("a=%", "application/x-www-form-urlencoded; charset=latin1") })
		assert.same({ "a=%E9", "form" }, { read("a=%E9", "application/x-www-form-urlencoded; charset=utf-8") })
		assert.equal("unsupported", select(3, read("{}", "application/json; charset=utf-16")))
		assert.same({ "<a/>", "xml" }, { read("<a/>", "text/xml; charset=utf-16") }) -- says so itself
		local all = {}
		for byte = 128, 255 do
			all[#all + 1] = string.char(byte)
		end
		local text = core.decode((read('"' .. table.concat(all) .. '"', "text/json; charset=cp1252")))
		assert.equal(128, select(2, text:gsub("[\194-\244]", "")))
	end)
end)

describe("receive.challenge", function()
	it("answers GET and HEAD, and no other method", function()
		assert.same({ status = 200, headers = {}, body = "" }, receive.challenge(request("", nil, "GET")))
		assert.same({ status = 200, headers = {}, body = "" }, receive.challenge(request("", nil, "HEAD")))
		assert.equal(405, receive.challenge(request("", nil, "DELETE")).status)
		assert.is_nil((receive.challenge(request("{}", nil, "PUT"))))
	end)

	it("sends Slack's challenge back", function()
		local answer = receive.challenge(request '{"token":"t","challenge":"3eZbrw1a<b>","type":"url_verification"}')
		assert.same({ 200, "3eZbrw1a<b>", "text/plain; charset=utf-8", "nosniff" },
			{ answer.status, answer.body, answer.headers["Content-Type"], answer.headers["X-Content-Type-Options"] })
		for _, body in ipairs { '{"type":"event_callback","challenge":"x","text":"url_verification"}', '{"type":"url_verification"}',
			'{"type":"url_verification","challenge":7}', '["url_verification"]', "url_verification", "{" } do
			assert.is_nil((receive.challenge(request(body))), body)
		end
	end)

	it("fetches nothing for SNS and says what to do", function()
		local headers = { ["x-amz-sns-message-type"] = "SubscriptionConfirmation" }
		local body = '{"Type":"SubscriptionConfirmation","TopicArn":"arn:aws:sns:eu-west-1:1:t\\n","SubscribeURL":"%s"}'
		local url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1"
		local answer, note = receive.challenge(request(body:format(url), headers))
		assert.equal(200, answer.status)
		assert.equal("Amazon SNS asks to confirm the subscription to arn:aws:sns:eu-west-1:1:t?: if it is yours, open " .. url
			.. " within three days", note)
		for _, other in ipairs { "http://sns.eu-west-1.amazonaws.com/", "https://sns.eu-west-1.amazonaws.com.evil.com/",
			"https://evil.com/", "https://sns.a.b.amazonaws.com/", "" } do
			answer, note = receive.challenge(request(body:format(other), headers))
			assert.equal(200, answer.status)
			assert.matches("whose SubscribeURL is not Amazon's; do not open it", note)
		end
		headers["x-amz-sns-message-type"] = "UnsubscribeConfirmation"
		assert.matches("was ended", select(2, receive.challenge(request("", headers))))
		headers["x-amz-sns-message-type"] = "Notification"
		assert.is_nil((receive.challenge(request("{}", headers))))
	end)
end)

describe("receive.take", function()
	teardown(child.clean)

	local verify = source.verify.slack { secret = source.secret "SLACK" }
	local signed = { slug = "a", verify = verify }

	local function secrets(name)
		return name == "SLACK" and "hush" or nil
	end

	local function slack(body, headers)
		headers = headers or {}
		headers["X-Slack-Request-Timestamp"] = "1767268800"
		headers["X-Slack-Signature"] = "v0=" .. openssl.hex(openssl.hmac("sha256", "hush", "v0:1767268800:" .. body))
		return request(body, headers)
	end

	it("gives what is genuine", function()
		local taken = receive.take(signed, slack '{"a":1}', NOW, secrets)
		assert.same({ answer = { status = 200, headers = {}, body = "" }, body = '{"a":1}', format = "json",
			headers = taken.headers }, taken)
		assert.equal("1767268800", taken.headers["X-Slack-Request-Timestamp"])
	end)

	it("passes on the parameters of the URL that the script reads, and no other", function()
		local asks = { slug = "a", query = { "user_id", "Id", "none", "nul" } }
		local asked = request "{}"
		asked.headers = { ["X-A"] = "1", ["?user_id"] = "forged", ["?none"] = "forged" }
		asked.url = "https://a.example/webhooks/x?token=secret&user_id=a%2Bb+c&user_id=second&Id=&nul=%00#?none=1"
		assert.same({ ["X-A"] = "1", ["?user_id"] = "a+b c", ["?Id"] = "" }, receive.take(asks, asked, NOW).headers)
		asked.url = "https://a.example/webhooks/x?user_id=%"
		assert.same({ ["X-A"] = "1" }, receive.take(asks, asked, NOW).headers)
		asked.url = "/webhooks/x"
		assert.same({ ["X-A"] = "1" }, receive.take(asks, asked, NOW).headers)
	end)

	it("checks the bytes that came, before they are decompressed", function()
		local bytes = gzip '{"a":1}'
		local taken = receive.take(signed, slack(bytes, { ["Content-Encoding"] = "gzip" }), NOW, secrets)
		assert.same({ '{"a":1}', 200 }, { taken.body, taken.answer.status })
		local wrong = slack(bytes, { ["Content-Encoding"] = "gzip" })
		wrong.body = bytes:sub(1, -2)
		assert.equal("forged", receive.take(signed, wrong, NOW, secrets).code)
	end)

	it("tells whoever asked nothing but a status", function()
		local stale = receive.take(signed, slack "{}", NOW + 400000, secrets)
		local unsigned = receive.take(signed, request "{}", NOW, secrets)
		local forged = slack "{}"
		forged.body = "[]"
		forged = receive.take(signed, forged, NOW, secrets)
		for code, taken in pairs { stale = stale, unsigned = unsigned, forged = forged } do
			assert.same({ answer = { status = 401, headers = {}, body = "" }, code = code, reason = taken.reason }, taken)
		end
		local ours = receive.take(signed, slack "{}", NOW, function() end)
		assert.same({ 503, "60", "no_secret" }, { ours.answer.status, ours.answer.headers["Retry-After"], ours.code })
		for status, headers in pairs { [415] = { ["Content-Encoding"] = "br" }, [400] = { ["Content-Encoding"] = "gzip" } } do
			local taken = receive.take(signed, slack("{}", headers), NOW, secrets)
			assert.same({ status, "" }, { taken.answer.status, taken.answer.body })
			assert.is_nil(taken.body)
		end
	end)

	it("answers a challenge only if it is signed, and gives no body then", function()
		local body = '{"challenge":"c","type":"url_verification"}'
		local taken = receive.take(signed, slack(body), NOW, secrets)
		assert.same({ 200, "c" }, { taken.answer.status, taken.answer.body })
		assert.is_nil(taken.body)
		assert.equal(401, receive.take(signed, request(body), NOW, secrets).answer.status)
		assert.equal(200, receive.take(signed, request("", nil, "GET"), NOW, secrets).answer.status)
	end)

	it("takes what comes where the script has no verify", function()
		assert.equal("{}", receive.take({ slug = "a" }, request "{}", NOW).body)
	end)

	it("answers Salesforce as Salesforce wants it", function()
		local body = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
			.. '<notifications xmlns="http://soap.sforce.com/2005/09/outbound"/></e:Body></e:Envelope>'
		local taken = receive.take({ slug = "a" }, request(body, { ["Content-Type"] = "text/xml; charset=utf-8" }), NOW)
		assert.same({ "xml", 200, "text/xml; charset=utf-8" },
			{ taken.format, taken.answer.status, taken.answer.headers["Content-Type"] })
		assert.equal("true", core.decode((require("moonweir.xml").to_json(taken.answer.body))).Envelope.Body.notificationsResponse.Ack)
		assert.equal("", receive.take({ slug = "a" }, request("<a/>", { ["Content-Type"] = "text/xml" }), NOW).answer.body)
	end)

	it("goes with the mapping", function()
		local crm = assert(mw.load(child.file("crm.lua", [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define { slug = "crm", version = "1", verify = source.verify.github { secret = source.secret "GH" },
				event = get.header "X-Event", user = source.user { get "user.id" },
				on = { seen = source.track "Seen" { name = get "user.name" } } }
		]])))
		local body = "<user><id>u1</id><name>Ann</name></user>"
		local headers = { ["X-Event"] = "seen", ["Content-Type"] = "application/xml",
			["X-Hub-Signature-256"] = "sha256=" .. openssl.hex(openssl.hmac("sha256", "k", body)) }
		local taken = receive.take(crm.definition, request(body, headers), NOW, function() return "k" end)
		local messages = crm:map(taken.body, { format = taken.format, headers = headers, account = "a" })
		assert.matches('"userId":"u1"', messages[1].message, 1, true)
		assert.matches('"name":"Ann"', messages[1].message, 1, true)
	end)
end)
