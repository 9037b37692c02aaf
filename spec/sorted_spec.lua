local sorted = require "moonweir.sorted"

describe("sorted names", function()
	it("are those of all tables, each once, and of texts only", function()
		assert.same({ "a", "b", "c" }, sorted({ c = 1, a = false, "x", [2.5] = 1 }, { b = 1, a = 2 }))
		assert.same({}, sorted {})
	end)

	it("are read without metamethods", function()
		local strange = setmetatable({ a = 1 }, { __pairs = error, __index = error })
		assert.same({ "a" }, sorted(strange))
	end)
end)
