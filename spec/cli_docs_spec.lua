local child = require "spec.support.child"

local SOURCE = [[
local source = require "moonweir.source"
local get = source.get
return source.define {
	slug = "tiny", version = "1", event = get "type", user = source.user { get "user" },
	on = { opened = source.track "Email Opened" { email_id = get "id":string() }, f = function() end },
	about = { name = "Tiny\27[31m", events = { ["Email Opend"] = "x" } },
}
]]

describe("moonweir docs", function()
	teardown(child.clean)

	it("writes the example's page, of which nothing is missing", function()
		local code, out, err = child.run { "docs", "examples/acme-mail/acme-mail.lua" }
		assert.equal("", err)
		assert.equal(0, code)
		assert.matches("^%-%-%-\ntitle: Acme Mail Source\n", out)
		assert.matches("| `products[].price` | Number |", out, 1, true)
		assert.matches("| `Email Sent` | A campaign was sent", out, 1, true) -- known from a golden file alone

		local page = child.folder() .. "/page.md"
		code = child.run { "docs", "examples/acme-mail/acme-mail.lua", "-o", page }
		assert.equal(0, code)
		assert.equal(out, child.read(page))
		code, out = child.run { "docs", "examples/acme-mail/acme-mail.lua", "--format", "reference" }
		assert.equal(0, code)
		assert.matches("^# Acme Mail events in Segment\n", out)
	end)

	it("writes the page all the same when something is missing, and says what and where", function()
		local script = child.file("tiny.lua", (SOURCE:gsub("\\27%[31m", "")))
		local code, out, err = child.run { "docs", script }
		assert.equal(1, code)
		assert.matches("title: \"?Tiny", out)
		for _, line in ipairs {
			'about.website: linked in the first sentence: website = "https://acme-mail.example"\n',
			'about.events["Email Opened"]: when is it sent?\n',
			'about.events["Email Opend"]: nothing sends it, nor does a golden file show it, did you mean "Email Opened"?\n',
			"about.properties.email_id: what is it? Sent with Email Opened\n",
			'fixtures/: what the function of "f" sends is known from golden files only, and none shows it\n',
		} do
			assert.matches("moonweir: warning: " .. line, err, 1, true)
		end
		local count = select(2, err:gsub("warning: ", ""))
		assert.matches(("the page is written; %d things to do for it in tiny.lua\n"):format(count), err, 1, true)
	end)

	it("does not write over a page that it can't replace, nor from a script that is wrong", function()
		local code, out, err = child.run { "docs", "examples/acme-mail/acme-mail.lua", "-o", child.folder() .. "/no/page.md" }
		assert.same({ 1, "" }, { code, out })
		assert.matches("no/page.md", err, 1, true)
		code, out, err = child.run { "docs", child.file("bad.lua", SOURCE) }
		assert.same({ 1, "" }, { code, out })
		assert.matches("bad.lua:6: about.name: it has control characters in it", err, 1, true)
		assert.not_matches("\27", err, 1, true)
		code, out, err = child.run { "docs", child.folder() .. "/none.lua" }
		assert.equal("", out)
		assert.equal(1, code)
		assert.matches("none.lua: No such file", err, 1, true)
	end)

	it("never writes the page over the script, under whatever name", function()
		local text = SOURCE:gsub("\\27%[31m", "")
		local script = child.file("tiny.lua", text)
		local link = child.folder() .. "/link.md"
		os.execute(("ln -sf tiny.lua '%s'"):format(link))
		for _, name in ipairs { script, link } do
			local code, out, err = child.run { "docs", script, "-o", name }
			assert.same({ 1, "" }, { code, out })
			assert.matches("is the script itself; give -o another name", err, 1, true)
			assert.equal(text, child.read(script))
		end
	end)

	it("writes through a device or a link, and leaves it what it is", function()
		local kind = require("moonweir.core").process.file_kind
		local page, link = child.file("page.md", "old"), child.folder() .. "/to-page.md"
		os.execute(("ln -sf page.md '%s'"):format(link))
		assert.equal(0, (child.run { "docs", "examples/acme-mail/acme-mail.lua", "-o", link }))
		assert.equal("other", kind(link))
		assert.matches("title: Acme Mail Source", child.read(page), 1, true)

		-- A full disk: a link to it, as whoever may replace a device must not try it on the real one.
		os.execute(("ln -sf /dev/full '%s'"):format(link))
		local code, out, err = child.run { "docs", "examples/acme-mail/acme-mail.lua", "-o", link }
		assert.same({ 1, "" }, { code, out })
		assert.matches("to-page.md: No space left on device\n", err, 1, true)
		assert.equal("other", kind(link))
	end)

	it("names the file that it can't write", function()
		for name, why in pairs { ["/no/page.md"] = "No such file or directory", ["/"] = "Is a directory" } do
			local path = child.folder() .. name
			local _, _, err = child.run { "docs", "examples/acme-mail/acme-mail.lua", "-o", path }
			assert.equal(("moonweir: error: %s: %s\n"):format(path, why), err)
		end
	end)

	it("says that a golden file can't be read", function()
		os.execute(("mkdir -p '%s/golden'"):format(child.folder()))
		child.file("golden/a.json", "{}")
		child.file("golden/a.expected.ndjson", '{"message":{"type":"track","event":"Seen","properties":{"n":1}}}\nbroken\n')
		local script = child.file("tiny.lua", (SOURCE:gsub("\\27%[31m", "")))
		local _, out, err = child.run { "docs", script, "--fixtures", child.folder() .. "/golden" }
		assert.matches("| `Seen` |", out, 1, true)
		assert.matches("warning: a.expected.ndjson can't be read: line 2: ", err, 1, true)
	end)

	it("teaches with --help and says no to what there is not", function()
		local code, out = child.run { "docs", "--help" }
		assert.equal(0, code)
		assert.matches("about = {", out, 1, true)
		local err
		code, out, err = child.run { "docs", "x.lua", "--format", "pdf" }
		assert.same({ 2, "" }, { code, out })
		assert.matches("--format takes segment or reference, not 'pdf'", err, 1, true)
		assert.equal(2, (child.run { "docs" }))
		assert.equal(2, (child.run { "docs", "x.lua", "--fixtures", "" }))
	end)
end)
