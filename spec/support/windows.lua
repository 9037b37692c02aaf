--- windows -- the most requests that came within one second.

---@param requests (number|string[])[] when each came, in ns; or the mock's log, where that is the first field
---@return integer
return function(requests)
	local times = {}
	for i, request in ipairs(requests) do
		times[i] = tonumber(type(request) == "table" and request[1] or request)
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
