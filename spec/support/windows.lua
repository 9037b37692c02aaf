--- windows -- the most requests that a mock server got within one second, from its log.

---@param requests string[][] as mock:finish gives them: the first field is when one arrived, in ns
---@return integer
return function(requests)
	local times = {}
	for i, request in ipairs(requests) do
		times[i] = tonumber(request[1])
	end
	table.sort(times)
	local most, first = 0, 1
	for last = 1, #times do
		while times[last] - times[first] >= 1e9 do
			first = first + 1
		end
		most = math.max(most, last - first + 1)
	end
	return most
end
