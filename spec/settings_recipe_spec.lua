--- The README's recipes for links to the settings page, in each language: what they make opens it.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core = require "moonweir.core"
local link = require "moonweir.web.link"

local BASE = "https://events.acme.example/in"

-- How each is called, behind what the README has.
local CALLS = {
	js = { "node", 'console.log(settingsLink("blue-bottle é", "ann@example.com"));' },
	python = { "python3", 'print(settings_link("blue-bottle é", "ann@example.com"))' },
	sh = { "sh", 'settings_link "blue-bottle é" ann@example.com' },
}

local function section()
	local text = child.read "README.md"
	return (text:match "\n## Settings page\n(.-)\n## ")
end

describe("the README's recipe", function()
	local key_path, key, claims
	setup(function()
		key_path = child.folder() .. "/link-key"
		assert(accounts.new_master_key(key_path))
		key = assert(core.link_key(key_path))
		claims = assert(core.claims(child.folder() .. "/spool"))
	end)
	teardown(function()
		key:close()
		claims:close()
		child.clean()
	end)

	for language, call in pairs(CALLS) do
		it("in " .. language .. " makes links that open", function()
			if not io.popen("command -v " .. call[1]):read "*l" then
				pending(call[1] .. " is not installed")
				return
			end
			local code
			for block in section():gmatch("\n```" .. language .. "\n(.-)```") do
				code = block
			end
			local script = child.file("recipe." .. language, code .. "\n" .. call[2] .. "\n")
			local pipe = io.popen(("MOONWEIR_BASE_URL=%s MOONWEIR_LINK_KEY_FILE=%s %s %s"):format(BASE, key_path, call[1], script))
			local url = pipe:read "*l"
			pipe:close()
			assert.equal(BASE .. "/settings#", url:match "^[^#]*#")
			local token = url:match "#(.*)$"
			local options = { key = key, claims = claims, base = BASE, now = os.time() }
			assert.same({ account = "blue-bottle é", user = "ann@example.com" }, link.open(token, options))
			assert.same({ nil, "used" }, { link.open(token, options) })
		end)
	end
end)
