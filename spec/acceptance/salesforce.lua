--- A genuine outbound message of Salesforce goes through the mapping, and with one notification as well as with three.

local cjson = require "cjson"
local mw = require "moonweir"
local receive = require "moonweir.receive"
local source = require "moonweir.source"

local get = source.get
local shared = os.getenv "MW_SHARED" or "../shared"
local path = shared .. "/fixtures/webhooks/salesforce/outbound-message--aspnet.xml"

describe("Salesforce's outbound message", function()
	it("is mapped, notification by notification", function()
		local file = io.open(path, "rb")
		if not file then
			pending("skipped: there is no " .. path)
			return
		end
		local text = file:read "*a"
		file:close()
		local crm = assert(mw.load(source.define {
			slug = "crm", version = "1",
			account = get.body "Envelope.Body.notifications.OrganizationId",
			each = get "Envelope.Body.notifications.Notification",
			event = "changed", id = get "Id", user = source.user { get "sObject.Id" },
			on = { changed = source.track "Lead Changed" { kind = get 'sObject["@type"]', company = get "sObject.Company" } },
		}))
		local headers = { ["Content-Type"] = "text/xml; charset=utf-8" }
		for _, body in ipairs { text, (text:gsub("(</Notification>).*</Notification>", "%1")) } do
			local taken = receive.take(crm.definition, { method = "POST", url = "https://h/", headers = headers, body = body }, 0)
			assert.matches("<Ack>true</Ack>", taken.answer.body, 1, true)
			local messages, tally, problems = crm:map(taken.body, { format = taken.format, headers = headers })
			assert.is_nil(problems)
			assert.equal(select(2, body:gsub("<Notification>", "")), tally.events)
			for i, m in ipairs(messages) do
				local message = cjson.decode(m.message)
				assert.same({ kind = "sf:Lead" .. i, company = "Microsoft" }, message.properties)
				assert.equal("0123456789ABCDENNN", m.account)
			end
			assert.equal(tally.events, #messages)
		end
	end)
end)
