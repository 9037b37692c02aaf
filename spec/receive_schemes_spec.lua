--- The tools whose signatures stand for something else than the body as it came: Twilio, Mailgun, Segment.

local openssl = require "spec.support.openssl"
local multipart = require "moonweir.receive.multipart"
local form = require "moonweir.receive.form"
local receive = require "moonweir.receive"
local segment = require "moonweir.receive.segment"
local source = require "moonweir.source"
local twilio = require "moonweir.receive.twilio"

local NOW = 1767268800
local KEY = "s3cret"
local FORM = "application/x-www-form-urlencoded"

local function code_of(verify, request, now)
	request.method = "POST"
	local ok, reason, code = receive.verify(verify, request, (now or NOW) * 1000)
	return ok and "genuine" or code, reason
end

describe("Twilio", function()
	local verify = source.verify.twilio { secret = KEY }
	local URL = "https://hooks.example.com/sms?a=1&b=2"

	local function signed(text)
		return openssl.base64(openssl.hmac("sha1", KEY, text))
	end

	local function twilio_code(signature, url, body, content_type)
		return (code_of(verify, { url = url, body = body,
			headers = { ["X-Twilio-Signature"] = signature, ["Content-Type"] = content_type or FORM .. "; charset=UTF-8" } }))
	end

	it("signs the URL and the form's fields, sorted", function()
		local signature = signed(URL .. "A1B" .. "B+ 2" .. "ab" .. "\195\169")
		assert.equal("genuine", twilio_code(signature, URL, "ab=%C3%A9&B=%2B+2&A=1B"))
		assert.equal("genuine", twilio_code(signature, URL, "A=1B&B=%2B%202&ab=%C3%A9"))
		for _, body in ipairs { "ab=%C3%A9&B=%2B+2", "ab=%C3%A9&B=%2B+2&A=1", "ab=%C3%A9&B=%2B+2&A=1B&C=", "",
			"A=1b&B=%2B+2&ab=%C3%A9" } do
			assert.equal("forged", twilio_code(signature, URL, body), body)
		end
		assert.equal("unsigned", twilio_code(signature, URL, "A=%"))
		assert.equal("forged", twilio_code(signature, URL:gsub("sms", "smt"), "ab=%C3%A9&B=%2B+2&A=1B"))
	end)

	it("costs no stranger more than the largest form that Twilio sends", function()
		local value = ("%41"):rep(80000)
		assert.equal("genuine", twilio_code(signed(URL .. "A" .. ("A"):rep(80000)), URL, "A=" .. value))
		local code, reason = code_of(verify, { url = URL, body = "A=" .. ("%41"):rep(88000), headers = {
			["X-Twilio-Signature"] = signed(URL .. "A" .. ("A"):rep(88000)), ["Content-Type"] = FORM } })
		assert.equal("unsigned", code)
		assert.matches("264002 bytes.*262144", reason)
	end)

	it("takes each value of a name once", function()
		assert.equal("genuine", twilio_code(signed(URL .. "D1234D5678" .. "Sid1"), URL, "Sid=1&D=5678&D=1234&D=1234"))
	end)

	it("spells the URL with or without its port", function()
		local with = signed "https://hooks.example.com:443/sms?a=1&b=2"
		assert.equal("genuine", twilio_code(with, URL, ""))
		assert.equal("genuine", twilio_code(signed(URL), "https://hooks.example.com:443/sms?a=1&b=2", ""))
		assert.equal("genuine", twilio_code(signed "http://example.com:80/", "http://example.com/", ""))
		assert.equal("genuine", twilio_code(signed "http://example.com/", "http://example.com:1234/", ""))
		assert.equal("genuine", twilio_code(signed "http://u:p@example.com:1234/", "http://u:p@example.com:1234/", ""))
		assert.equal("forged", twilio_code(signed "http://example.com:1234/", "http://example.com:1235/", ""))
		assert.equal("forged", twilio_code(signed "https://example.com:80/", "https://example.com/", ""))
	end)

	it("spells the query as it came, as a browser does, and taken apart", function()
		local came = "https://example.com/?q=It's+50%25~"
		assert.equal("genuine", twilio_code(signed(came), came, ""))
		assert.equal("genuine", twilio_code(signed "https://example.com/?q=It%27s+50%25~", came, ""))
		assert.equal("genuine", twilio_code(signed "https://example.com/?q=It's%2050%25~", came, ""))
		assert.equal("genuine", twilio_code(signed "https://example.com:443/?q=It's%2050%25~",
			"https://example.com/?q=It%27s+50%25~", ""))
		assert.same({ "https://h/", "https://h:443/" }, twilio.spellings "https://h/")
		assert.same({ "no url" }, twilio.spellings "no url")
	end)

	it("stands for another body by its hash in the URL", function()
		local body = '{"a": 1}'
		local url = "https://example.com/x?bodySHA256=" .. openssl.hex(openssl.sha256(body))
		assert.equal("genuine", twilio_code(signed(url), url, body, "application/json"))
		assert.equal("forged", twilio_code(signed(url), url, body .. " ", "application/json"))
		assert.equal("forged", twilio_code(signed(url), url:gsub("%x$", "g"), body, "application/json"))
		assert.equal("forged", twilio_code(signed(url), url, "a=1"))
	end)

	it("does not stand for a body that nothing vouches for", function()
		assert.equal("unsigned", twilio_code(signed(URL), URL, '{"a":1}', "application/json"))
		assert.equal("unsigned", twilio_code(signed(URL), URL, "a=1", "text/plain"))
		assert.equal("genuine", twilio_code(signed(URL), URL, "", "application/json"))
	end)

	it("takes the URL from the script if it says so", function()
		local behind = source.verify.twilio { secret = KEY, url = "https://hooks.example.com/sms" }
		assert.equal("genuine", (code_of(behind, { url = "http://10.0.0.1:8080/sms?a=1&b=2", body = "",
			headers = { ["X-Twilio-Signature"] = signed(URL) } })))
	end)
end)

