--- The daemon's parts by themselves: router, config, secrets, log, metrics, health, and the client's marks.

local child = require "spec.support.child"
local config = require "moonweir.serve.config"
local core = require "moonweir.core"
local failures = require "moonweir.serve.failures"
local health = require "moonweir.serve.health"
local log = require "moonweir.serve.log"
local metrics = require "moonweir.serve.metrics"
local mw = require "moonweir"
local options = require "moonweir.serve.options"
local router = require "moonweir.web.router"
local secrets = require "moonweir.serve.secrets"
local serve = require "moonweir.serve"
local daemon = require "spec.support.daemon"
local views = require "moonweir.serve.views"

describe("moonweir.web.router", function()
	local function handler(name)
		return function(request)
			return 200, { Account = request.account, Query = request.query }, name
		end
	end
	local routes = router.new {
		["/healthz"] = handler "health", ["/webhooks/<account>"] = handler "hooks", ["/settings/*"] = handler "settings",
	}
	local function ask(target)
		return routes:handle { method = "GET", target = target, headers = {}, body = "", remote = "::1" }
	end

	it("finds exact paths, accounts and trees", function()
		for target, expected in pairs {
			["/healthz"] = "health", ["/healthz?x=1"] = "health", ["/settings"] = "settings", ["/settings/a/b"] = "settings",
			["/webhooks/a%2Fb%20%C3%BC"] = "hooks",
		} do
			local status, _, body = ask(target)
			assert.same({ 200, expected }, { status, body }, target)
		end
		local _, headers, _, _, route = ask "/webhooks/a%2Fb%20%C3%BC?q"
		assert.same({ Account = "a/b ü", Query = "q" }, headers)
		assert.equal("/webhooks/<account>", route)
	end)

	it("finds nothing else", function()
		for _, target in ipairs {
			"/", "", "/healthz/", "//healthz", "/webhooks", "/webhooks/", "/webhooks/a/b", "/webhooks/%", "/webhooks/%4", "/webhooks/%zz",
			"/webhooks/%00", "/settingsx", "/../healthz", "/%68ealthz", "/webhooks/" .. ("a"):rep(256),
		} do
			assert.equal(404, (ask(target)), target)
		end
	end)

	it("gives headers without regard to case, and none that came twice", function()
		local seen
		local one = router.new {
			["/"] = function(request)
				seen = { request.header "x-a", request.header "X-B" or "none", request.header "x-c" or "none" }
				return 200
			end,
		}
		one:handle { method = "GET", target = "/", headers = { ["X-A"] = "1", ["x-b"] = { "1", "2" }, ["X-C"] = "1", ["x-c"] = "2" } }
		assert.same({ "1", "none", "none" }, seen)
	end)
end)

