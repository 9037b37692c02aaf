--- The debugger's page as text: what must not stand in it, and what must.

local page = require "moonweir.debugger.page"

describe("the debugger's page", function()
	local asset = page.new()

	local function files()
		local list = { "/" }
		local _, _, html = asset("GET", "/")
		for path in html:gmatch '[hs][rr][ec]f?="(/[^"]+)"' do
			list[#list + 1] = path
		end
		for _, path in ipairs { "/main.js", unpack and unpack(list) or table.unpack(list) } do
			local _, _, text = asset("GET", path)
			for name in text:gmatch 'from "%./([%w_.]+)"' do
				list[#list + 1] = "/" .. name
			end
		end
		return list
	end

	it("has all that it asks for, of the right type", function()
		local types = { js = "text/javascript; charset=utf-8", css = "text/css; charset=utf-8", svg = "image/svg+xml" }
		local seen = {}
		for _, path in ipairs(files()) do
			local status, headers = asset("GET", path)
			assert.equal(200, status, path)
			assert.equal(types[path:match "%.(%w+)$"] or "text/html; charset=utf-8", headers["Content-Type"])
			assert.matches("default%-src 'none'", headers["Content-Security-Policy"])
			seen[path] = true
		end
		assert.is_true(seen["/debugger.css"] and seen["/icon.svg"] and seen["/stream.js"] and seen["/dom.js"])
	end)

	it("turns no text into markup or code", function()
		for _, path in ipairs(files()) do
			local _, _, text = asset("GET", path)
			for _, pattern in ipairs {
				"innerHTML", "outerHTML", "insertAdjacentHTML", "document%.write", "%f[%w]eval%f[%W]", "new Function", "DOMParser",
				"createContextualFragment", "srcdoc", "javascript:", "%f[%w]on%l+%s*=", 'setAttribute%("on', 'setTimeout%("',
				"%f[%w]style%s*=%s*\"",
			} do
				assert.is_nil(text:find(pattern), ("%s has %s"):format(path, pattern))
			end
		end
	end)

	it("loads nothing from elsewhere", function()
		for _, path in ipairs(files()) do
			local _, _, text = asset("GET", path)
			for url in text:gmatch "%l+://[%w.]+" do
				assert.is_true(url == "http://www.w3.org", ("%s has %s"):format(path, url))
			end
			assert.is_nil(text:find "@import")
		end
	end)

	it("has a label for each control", function()
		local _, _, html = asset("GET", "/")
		for id in html:gmatch '<[is][ne][pl][ue][tc][^>]- id="([%w-]+)"' do
			assert.truthy(html:find('for="' .. id .. '"', 1, true), id)
		end
		for id in html:gmatch '<select id="([%w-]+)"' do
			assert.truthy(html:find('for="' .. id .. '"', 1, true), id)
		end
	end)
end)