describe("Mailgun", function()
	local verify = source.verify.mailgun { secret = KEY }
	local token = "0123456789abcdef0123456789abcdef0123456789abcdef00"
	local signature = openssl.hex(openssl.hmac("sha256", KEY, NOW .. token))
	local json = ('{"signature":{"timestamp":"%d","token":"%s","signature":"%s"},"event-data":{"event":"opened"}}')
	local fields = "timestamp=%d&token=%s&signature=%s&event=opened"

	local function mailgun(body, content_type, now)
		return (code_of(verify, { url = "https://h/", body = body, headers = { ["Content-Type"] = content_type } }, now))
	end

	it("signs a timestamp and a token in the body", function()
		assert.equal("genuine", mailgun(json:format(NOW, token, signature), "application/json"))
		assert.equal("genuine", mailgun(json:gsub('"%%d"', "%%d"):format(NOW, token, signature), "application/json"))
		assert.equal("genuine", mailgun(fields:format(NOW, token, signature), FORM))
	end)

	it("refuses any other bit of the three", function()
		for _, changed in ipairs { { NOW + 1, token, signature }, { NOW, token:gsub("0$", "1"), signature },
			{ NOW, token, signature:gsub("^.", { ["0"] = "1" }):gsub("^[^1]", "0") }, { NOW, token, signature:sub(2) },
			{ NOW, token, signature:upper() } } do
			local code = mailgun(json:format(changed[1], changed[2], changed[3]), "application/json")
			assert.is_true(code == "forged" or code == "unsigned", code)
		end
		for _, body in ipairs { "", "{}", "[]", '{"signature":7}', '{"signature":{"token":{}}}', "{", "null" } do
			assert.equal("unsigned", mailgun(body, "application/json"), body)
		end
	end)

	it("looks at the timestamp, a day long", function()
		assert.equal("genuine", mailgun(fields:format(NOW, token, signature), FORM, NOW + 86400))
		assert.equal("stale", mailgun(fields:format(NOW, token, signature), FORM, NOW + 86401))
	end)

	it("reads of a form nothing but the three, wherever they stand: the rest is a stranger's so far", function()
		local three = fields:format(NOW, token, signature)
		for _, body in ipairs { "broken=%zz&" .. three, "xtoken=1&token2=2&" .. three, three .. "&token=second&x=%" } do
			assert.equal("genuine", mailgun(body, FORM), body)
		end
		assert.equal("unsigned", mailgun("x" .. three, FORM))
	end)

	it("may come as multipart", function()
		local parts = {}
		for name, value in pairs { timestamp = "" .. NOW, token = token, signature = signature, event = "opened" } do
			parts[#parts + 1] = ('--b0\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(name, value)
		end
		local body = table.concat(parts) .. "--b0--\r\n"
		assert.equal("genuine", mailgun(body, "multipart/form-data; boundary=b0"))
		assert.equal("genuine", mailgun(body, 'multipart/form-data; charset=utf-8; boundary="b0"'))
		assert.equal("unsigned", mailgun(body, "multipart/form-data"))
		assert.equal("unsigned", mailgun(body:sub(1, -10), "multipart/form-data; boundary=b0"))
	end)
end)

describe("Segment", function()
	local verify = source.verify.segment { secret = KEY }

	local function code(body, signed)
		return (code_of(verify, { url = "https://h/", body = body,
			headers = { ["X-Signature"] = openssl.hex(openssl.hmac("sha1", KEY, signed)) } }))
	end

	it("signs a message, and of a batch the first", function()
		local one = '{"type":"track","x":"]}\\"[{","y":[{}]}'
		assert.equal("genuine", code(one, one))
		assert.equal("genuine", code("[" .. one .. ',{"type":"page"}]', one))
		assert.equal("genuine", code("[" .. one .. "]", "[" .. one .. "]"))
		assert.equal("forged", code('[{"type":"page"},' .. one .. "]", one))
		assert.equal("forged", code("[" .. one:gsub("track", "trace") .. "]", one))
	end)

	it("looks for the first element no further than a message can be long", function()
		local long = ("x"):rep(300000)
		assert.is_true(segment.first('[{"a":"' .. long .. '"}]') == nil)
		assert.equal("{}", segment.first('[{},"' .. long .. '"]'))
		local one = '{"a":"' .. long .. '"}'
		assert.equal("genuine", code(one, one)) -- the body as a whole, however long
		assert.equal("genuine", code("[" .. one .. "]", "[" .. one .. "]"))
	end)

	it("finds the first element whatever stands in it", function()
		assert.equal('{"a":"\\\\"}', segment.first '[{"a":"\\\\"},{"b":1}]')
		assert.equal('{"a":"\\\\\\"}"}', segment.first ' [ {"a":"\\\\\\"}"} , 1]')
		for _, text in ipairs { "", "[]", "[1]", "[{", '[{"a":"}', '[{"a":"\\', "{}" } do
			assert.is_nil(segment.first(text), text)
		end
	end)
end)

-- What grows with the square of its input would not come to an end here.
describe("large requests", function()
	it("are refused in time that grows with their size alone", function()
		local quotes = '[{"a":"' .. ('\\"'):rep(120000) .. '"},1]'
		local spaces = "v1=" .. (" "):rep(300000) .. "x"
		local stripe = source.verify.stripe { secret = KEY }
		assert.equal(#quotes - 4, #segment.first(quotes))
		local ok, _, code = receive.verify(stripe, { method = "POST", url = "https://h/", body = "",
			headers = { ["Stripe-Signature"] = spaces } }, 0)
		assert.same({ nil, "unsigned" }, { ok, code })
		receive.body { method = "POST", url = "https://h/", body = "", headers = { ["Content-Encoding"] = spaces,
			["Content-Type"] = ";" .. spaces } }
	end)
end)

describe("forms", function()
	it("are read as pairs", function()
		assert.same({ { "a[]", "1" }, { "b", "" }, { "c", "x y=&" } }, form.pairs "a%5B%5D=1&&b&c=x+y=%26")
		assert.same({}, form.pairs "")
		assert.is_nil(form.pairs "a=%4")
		assert.is_nil(form.pairs "%zz=1")
		assert.same({ { "%20", "AZaz" } }, form.pairs "%2520=%41%5A%61%7a")
		for _, broken in ipairs { "%", "a%", "%4", "%%41", "%4%41", "%41%", "%4g", "%g4", "+%" } do
			assert.is_nil(form.pairs(broken), broken)
			assert.is_nil(form.pairs("a=" .. broken .. "&b"), broken)
		end
		assert.is_nil(form.pairs(("a&"):rep(10001)))
	end)

	it("in many parts are read as forms", function()
		local body = 'preamble\r\n--x\r\ncontent-disposition: form-data; name="a[b]"\r\nContent-Type: text/plain\r\n\r\n'
			.. "1\r\n--\195\169\r\n"
			.. '--x\r\nContent-Disposition: form-data; name="file"; filename="cat.png"\r\n\r\n\0\1\2\r\n--x--\r\nepilogue'
		assert.equal("a[b]=1%0D%0A--%C3%A9&file=cat.png", multipart.to_form(body, "multipart/form-data; boundary=x"))
		assert.same({}, multipart.pairs("--x--", "multipart/form-data; boundary=x"))
		for _, broken in ipairs { "", "--x", "--x\r\n", (body:gsub("%-%-x%-%-", "")), (body:gsub('name="a', 'nam="a')) } do
			assert.is_nil(multipart.pairs(broken, "multipart/form-data; boundary=x"))
		end
		local part = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
		local _, message = multipart.pairs(part:rep(1001) .. "--x--", "multipart/form-data; boundary=x")
		assert.equal("more than 1000 parts", message)
	end)
end)

describe("random requests", function()
	it("are refused, whatever they are", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		print("requests: MW_SEED=" .. seed)
		math.randomseed(seed)
		local tools = require "moonweir.receive.tools"
		local letters = { "t=", "v1=", "v1,", ",", "sha256=", "sha1=", "v0=", "Basic ", "Bearer ", "=", " ", "%", "&", "[{", '"',
			"\\", "}", "]", "1767268800", "AAAA", "00ff", "\0", "\255", "--x\r\n", "\r\n\r\n", 'name="token"', "boundary=x" }
		local function text()
			local parts = {}
			for i = 1, math.random(0, 8) do
				parts[i] = letters[math.random(#letters)]
			end
			return table.concat(parts)
		end
		for name, tool in pairs(tools) do
			local options = { secret = KEY }
			if name == "hmac" then
				options.header = "X-Acme"
			elseif name == "basic" then
				options = { user = "u", password = KEY }
			elseif name == "bearer" then
				options = { token = KEY }
			elseif name == "query" then
				options.parameter = "k"
			elseif name == "sendgrid" then
				options = { public_key = "AAAA" }
			elseif tool.key then
				options.secret = "c2VjcmV0"
			end
			local verify = source.verify[name](options)
			for _ = 1, 200 do
				local headers = { Authorization = text(), ["X-Signature"] = text(), ["X-Twilio-Signature"] = text(), ["X-Acme"] = text(),
					["Content-Type"] = ({ FORM, "application/json", "multipart/form-data; boundary=x", text() })[math.random(4)] }
				for _, field in ipairs { "header", "timestamp", "id" } do
					for _, header in ipairs(type(tool[field]) == "table" and tool[field] or { tool[field] }) do
						headers[header] = text()
					end
				end
				local code, reason = code_of(verify, { url = "https://h/?" .. text(), headers = headers, body = text() })
				assert.is_true(code ~= "genuine" and code ~= nil, name)
				assert.is_nil(reason:find(KEY, 1, true))
			end
		end
	end)
end)