describe("the config", function()
	teardown(child.clean)

	local function load(text)
		return config.load(child.file("c.lua", text))
	end

	it("completes paths and fills in defaults", function()
		local made = assert(load 'return { source = "a.lua", spool = "/x", secrets = { A = "s", B = { "/t", "u" } } }')
		local folder = child.folder() .. "/"
		assert.same({ folder .. "a.lua", "/x", 4 * 2 ^ 20 }, {
			made.values.source, made.values.spool, made.values["limits.body_bytes"] })
		assert.same({ A = { folder .. "s" }, B = { "/t", folder .. "u" } }, made.secrets)
	end)

	it("completes the path of every option that is one", function()
		local made = assert(load [[return { source = "a.lua", spool = "/x", public_url = "https://h.example",
			settings = { link_key_file = "l", enable_client_id = "i", enable_client_secret_file = "e" } }]])
		assert.equal(child.folder() .. "/l", made.values["settings.link_key_file"])
		assert.equal(child.folder() .. "/e", made.values["settings.enable_client_secret_file"])
	end)

	it("names what it does not take, and never repeats a value", function()
		for text, expected in pairs {
			["{ lisen = 1 }"] = 'no option "lisen", did you mean "listen"?', ["{ limits = { body_byte = 1 } }"] = "limits.body_bytes",
			['{ secrets = "hunter2" }'] = "secrets must be files by name", ["{ limits = 5 }"] = "limits must be a table",
			['{ listen = "0.0.0.0" }'] = "listen must be an IP address and a port",
			['{ source = "a", spool = "b", settings = {} }'] = "public_url",
		} do
			local made, message = load("return " .. text)
			assert.is_nil(made)
			assert.truthy(message:find(expected, 1, true), message)
			assert.is_nil(message:find("hunter2", 1, true))
		end
	end)

	it("can do nothing but return a table", function()
		for _, text in ipairs {
			"return os", "return io.open('x')", "while true do end", "\27Lua", "local t = {} t[1] = ('x'):rep(1e9) return t",
		} do
			assert.is_nil((load(text)))
		end
	end)

	it("has a default within its own bounds for each option that has one", function()
		for _, option in ipairs(options) do
			assert.is_true(option.default == nil or option.check(option.default), option.name)
			assert.is_true(option.default ~= nil or option.example ~= nil, option.name)
		end
	end)

	it("may be a table, whose paths begin where its host says", function()
		local made = assert(config.of({ source = "a.lua", spool = "/x", secrets = { A = "s" } }, "/etc/acme/"))
		assert.same({ "/etc/acme/a.lua", "/x", { A = { "/etc/acme/s" } } }, { made.values.source, made.values.spool, made.secrets })
		assert.same({ nil, 'no option "sorce", did you mean "source"?' }, { config.of({ sorce = "a" }, "") })
	end)

	it("tells what needs a new start", function()
		local old = assert(load 'return { source = "a", spool = "b" }')
		local new = assert(load 'return { source = "c", spool = "b", listen = "127.0.0.1:1", log = { level = "debug" } }')
		assert.same({ "listen" }, config.needs_restart(old, new))
		new = assert(load 'return { source = "a", spool = "b", segment = { api_keys_file = "keys" } }')
		assert.same({ "segment" }, config.needs_restart(old, new)) -- the keys would be read again, but nobody asks for them
	end)

	it("reads secrets from private files, and says which is missing without its value", function()
		local path = child.file("secret", "s3cret\n")
		assert.same({ A = { "s3cret" } }, secrets.load({ A = { path } }, { "A" }))
		local found, message = secrets.load({}, { "GONE" })
		assert.is_nil(found)
		assert.matches("secret GONE", message)
		found, message = secrets.load({ A = { child.file("open", "s3cret", "644") } }, {})
		assert.is_nil(found)
		assert.is_nil(message:find("s3cret", 1, true))
	end)
end)

