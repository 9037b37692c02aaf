--- trim -- a text without the white space around it, in time that grows with its length alone.
---
--- Texts that anybody may send are trimmed before it is known who sent them. "^%s*(.-)%s*$" and "^%s*(.*%S)" look at a run of
--- spaces again from each of its places: 15,000 of them in a header took seconds.

---@param text string
---@return string
return function(text)
	local from = text:find "%S"
	return from and text:match("^.*%S", from) or ""
end
