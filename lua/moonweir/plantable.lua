--- plantable -- the tracking plan as a table for people: Markdown, or CSV for a spreadsheet.
---
--- The CSV is not the file that Segment's app imports: of that the documentation gives no header. For Segment there are the
--- rules as JSON (plan.lua).

local core = require "moonweir.core"
local markdown = require "moonweir.markdown"
local spec = require "moonweir.spec"

local plantable = {}

local KINDS = {
	spec = "Spec", custom = "custom", ignored = "not sent", ["function"] = "sent by a function", unnamed = "named by the event",
}

--- What kind of event a row is, in words.
---@param row moonweir.plan.Row
---@return string
function plantable.kind(row)
	local said = KINDS[row.kind]
	if row.page then
		local event = spec.event(row.event)
		said = ("%s: %s%s"):format(said, spec.category(event.category).title, event.deprecated and ", deprecated" or "")
	end
	return row.is_declared and said or said .. ", known from golden files"
end

local function values_of(property)
	local values = {}
	for i, value in ipairs(property.enum or {}) do
		values[i] = type(value) == "string" and value or core.encode(value)
	end
	return values
end

-- Markdown ------------------------------------------------------------------------------------------------------

local function code_list(names)
	local parts = {}
	for i, name in ipairs(names) do
		parts[i] = markdown.code(name)
	end
	return table.concat(parts, ", ")
end

local function text(words)
	return words and markdown.text(words) or ""
end

local function title(row)
	return row.event ~= "" and row.event or row.call
end

--- A page with all that is in the plan.
---@param source moonweir.Definition
---@param rows moonweir.plan.Row[]
---@return string
function plantable.markdown(source, rows)
	local parts = { ("# Tracking plan of %s"):format(markdown.text((source.about or {}).name or source.slug)),
		("Version %s. `moonweir plan` wrote it from the mapping script; types are those of the script, else of Segment's Spec, "
			.. "else of the golden files. A property that is not always sent is left out when the tool's event lacks it.")
			:format(markdown.text(source.version)), "## Events" }
	local events, silent = {}, {}
	for _, row in ipairs(rows) do
		if row.call ~= "" then
			events[#events + 1] = { markdown.code(title(row)), row.call, text(plantable.kind(row)), code_list(row.entries),
				text(row.description) }
		else
			silent[#silent + 1] = { code_list(row.entries), KINDS[row.kind], text(row.description) }
		end
	end
	if #events > 0 then
		parts[#parts + 1] = markdown.table({ "Event", "Call", "Kind", "From the tool's", "Description" }, events)
	else
		parts[#parts + 1] = "None is declared."
	end
	for _, row in ipairs(rows) do
		local cells = {}
		for i, property in ipairs(row.properties) do
			local values = {}
			for n, value in ipairs(values_of(property)) do
				values[n] = markdown.code(value)
			end
			cells[i] = { markdown.code(property.path), property.type, property.always and "yes" or "no", table.concat(values, ", "),
				text(property.description) }
		end
		if #cells > 0 then
			parts[#parts + 1] = ("## %s"):format(markdown.code(title(row)))
			parts[#parts + 1] = markdown.table({ row.call:find "^[ig]" and "Trait" or "Property", "Type", "Always sent", "Values",
				"Description" }, cells)
		end
	end
	if #silent > 0 then
		parts[#parts + 1] = "## Not declared or not sent"
		parts[#parts + 1] = markdown.table({ "The tool's event", "What becomes of it", "Why" }, silent)
	end
	return table.concat(parts, "\n\n")
end

-- CSV -----------------------------------------------------------------------------------------------------------

-- A cell that begins like a formula is one for a spreadsheet; an apostrophe before it makes it text.
local function cell(value)
	value = (value or ""):gsub("[%z\1-\8\11\12\14-\31\127]", "?") -- nothing that would steer a terminal
	if value:find "^%s*[=+@-]" or value:find "^[\t\r]" or value:find "^\239\188[\139\141\157\160]" then
		value = "'" .. value
	end
	if value:find '[",\r\n]' or value:find "^ " or value:find " $" then
		value = '"' .. value:gsub('"', '""') .. '"'
	end
	return value
end

local function csv_line(...)
	local cells = {}
	for i = 1, select("#", ...) do
		cells[i] = cell((select(i, ...)))
	end
	return table.concat(cells, ",")
end

--- RFC 4180: a line a property, of an event without any one line; CR LF at the ends.
---@param rows moonweir.plan.Row[]
---@return string
function plantable.csv(rows)
	local lines = { csv_line("Call", "Event", "Kind", "Description", "Property", "Type", "Always sent", "Values",
		"Property description", "The tool's events") }
	for _, row in ipairs(rows) do
		local kind, entries = plantable.kind(row), table.concat(row.entries, "; ")
		for _, property in ipairs(row.properties) do
			lines[#lines + 1] = csv_line(row.call, row.event, kind, row.description, property.path, property.type,
				property.always and "yes" or "no", table.concat(values_of(property), "; "), property.description, entries)
		end
		if #row.properties == 0 then
			lines[#lines + 1] = csv_line(row.call, row.event, kind, row.description, "", "", "", "", "", entries)
		end
	end
	return table.concat(lines, "\r\n") .. "\r\n"
end

return plantable