describe("the log", function()
	it("writes logfmt, and a flood of one kind as one line and a count", function()
		local lines, now = {}, 0
		local it_ = log.new {
			level = "warning",
			write = function(line) lines[#lines + 1] = line end,
			clock = function() return now end,
		}
		it_:say("info", "quiet")
		for _ = 1, 100 do
			it_:say("warning", "flood", { reason = 'a "b"\n\27[2J', n = 3 })
		end
		now = 2
		it_:say("warning", "flood")
		assert.equal(2, #lines)
		assert.matches('^time=%d+%-%d%d%-%d%dT[%d:.]+Z level=warning event=flood n=3 reason="a \\"b\\"%?%?%[2J"\n$', lines[1])
		assert.matches("withheld=99\n$", lines[2])
	end)
end)

describe("the log of another host", function()
	it("leaves time and level to it, and counts a flood to its end", function()
		local lines, now = {}, 0
		local it_ = log.new {
			bare = true,
			write = function(line, level) lines[#lines + 1] = level .. ": " .. line end,
			clock = function() return now end,
		}
		for _ = 1, 100 do
			it_:say("error", "flood", { n = 3 })
		end
		it_:flush()
		assert.same({ "error: event=flood n=3" }, lines)
		now = 2
		it_:flush()
		it_:flush()
		assert.same({ "error: event=flood n=3", "warning: event=flood withheld=99" }, lines)
	end)
end)

describe("what workers tell each other", function()
	local function view_of(n)
		local times = { { at_most = 0.001, count = n }, { count = 1 } }
		times.sum = 0.5 * n
		return {
			stats = { accepted = n, oldest = n, lanes = n, commit_times = times, spec = { checked = 1 } },
			lanes = { { account = "a", queued = n, delivered = n, dead = 0, state = "ready" },
				{ account = "only" .. n, queued = 0, delivered = n, dead = 0, state = n == 2 and "parked" or "ready" } },
			requests = { ["/x"] = { [200] = n, [503] = n == 2 and 1 or nil } }, failed = { no_user = n }, dead = { [400] = n },
			server = { accepted = n, connections = n, refused = 0, too_slow = 0 }, waiting = n, rate = 50, budget_used = 0.25 * n,
			trouble = n == 2 and { code = "stuck", reason = "why" } or nil, workers = 1,
		}
	end

	it("adds up, but for what does not", function()
		local slate = assert(core.family.slate(3))
		views.write(slate, 2, view_of(2))
		local sum = views.sum(view_of(1), views.read(slate, 1), 2)
		assert.same({ 2, 3, 2, 2 }, { sum.workers, sum.stats.accepted, sum.stats.oldest, sum.stats.lanes })
		assert.same({ 3, 2, 1.5 }, { sum.stats.commit_times[1].count, sum.stats.commit_times[2].count, sum.stats.commit_times.sum })
		assert.same({ ["200"] = 3, ["503"] = 1 }, sum.requests["/x"])
		assert.same({ ["400"] = 3 }, sum.dead)
		assert.same({ 3, 0.75, "stuck", 50 }, { sum.waiting, sum.budget_used, sum.trouble.code, sum.rate })
		assert.same({ "a", 3, "only2" }, { sum.lanes[1].account, sum.lanes[1].queued, sum.lanes[2].account })
		assert.is_nil(sum.lanes[3])
	end)
end)

describe("health", function()
	it("is stuck only when something could move and nothing did for long", function()
		local h = health.new(10, 0)
		h:look({ delivered = 5, queued = 1, oldest_due = 100 }, 1)
		assert.is_nil(h:trouble())
		h:look({ delivered = 5, queued = 1, oldest_due = 109 }, 12)
		assert.equal("stuck", (h:trouble()))
		h:look({ delivered = 6, queued = 1, oldest_due = 110 }, 13)
		assert.is_nil(h:trouble())
		h:look({ delivered = 6, queued = 1 }, 100) -- parked: not due
		assert.is_nil(h:trouble())
		h:spool("full", "no room")
		assert.same({ "spool_full", "no room" }, { h:trouble() })
		h:spool(nil)
		h.elsewhere = function() return "stuck", "worker 1" end
		assert.same({ "stuck", "worker 1" }, { h:trouble() })
		assert.is_nil((h:own_trouble()))
		h.elsewhere = nil
		assert.equal(200, (health.answer({ method = "GET" }, h:trouble())))
		assert.equal(503, (health.answer({ method = "GET" }, "stuck", "why")))
	end)
end)

-- What the format allows, line by line; every sample has a family, and each family comes once.
local function parse(text)
	local families, samples = {}, {}
	assert.equal("\n", text:sub(-1))
	for line in text:gmatch "([^\n]*)\n" do
		local name, kind = line:match "^# TYPE ([%a_:][%w_:]*) (%a+)$"
		if name then
			assert.is_nil(families[name], name .. " comes twice")
			families[name] = kind
		elseif not line:find "^# HELP " then
			local metric, labels, value = line:match "^([%a_:][%w_:]*)(%b{}) ([%deE+.-]+)$"
			if not metric then
				metric, value = line:match "^([%a_:][%w_:]*) ([%deE+.-]+)$"
			end
			assert.truthy(metric and tonumber(value), line)
			local base = families[metric] and metric or metric:gsub("_bucket$", ""):gsub("_sum$", ""):gsub("_count$", "")
			assert.truthy(families[base], metric .. " has no type")
			assert.is_true(families[base] ~= "counter" or base:find "_total$" ~= nil, base)
			for pair in (labels or "{}"):sub(2, -2):gsub('\\.', "??"):gmatch '[^,]+="[^"]*"' do
				assert.matches('^[%a_][%w_]*="[^"]*"$', pair)
			end
			assert.is_nil(samples[metric .. (labels or "")], line)
			samples[metric .. (labels or "")] = tonumber(value)
		end
	end
	return samples
end

describe("failures", function()
	it("are told when they begin and when they are over, not while they last", function()
		local said, now, fails, tokenless, tries = {}, 0, 0, 0, 0
		local watch = failures.new({
			say = function(_, level, event, fields)
				said[#said + 1] = { level, event, fields }
			end,
		}, function()
			return now
		end)
		local client = {
			stats = function()
				return { lanes_failing = fails, retries = tries, lanes_without_token = tokenless, token_requests = tries,
					token_trouble = "why" }
			end,
			lanes = function()
				return {
					{ account = "parked", attempts = 3, state = "parked" }, { account = "well", attempts = 0, state = "ready" },
					{ account = "a", attempts = 1, state = "waiting", last_status = 503, last_error = "busy" },
				}
			end,
		}
		local function look(failing, without_token)
			fails, tokenless, now, tries = failing, without_token, now + 1, tries + 2
			watch:look(client)
			local told = said
			said = {}
			return told
		end
		assert.same({}, look(0, 0))
		assert.same({ { "warning", "deliveries_fail", { accounts = 2, account = "a", status = 503, reason = "busy" } } }, look(2, 0))
		assert.same({}, look(5, 0))
		assert.same({ { "warning", "tokens_fail", { accounts = 1, reason = "why" } } }, look(1, 1))
		assert.same({ { "info", "deliveries_work", { seconds = 3, retries = 6 } } }, look(0, 2))
		assert.same({ { "info", "tokens_work", { seconds = 2, requests = 4 } } }, look(0, 0))
		assert.same({}, look(0, 0))
	end)
end)

describe("metrics", function()
	teardown(child.clean)

	it("are a page that Prometheus can read, whatever accounts are called", function()
		local client = assert(mw.open { spool = child.folder() .. "/metrics", send = false })
		local names = { 'quote"', "back\\slash", "line\nbreak", "\255bytes", "a,b={}" }
		for _, name in ipairs(names) do
			assert(client:track(name, { userId = "u", event = "E" }))
		end
		assert(client:sync())
		local samples = parse(metrics.text {
			version = "1", stats = client:stats(), lanes = client:lanes(3), requests = { ["/x"] = { [200] = 2 } }, failed = { json = 1 },
			dead = { [400] = 2 }, server = { refused = 0, too_slow = 0, connections = 1 }, waiting = 0, rate = 50, budget_used = 0.5,
			healthy = true,
		})
		assert.equal(5, samples.moonweir_messages_accepted_total)
		assert.equal(0.5, samples.moonweir_budget_used_ratio)
		local shown, last = 0, 0
		for name in pairs(samples) do
			shown = shown + (name:find "^moonweir_account_messages_queued" and 1 or 0)
			last = name:find 'le="%+Inf"' and samples[name] or last
		end
		assert.equal(3, shown)
		assert.equal(samples.moonweir_commit_seconds_count, last)
		client:close(0)
	end)
end)

describe("a round of the daemon", function()
	teardown(child.clean)

	it("answers one reader of metrics, however many ask, for those who post wait meanwhile", function()
		local READERS = 8
		local made = assert(serve.open(assert(config.load((daemon.config()))), log.new { level = "error" }))
		local handled, router_of_operations = 0, made.service.operations_router
		made.service.operations_router = {
			handle = function(_, request)
				handled = handled + 1
				return router_of_operations:handle(request)
			end,
		}
		local answers = child.folder() .. "/answers"
		for _ = 1, READERS do
			os.execute(("env -u LD_PRELOAD curl -q --noproxy '*' -s -o /dev/null -w '%%{http_code}\\n' "
				.. "http://127.0.0.1:%d/metrics >>%s </dev/null &"):format(made.operations:port(), answers))
		end
		local until_ = core.process.monotonic() + 60
		while made.operations:stats().busy < READERS do
			made.operations:wait(0.01)
			assert(core.process.monotonic() < until_, "the readers do not come")
		end
		repeat
			local before = handled
			made:round()
			assert.is_true(handled - before <= 1)
			assert(core.process.monotonic() < until_, "the readers are not answered")
		until #child.lines(answers) == READERS
		assert.equal(("200"):rep(READERS, " "), table.concat(child.lines(answers), " "))
		made:stop()
	end)
end)

describe("a client's marks", function()
	teardown(child.clean)

	it("are safe once they are synced, and at once if nothing was pushed", function()
		local client = assert(mw.open { spool = child.folder() .. "/marks", send = false })
		assert.is_true(client:is_safe(client:mark()))
		assert.is_true(client:safe_fd() > 2)
		assert(client:track("a", { userId = "u", event = "E" }))
		local mark = client:mark()
		assert.is_not_nil(client:is_safe(mark))
		assert(client:sync())
		assert.is_true(client:is_safe(mark))
		assert.is_false(client:is_safe(mark + 1))
		client:close(0)
		assert.has_error(function() client:mark() end, "this client is closed")
	end)

	it("outlive a change of the script, which counts from the next push on", function()
		local client = assert(mw.open {
			source = child.file("one.lua", daemon.source), spool = child.folder() .. "/reload", send = false, account = "a",
		})
		assert.equal(1, client:push '{"type":"t","event_id":"1","user":"u"}')
		local ok, _, code = client:reload(child.file("broken.lua", "return {"))
		assert.is_nil(ok)
		assert.equal("mapping", code)
		assert.equal(1, client:push '{"type":"t","event_id":"2","user":"u"}')
		assert(client:reload(child.file("two.lua", (daemon.source:gsub("t = source%.track", "t2 = source.track")))))
		local queued, _, why = client:push '{"type":"t","event_id":"3","user":"u"}'
		assert.is_nil(queued)
		assert.equal("unmatched", why)
		assert.equal(1, client:push '{"type":"t2","event_id":"4","user":"u"}')
		assert(client:sync())
		assert.equal(1, #client:dead())
		client:close(0)
	end)
end)
