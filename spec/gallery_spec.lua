local child = require "spec.support.child"
local gallery = require "spec.support.gallery"

describe("the README's gallery", function()
	it("is what the scripts say today", function()
		local shown = gallery.find(child.read "README.md")
		assert.is_true(shown == gallery.table(), "the table of sources is stale: make gallery")
	end)

	it("is found between what stands around it, however many rows it has", function()
		local whole = gallery.table()
		local head = whole:match "^[^\n]*\n[^\n]*\n"
		for _, rows in ipairs { whole, head, head .. "| a | 1 | b | c | d |\n" } do
			local found, from, to = gallery.find("# A\n\n| x |\n\n" .. rows .. "\nmore\n")
			assert.equal(rows, found)
			assert.same({ 13, 12 + #rows }, { from, to })
		end
		assert.is_nil((gallery.find "| another | table |\n"))
	end)
end)
