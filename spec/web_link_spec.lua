--- Links to the settings page, and the sessions they open.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local core = require "moonweir.core"
local link = require "moonweir.web.link"
local mw = require "moonweir"
local session = require "moonweir.web.session"

local BASE = "https://events.acme.example"
local NOW = 1800000000

local function new_key(name)
	local path = child.folder() .. "/" .. name
	assert(accounts.new_master_key(path))
	return path
end

local function token_of(url)
	return (url:gsub("^[^#]*#", ""))
end

describe("links to the settings page", function()
	local path, key, claims
	setup(function()
		path = new_key "link-key"
		key = assert(core.link_key(path))
		claims = assert(core.claims(child.folder() .. "/spool-of-links"))
	end)
	teardown(function()
		key:close()
		claims:close()
		child.clean()
	end)

	local function make(changed)
		local options = { base_url = BASE, key = key, user = "ann", now = NOW }
		for name, value in pairs(changed or {}) do
			options[name] = value
		end
		return token_of(assert(link.make("acme", options)))
	end

	local function open(token, now, base)
		return link.open(token, { key = key, claims = claims, base = base or BASE, now = now or NOW })
	end

	--- A token as another program might sign it.
	local function signed(fields)
		local text = "v1." .. core.base64url(type(fields) == "string" and fields or core.encode(fields))
		return text .. "." .. key:sign(text)
	end

	local function fields(changed)
		local f = { account = "acme", aud = BASE, iat = NOW, exp = NOW + 300, jti = core.random_id() }
		for name, value in pairs(changed) do
			f[name] = value
		end
		return f
	end

	it("open once, in the name of their account", function()
		local token = make()
		assert.same({ account = "acme", user = "ann" }, open(token))
		assert.same({ nil, "used" }, { open(token) })
		assert.same({ nil, "used" }, { open(token, NOW + 359) })
	end)

	it("open once whichever process they come to", function()
		local again = assert(core.claims(child.folder() .. "/spool-of-links"))
		local token = make()
		assert.truthy(open(token))
		assert.same({ nil, "used" }, { link.open(token, { key = key, claims = again, base = BASE, now = NOW }) })
		again:close()
	end)

	it("are good from a minute before they were made until a minute after they end", function()
		local _, code, why = open(make(), NOW - 61)
		assert.equal("expired", code)
		assert.equal("made 61 s in the future: one of the two clocks is wrong", why) -- for the log
		assert.truthy(open(make(), NOW - 60))
		assert.truthy(open(make(), NOW + 359))
		assert.same({ nil, "expired" }, { open(make(), NOW + 360) })
		assert.truthy(open(make { ttl = 1 }, NOW + 60))
		assert.same({ nil, "expired" }, { open(make { ttl = 1 }, NOW + 61) })
	end)

	it("are of no use with any byte changed, added or missing", function()
		local token = make()
		for i = 1, #token do
			for _, byte in ipairs { string.char((token:byte(i) + 1) % 256), "\0", "A", "" } do
				local changed = token:sub(1, i - 1) .. byte .. token:sub(i + 1)
				if changed ~= token then
					assert.same({ nil, "invalid" }, { open(changed) })
				end
			end
		end
		for _, other in ipairs {
			"", "v1", "v1..", token .. "A", token .. "=", " " .. token, token .. "\n", token .. ".x", "v1." .. ("A"):rep(5000),
		} do
			assert.same({ nil, "invalid" }, { open(other) })
		end
		for _, other in ipairs { 1, true, {} } do
			assert.same({ nil, "invalid" }, { open(other) })
		end
		assert.truthy(open(token), "and all that has not used it up")
	end)

	it("can't be signed with another key, nor be a session", function()
		local other = assert(core.link_key(new_key "other-link-key"))
		assert.same({ nil, "invalid" }, { open(make { key = other }) })
		other:close()
		assert.same({ nil, "invalid" }, { open(assert(session.start({ account = "acme" }, key, NOW))) })
		assert.is_nil(session.check("Bearer " .. make(), key, NOW))
	end)

	it("are for one daemon", function()
		assert.same({ nil, "invalid" }, { open(make(), NOW, "https://other.example") })
	end)

	it("must say all they have to, and may not live long", function()
		assert.truthy(open(signed(fields {})))
		assert.truthy(open(signed(fields { user = core.null })))
		assert.truthy(open(signed(fields { more = "of a later version" })))
		for _, wrong in ipairs {
			{ exp = NOW + 301 }, { exp = NOW }, { exp = NOW - 1 }, { exp = "1" }, { iat = 1.5 }, { iat = -1 }, { account = "" },
			{ account = ("a"):rep(256) }, { account = 7 }, { jti = "short" }, { jti = ("j"):rep(65) }, { jti = 1 }, { user = 1 },
			{ user = ("u"):rep(201) }, { aud = 1 },
		} do
			assert.same({ nil, "invalid" }, { open(signed(fields(wrong))) })
		end
		for _, name in ipairs { "account", "aud", "iat", "exp", "jti" } do
			local f = fields {}
			f[name] = nil
			assert.same({ nil, "invalid" }, { open(signed(f)) })
		end
		for _, text in ipairs { "", "{", "[]", "1", "null", '"v1"', "\255" } do
			assert.same({ nil, "invalid" }, { open(signed(text)) })
		end
	end)

	it("are what moonweir.settings_link makes", function()
		local url = assert(mw.settings_link("acme", { base_url = BASE .. "/in/", key = path, user = "ann" }))
		assert.matches("^https://events%.acme%.example/in/settings#v1%.[%w_-]+%.[%w_-]+$", url)
		assert.truthy(link.open(token_of(url), { key = key, claims = claims, base = BASE .. "/in", now = os.time() }))
	end)

	it("raise on misuse, and say what else is wrong", function()
		local function misuse(account, changed, what)
			local options = { base_url = BASE, key = path }
			for name, value in pairs(changed) do
				options[name] = value
			end
			assert.error_matches(function() mw.settings_link(account, options) end, what)
		end
		misuse("", {}, "account")
		misuse(nil, {}, "account")
		misuse("a", { ttl = 301 }, "ttl")
		misuse("a", { ttl = 0 / 0 }, "ttl")
		misuse("a", { user = 1 }, "user")
		misuse("a", { usr = "x" }, 'no option "usr"')
		for _, url in ipairs { "", "events.acme.example", "http://events.acme.example", "https://a?b", "https://a#b", "https://u@a",
			"ftp://a", "https://a b", "https://a\n", "https:///x" } do
			misuse("a", { base_url = url }, "base_url")
		end
		assert.has_error(function() mw.settings_link "a" end)
		local url, message, code = mw.settings_link("a", { base_url = BASE, key = child.folder() .. "/none" })
		assert.same({ nil, "io" }, { url, code })
		assert.matches("none", message)
		url, message, code = mw.settings_link("a", { base_url = BASE, key = child.file("bad-key", "0123") })
		assert.same({ nil, "bad_master_key" }, { url, code })
		assert.matches("a link key is 32 bytes or 64 hex digits", message)
		url, message = mw.settings_link("a", { base_url = BASE, key = child.file("open-key", ("ab"):rep(32), "644") })
		assert.is_nil(url)
		assert.matches("open%-key", message)
	end)
end)

