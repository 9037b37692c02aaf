local child = require "spec.support.child"
local project = require "moonweir.project"

local command = os.getenv "MW_COMMAND"

-- A shell line in a folder, with the command on its path; exit code and what it said.
local function shell(folder, line)
	local bin = child.folder() .. "/bin"
	os.execute(("mkdir -p '%s' && ln -sf '%s' '%s/moonweir'"):format(bin, command, bin))
	local said = child.folder() .. "/said"
	local script = child.file("line.sh", ("cd '%s' && PATH='%s':$PATH\n%s\n"):format(folder, bin, line))
	local ok, _, code = os.execute(("MOONWEIR_LUA=%s sh -e '%s' >'%s' 2>&1 </dev/null"):format(child.lua, script, said))
	return type(ok) == "number" and ok / 256 or code, child.read(said)
end

describe("moonweir new", function()
	local folder
	local number = 0

	before_each(function()
		number = number + 1
		folder = child.folder() .. "/new" .. number
	end)
	teardown(child.clean)

	it("makes a project that passes its own tests at once, with everything in it exercised", function()
		local code, out, err = child.run { "new", "acme-desk", folder }
		assert.equal("", err)
		assert.equal(0, code)
		assert.matches("written  " .. folder .. "/acme-desk.lua\n", out, 1, true)
		assert.matches("cd " .. folder .. "\n  moonweir test acme-desk.lua\n", out, 1, true)
		code, out = child.run { "test", folder .. "/acme-desk.lua" }
		assert.equal(0, code)
		assert.matches("2 fixtures: 2 agree\n", out, 1, true)
		assert.matches("entries exercised: 3 of 3\n", out, 1, true)
		assert.matches("properties exercised: (%d+) of %1\n", out)
	end)

	it("makes the same files as before, for every slug", function()
		for _, slug in ipairs { "a", "3scale", "acme-desk-2", ("x"):rep(project.SLUG_MAX) } do
			local again = project.files(slug)
			for i, file in ipairs(project.files(slug)) do
				assert.same(file, again[i])
				assert.not_matches("@[%u_]+@", file.text)
				assert.matches("\n$", file.text)
			end
		end
		assert.matches('["3scaleId"] = get', project.files "3scale"[2].text, 1, true)
		assert.matches("\n\t\tacmeDeskId = get", project.files "acme-desk"[2].text, 1, true)
	end)

	it("prints commands that run", function()
		child.run { "new", "acme-desk", folder }
		local readme = child.read(folder .. "/README.md")
		local has_check = child.run { "check", "--help" } == 0
		local count = 0
		local debugger, url = child.debugger()
		for block in readme:gmatch "```sh\n(.-)```" do
			for line in block:gmatch "[^\n]+" do
				local skipped = line:find "^moonweir debugger" or line:find "cat > key" or line:find "%-%-write%-key%-file"
					or not has_check and line:find "^moonweir check"
				if not skipped then
					count = count + 1
					local code, said = shell(folder, (line:gsub("http://127%.0%.0%.1:4400", url)))
					assert.is_true(code == 0 or line:find "^moonweir docs" ~= nil and code == 1, line .. "\n" .. said)
				end
			end
		end
		assert.is_true(count >= 6)
		debugger:wait("the events", function()
			return debugger:out():find "Email Opened" and debugger:out():find "identify"
		end)
		debugger:signal "INT"
		debugger:finish()
		if has_check then
			assert.equal(0, (shell(folder, "sh ci.sh")))
		end
	end)

	it("fails in CI when the source makes something else", function()
		child.run { "new", "acme-desk", folder }
		local script = child.read(folder .. "/acme-desk.lua")
		local file = io.open(folder .. "/acme-desk.lua", "w")
		file:write((script:gsub('"Email Opened" {', '"Email Delivered" {')))
		file:close()
		local has_check = child.run { "check", "--help" } == 0
		local code, said = shell(folder, has_check and "sh ci.sh" or child.read(folder .. "/ci.sh"):match "\n(moonweir test [^\n]*)")
		assert.equal(1, code)
		assert.matches("differs  message.opened.json", said, 1, true)
	end)

	it("leaves to the author what only the author knows, and no more", function()
		child.run { "new", "acme-desk", folder }
		local code, out, err = child.run { "docs", folder .. "/acme-desk.lua" }
		assert.equal(1, code)
		assert.matches("title: Acme Desk Source", out, 1, true)
		local fields = {}
		for where in err:gmatch "warning: (%S+): " do
			fields[#fields + 1] = where
		end
		table.sort(fields)
		assert.same({ "about.categories", "about.description", "about.regions", "about.support", "about.user", "about.website",
			"about.write_key_menu" }, fields)
	end)

	it("is called as the slug where no folder is given, and works where its name is awkward", function()
		os.execute("mkdir -p '" .. folder .. "'")
		assert.equal(0, (shell(folder, "moonweir new acme-desk && moonweir test acme-desk/acme-desk.lua")))
		local awkward = "it's a \27[31m \"folder\"/deep/"
		local code, out = child.run { "new", "acme-desk", folder .. "/" .. awkward }
		assert.equal(0, code)
		assert.not_matches("\27", out, 1, true)
		assert.equal(0, (child.run { "test", folder .. "/" .. awkward .. "acme-desk.lua" }))
	end)

	it("overwrites nothing, and then writes nothing at all", function()
		os.execute("mkdir -p '" .. folder .. "'")
		local readme = child.file("new" .. number .. "/README.md", "mine")
		child.file("new" .. number .. "/notes", "mine too")
		local code, out, err = child.run { "new", "acme-desk", folder }
		assert.equal(1, code)
		assert.equal("", out)
		assert.matches("already has README.md; nothing is overwritten. Move it away, or name another folder: ", err, 1, true)
		assert.equal("mine", child.read(readme))
		assert.is_nil(child.read(folder .. "/acme-desk.lua"))
		os.remove(readme)
		assert.equal(0, (child.run { "new", "acme-desk", folder }))
		code, out, err = child.run { "new", "acme-desk", folder }
		assert.same({ 1, "" }, { code, out })
		assert.matches("README.md, acme-desk.lua, ", err, 1, true)
		assert.equal("mine too", child.read(folder .. "/notes"))
	end)

	it("says what is wrong with a slug, and which one would do", function()
		for slug, near in pairs {
			["Acme Mail"] = "how about acme-mail?", ["acme_mail"] = "how about acme-mail?", ["acme-"] = "how about acme?",
			["../x"] = "how about x?", ["💥"] = "as in acme-mail", [""] = "as in acme-mail", ["a\27[2Jb"] = "how about a-2jb?",
			[("x"):rep(51)] = "up to 50 of them; how about xxx",
		} do
			local code, out, err = child.run { "new", slug, folder }
			assert.equal(2, code)
			assert.equal("", out)
			assert.matches("is no slug: a slug is made of lower-case letters", err, 1, true)
			assert.matches(near, err, 1, true)
			assert.not_matches("\27", err, 1, true)
		end
		assert.is_nil(child.read(folder .. "/README.md"))
		assert.equal(2, (child.run { "new" }))
		assert.equal(2, (child.run { "new", "acme", "" }))
	end)

	it("says that a folder can't be made", function()
		local file = child.file("a-file", "")
		local code, out, err = child.run { "new", "acme-desk", file .. "/below" }
		assert.same({ 1, "" }, { code, out })
		assert.matches("a-file: ", err, 1, true)
		code, out, err = child.run { "new", "acme-desk", "/proc/nowhere" }
		assert.equal("", out)
		assert.equal(1, code)
		assert.matches("/proc/nowhere: ", err, 1, true)
	end)

	it("writes a script that luacheck has nothing against", function()
		if os.execute "command -v luacheck >/dev/null" ~= true and os.execute "command -v luacheck >/dev/null" ~= 0 then
			return pending "luacheck is not here; make lint has it"
		end
		child.run { "new", "acme-desk", folder }
		local code, said = shell(folder, "luacheck -q acme-desk.lua")
		assert.equal(0, code, said)
	end)

	it("teaches with --help", function()
		local code, out = child.run { "new", "--help" }
		assert.equal(0, code)
		assert.matches("moonweir new acme-mail", out, 1, true)
	end)
end)
