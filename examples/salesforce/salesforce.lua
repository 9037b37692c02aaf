-- Salesforce: outbound messages (SOAP), change data capture and platform events (JSON, as the Streaming API has them).
--
--     moonweir map --format xml examples/salesforce/salesforce.lua examples/salesforce/fixtures/outbound.xml

local source = require "moonweir.source"
local get = source.get

-- A field of the record, whichever way it came: flat in SOAP, in a change event partly in compound fields.
local function field(...)
	local places = {}
	for _, name in ipairs { ... } do
		table.insert(places, get.event("sObject." .. name))
		table.insert(places, get.event("data.payload." .. name))
	end
	return source.any(places)
end

local header = "data.payload.ChangeEventHeader."

-- The customer's own id is a text field that they make for it. Salesforce's Id, of 15 or 18 characters, is never a userId.
local user_id, email = field "External_Id__c", field "Email":lower()

-- A change event may be of several records, and holds what they have in common: a call is made for each of its recordIds.
local records = source.any(get(header .. "recordIds"), get "sObject")
local record_id = source.any(get "Id", get ".":when(source.none(get "@type"))) -- an sObject is no id itself

local function person(call, when)
	return call:with {
		each = records,
		user = source.user { user_id, tool_id = record_id, email = email },
		context = { salesforceId = record_id },
		when = when,
	}
end

local function address(prefix)
	local function part(name)
		return field(prefix .. name, prefix .. "Address." .. name)
	end
	return {
		street = part "Street", city = part "City", state = part "State", postalCode = part "PostalCode", country = part "Country",
	}
end

local traits = {
	email = email,
	phone = field "Phone",
	first_name = field("FirstName", "Name.FirstName"),
	last_name = field("LastName", "Name.LastName"),
	title = field "Title",
	lead_source = field "LeadSource",
}

local stage, account = field "StageName", field "AccountId":except ""

