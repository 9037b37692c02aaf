--- The `verify` of Zendesk, GitHub, Typeform and Salesforce: what the tool proves to be its own is mapped, and answered as the
--- tool wants it; what somebody changed is not.

local child = require "spec.support.child"
local cjson = require "cjson"
local core = require "moonweir.core"
local golden = require "moonweir.golden"
local mw = require "moonweir"
local openssl = require "spec.support.openssl"
local receive = require "moonweir.receive"

local SECRET = "secret-of-the-examples"
local URL = "https://hooks.example/webhooks/acme"

local known = core.roll {
	{ account = "acme", kind = "tool_id", id = "36000000000017", user = "user-17" },
	{ account = "acme", kind = "tool_id", id = "9007199254740993", user = "user-17" },
}

local function fixture(tool, file)
	return child.read(("examples/%s/fixtures/%s"):format(tool, file))
end

-- What becomes of a request: the calls and whose they are, or why it was refused; and the answer.
local function outcome(tool, body, headers, url)
	local source = assert(mw.load(("examples/%s/%s.lua"):format(tool, tool), { identities = known }))
	headers["Content-Type"] = headers["Content-Type"] or "application/json"
	local request = { method = "POST", url = url or URL, headers = headers, body = body }
	local taken = receive.take(source.definition, request, golden.NOW, function()
		return SECRET
	end)
	if not taken.body then
		return taken.code, taken.answer
	end
	local messages = source:map(taken.body, { format = taken.format, headers = taken.headers, account = "acme" })
	for i, it in ipairs(messages) do
		local m = cjson.decode(it.message)
		messages[i] = (m.event or m.type) .. " " .. m.userId
	end
	return table.concat(messages, ", "), taken.answer
end

describe("the example", function()
	teardown(child.clean)

	it("zendesk takes what Zendesk signed", function()
		local body = fixture("zendesk", "ticket.created.json")
		local time = "2026-01-01T11:59:00Z"
		local function headers()
			return { ["X-Zendesk-Webhook-Signature"] = openssl.base64(openssl.hmac("sha256", SECRET, time .. body)),
				["X-Zendesk-Webhook-Signature-Timestamp"] = time }
		end
		assert.equal("Ticket Created user-17", (outcome("zendesk", body, headers())))
		assert.equal("forged", (outcome("zendesk", (body:gsub("36000000000017", "36000000000018")), headers())))
	end)

	it("github takes what GitHub signed, and answers its ping", function()
		local function headers(event, body)
			return { ["X-GitHub-Event"] = event, ["X-GitHub-Delivery"] = "d-1",
				["X-Hub-Signature-256"] = "sha256=" .. openssl.hex(openssl.hmac("sha256", SECRET, body)) }
		end
		local star, ping = fixture("github", "star.created.json"), fixture("github", "ping.json")
		assert.equal("Repository Starred user-17", (outcome("github", star, headers("star", star))))
		assert.equal("forged", (outcome("github", star .. " ", headers("star", star))))
		local made, answer = outcome("github", ping, headers("ping", ping))
		assert.same({ "", 200 }, { made, answer.status })
	end)

	it("typeform takes what Typeform signed", function()
		local body = fixture("typeform", "survey.json")
		local function headers()
			return { ["Typeform-Signature"] = "sha256=" .. openssl.base64(openssl.hmac("sha256", SECRET, body)) }
		end
		assert.equal("Form Submitted user-17, identify user-17", (outcome("typeform", body, headers())))
		assert.equal("forged", (outcome("typeform", (body:gsub("user%-17", "user-18")), headers())))
	end)

	it("salesforce takes what comes with its key, and answers with the Ack", function()
		local body = fixture("salesforce", "outbound.one.xml")
		local headers = { ["Content-Type"] = "text/xml; charset=utf-8", SOAPAction = '""' }
		local made, answer = outcome("salesforce", body, headers, URL .. "?key=" .. SECRET)
		assert.equal("Opportunity Won user-17", made)
		assert.equal(200, answer.status)
		assert.matches("<Ack>true</Ack>", answer.body, 1, true)
		made, answer = outcome("salesforce", body, headers, URL .. "?key=a-guess")
		assert.equal("forged", made)
		assert.equal(401, answer.status)
		assert.is_nil(answer.body:find("Ack", 1, true))
	end)
end)
