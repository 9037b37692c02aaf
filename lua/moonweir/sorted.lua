--- sorted -- the names in tables in a fixed order, so that the same input gives the same words and bytes each time.

--- Names that are texts, each once, of one or more tables.
---@param ... table
---@return string[]
return function(...)
	local names, seen = {}, {}
	for _, object in ipairs { ... } do
		for name in next, object do
			if type(name) == "string" and not seen[name] then
				seen[name] = true
				names[#names + 1] = name
			end
		end
	end
	table.sort(names)
	return names
end
