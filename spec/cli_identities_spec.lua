local unpack = table.unpack or unpack -- luacheck: ignore
local cjson = require "cjson"
local child = require "spec.support.child"

describe("moonweir identities", function()
	teardown(child.clean)

	local spools, spool, master = 0, nil, nil

	before_each(function()
		spools = spools + 1
		spool = child.folder() .. "/spool" .. spools
		master = child.folder() .. "/master-key"
		if not child.read(master) then
			assert.equal(0, (child.run { "accounts", "new-master-key", master }))
		end
	end)

	local function run(arguments, options)
		options = options or {}
		options.env = { MOONWEIR_SPOOL = spool, MOONWEIR_MASTER_KEY_FILE = options.master or master }
		return child.run({ "identities", unpack(arguments) }, options)
	end

	local function sorted(text)
		local lines = {}
		for line in text:gmatch "[^\n]+" do
			lines[#lines + 1] = line
		end
		table.sort(lines)
		return lines
	end

	local CSV = 'user_id,Email,phone,timestamp\r\n'
		.. 'u1,Ann@example.com,,2026-01-01\r\n"u,""2""",bob@example.com,"+1 555",2026-01-02\r\n'

	it("reads CSV, and writes what it reads again, in either form", function()
		local code, out = run { "import", child.file("users.csv", CSV), "--account", "acme" }
		assert.equal(0, code)
		assert.matches("2 lines: 3 learned", out)
		local lines
		code, out = run { "export" }
		assert.equal(0, code)
		lines = sorted(out)
		assert.same({
			'{"account":"acme","userId":"u,\\"2\\"","email":"bob@example.com","timestamp":"2026-01-02T00:00:00.000Z"}',
			'{"account":"acme","userId":"u,\\"2\\"","phone":"+1555","timestamp":"2026-01-02T00:00:00.000Z"}',
			'{"account":"acme","userId":"u1","email":"ann@example.com","timestamp":"2026-01-01T00:00:00.000Z"}',
		}, lines)
		for _, name in ipairs { "all.csv", "all.ndjson" } do
			local path = child.folder() .. "/" .. name
			assert.equal(0, (run { "export", "--output", path }))
			assert.equal(0, (run { "forget", "--everybody", "--yes", "--account", "acme" }))
			assert.equal("", (select(2, run { "export" })))
			assert.equal(0, (run { "import", path }))
			assert.same(lines, sorted((select(2, run { "export" }))))
		end
	end)

	it("names the lines that can't be used, and takes the others", function()
		local code, out, err = run({ "import", "--account", "acme" }, { stdin = child.file("in", table.concat({
			'{"userId":"u1","email":"ann@example.com"}', "nonsense", '{"userId":"u2"}', '{"email":"x@example.com"}', "",
			'{"userId":"u3","emial":"x@example.com"}', '{"userId":"u4","email":"d@example.com","timestamp":"soon"}',
			'{"userId":"u5","email":"e@example.com"}',
		}, "\n")) })
		assert.equal(1, code)
		assert.matches("2 lines: 2 learned, 0 known already, 5 lines could not be used", out)
		assert.matches("line 2: not JSON", err)
		assert.matches("line 3: it names a user, and nothing that the user is known by", err)
		assert.matches("line 4: neither userId nor anonymousId", err)
		assert.matches('line 6: unknown field "emial", did you mean "email"', err)
		assert.matches('line 7: timestamp: "soon" is no date', err)
		code, out, err = run({ "import" }, { stdin = child.file("in", '{"userId":"u","email":"e"}\n') })
		assert.equal(1, code)
		assert.matches("line 1: no account", err)
		assert.matches("0 lines", out)
		code, out, err = run({ "import", child.file("bad.csv", "who,email\n") })
		assert.equal(2, code)
		assert.matches("0 lines", out)
		assert.matches('line 1: unknown field "who".*the columns are account, userId', err)
	end)

	it("shows a user by any id, and forgets one for good", function()
		assert.equal(0, (run({ "import", "--account", "acme" }, { stdin = child.file("in",
			'{"userId":"u1","email":"ann@example.com","previousId":"u0","timestamp":"2026-01-01"}\n') })))
		local code, out = run { "show", "ANN@example.com", "--by", "email", "--account", "acme", "--json" }
		assert.equal(0, code)
		local shown = cjson.decode(out)
		assert.same({ "u1", 2, cjson.null }, { shown.userId, #shown.identities, shown.forgotten_at })
		code, out = run { "forget", "u1", "--account", "acme" }
		assert.equal(0, code)
		assert.matches("forgot 2 identities of 1 user", out)
		assert.equal(0, (run({ "import", "--account", "acme" }, { stdin = child.file("in",
			'{"userId":"u1","email":"ann@example.com","timestamp":"2026-01-01"}\n') })))
		code = run { "show", "ann@example.com", "--by", "email", "--account", "acme" }
		assert.equal(1, code)
		code, out = run { "show", "u1", "--account", "acme" }
		assert.equal(0, code)
		assert.matches("forgotten at", out)
	end)

	it("says what is missing", function()
		assert.equal(2, (run { "show", "u1" }))
		assert.equal(2, (run { "forget", "--account", "a" }))
		assert.equal(2, (run { "forget", "--everybody", "--account", "a" }))
		local code, _, err = child.run({ "identities", "export" }, { env = { MOONWEIR_SPOOL = spool } })
		assert.equal(2, code)
		assert.matches("new%-master%-key", err)
		code, _, err = run { "export" }
		assert.equal(1, code)
		assert.matches("there is no store here", err)
	end)
end)
