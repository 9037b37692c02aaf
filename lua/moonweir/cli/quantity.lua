--- quantity -- durations, sizes and rates in as many digits as a reader wants.

local terminal = require "moonweir.cli.terminal"

local quantity = {}

--- 0.3 s, 12 s, 3 min, 2 h, 5 d
function quantity.duration(seconds)
	if seconds < 0.9995 then
		return ("%.0f ms"):format(seconds * 1000)
	elseif seconds < 9.95 then
		return ("%.1f s"):format(seconds)
	elseif seconds < 120 then
		return ("%.0f s"):format(seconds)
	elseif seconds < 7200 then
		return ("%d min"):format(math.floor(seconds / 60))
	elseif seconds < 172800 then
		return ("%d h"):format(math.floor(seconds / 3600))
	end
	return ("%d d"):format(math.floor(seconds / 86400))
end

--- 412 KiB, 1.2 GiB
function quantity.bytes(n)
	local units, unit = { "B", "KiB", "MiB", "GiB", "TiB" }, 1
	while n >= 1000 and unit < #units do
		n, unit = n / 1024, unit + 1
	end
	return ((unit > 1 and n < 9.95) and "%.1f %s" or "%.0f %s"):format(n, units[unit])
end

--- 0, 0.3, 49.8, 1,234; "-" where two looks were needed and there was one
function quantity.rate(n)
	if not n then
		return "-"
	end
	return (n > 0 and n < 99.95) and ("%.1f"):format(n) or terminal.count(n)
end

return quantity
