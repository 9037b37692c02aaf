local receive = require "moonweir.receive"
local source = require "moonweir.source"
local trim = require "moonweir.trim"

describe("a trimmed text", function()
	-- Of the process alone, so a busy machine does not count: with a loop inside a loop it is minutes.
	local function is_quick(what, call, ...)
		local before = os.clock()
		call(...)
		assert.is_true(os.clock() - before < 2, what)
	end

	it("has no white space around it, and inside it all", function()
		for text, expected in pairs {
			[""] = "", [" "] = "", ["\t \r\n"] = "", ["a"] = "a", [" a "] = "a", ["\na  b\t"] = "a  b", ["\0 "] = "\0",
			["\194\160a"] = "\194\160a",
		} do
			assert.equal(expected, trim(text))
		end
	end)

	it("takes no longer for runs of spaces, wherever they are", function()
		local spaces = (" "):rep(200000)
		for _, text in ipairs { spaces, "a" .. spaces .. "a", spaces .. "a" .. spaces, "a" .. spaces, spaces .. "a" } do
			is_quick("trim", trim, text)
		end
	end)

	it("keeps a stranger's signature header from taking long", function()
		local verify = source.verify.stripe { secret = "s" }
		local header = "t=1," .. (" "):rep(100000) .. ",v1=00"
		local request = { method = "POST", url = "https://h/x", headers = { ["Stripe-Signature"] = header }, body = "" }
		is_quick("verify", receive.verify, verify, request, 1000)
	end)
end)
