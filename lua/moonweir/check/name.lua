--- name -- does the name of an event mean one of the Spec's without being it?
---
---     name.look "order_completed"    --> { event = "Order Completed", sure = true, how = "spelling" }
---     name.look "Purchase"           --> { event = "Order Completed", sure = true, how = "alias", alias = … }
---     name.look "Order Complted"     --> { event = "Order Completed", sure = false, how = "near" }
---     name.look "Ticket Created"     --> nil
---
--- A name is taken apart into words, and each word into its stem, so that tense and number don't count. Sure is what
--- has the words of one event, whatever their case, form and order, or is known as another name of it. What is only spelt much
--- alike is not sure: "Card Viewed" is one letter from "Cart Viewed" and may well be meant.

local distance = require "moonweir.check.distance"
local likely = require "moonweir.check.likely"
local spec = require "moonweir.spec"

local name = {}

-- Words ---------------------------------------------------------------------------------------------

--- "emailLinkClicked", "email_link.clicked", "Email Link Clicked" to { "email", "link", "clicked" }.
---@param text string
---@return string[]
function name.words(text)
	local words = {}
	text = text:gsub("(%l)(%u)", "%1 %2"):gsub("(%u)(%u%l)", "%1 %2")
	for word in text:gmatch "[%w\128-\255]+" do
		words[#words + 1] = word:lower()
	end
	return words
end

local STEMS = { sent = "send", sends = "send", sending = "send", seen = "see", began = "begin", begun = "begin",
	app = "applicat", apps = "applicat", application = "applicat", applications = "applicat" }

--- What the forms of a word have in common; no word itself. Only compared with others.
---@param word string
---@return string
function name.stem(word)
	if STEMS[word] then
		return STEMS[word]
	end
	local stem = word
	if #word > 3 then
		stem = word:gsub("ies$", "y"):gsub("ied$", "y")
	end
	if stem:find "ing$" and #stem > 5 then
		stem = stem:gsub("ing$", "")
	elseif stem:find "ed$" and #stem > 4 then
		stem = stem:gsub("ed$", "")
	elseif #stem > 3 then
		stem = stem:gsub("s$", "")
	end
	if #stem > 3 then
		stem = stem:gsub("[ey]$", "")
	end
	return (stem:gsub("([^aeiou])%1$", "%1")) -- tapped, cancelled
end

-- The index -----------------------------------------------------------------------------------------

local function stems(words)
	local list = {}
	for i, word in ipairs(words) do
		list[i] = name.stem(word)
	end
	return list
end

local function sorted(list)
	local copy = {}
	for i, item in ipairs(list) do
		copy[i] = item
	end
	table.sort(copy)
	return copy
end

local SMALL = { as = true, to = true, from = true, of = true, the = true, a = true, an = true, ["in"] = true, on = true,
	["for"] = true }

local function without_small(list)
	local kept = {}
	for _, word in ipairs(list) do
		if not SMALL[word] then
			kept[#kept + 1] = word
		end
	end
	return kept
end

-- Several keys for one name, from the strictest on.
local function keys(text)
	local words = name.words(text)
	local stemmed = stems(words)
	return {
		spelling = table.concat(words),
		form = table.concat(stemmed), -- "signup" is one word
		order = table.concat(sorted(stemmed), " "),
		count = #words,
		small = table.concat(sorted(without_small(stemmed)), " "),
	}
end

local HOW = { "spelling", "form", "order", "small" }
local index = { spelling = {}, form = {}, order = {}, small = {} }
local other_names = { spelling = {}, form = {} }
local spellings = {} ---@type { letters: string, count: integer, event: string }[] for distances

-- A name of a replaced version leaves its keys to the newer one: "viewed product" is Product Viewed.
local function enter(event_name, deprecated)
	local made = keys(event_name)
	for _, how in ipairs(HOW) do
		if not (deprecated and index[how][made[how]]) then
			index[how][made[how]] = event_name
		end
	end
	spellings[#spellings + 1] = { letters = made.spelling, count = made.count,
		event = spec.event(event_name).replaced_by or event_name }
end

for _, wanted in ipairs { false, true } do
	for _, event_name in ipairs(spec.events()) do
		local event = spec.event(event_name)
		if (event.deprecated or false) == wanted then
			enter(event_name, wanted)
		end
	end
end

-- In a fixed order: of two aliases with one key the first in the alphabet counts.
local alias_names = {}
for alias_name in pairs(spec.aliases.events) do
	alias_names[#alias_names + 1] = alias_name
end
table.sort(alias_names)
local permitted = {}
for _, alias_name in ipairs(alias_names) do
	local alias, made = spec.aliases.events[alias_name], keys(alias_name)
	if alias.kind == "permitted-variant" then
		permitted[made.spelling] = true
	else
		for how, known in pairs(other_names) do
			known[made[how]] = known[made[how]] or alias
		end
	end
end

local likely_names = {}
for other, event_name in pairs(likely) do
	likely_names[keys(other).form] = event_name
end

-- Looking -------------------------------------------------------------------------------------------

---@class moonweir.check.Suggestion
---@field event string     what the Spec calls it
---@field sure boolean
---@field how "alias"|"spelling"|"form"|"order"|"near"|"likely"|"deprecated"
---@field alias? moonweir.spec.Alias

-- A word more or less is no slip of the finger: "Video Started" is not "Video Ad Started".
local function nearest(letters, count)
	local allowed = #letters >= 12 and 2 or #letters >= 7 and 1 or 0
	local best, best_distance
	for _, known in ipairs(spellings) do
		local d = (count == known.count or count == 1)
			and distance(letters, known.letters, best_distance and best_distance - 1 or allowed)
		if d then
			best, best_distance = known.event, d
		end
	end
	return best
end

local function look(text)
	local event = spec.event(text)
	if event then
		return event.deprecated and { event = event.replaced_by, sure = true, how = "deprecated" } or nil
	end
	local made = keys(text)
	local alias = spec.aliases.events[text] or other_names.spelling[made.spelling]
	if permitted[made.spelling] then
		return nil
	elseif alias then
		return { event = alias.name, sure = not (alias.inferred or alias.when), how = "alias", alias = alias }
	end
	for _, how in ipairs(HOW) do
		local found = index[how][made[how]]
		if found then
			local known = spec.event(found)
			return { event = known.replaced_by or found, sure = how ~= "small", how = how == "small" and "near" or how }
		end
	end
	alias = other_names.form[made.form]
	if alias then
		return { event = alias.name, sure = false, how = "alias", alias = alias }
	elseif likely_names[made.form] then
		return { event = likely_names[made.form], sure = false, how = "likely" }
	end
	local near = nearest(made.spelling, made.count)
	return near and { event = near, sure = false, how = "near" } or nil
end

-- Longer than any name that somebody thought of; patterns are not to run over a book.
local NAME_MAX = 200

-- Sources have few names and send each of them many times.
local CACHE_MAX = 1000
local cache, cached = {}, 0

--- What the name stands for in the Spec; nil if it is one of the Spec's, or means nothing there. Shared: read it only.
---@param text string
---@return moonweir.check.Suggestion?
function name.look(text)
	if #text > NAME_MAX then
		return nil
	end
	local known = cache[text]
	if known == nil then
		if cached >= CACHE_MAX then
			cache, cached = {}, 0
		end
		known = look(text) or false
		cache[text], cached = known, cached + 1
	end
	return known or nil
end

-- Style ---------------------------------------------------------------------------------------------

-- Words that may stay in lower case inside a name.
local LOWER = { ["and"] = true, ["or"] = true, at = true, by = true, with = true, out = true }
for word in pairs(SMALL) do
	LOWER[word] = true
end

--- Is the name in Proper Case: words apart, each with a capital, but for the small ones?
---@param text string
---@return boolean
function name.is_proper_case(text)
	text = text:sub(1, NAME_MAX)
	if text:find "^%s" or text:find "%s$" or text:find "%s%s" or text:find "[_./:|]" then
		return false
	end
	local is_first = true
	for word in text:gmatch "%S+" do
		if word:find "^%l" and (is_first or not LOWER[word]) then
			return false
		elseif #word > 12 and word:find "%l%u%l" and not word:find "-" then -- OrderCompleted; but WhatsApp
			return false
		end
		is_first = false
	end
	return true
end

local DATA = {
	{ "[^%s@]+@[^%s@]+%.[^%s@]", "an e-mail address" },
	{ "https?://", "an address" },
	{ "%d%d%d%d%-%d%d%-%d%d", "a date" },
	{ "%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x", "an id" },
	{ "%d%d%d%d%d", "a long number" },
}

--- Does it look as if data had been put into it? What, in words: not the data itself.
---@param text string
---@return string? what
function name.data_in(text)
	text = text:sub(1, NAME_MAX)
	for _, kind in ipairs(DATA) do
		if text:find(kind[1]) then
			return kind[2]
		end
	end
end

return name
