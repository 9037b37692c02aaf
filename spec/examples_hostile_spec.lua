--- The sources of examples/ with bodies that no tool should send: each member of each fixture in turn is missing, empty, or of
--- another type. What is missing is left out; what is odd becomes an error that names script, line and field; nothing raises.

local compile = require "moonweir.compile"
local core = require "moonweir.core"
local fixtures = require "moonweir.cli.fixtures"
local gallery = require "spec.support.gallery"
local golden = require "moonweir.golden"

local MISSING = core.null
local ODD = { MISSING, 7, "", "odd", true, { a = 1 }, core.array {}, core.array { "a" }, core.array { { x = 1 } } }

-- Every place in a value, as a list of names.
local function places(value, before, all)
	for name, inside in pairs(type(value) == "table" and value or {}) do
		local place = { (table.unpack or unpack)(before) }
		place[#place + 1] = name
		all[#all + 1] = place
		places(inside, place, all)
	end
	return all
end

-- Give `visit` each variant of a JSON body: the text, what changed, and whether it is missing now.
local function each_json(body, visit)
	for _, place in ipairs(places(core.decode(body), {}, {})) do
		for _, odd in ipairs(ODD) do
			local root = core.decode(body)
			local at = root
			for i = 1, #place - 1 do
				at = at[place[i]]
			end
			at[place[#place]] = odd
			visit(core.encode(root), table.concat(place, "."), odd == MISSING)
		end
	end
end

-- The same of a form, in which everything is a text.
local function each_form(body, visit)
	for pair in body:gmatch "[^&\n]+" do
		local from, to = body:find(pair, 1, true)
		for _, odd in ipairs { "", pair:match "^[^=]*" .. "=", pair:match "^[^=]*" .. "=odd", pair .. "&" .. pair } do
			visit(body:sub(1, from - 1) .. odd .. body:sub(to + 1), pair:match "^[^=]*", odd == "")
		end
	end
end

-- And of XML: elements that hold nothing but text.
local function each_xml(body, visit)
	for from, element, name, to in body:gmatch "()(<([%w:_]+)[^<>]*>[^<]*</%3>)()" do
		local function put(odd)
			visit(body:sub(1, from - 1) .. odd .. body:sub(to), name, odd == "")
		end
		put ""
		put(element .. element)
		put(("<%s/>"):format(name))
		put(("<%s>odd</%s>"):format(name, name))
		put(("<%s><a>odd</a></%s>"):format(name, name))
	end
end

local function each_variant(fixture, text, visit)
	if fixture.kind == "xml" then
		each_xml(text, visit)
	elseif fixture.kind == "json" then
		each_json(text, visit)
	elseif text:find "^{" then
		for line in text:gmatch "[^\n]+" do
			each_json(line, visit)
		end
	elseif fixture.kind == "txt" then
		each_form(text, visit)
	end
end

-- What may become of an event that says less than it should: it does not say what it is, or whose; or the call lacks what
-- Segment takes none without.
local SAYS_LESS = { no_user = true, no_event = true, unmatched = true }

local function check(problem, is_missing, has_function, where)
	local is_understood = SAYS_LESS[problem.code] or problem.message:find "is missing; Segment takes no such call"
	if has_function then -- whose errors are its own
		is_understood = is_understood or problem.message:find "^[%w-]+%.lua:%d+: ."
	elseif not is_missing then
		is_understood = is_understood or problem.code == "invalid" or problem.message:find "^each: must be"
			or problem.code == "mapping" and problem.message:find "^[%w-]+%.lua:%d+: [%w ]-:? ?[%a_.]+: ."
	end
	assert.is_truthy(is_understood, where .. problem.message)
end

describe("odd bodies do no harm to the example", function()
	for _, name in ipairs(gallery.names()) do
		it(name, function()
			local script = assert(fixtures.load(("examples/%s/%s.lua"):format(name, name)))
			local dir, tried, has_function = ("examples/%s/fixtures/"):format(name), 0, false
			for _, entry in ipairs(script.definition.entries) do
				has_function = has_function or entry.kind == "function"
			end
			local list = fixtures.list(dir)
			local mapper = core.mapper(assert(compile(script.definition)), { identities = list[1].known })
			for _, fixture in ipairs(list) do
				local text, headers = fixtures.read(dir, fixture)
				local format = fixture.kind == "xml" and "xml" or text:find "^%s*[%[{]" and "json" or "form"
				each_variant(fixture, text, function(body, what, is_missing)
					local _, _, problems = mapper:map(body, { account = golden.ACCOUNT, headers = headers, format = format })
					for _, problem in ipairs(problems or {}) do
						check(problem, is_missing, has_function, ("%s: %s: "):format(fixture.file, what))
					end
					tried = tried + 1
				end)
			end
			assert.is_true(tried > 0)
		end)
	end
end)
