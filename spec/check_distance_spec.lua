local distance = require "moonweir.check.distance"

-- The same by the book: a whole table, no bound.
local function plain(a, b)
	local d = {}
	for i = 0, #a do
		d[i] = { [0] = i }
	end
	for j = 0, #b do
		d[0][j] = j
	end
	for i = 1, #a do
		for j = 1, #b do
			local same = a:byte(i) == b:byte(j)
			d[i][j] = math.min(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same and 0 or 1))
			if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
				d[i][j] = math.min(d[i][j], d[i - 2][j - 2] + 1)
			end
		end
	end
	return d[#a][#b]
end

describe("the distance of two words", function()
	it("counts letters that are wrong, missing, too many or swapped", function()
		assert.equal(0, distance("cart", "cart", 0))
		assert.equal(1, distance("cart", "card", 1))
		assert.equal(1, distance("cart", "crat", 1))
		assert.equal(1, distance("cart", "carts", 2))
		assert.equal(2, distance("complted", "completes", 2))
		assert.is_nil(distance("cart", "card", 0))
		assert.is_nil(distance("cart", "wishlist", 3))
		assert.is_nil(distance("cart", "cart", -1))
		assert.equal(0, distance("", "", 2))
		assert.equal(2, distance("", "ab", 2))
	end)

	it("is what the book says, up to its bound", function()
		local seed = tonumber(os.getenv "MW_SEED") or os.time()
		math.randomseed(seed)
		local function word()
			local letters = {}
			for i = 1, math.random(0, 9) do
				letters[i] = ("abc"):sub(math.random(1, 3)):sub(1, 1)
			end
			return table.concat(letters)
		end
		for _ = 1, 5000 do
			local a, b, max = word(), word(), math.random(0, 4)
			local expected = plain(a, b)
			assert.equal(expected <= max and expected or nil, distance(a, b, max), ("MW_SEED=%d: %q %q %d"):format(seed, a, b, max))
		end
	end)
end)
