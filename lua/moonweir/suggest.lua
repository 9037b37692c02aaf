--- "did you mean ...?": the nearest of some known names to a misspelt one.

--- Edit distance, where swapping two neighbours counts once (optimal string alignment).
local function distance(a, b)
	local before, last = {}, {}
	for j = 0, #b do
		last[j] = j
	end
	for i = 1, #a do
		local row = { [0] = i }
		for j = 1, #b do
			local same = a:byte(i) == b:byte(j)
			row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
			if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
				row[j] = math.min(row[j], before[j - 2] + 1)
			end
		end
		before, last = last, row
	end
	return last[#b]
end

--- A clause to append to an error message, "" if nothing is near enough.
---@param name any the misspelt name
---@param known table<string, any> known names as keys, or a list of them
---@return string
return function(name, known)
	if type(name) ~= "string" or #name > 64 then
		return ""
	end
	local best, best_distance
	for key, value in pairs(known) do
		local candidate = type(key) == "string" and key or value
		local d = distance(name:lower(), candidate:lower())
		if not best or d < best_distance or (d == best_distance and candidate < best) then
			best, best_distance = candidate, d
		end
	end
	if best and best_distance <= math.max(1, math.floor(#name / 3)) then
		return (", did you mean %q?"):format(best)
	end
	return ""
end
