--- The hand-written handlers that the length of sources is compared with make the same calls of the same events: each
--- fixture's golden file holds for both.

local cjson = require "cjson"
local child = require "spec.support.child"
local length = require "spec.support.length"
local openssl = require "spec.support.openssl"

-- The events of a fixture: a body, an array, or lines.
local function events_of(path)
	local text, list = child.read(path), {}
	if path:find "%.txt$" then
		for line in text:gmatch "[^\n]+" do
			list[#list + 1] = line
		end
	elseif text:find "^%s*%[" then
		for i, event in ipairs(cjson.decode(text)) do
			list[i] = cjson.encode(event)
		end
	else
		list[1] = text
	end
	return list
end

-- Of the golden file: the calls, without what the library says of itself; and the codes of what failed.
local function golden_of(path)
	local calls, codes = {}, {}
	for line in child.read(path):gmatch "[^\n]+" do
		local it = cjson.decode(line)
		if it.message then
			it.message.context.library = nil
			calls[#calls + 1] = it.message
		elseif it.error then
			codes[#codes + 1] = it.error.code
		end
	end
	return calls, codes
end

-- As it comes out of JSON: empty objects and numbers alike.
local function plain(value)
	return cjson.decode(cjson.encode(value))
end

local function compare(name, headers_of)
	local handler = require("spec.bench.handlers." .. name)
	local folder, compared = ("examples/%s/fixtures/"):format(name), 0
	for file in io.popen("ls " .. folder):lines() do
		local fixture = file:match "^(.*)%.json$" or file:match "^(.*)%.txt$"
		if fixture then
			local calls, codes = {}, {}
			for _, event in ipairs(events_of(folder .. file)) do
				local made, _, code = handler.map(event, "default", headers_of and headers_of(folder .. fixture .. ".headers"))
				codes[#codes + 1] = code
				for _, call in ipairs(made or {}) do
					calls[#calls + 1] = plain(call)
				end
			end
			local expected, expected_codes = golden_of(folder .. fixture .. ".expected.ndjson")
			assert.same(plain(expected), calls, fixture)
			assert.same(expected_codes, codes, fixture)
			compared = compared + 1
		end
	end
	assert.is_true(compared > 0)
end

describe("the hand-written handler for", function()
	it("Stripe makes the calls that the source makes", function()
		compare "stripe"
	end)

	it("Stripe takes what is signed, and nothing else", function()
		local verify = require("spec.bench.handlers.stripe").verify
		local function hmac(key, text)
			return openssl.hex(openssl.hmac("sha256", key, text))
		end
		local header = "t=100,v1=" .. hmac("k", "100.{}")
		assert.is_true(verify(header, "{}", "k", 100, hmac))
		assert.same({ nil, "forged" }, { verify(header, "[]", "k", 100, hmac) })
		assert.same({ nil, "stale" }, { verify(header, "{}", "k", 500, hmac) })
		assert.same({ nil, "unsigned" }, { verify(nil, "{}", "k", 100, hmac) })
	end)
end)

describe("the length of a script", function()
	it("is that of its code", function()
		assert.same({ 4, 6 }, {
			length.of 'local a = 1 -- one\n\n-- "two"\n\tb = {\n\tabout = {\n\t\tname = "A",\n\t},\n\tc "--d"\n}\n',
		})
	end)

	it("is half of what was written by hand for the same tool, or less", function()
		assert.is_true(length.average "lines" <= 0.5, length.average "lines")
		assert.is_nil((length.compared "github"))
	end)
end)
