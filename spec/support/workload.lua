--- A made-up e-mail tool for end-to-end tests and benchmarks: its events, its mapping script, and what must come of
--- each event, worked out here by hand-written Lua that shares nothing with the mapping.

local workload = {}

--- The mapping script under test.
workload.source = [[
local source = require "moonweir.source"
local get = source.get

return source.define {
	slug = "acme-mail", version = "1.2.3",
	account = get "account_id",
	event = get "type",
	id = get "event_id",
	time = get "occurred_at",
	user = source.user { get "contact.external_id", email = get "contact.email" },
	context = { acmeMailId = get "contact.id":string(), ip = get "client.ip", traits = { email = get "contact.email" } },
	on = {
		["message.opened"] = source.track "Email Opened" {
			email_id = get "message.id", email_subject = get "message.subject", campaign_id = get "campaign.id",
			campaign_name = get "campaign.name", opens = get "count", score = get "score",
		},
		["message.clicked"] = {
			source.track "Email Link Clicked" {
				email_id = get "message.id", link_url = get "link.url":trim(), link_id = get "link.id":default "none",
				tags = get "tags",
			},
			source.identify { email = get "contact.email":lower(), name = get "contact.first" .. " " .. get "contact.last" },
		},
		["order.paid"] = source.track "Order Completed" {
			order_id = get "order.id", total = get "order.amount" / 100, currency = get "order.currency":upper(),
			products = get "order.lines":map { product_id = get "sku", price = get "price" / 100, quantity = get "qty" },
		},
		["message.sent"] = source.ignore,
		["bulk.finished"] = function(event, emit)
			for i, r in ipairs(event.recipients) do
				emit(source.track "Email Delivered" { email_id = r.id, position = i }, { user = r.user_id })
			end
		end,
	},
}
]]

--- A small generator of numbers, the same on every Lua (Park and Miller).
function workload.random(seed)
	local state = seed % 2147483646 + 1
	return function(n)
		state = state * 16807 % 2147483647
		return state % n
	end
end

local SUBJECTS = {
	"Your March statement is ready", "Spring sale: up to 40 percent off", "Grüße aus Köln", "Re: \"quoted\" \\ slash",
	"Tab\there, line\nthere", "日本語の件名 📬", "A plain subject that is a little longer than the others are",
}
local TYPES = {
	"message.opened", "message.opened", "message.opened", "message.clicked", "order.paid", "message.sent", "bulk.finished",
}

--- Event number i as a table; integers stay integers in both Luas as long as they are below 2^53.
function workload.event(i, random, accounts)
	local user = random(100000)
	local event = {
		event_id = ("evt_%08d"):format(i),
		type = TYPES[random(#TYPES) + 1],
		account_id = ("acct-%02d"):format(random(accounts)),
		occurred_at = 1700000000 + i, -- Unix seconds
		contact = {
			id = 9007199254740000 + user, external_id = ("user-%d"):format(user),
			email = ("Person%d@Example.com"):format(user), first = "Ann", last = ("Müller-%d"):format(user % 97),
		},
		message = { id = ("msg_%07d"):format(random(10000000)), subject = SUBJECTS[random(#SUBJECTS) + 1] },
		campaign = { id = ("c%d"):format(random(50)), name = "Newsletter" },
		client = { ip = ("192.0.2.%d"):format(random(256)), agent = "Mozilla/5.0 (X11; Linux x86_64)" },
		count = random(5), score = random(1000) / 8,
	}
	if event.type == "message.clicked" then
		event.link = { url = "  https://example.com/a?b=" .. random(1000) .. " ", id = random(2) == 0 and "l1" or nil }
		event.tags = { "a", "b", ("t%d"):format(random(9)) }
	elseif event.type == "order.paid" then
		event.order = { id = ("o-%d"):format(i), amount = random(100000), currency = "eur", lines = {} }
		for n = 1, 1 + random(3) do
			event.order.lines[n] = { sku = "sku" .. n, price = random(10000), qty = n }
		end
	elseif event.type == "bulk.finished" then
		event.recipients = {}
		for n = 1, 1 + random(3) do
			event.recipients[n] = { id = ("m%d.%d"):format(i, n), user_id = ("user-%d"):format(random(1000)) }
		end
	end
	return event
end

local function message(event, index, call)
	call.userId = call.userId or event.contact.external_id
	call.messageId = ("acme-mail:%s:%s:%d"):format(event.account_id, event.event_id, index)
	call.timestamp = os.date("!%Y-%m-%dT%H:%M:%S.000Z", event.occurred_at)
	call.context = {
		acmeMailId = ("%d"):format(event.contact.id), ip = event.client.ip, traits = { email = event.contact.email },
		integration = { name = "acme-mail", version = "1.2.3" },
		library = { name = "moonweir", version = require "moonweir".version },
	}
	return call
end

--- What must arrive at Segment for an event: a list of messages as tables.
function workload.expected(event)
	if event.type == "message.opened" then
		return { message(event, 0, { type = "track", event = "Email Opened", properties = {
			email_id = event.message.id, email_subject = event.message.subject, campaign_id = event.campaign.id,
			campaign_name = event.campaign.name, opens = event.count, score = event.score,
		} }) }
	elseif event.type == "message.clicked" then
		return {
			message(event, 0, { type = "track", event = "Email Link Clicked", properties = {
				email_id = event.message.id, link_url = event.link.url:match "^%s*(.-)%s*$",
				link_id = event.link.id or "none", tags = event.tags,
			} }),
			message(event, 1, { type = "identify", traits = {
				email = event.contact.email:lower(), name = event.contact.first .. " " .. event.contact.last,
			} }),
		}
	elseif event.type == "order.paid" then
		local products = {}
		for n, line in ipairs(event.order.lines) do
			products[n] = { product_id = line.sku, price = line.price / 100, quantity = line.qty }
		end
		return { message(event, 0, { type = "track", event = "Order Completed", properties = {
			order_id = event.order.id, total = event.order.amount / 100, currency = "EUR", products = products,
		} }) }
	elseif event.type == "bulk.finished" then
		local messages = {}
		for n, r in ipairs(event.recipients) do
			messages[n] = message(event, n - 1, { type = "track", event = "Email Delivered", userId = r.user_id,
				properties = { email_id = r.id, position = n } })
		end
		return messages
	end
	return {}
end

--- Write `count` events as lines to `path`; calls each(event) for every one.
function workload.write(path, count, accounts, seed, each)
	local cjson = require "cjson"
	cjson.encode_number_precision(14)
	local random = workload.random(seed)
	local file = assert(io.open(path, "w"))
	for i = 1, count do
		local event = workload.event(i, random, accounts)
		-- Beyond 14 digits cjson rounds, so this one id is spliced in.
		local id = event.contact.id
		event.contact.id = 0
		local line = cjson.encode(event):gsub('("contact":{[^}]-"id":)0([,}])', ("%%1%d%%2"):format(id), 1)
		event.contact.id = id
		file:write(line, "\n")
		if each then
			each(event)
		end
	end
	assert(file:close())
end

return workload
