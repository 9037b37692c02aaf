--- XML events in the mapping: the same paths, whether an element is there once or several times.

local cjson = require "cjson"
local child = require "spec.support.child"
local mw = require "moonweir"
local xml = require "moonweir.xml"

local function source(fields)
	return assert(mw.load(child.file("xml.lua", ([[
		local source = require "moonweir.source"
		local get = source.get
		return source.define { slug = "crm", version = "1", %s }
	]]):format(fields))))
end

local function map(from, body, options)
	options = options or {}
	options.account, options.format = "a", not options.headers and (options.format or "xml") or nil
	local messages, _, problems = from:map(body, options)
	for i, m in ipairs(messages) do
		messages[i] = cjson.decode(m.message)
	end
	return messages, problems
end

local function notification(id, fields)
	return ('<Notification><Id>%s</Id><sObject xsi:type="sf:Lead" xmlns:sf="urn:crm">%s</sObject></Notification>'):format(id, fields)
end

local function envelope(...)
	return '<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
		.. 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><notifications xmlns="urn:out">'
		.. table.concat { ... } .. "</notifications></soapenv:Body></soapenv:Envelope>"
end

describe("XML", function()
	teardown(child.clean)

	it("becomes JSON", function()
		assert.equal('{"a":{"@x":"1","b":["2","3"]}}', xml.to_json "<a x='1'><b>2</b><b>3</b></a>")
		local json, message, code = xml.to_json "<a>"
		assert.same({ nil, "XML: line 1, column 4: no element found", "invalid" }, { json, message, code })
	end)

	it("splits into events, one or many", function()
		local crm = source [[
			each = get "Envelope.Body.notifications.Notification",
			event = get 'sObject["@type"]', id = get "Id", user = source.user { get "sObject.ContactId" },
			on = { ["sf:Lead"] = source.track "Lead Changed" {
				company = get "sObject.Company", phone = get "sObject.Phone", org = get.body "Envelope.Body.notifications.OrganizationId",
			} },
		]]
		local one = notification("n1", "<sf:ContactId>c1</sf:ContactId><sf:Company>A &amp; B</sf:Company><sf:Phone xsi:nil='true'/>")
		local two = notification("n2", "<sf:ContactId>c2</sf:ContactId>")
		local messages = map(crm, envelope("<OrganizationId>00D</OrganizationId>", one, two))
		assert.equal(2, #messages)
		assert.same({ "c1", { company = "A & B", org = "00D" } }, { messages[1].userId, messages[1].properties })
		assert.same({ "c2", { org = "00D" } }, { messages[2].userId, messages[2].properties })
		messages = map(crm, envelope(one))
		assert.equal(1, #messages)
		assert.equal("c1", messages[1].userId)
	end)

	it("may have one where there may be many: paths, map, filter, first, last and functions", function()
		local shop = source [[
			event = "order", user = source.user { get "order.@customer" },
			on = { order = {
				source.track "Declared" {
					first = get "order.line[1].sku", last = get "order.line[-1].sku", second = get "order.line[2].sku",
					skus = get "order.line":map { sku = get "sku" }, paid = get "order.line":filter(get "paid"):map { sku = get "sku" },
					one = get "order.line":map { sku = get "sku" }:first(), end_ = get "order.line":last(),
					tags = get "order.tag":filter(source.any(get.event "order.nothing", true)),
					tag = get "order.tag":first(), last_tag = get "order.tag":last(), tag1 = get "order.tag[1]",
				},
				source.identify {},
			} },
		]]
		local function properties(lines, tags)
			return map(shop, "<order customer='u1'>" .. lines .. tags .. "</order>")[1].properties
		end
		local p = properties("<line><sku>a</sku><paid>1</paid></line>", "<tag>x</tag>")
		assert.same({ "a", "a", nil, "a", "a", "x", "x", "x" },
			{ p.first, p.last, p.second, p.one.sku, p.end_.sku, p.tag, p.last_tag, p.tag1 })
		assert.same({ { { sku = "a" } }, { { sku = "a" } }, { "x" } }, { p.skus, p.paid, p.tags })
		p = properties("<line><sku>a</sku></line><line><sku>b</sku><paid>1</paid></line>", "<tag>x</tag><tag>y</tag>")
		assert.same({ "a", "b", "b", "a", "b", "x", "y", "x" },
			{ p.first, p.last, p.second, p.one.sku, p.end_.sku, p.tag, p.last_tag, p.tag1 })
		assert.same({ { { sku = "a" }, { sku = "b" } }, { { sku = "b" } }, { "x", "y" } }, { p.skus, p.paid, p.tags })
		p = properties("", "")
		assert.is_nil(next(p))
	end)

	it("is a list to functions as well", function()
		local shop = source [[
			event = "order", user = source.user { "u1" },
			on = { order = function(event, emit)
				local skus = {}
				for i, line in ipairs(event.order.line) do skus[i] = line.sku end
				emit(source.track "Listed" { skus = source.array(skus), count = #event.order.line })
			end },
		]]
		assert.same({ skus = { "a" }, count = 1 }, map(shop, "<order><line><sku>a</sku></line></order>")[1].properties)
		assert.same({ skus = { "a", "b" }, count = 2 },
			map(shop, "<order><line><sku>a</sku></line><line><sku>b</sku></line></order>")[1].properties)
	end)

	local simple = [[ event = get "e.@type", user = source.user { get "e.u" }, on = { x = source.track "X" { v = get "e.v[1]" } }, ]]

	it("is known by its Content-Type", function()
		local from = source(simple)
		for _, kind in ipairs { "text/xml", "application/xml; charset=utf-8", "application/soap+xml", "TEXT/XML" } do
			local messages = map(from, "<e type='x'><u>u</u><v>1</v></e>", { headers = { ["Content-Type"] = kind } })
			assert.same({ v = "1" }, messages[1].properties)
		end
	end)

	it("may be JSON already, made of it before", function()
		assert.same({ v = "1" }, map(source(simple), '{"e":{"@type":"x","u":"u","v":"1"}}')[1].properties)
	end)

	it("that is broken is told, and nothing else in JSON is taken one for many", function()
		local messages, problems = map(source(simple), "<e><u></e>")
		assert.same({ {}, "invalid", "XML: line 1, column 9: mismatched tag" }, { messages, problems[1].code, problems[1].message })
		local plain = '{"e":{"@type":"x","u":"u","v":"1"}}'
		assert.same({}, map(source(simple), plain, { format = "json" })[1].properties)
		problems = select(2, map(source(simple), "<!DOCTYPE e><e/>"))
		assert.matches("document type", problems[1].message)
	end)

	it("is kept as it came in dead letters, and replayed", function()
		local path = child.file("crm.lua", [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define { slug = "crm", version = "1", each = get "all.e", event = get "@type", user = source.user { get "u" },
				on = { x = source.track "X" { v = get "v[1]" } } }
		]])
		local spool = child.folder() .. "/spool"
		local client = assert(mw.open { source = path, spool = spool, account = "a", send = false })
		client:push("<all><e type='x'><u>u</u><v>1</v></e><e type='x'><v>2</v></e></all>",
			{ headers = { ["Content-Type"] = "text/xml" } })
		client:push("<all><e", { format = "xml" })
		assert(client:sync())
		local letters = client:dead {}
		table.sort(letters, function(a, b) return a.code < b.code end)
		assert.same({ "invalid", "<all><e", "xml" }, { letters[1].code, letters[1].event, letters[1].format })
		assert.same({ "no_user", "xml" }, { letters[2].code, letters[2].format })
		assert.equal('{"all":{"e":[{"@type":"x","v":"2"}]}}', letters[2].event)
		client:close(0)
		child.file("crm.lua", (child.read(path):gsub("get \"u\"", '"somebody"')))
		client = assert(mw.open { source = path, spool = spool, account = "a", send = false })
		local counts = assert(client:replay { code = "no_user" })
		assert.same({ 1, 1, 0 }, { counts.replayed, counts.messages, counts.failed })
		client:close(0)
	end)

	it("is said to need a module where that is missing", function()
		local lua = rawget(_G, "jit") and "luajit" or "lua5.4"
		local script = child.file("without.lua", [[
			package.preload["moonweir.xml"] = function() error "not installed" end
			local source = require("moonweir").load(arg[1])
			local _, _, problems = source:map("<e/>", { format = "xml", account = "a" })
			print(problems[1].code, problems[1].message)
		]])
		source(simple)
		local pipe = io.popen(("%s %s %s/xml.lua"):format(lua, script, child.folder()))
		local said = pipe:read "*a"
		pipe:close()
		assert.equal("invalid\tXML bodies need the module moonweir.xml, which is not installed here (rock moonweir-receive)\n", said)
	end)
end)