describe("a session", function()
	local key
	setup(function()
		key = assert(core.link_key(new_key "session-key"))
	end)
	teardown(function()
		key:close()
		child.clean()
	end)

	local function start()
		return assert(session.start({ account = "acme", user = "ann" }, key, NOW))
	end

	it("is good for half an hour, and longer if it is used", function()
		local token = start()
		local who = assert(session.check("Bearer " .. token, key, NOW + 1799))
		assert.same({ "acme", "ann" }, { who.account, who.user })
		assert.is_nil(session.check("Bearer " .. token, key, NOW + 1800))
		local renewed, left = session.renew(who, key, NOW + 1799)
		assert.equal(1800, left)
		assert.truthy(session.check("bearer  " .. renewed, key, NOW + 3598))
		assert.is_nil(session.check("Bearer " .. renewed, key, NOW + 3599))
	end)

	it("ends after eight hours whatever is done", function()
		local token, now, left = start(), NOW, nil
		while now + 1000 < NOW + 28800 do
			now = now + 1000
			token, left = session.renew(assert(session.check("Bearer " .. token, key, now)), key, now)
		end
		assert.equal(NOW + 28800 - now, left)
		assert.truthy(session.check("Bearer " .. token, key, NOW + 28799))
		assert.is_nil(session.check("Bearer " .. token, key, NOW + 28800))
	end)

	it("is of no use with any byte changed, from the future, or in another form", function()
		local token = start()
		for i = 1, #token do
			for _, byte in ipairs { string.char((token:byte(i) + 1) % 256), "A", "" } do
				local changed = token:sub(1, i - 1) .. byte .. token:sub(i + 1)
				if changed ~= token then
					assert.is_nil(session.check("Bearer " .. changed, key, NOW))
				end
			end
		end
		assert.truthy(session.check("Bearer " .. token, key, NOW - 60))
		assert.is_nil(session.check("Bearer " .. token, key, NOW - 61))
		assert.is_nil(session.check(token, key, NOW))
		assert.is_nil(session.check("Basic " .. token, key, NOW))
		assert.is_nil(session.check(nil, key, NOW))
		assert.is_nil(session.check("Bearer " .. ("s"):rep(5000), key, NOW))
	end)
end)

describe("claims", function()
	teardown(child.clean)

	it("can be taken again when they have ended, and leave nothing behind", function()
		local spool = child.folder() .. "/spool-of-claims"
		local claims = assert(core.claims(spool))
		assert.is_true(claims:take("a", NOW + 10, NOW))
		assert.is_false(claims:take("a", NOW + 99, NOW + 9))
		assert.is_true(claims:take("b", NOW + 10, NOW + 9))
		assert.is_true(claims:take("a", NOW + 20, NOW + 10))
		assert.has_error(function() claims:take("a", -1, 0) end)
		claims:close()
		claims:close()
		assert.has_error(function() claims:take("a", 1, 0) end)
	end)
end)
