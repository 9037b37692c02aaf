local cjson = require "cjson"
local child = require "spec.support.child"

local KEY = "canary0123456789abcdefghijklk3y4"

local function last_line(out)
	return cjson.decode(out:match "([^\n]+)\n$")
end

describe("moonweir send", function()
	teardown(child.clean)

	--- Run `send` against a debugger of its own; its exit code, last line, stderr and what arrived.
	local function send(arguments, options)
		local d, url = child.debugger { "--json" }
		local all = { "send" }
		for i, argument in ipairs(arguments) do
			all[i + 1] = argument:gsub("URL", url)
		end
		options = options or {}
		if options.host_in_environment then
			options.env = { SEGMENT_API_HOST = url }
		end
		local code, out, err = child.run(all, options)
		d:signal "INT"
		d:finish()
		assert.not_matches("canary", out .. err .. d:out())
		return code, last_line(out), err, d:messages(), d:out()
	end

	describe("by flags", function()
		it("sends a track call", function()
			local code, line, _, messages, raw = send {
				"--writeKey=" .. KEY, "--host=URL", "--type=track", "--userId=u 1", "--anonymousId=a", "--event=Order Completed",
				'--properties={"total":12.5,"id":12345678901234567890,"list":[],"o":{}}',
				'--context={"ip":"1.2.3.4"}', '--integrations={"All":false}',
			}
			assert.equal(0, code)
			assert.same({ success = true, sentBatches = 1 }, line)
			assert.equal(1, #messages)
			local m = messages[1].message
			assert.equal("track", m.type)
			assert.equal("u 1", m.userId)
			assert.equal("a", m.anonymousId)
			assert.equal("Order Completed", m.event)
			assert.equal("1.2.3.4", m.context.ip)
			assert.is_nil(m.context.integration)
			assert.equal("moonweir", m.context.library.name)
			assert.same({ All = false }, m.integrations)
			for _, member in ipairs { '"total":12.5', '"id":12345678901234567890', '"list":[]', '"o":{}' } do
				assert.matches(member, raw, 1, true)
			end
			assert.equal("k3y4", messages[1].key_last4)
		end)

		local calls = {
			identify = { { "--traits={\"plan\":\"pro\"}" }, function(m) assert.same({ plan = "pro" }, m.traits) end },
			page = { { "--name=Home", "--properties={\"a\":1}" }, function(m) assert.equal("Home", m.name) end },
			screen = { { "--name=Inbox" }, function(m) assert.equal("Inbox", m.name) end },
			group = { { "--groupId=g1", "--traits={\"name\":\"G\"}" }, function(m) assert.equal("g1", m.groupId) end },
			alias = { { "--previousId=p1" }, function(m) assert.equal("p1", m.previousId) end },
		}
		for call, case in pairs(calls) do
			it("sends " .. call, function()
				local arguments = { "--writeKey=" .. KEY, "--type=" .. call, "--userId=u" }
				for _, argument in ipairs(case[1]) do
					arguments[#arguments + 1] = argument
				end
				local code, _, _, messages = send(arguments, { host_in_environment = true })
				assert.equal(0, code)
				assert.equal(call, messages[1].message.type)
				assert.equal("u", messages[1].message.userId)
				case[2](messages[1].message)
			end)
		end

		it("names the source it is told", function()
			local path = child.file("tiny.lua", [[
				local source = require "moonweir.source"
				return source.define { slug = "tiny", version = "7", event = source.get "type", on = { a = source.ignore } }
			]])
			local code, _, _, messages = send { "--writeKey=" .. KEY, "--host=URL", "--type=page", "--userId=u", "--source=" .. path }
			assert.equal(0, code)
			assert.same({ name = "tiny", version = "7" }, messages[1].message.context.integration)
		end)

		local wrong = {
			{ "--type=tracked", "type must be" },
			{ "--type=track", "event" },
			{ "--type=page --properties={", "--properties" },
			{ "--type=page --properties=[]", "propert" },
			{ "--userId=u", "--type" },
		}
		for _, case in ipairs(wrong) do
			it("refuses " .. case[1], function()
				local arguments = { "--writeKey=" .. KEY, "--host=URL", "--userId=u" }
				for argument in case[1]:gmatch "%S+" do
					arguments[#arguments + 1] = argument
				end
				local code, line, err, messages = send(arguments)
				assert.equal(1, code)
				assert.is_false(line.success)
				assert.matches(case[2], line.error, 1, true)
				assert.not_equal("", err)
				assert.equal(0, #messages)
			end)
		end
	end)

	describe("by a script", function()
		local function script(fields)
			fields.writeKey = KEY
			fields.apiHost = fields.apiHost or "URL"
			return cjson.encode(fields)
		end

		local ONE_EVENT = { { events = { { type = "page", userId = "u" } } } }

		it("plays sequences, in batches of flushAt", function()
			local list = {}
			for i = 1, 40 do
				list[i] = { type = "track", userId = "u" .. i, event = "E", messageId = "m" .. i, timestamp = "2026-01-02T03:04:05.678Z" }
			end
			local sequences = {
				{ delayMs = 0, events = list },
				{ delayMs = 5, events = { { type = "page", userId = "last" } } },
			}
			local code, line, _, messages = send { "--input", script { sequences = sequences } }
			assert.equal(0, code)
			assert.is_true(line.success)
			assert.equal(41, #messages)
			assert.equal("m7", messages[7].message.messageId)
			assert.equal("2026-01-02T03:04:05.678Z", messages[7].message.timestamp)
			assert.equal("last", messages[41].message.userId)
			local sizes = {}
			for _, m in ipairs(messages) do
				sizes[m.request] = (sizes[m.request] or 0) + 1
			end
			for _, size in ipairs(sizes) do
				assert.is_true(size <= 15)
			end
			assert.equal(#sizes, line.sentBatches)
		end)

		it("reads the script from a file", function()
			local d, url = child.debugger { "--json" }
			local file = child.file("input.json", script { apiHost = url, sequences = ONE_EVENT })
			local code, out = child.run { "send", "--input", "@" .. file }
			assert.equal(0, code)
			assert.is_true(last_line(out).success)
			d:signal "INT"
			d:finish()
			assert.equal(1, #d:messages())
		end)

		it("lets a refused event harm no other", function()
			local code, line, _, messages = send { "--input", script { sequences = { { events = {
				{ type = "track", userId = "u1", event = "E" },
				{ type = "track", event = "no id" },
				{ type = "track", userId = "u3", event = "E", properties = { x = ("x"):rep(33000) } },
				{ type = "track", userId = "u4", event = "E" },
			} } } } }
			assert.equal(1, code)
			assert.is_false(line.success)
			assert.matches("event 2", line.error)
			assert.equal(2, #messages)
		end)

		it("takes numbers of its config that are beyond all sense for as much as there is", function()
			for _, config in ipairs {
				{ flushInterval = 1e12, flushAt = 1 }, { timeout = 1e12 }, { maxRetries = 1e12 }, { flushAt = 1e12 },
			} do
				local code, line = send {
					"--input", script { config = config, sequences = ONE_EVENT },
				}
				assert.same({ success = true, sentBatches = 1 }, line)
				assert.equal(0, code)
			end
		end)

		it("fails when nobody answers, within its retries", function()
			local code, line = send {
				"--input", script { apiHost = "http://127.0.0.1:1", config = { maxRetries = 1 }, sequences = ONE_EVENT },
			}
			assert.equal(1, code)
			assert.is_false(line.success)
			assert.is_string(line.error)
		end)

		local wrong = { ["no JSON"] = "{", ["a file that is not there"] = "@/nowhere", ["no object"] = "[]", ["a number"] = "3" }
		for what, input in pairs(wrong) do
			it("refuses " .. what, function()
				local code, line = send { "--input", input }
				assert.equal(1, code)
				assert.is_false(line.success)
			end)
		end

		it("leaves no key in the process list", function()
			local fields = script { apiHost = "http://127.0.0.1:1", sequences = ONE_EVENT }
			local s = child.start { "send", "--input", fields }
			s:wait("its arguments to be scrubbed", function()
				local cmdline = child.read("/proc/" .. s.pid .. "/cmdline") or ""
				return cmdline:find("moonweir.lua", 1, true) and not cmdline:find("canary", 1, true)
			end)
			s:signal "KILL"
			s:finish()
		end)
	end)
end)
