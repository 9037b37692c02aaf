local cjson = require "cjson"
local child = require "spec.support.child"

local EXAMPLE = "examples/acme-mail/acme-mail.lua"

local function keys(json)
	local made = {}
	for i, rule in ipairs(cjson.decode(json).rules) do
		made[i] = rule.type .. (rule.key ~= cjson.null and " " .. rule.key or "")
	end
	return made
end

describe("moonweir plan", function()
	teardown(child.clean)

	it("writes the rules of the example, and says what they are known from", function()
		local code, out, err = child.run { "plan", EXAMPLE }
		assert.equal(0, code)
		assert.equal("moonweir: what functions send (campaign.sent) is not declared: golden files show Email Sent\n", err)
		assert.same({ "TRACK Contact Created", "TRACK Email Bounced", "TRACK Email Delivered", "TRACK Email Link Clicked",
			"TRACK Email Marked as Spam", "TRACK Email Opened", "TRACK Email Sent", "TRACK Order Completed", "TRACK Unsubscribed",
			"IDENTIFY", "GROUP", "PAGE", "SCREEN" }, keys(out))
		assert.equal(out, (select(2, child.run { "plan", EXAMPLE, "--format", "json" })))
		assert.same({ "IDENTIFY", "PAGE" }, keys((select(2, child.run { "plan", EXAMPLE, "--type", "page", "--type", "IDENTIFY" }))))
	end)

	it("writes tables that say what is of the Spec, the source's own, sent by a function and not sent", function()
		local code, out = child.run { "plan", EXAMPLE, "--format", "markdown" }
		assert.equal(0, code)
		assert.matches("| `Email Opened` | track | Spec: Email | `message.opened` | The recipient opened", out, 1, true)
		assert.matches("| `Contact Created` | track | custom | `contact.created` |", out, 1, true)
		assert.matches("| `Email Sent` | track | custom, known from golden files |  |", out, 1, true)
		assert.matches("| `bounce_type` | string | no | `hard`, `soft` |", out, 1, true)
		assert.matches("| `reason` | string | yes |", out, 1, true)
		assert.matches("| `message.queued` | not sent | Nothing has reached the recipient yet. |", out, 1, true)
		assert.matches("| `campaign.sent` | sent by a function |", out, 1, true)
		code, out = child.run { "plan", EXAMPLE, "--format", "csv" }
		assert.equal(0, code)
		assert.matches("track,Order Completed,Spec: Ecommerce,The recipient paid for an order in a shop that's connected to Acme Mail.,"
			.. 'products[].price,number,no,,"Price of 1 piece, in the order\'s currency.",order.paid\r\n', out, 1, true)
		assert.matches(",,not sent,Nothing has reached the recipient yet.,,,,,,message.queued\r\n", out, 1, true)
	end)

	it("says where golden files contradict the Spec, and takes both", function()
		os.execute(("mkdir -p '%s/fixtures'"):format(child.folder()))
		local script = child.file("tiny.lua", [[
			local source = require "moonweir.source"
			local get = source.get
			return source.define { slug = "tiny", version = "1", event = get "type", user = source.user { "u" },
				on = { paid = source.track "Order Completed" { total = get "total", mine = get "m" }, n = source.track(get "name") {} } }
		]])
		child.file("fixtures/a.json", '{"type":"paid","total":"12"}')
		assert.equal(0, (child.run { "test", script, "--update" }))
		local code, out, err = child.run { "plan", script }
		assert.equal(0, code)
		assert.matches("warning: Order Completed: total: golden files show string, Segment's Spec has number; the plan takes both", err,
			1, true)
		assert.matches("moonweir: of no known type, for neither script nor Spec fixes it and no golden file has it: "
			.. "Order Completed: mine\n", err, 1, true)
		assert.matches("what is sent for n is named by the event itself: golden files show nothing of it", err, 1, true)
		assert.matches('"type": ["string", "number"]', out, 1, true)
	end)

	it("takes a source that sends nothing, and says what is wrong with one", function()
		local script = child.file("empty.lua", [[
			return require "moonweir.source".define { slug = "tiny", version = "1", on = {} }
		]])
		local code, out = child.run { "plan", script, "--fixtures", child.folder() .. "/nowhere" }
		assert.same({ 0, '{\n  "rules": []\n}\n' }, { code, out })
		local err
		code, out, err = child.run { "plan", script, "--format", "markdown" }
		assert.equal(0, code)
		assert.matches("None is declared.", out, 1, true)
		assert.matches("golden files show Order Completed, which the script does not send (any more)", err, 1, true)
		code, out, err = child.run { "plan", child.file("bad.lua", "return {\n x = = 1\n}") }
		assert.same({ 1, "" }, { code, out })
		assert.matches("bad.lua:2:", err, 1, true)
	end)

	it("teaches with --help and says no to what there is not", function()
		local code, out = child.run { "plan", "--help" }
		assert.equal(0, code)
		assert.matches("api.segmentapis.com/tracking-plans", out, 1, true)
		local err
		code, out, err = child.run { "plan", EXAMPLE, "--format", "xls" }
		assert.same({ 2, "" }, { code, out })
		assert.matches("--format takes json, markdown or csv, not 'xls'", err, 1, true)
		code, out, err = child.run { "plan", EXAMPLE, "--type", "alias" }
		assert.same({ 2, "" }, { code, out })
		assert.matches("--type takes track, identify, group, page or screen, not 'alias'", err, 1, true)
	end)
end)
