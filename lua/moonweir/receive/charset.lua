--- charset -- texts in the one other encoding that tools still send, as UTF-8.
---
--- "iso-8859-1" means windows-1252 on the web, which is the same but for 27 signs where ISO 8859-1 has control characters.

local charset = {}

-- 80 to 9F of windows-1252, in UTF-8; what is missing there stays the control character that it is.
local upper = {
	[0x80] = "\226\130\172", [0x82] = "\226\128\154", [0x83] = "\198\146", [0x84] = "\226\128\158", [0x85] = "\226\128\166",
	[0x86] = "\226\128\160", [0x87] = "\226\128\161", [0x88] = "\203\134", [0x89] = "\226\128\176", [0x8A] = "\197\160",
	[0x8B] = "\226\128\185", [0x8C] = "\197\146", [0x8E] = "\197\189", [0x91] = "\226\128\152", [0x92] = "\226\128\153",
	[0x93] = "\226\128\156", [0x94] = "\226\128\157", [0x95] = "\226\128\162", [0x96] = "\226\128\147", [0x97] = "\226\128\148",
	[0x98] = "\203\156", [0x99] = "\226\132\162", [0x9A] = "\197\161", [0x9B] = "\226\128\186", [0x9C] = "\197\147",
	[0x9E] = "\197\190", [0x9F] = "\197\184",
}

local function same(text)
	return text
end

local function from_windows(text)
	return (text:gsub("[\128-\255]", function(c)
		local byte = c:byte()
		return upper[byte] or string.char(0xC0 + math.floor(byte / 64), 0x80 + byte % 64)
	end))
end

local readers = {
	["utf-8"] = same, ["utf8"] = same, ["us-ascii"] = same, ["ascii"] = same,
	["iso-8859-1"] = from_windows, ["latin1"] = from_windows, ["windows-1252"] = from_windows, ["cp1252"] = from_windows,
}

--- What turns a text of that encoding into UTF-8; nil if it is none that is known.
---@param name string
---@return (fun(text: string): string)|nil
function charset.reader(name)
	return readers[name:lower()]
end

return charset
