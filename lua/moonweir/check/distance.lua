--- distance -- how many letters are wrong, missing, too many or swapped between two words, up to a bound.

local rows = { {}, {}, {} }

--- Edit distance where two neighbours that are swapped count once, of bytes.
---@param a string
---@param b string
---@param max integer
---@return integer? nil if it is more than max
return function(a, b, max)
	local n, m = #a, #b
	if max < 0 or math.abs(n - m) > max then
		return nil
	elseif a == b then
		return 0
	elseif max == 0 then
		return nil
	end
	local before, last, row = rows[1], rows[2], rows[3]
	local far = max + 1
	for j = 0, m do
		last[j] = j
	end
	for i = 1, n do
		local from, to = math.max(1, i - max), math.min(m, i + max)
		row[from - 1] = from == 1 and i or far
		local least = row[from - 1]
		local ai, ai1 = a:byte(i), i > 1 and a:byte(i - 1)
		for j = from, to do
			local bj = b:byte(j)
			local d = last[j - 1] + (ai == bj and 0 or 1)
			if j < i + max and last[j] + 1 < d then
				d = last[j] + 1
			end
			if row[j - 1] + 1 < d then
				d = row[j - 1] + 1
			end
			if ai1 and j > 1 and ai == b:byte(j - 1) and ai1 == bj and before[j - 2] and before[j - 2] + 1 < d then
				d = before[j - 2] + 1
			end
			row[j] = d
			if d < least then
				least = d
			end
		end
		if least > max then
			return nil
		end
		before, last, row = last, row, before
	end
	return last[m] <= max and last[m] or nil
end