return source.define {
	slug = "salesforce",
	version = "1.0.0",
	-- Outbound messages are not signed: a key in their URL is all there is (README.md says what that proves).
	verify = source.verify.query { parameter = "key", secret = source.secret "SALESFORCE_KEY" },

	each = get "Envelope.Body.notifications.Notification",
	event = source.any(
		"changed " .. get "sObject.@type":after "sf:",
		get(header .. "changeType"):lookup { CREATE = "changed ", UPDATE = "changed ", UNDELETE = "changed ", DELETE = "deleted " }
			.. get(header .. "entityName"),
		get(header .. "changeType"), -- GAP_UPDATE …: something changed, and what is not said
		get "channel"
	),
	id = source.any(
		get "Id",
		get(header .. "transactionKey") .. ":" .. get(header .. "sequenceNumber"),
		get "data.event.EventUuid",
		get "channel" .. ":" .. get "data.event.replayId"
	),
	time = source.any(field("LastModifiedDate", "ChangeEventHeader.commitTimestamp"), field "CreatedDate"),
	user = source.user { user_id, email = email, tool_id = field("ContactId", "BillToContactId") },
	missing_user = "drop", -- most contacts are nobody's users; and of several records those that are known must go
	context = { salesforceOrganizationId = get.body "Envelope.Body.notifications.OrganizationId" },

	on = {
		["changed Contact"] = {
			person(source.identify { traits, address = address "Mailing" }),
			person(source.group(account) {}, account),
		},
		["changed Lead"] = person(source.identify {
			traits,
			address = address "",
			company = { name = field "Company" },
			lead_status = field "Status",
		}),

		-- A group call is somebody's: of the user whose id the account has in a field.
		["changed Account"] = source.group(record_id) {
			name = field "Name":string(),
			industry = field "Industry",
			website = field "Website",
			phone = field "Phone",
			employees = field "NumberOfEmployees":number(),
			address = address "Billing",
		}:with { each = records, when = user_id },

		["changed Opportunity"] = source.track(stage:lookup {
			["Closed Won"] = "Opportunity Won", ["Closed Lost"] = "Opportunity Lost",
		}:default "Opportunity Stage Changed") {
			opportunity_id = record_id,
			name = field "Name":string(),
			stage = stage,
			amount = field "Amount":number(),
			currency = field "CurrencyIsoCode",
			close_date = field "CloseDate":time(),
		}:with { each = records, when = stage }, -- absent from a change event that is about something else

		["changed Order"] = source.track "Order Completed" {
			order_id = record_id,
			order_number = field "OrderNumber",
			total = field "TotalAmount":number(),
			currency = field "CurrencyIsoCode",
		}:with {
			each = records,
			when = field "Status":is "Activated",
			id = "activated:" .. record_id, -- counts once, however often an order is saved afterwards
		},

		["changed *"] = source.ignore, -- other objects
		["deleted *"] = source.ignore, -- who is deleted in Salesforce may be a customer still
		-- Of GAP_… there is no entry: those are kept as dead letters, until somebody has looked into Salesforce.

		["/event/Subscription_Renewed__e"] = source.track "Subscription Renewed" {
			plan = field "Plan__c",
			amount = field "Amount__c":number(),
			currency = field "Currency__c",
		},
		["/event/*"] = source.ignore, -- what else the customer publishes
	},

	about = {
		name = "Salesforce",
		website = "https://www.salesforce.com",
		description = "a CRM in which companies keep their contacts, leads, and deals",
		support = "help@salesforce.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "CRM" },
		user = "It's the field `External_Id__c` of the record: the ID that the customer's own database has for the person. "
			.. "IDs of Salesforce, with 15 or 18 characters, are never a `userId`.",
		events = {
			["Opportunity Lost"] = "The opportunity was lost.",
			["Opportunity Stage Changed"] = "The opportunity is in another stage, and still open.",
			["Opportunity Won"] = "The opportunity was won.",
			["Order Completed"] = "The order was activated.",
			["Subscription Renewed"] = { "A subscription was renewed. It's a platform event that the customer defines.",
				amount = "What the subscription costs.", plan = "Plan that was renewed." },
			identify = "A contact or lead was added, or its data changed. A change has only the fields that changed.",
			group = "A contact belongs to an account, or the data of an account with a user changed. The `groupId` is the account's ID "
				.. "in Salesforce.",
		},
		properties = {
			amount = "Amount of the opportunity, in its currency.",
			close_date = "Day on which the opportunity is expected to close, or has closed.",
			currency = "Currency, as an ISO 4217 code. Without one it's the organization's.",
			name = "Name of the opportunity.",
			opportunity_id = "ID of the opportunity in Salesforce.",
			order_id = "ID of the order in Salesforce.",
			order_number = "Number of the order.",
			stage = "Stage of the opportunity, in the organization's own words.",
			total = "What the order costs, in its currency.",
		},
		traits = {
			address = "Mailing address of the person, or billing address of the account.",
			["address.city"] = "City.",
			["address.country"] = "Country.",
			["address.postalCode"] = "Postal code.",
			["address.state"] = "State or province.",
			["address.street"] = "Street and number.",
			company = "The lead's company.",
			["company.name"] = "Name of the company.",
			email = "Email address of the person, in lower case.",
			employees = "How many people work for the account.",
			first_name = "First name of the person.",
			industry = "Industry of the account.",
			last_name = "Last name of the person.",
			lead_source = "Where the person was heard of first.",
			lead_status = "Status of the lead, in the organization's own words.",
			name = "Name of the account.",
			phone = "Phone number.",
			title = "Title of the person in their company.",
			website = "Website of the account.",
		},
		context = {
			salesforceId = "ID of the contact or lead in Salesforce.",
			salesforceOrganizationId = "ID of the Salesforce organization, in outbound messages.",
		},
		ignored = {
			["/event/*"] = "Only platform events that are named here are sent.",
			["changed *"] = "Only contacts, leads, accounts, opportunities, and orders are sent.",
			["deleted *"] = "Whose record was deleted in Salesforce may be a customer still.",
		},
	},
}
