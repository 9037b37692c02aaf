--- What a script may say of `verify`, and what it is told when it is wrong.

local receive = require "moonweir.receive"
local sandbox = require "moonweir.sandbox"
local source = require "moonweir.source"

local function script(verify, rest)
	return ([[
local source = require "moonweir.source"
return source.define {
	slug = "acme", version = "1",
	verify = %s,
	on = {},%s
}
]]):format(verify, rest or "")
end

local function told(verify)
	local definition, message, code = sandbox.load("acme.lua", script(verify))
	assert.is_nil(definition)
	assert.equal("mapping", code)
	return message
end

local function loaded(text)
	return assert(sandbox.load("acme.lua", text))
end

describe("source.verify", function()
	it("is a part of a source", function()
		for _, verify in ipairs {
			'source.verify.stripe { secret = source.secret "S" }',
			'source.verify.slack { secret = { source.secret "A", source.secret "B" }, tolerance = 60 }',
			'source.verify.sendgrid { public_key = "MFkw" }',
			'source.verify.twilio { secret = source.secret "T", url = "https://h/x" }',
			'source.verify.basic { user = "u", password = source.secret "P" }', 'source.verify.bearer { token = source.secret "T" }',
			'source.verify.query { parameter = "key", secret = source.secret "T" }',
			'source.verify.svix { secret = source.secret "T", tolerance = false }',
			'source.verify.hmac { secret = source.secret "T", header = "X-S", signed = "{timestamp}{id}{body}", timestamp = "T", '
				.. 'id = "I" }',
			'source.verify.standard_webhooks { public_key = source.secret "T" }',
		} do
			assert.same({}, receive.warnings(loaded(script(verify))))
		end
	end)

	it("names what is wrong, and where", function()
		for verify, message in pairs {
			["7"] = 'acme.lua:4: verify: expected source.verify.… { secret = source.secret "NAME" }, got a number',
			["source.verify.stripe"] = 'verify: it is not called yet; write source.verify.… { secret = source.secret "NAME" }',
			["source.verify"] = "verify: expected source.verify.…",
			["source.verify.strpe { }"] = 'acme.lua:4: there is no source.verify.strpe, did you mean "stripe"?',
			["source.verify.stripe { }"] = 'acme.lua:4: source.verify.stripe: secret is missing: secret = source.secret "NAME"',
			["source.verify.stripe()"] = 'source.verify.stripe: expected a table like { secret = source.secret "NAME" }',
			['source.verify.stripe(source.secret "X")'] = "source.verify.stripe: expected a table like",
			['source.verify.stripe { secrte = "x" }'] = 'source.verify.stripe: unknown option "secrte", did you mean "secret"?',
			['source.verify.github { secret = "x", tolerance = 3 }'] = 'source.verify.github: unknown option "tolerance"',
			['source.verify.stripe { "x" }'] = "source.verify.stripe: unknown option number 1",
			['source.verify.stripe { secret = "" }'] = 'secret must be source.secret "NAME" or a list of several, not an empty text',
			["source.verify.stripe { secret = 7 }"] = "not a number",
			["source.verify.stripe { secret = {} }"] = "secret is an empty list",
			['source.verify.stripe { secret = { "1", "2", "3", "4", "5", "6", "7", "8", "9" } }'] = "secret lists more than 8",
			['source.verify.stripe { secret = "x", tolerance = "5" }'] = "tolerance must be seconds, at most 30 days, or false",
			['source.verify.stripe { secret = "x", tolerance = 0 }'] = "tolerance must be seconds",
			['source.verify.twilio { secret = "x", url = "h/x" }'] = "url must be the URL that the tool calls, without a query",
			['source.verify.basic { password = "x" }'] = "source.verify.basic: user is missing",
			['source.verify.basic { user = "a:b", password = "x" }'] = 'user must be a text without ":"',
			['source.verify.hmac { secret = "x" }'] = "source.verify.hmac: header is missing",
			['source.verify.hmac { secret = "x", header = "X Y" }'] = "header must be the name of a header",
			['source.verify.hmac { secret = "x", header = "X", kind = "md5" }'] = 'kind must be "hmac-sha256" or',
			['source.verify.hmac { secret = "x", header = "X", signed = "{url}" }'] = "signed must be a text with {body} in it",
			['source.verify.hmac { secret = "x", header = "X", signed = "{body}{when}" }'] = "signed must be made of {body}",
			['source.verify.hmac { secret = "x", header = "X", timestamp = "T" }'] = "timestamp is not signed, so it proves nothing",
			['source.verify.hmac { secret = "x", header = "X", signed = "{timestamp}{body}" }'] = "timestamp must name its header",
			['source.verify.hmac { secret = "x", header = "X", id = "T" }'] = "belong together",
			['source.verify.standard_webhooks { secret = "x", public_key = "y" }'] = "either secret or public_key, not both",
			['source.secret "a b"'] = "source.secret: expected a name of letters",
			["source.secret(7)"] = "source.secret: expected a name of letters",
			['source.secret "NAME"'] = "verify: expected source.verify.…",
		} do
			local answer = told(verify)
			assert.is_truthy(answer:find(message, 1, true), verify .. ": " .. answer)
		end
	end)

	it("never shows a secret", function()
		for _, verify in ipairs { 'source.verify.stripe { secret = { "hush-hush", 7 } }',
			'source.verify.stripe { secret = "hush-hush", tolerance = -1 }',
			'source.secret "hush-hush!"', 'source.verify.github { secret = "hush-hush", tolerance = 5 }',
			'source.verify.bearer { tokn = "hush-hush" }' } do
			assert.is_nil(told(verify):find "hush")
		end
	end)

	it("says what a host should know", function()
		assert.same({ "acme: the script has no verify: whoever knows the address can send events" },
			receive.warnings(loaded(script "nil")))
		assert.same({ 'acme: a secret stands in the script, where whoever reads it finds it; write source.secret "NAME"' },
			receive.warnings(loaded(script 'source.verify.github { secret = "x" }')))
		assert.same({ "A", "B" }, receive.secret_names(loaded(script
			'source.verify.github { secret = { source.secret "A", "x", source.secret "B" } }')))
		assert.same({}, receive.secret_names(loaded(script "nil")))
	end)

	it("can't be changed by the script afterwards", function()
		local definition = loaded [[
			local source = require "moonweir.source"
			local verify = source.verify.github { secret = "x" }
			local made = source.define { slug = "acme", version = "1", verify = verify, on = {} }
			verify.tool, verify.wanted, verify[1] = {}, {}, "x"
			return made
		]]
		local ok, _, code = receive.verify(definition.verify, { method = "POST", url = "https://h/", headers = {}, body = "" }, 0)
		assert.same({ nil, "unsigned" }, { ok, code })
	end)

	it("is there outside of scripts, too", function()
		local made = source.define { slug = "a", version = "1", on = {}, verify = source.verify.github { secret = source.secret "X" } }
		assert.is_not_nil(made.verify)
	end)
end)
