--- What a script's function sees of the event: a view, looked at from inside a function entry.
local core = require "moonweir.core"

--- Run `look` as a function entry on the event `json`; what it raises is raised here.
local function with(json, look)
	local failure
	local map = assert(core.map { slug = "s", version = "1", library_name = "l", library_version = "1" })
	map:set("event", map:constant "any")
	map:entry("any", function(event)
		local ok, message = pcall(look, event)
		failure = not ok and (message or "?") or nil
	end, "s.lua:1")
	local _, _, problems = core.mapper(map):map(json)
	assert.is_nil(problems and problems[1].message)
	if failure then
		error(failure, 0)
	end
end

describe("a view", function()
	it("reads members and elements", function()
		with('{"a":{"b":[10,"x",true,null,{"c":1.5}]},"é\\n":1}', function(e)
			assert.equal(10, e.a.b[1])
			assert.equal("x", e.a.b[2])
			assert.is_true(e.a.b[3])
			assert.is_nil(e.a.b[4])
			assert.equal(1.5, e.a.b[5].c)
			assert.is_nil(e.a.b[6])
			assert.is_nil(e.a.b[0])
			assert.is_nil(e.a.b[1.5])
			assert.equal(1, e["é\n"])
			assert.is_nil(e.nothing)
			assert.is_nil(e[1])
			assert.is_nil(e.a.b.c)
			assert.is_nil(e[true])
		end)
	end)

	it("undoes escapes", function()
		with('{"a":"x\\n\\u00e9\\ud83d\\ude00\\u0000y","\\u0062":2}', function(e)
			assert.equal("x\né😀\0y", e.a)
			assert.equal(2, e.b)
		end)
	end)

	it("keeps all digits of integers, as a number where the VM can", function()
		with('{"id":9007199254740993,"big":12345678901234567890,"small":9007199254740992,"f":1e400}', function(e)
			assert.equal(9007199254740992, e.small)
			assert.equal("9007199254740993", tostring(e.id))
			assert.equal(math.type and "number" or "userdata", type(e.id))
			assert.equal("12345678901234567890", tostring(e.big))
			assert.equal("userdata", type(e.big))
			assert.equal("1e400", tostring(e.f))
		end)
	end)

	it("has a length, which is that of a list", function()
		with('{"a":[1,2,3],"o":{"x":1},"e":[]}', function(e)
			assert.equal(3, #e.a)
			assert.equal(0, #e.e)
			assert.equal(0, #e.o)
		end)
	end)

	it("is walked by view_next: each name once, the value that counts, no nulls", function()
		with('{"a":1,"b":null,"c":[1],"a":2,"\\u0064":3,"n":1,"n":null}', function(e)
			local seen = {}
			for k, v in core.view_next, e do
				assert.is_nil(seen[k])
				seen[k] = type(v) == "userdata" and tostring(v) or v
			end
			assert.same({ a = 2, c = "[1]", d = 3 }, seen)
			assert.is_nil((core.view_next(e, "d")))
			assert.has_error(function()
				core.view_next(e, "nobody")
			end)
		end)
	end)

	it("is walked from any place, also when two walks take turns", function()
		with('{"a":[1,null,3,4],"b":[5,6]}', function(e)
			local seen = {}
			for i, v in core.view_next, e.a do
				seen[#seen + 1] = i .. "=" .. v
				for _, w in core.view_next, e.b do
					seen[#seen + 1] = w
				end
			end
			assert.equal("1=1 5 6 3=3 5 6 4=4 5 6", table.concat(seen, " "))
			assert.equal(3, e.a[3])
			assert.equal(1, e.a[1])
			assert.equal(4, e.a[4])
			assert.equal(3, (select(2, core.view_next(e.a, 2))))
			assert.has_error(function()
				core.view_next(e.a, 5)
			end)
		end)
	end)

	it("walks a long list in time that grows with its length only", function()
		local n = 200000
		with('{"a":[' .. ("1,"):rep(n) .. "1]}", function(e)
			local list, sum = e.a, 0
			for i = 1, #list do
				sum = sum + list[i]
			end
			assert.equal(n + 1, sum)
		end)
	end)

	it("works with pairs and ipairs on Lua 5.4", function()
		if not math.type then
			return
		end
		with('{"a":[1,2],"b":"x"}', function(e)
			local seen = {}
			for k in pairs(e) do
				seen[#seen + 1] = k
			end
			for i, v in ipairs(e.a) do
				seen[#seen + 1] = i .. v
			end
			assert.equal("a b 11 22", table.concat(seen, " "))
		end)
	end)

	it("is read-only", function()
		with('{"a":1}', function(e)
			local ok, message = pcall(function()
				e.a = 2
			end)
			assert.is_false(ok)
			assert.matches("read%-only", message)
		end)
	end)

	it("equals itself and prints as its JSON", function()
		with('{"a":{"x": [1]},"b":{"x": [1]}}', function(e)
			assert.is_true(e.a == e.a)
			assert.is_false(e.a == e.b)
			assert.equal('{"x": [1]}', tostring(e.a))
		end)
	end)

	it("is copied as it came when it is encoded", function()
		with('{"a":{"id":12345678901234567890,"t":1.50,"n":null}}', function(e)
			assert.equal('[{"id":12345678901234567890,"t":1.50,"n":null},12345678901234567890]',
				core.encode { e.a, e.a.id })
		end)
	end)

	it("raises once its event is over", function()
		local kept
		with('{"a":{"b":1}}', function(e)
			kept = e.a
		end)
		for _, use in ipairs {
			function() return kept.b end,
			function() return #kept end,
			function() return tostring(kept) end,
			function() return core.view_next(kept) end,
			function() return core.encode(kept) end,
		} do
			local ok, message = pcall(use)
			assert.is_false(ok)
			assert.matches("this event is over; copy what you need", message)
		end
		with('{"a":{"b":1}}', function()
			assert.has_error(function()
				return kept.b
			end)
		end)
		assert.is_true(kept == kept)
	end)

	it("outlives its mapper without harm", function()
		local kept
		with('{"a":{"b":1}}', function(e)
			kept = e.a
		end)
		collectgarbage()
		collectgarbage()
		assert.has_error(function()
			return kept.b
		end)
	end)

	it("of an outer event stays good while an inner one is mapped", function()
		with('{"a":{"b":1}}', function(outer)
			with('{"a":{"b":2}}', function(inner)
				assert.equal(1, outer.a.b)
				assert.equal(2, inner.a.b)
			end)
			assert.equal(1, outer.a.b)
		end)
	end)

	-- Where a member was found is remembered while events of one form follow each other.
	it("tells members apart, whatever the forms of the events before", function()
		local forms = {
			{ '{"id":%d,"a":{"id":%d,"n":%d},"b":{"n":%d,"id":%d}}', { "id", "a.id", "a.n", "b.n", "b.id" } },
			{ '{"a":{"n":%d,"id":%d},"id":%d,"b":{"id":%d,"id":%d}}', { "a.n", "a.id", "id", false, "b.id" } },
			{ '{"b":{"id":%d},"i\\u0064":%d,"a":{"id":%d,"n":%d},"n":%d}', { "b.id", "id", "a.id", "a.n", "n" } },
			{ '{"c":%d,"id":%d,"a":{"n":%d},"b":{"n":%d,"i":%d}}', { false, "id", "a.n", "b.n", "b.i" } },
			{ '{"c":{"id":%d},"a":{"n":%d,"n":%d},"b":{"n":%d,"i":%d}}', { false, false, "a.n", "b.n", "b.i" } },
			{ '{"id":[%d,%d],"a":{"n":%d},"b":{"i":%d,"iid":%d}}', { false, false, "a.n", "b.i", "b.iid" } },
		}
		local names = { "id", "n", "a.id", "a.n", "b.id", "b.n", "b.i", "b.iid" }
		local lines, expected = {}, {}
		for i = 1, 400 do -- five of each form, then of the next
			local form = forms[math.floor(i / 5) % #forms + 1]
			lines[i] = form[1]:format(i, i + 1000, i + 2000, i + 3000, i + 4000)
			expected[i] = {}
			for place, name in ipairs(form[2]) do
				if name then
					expected[i][name] = i + 1000 * (place - 1)
				end
			end
		end
		local i = 0
		local map = assert(core.map { slug = "s", version = "1", library_name = "l", library_version = "1" })
		map:set("event", map:constant "any")
		map:entry("any", function(event)
			i = i + 1
			for _, name in ipairs(names) do
				local container, member = name:match "^(%a)%.(%a+)$"
				local value = event[name]
				if container then
					value = event[container][member]
				end
				if type(value) ~= "userdata" then
					assert.equal(expected[i][name], value, name .. " of " .. lines[i])
				end
			end
		end, "s.lua:1")
		local _, _, problems = core.mapper(map):map(table.concat(lines, "\n"), { format = "ndjson" })
		assert.is_nil(problems and problems[1].message)
		assert.equal(#lines, i)
	end)
end)
