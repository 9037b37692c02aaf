--- What Moonweir's pages share: the headers of every answer, the common style.

local respond = require "moonweir.web.respond"
local style = require "moonweir.web.style"

describe("an answer to a browser", function()
	it("has every header that keeps it harmless, errors too", function()
		for _, answer in ipairs { { respond.json(200, {}) }, { respond.refusal(404, "not_found", "no") } } do
			local h = answer[2]
			for _, part in ipairs {
				"default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "trusted-types 'none'",
				"require-trusted-types-for 'script'",
			} do
				assert.truthy(h["Content-Security-Policy"]:find(part, 1, true), part)
			end
			assert.not_matches("unsafe", h["Content-Security-Policy"])
			assert.equal("nosniff", h["X-Content-Type-Options"])
			assert.equal("no-store", h["Cache-Control"])
			assert.equal("DENY", h["X-Frame-Options"])
			assert.equal("no-referrer", h["Referrer-Policy"])
			assert.equal("same-origin", h["Cross-Origin-Opener-Policy"])
			assert.equal("same-origin", h["Cross-Origin-Resource-Policy"])
			assert.is_nil(h["Strict-Transport-Security"])
			assert.is_nil(h["Access-Control-Allow-Origin"])
		end
	end)

	it("may be framed by those who are named", function()
		local h = respond.headers("text/html", { frame_ancestors = { "https://a.example", "https://b.example" }, secure = true })
		assert.matches("frame%-ancestors https://a%.example https://b%.example$", h["Content-Security-Policy"])
		assert.is_nil(h["X-Frame-Options"])
		assert.matches("max%-age", h["Strict-Transport-Security"])
		assert.equal("DENY", respond.headers("text/html", { frame_ancestors = {} })["X-Frame-Options"])
	end)

	it("is a file only if the path is exactly its own", function()
		local asset = respond.assets { ["/"] = { "text/html", "<p>" }, ["/a.css"] = { "text/css", "p{}" } }
		local status, headers, body = asset("GET", "/a.css")
		assert.same({ 200, "text/css; charset=utf-8", "p{}" }, { status, headers["Content-Type"], body })
		assert.equal(405, (asset("POST", "/")))
		for _, path in ipairs { "", "//", "/A.css", "/a.css/", "/../a.css", "/%2e%2e/a.css", "/a.css\0", "\\a.css", "/./a.css" } do
			assert.is_nil(asset("GET", path))
		end
	end)
end)

describe("the common style", function()
	local function luminance(hex)
		local sum = 0
		for i, weight in ipairs { 0.2126, 0.7152, 0.0722 } do
			local c = tonumber(hex:sub(2 * i, 2 * i + 1), 16) / 255
			sum = sum + weight * (c <= 0.04045 and c / 12.92 or ((c + 0.055) / 1.055) ^ 2.4)
		end
		return sum
	end

	local function contrast(a, b)
		local x, y = luminance(a), luminance(b)
		return (math.max(x, y) + 0.05) / (math.min(x, y) + 0.05)
	end

	local function colours(block)
		local found = {}
		for name, hex in block:gmatch "%-%-([%w-]+): (#%x%x%x%x%x%x);" do
			found[name] = hex
		end
		return found
	end

	for name, pattern in pairs { light = "^:root (%b{})", dark = "dark%) {%s*:root (%b{})" } do
		it("can be read in the " .. name, function()
			local c = colours(assert(style:match(pattern)))
			for _, text in ipairs { "text", "muted", "accent", "good", "warn", "bad", "note" } do
				for _, under in ipairs { "bg", "surface", "sunken" } do
					assert.is_true(contrast(c[text], c[under]) >= 4.5, text .. " on " .. under)
				end
			end
			for _, word in ipairs { "good", "warn", "bad", "note", "accent" } do
				assert.is_true(contrast(c[word], c[word .. "-weak"]) >= 4.5, word)
			end
			for _, word in ipairs { "text", "muted" } do
				assert.is_true(contrast(c[word], c["accent-weak"]) >= 4.5, word .. " on a chosen row")
			end
			assert.is_true(contrast(c["accent-text"], c.accent) >= 4.5)
			assert.is_true(contrast(c.border, c.surface) >= 3 and contrast(c.border, c.bg) >= 3)
		end)
	end
end)
