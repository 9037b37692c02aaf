local layout = require "moonweir.cli.layout"
local looks = require "moonweir.cli.look"
local quantity = require "moonweir.cli.quantity"
local view = require "moonweir.cli.topview"

describe("the page of moonweir top", function()
	local function process(more)
		local p = {
			partition = 0, pid = 4711, exists = true, closed = false, number = 10, age = 0.1, written = 100, started_at = 1,
			accepted = 100, delivered = 50, dead = 1, queued = 40, in_flight = 9, held = 0, requests = 20, answers = 10, bytes_sent = 1000,
			lanes = 1, lanes_parked = 0, lanes_backing_off = 0, commits = 5, disk_bytes = 2048, disk_max = 4096, oldest = 12,
			lanes_awaiting_token = 0, gate_closed_for = 0, rate = 50, commit_max = 0.014, lanes_shown = {},
		}
		for name, value in pairs(more or {}) do
			p[name] = value
		end
		return p
	end

	local function lane(more)
		local l = {
			account = "acme", state = "waiting", backing_off = false, attempts = 0, queued = 3, in_flight = 0, delivered = 0, dead = 0,
			last_status = 200,
		}
		for name, value in pairs(more) do
			l[name] = value
		end
		return l
	end

	local function page(processes, width, height, before)
		local look = looks.compare({ spool = "/s", processes = processes }, before and { processes = before })
		local lines = view.page(look, width, height)
		for i, line in ipairs(lines) do
			lines[i] = layout.text(line, width, function(_, text) return text end)
		end
		return lines, look
	end

	it("has rates from two looks at one engine", function()
		local before = process()
		local now = process {
			written = 102, number = 18, delivered = 150, requests = 120, commits = 25, answers = 60, bytes_sent = 101000,
		}
		local lines, look = page({ now }, nil, nil, { before })
		assert.same({ 2, 50, 50, 10, 2000 }, {
			look.processes[1].rates.seconds, look.processes[1].rates.delivered, look.processes[1].rates.requests,
			look.processes[1].rates.commits, look.processes[1].rates.bytes_per_request,
		})
		local text = table.concat(lines, "\n")
		assert.matches("50.0 delivered/s, 40 queued, 9 in flight, the oldest waits for 12 s", text, 1, true)
		assert.matches("50.0/s of 50.0/s", text, 1, true)
		assert.matches("10.0 commits/s, the slowest took 14 ms", text, 1, true)
	end)

	it("has none across a restart, or from one look", function()
		local others = { process { pid = 1 }, process { started_at = 0 }, process { written = 102 }, { partition = 0, problem = "x" } }
		for _, before in ipairs(others) do
			local lines, look = page({ process { written = 102, number = 18, delivered = 0 } }, nil, nil, { before })
			assert.is_nil(look.processes[1].rates)
			assert.matches("- delivered/s", table.concat(lines, "\n"), 1, true)
		end
	end)

	it("tells the running from the silent and the ended", function()
		local cases = {
			{ "running", {} },
			{ "silent", { age = 12 } }, -- stopped, or its disk holds it up
			{ "ended", { exists = false } },
			{ "ended", { exists = false, age = 12 } },
			{ "ended", { age = math.huge } }, -- written before the last boot: the number is another's
			{ "ended", { closed = true } },
			{ "running", { exists = false, number = 14 }, process() }, -- in another container, and its board moves
		}
		for _, case in ipairs(cases) do
			local _, look = page({ process(case[2]) }, nil, nil, case[3] and { case[3] })
			assert.equal(case[1], look.processes[1].state)
		end
	end)

	it("sums up those that run", function()
		local _, look = page { process(), process { partition = 1, rate = 20, oldest = 3 }, process { partition = 2, closed = true } }
		local sum = looks.sum(look)
		assert.same({ 2, 200, 80, 12, 20 }, { sum.running, sum.accepted, sum.queued, sum.oldest, sum.rate })
	end)

	it("says what a lane does", function()
		local cases = {
			{ "idle", { state = "empty" } },
			{ "waiting", { state = "waiting" } },
			{ "next in turn", { state = "ready" } },
			{ "sending", { state = "flying" } },
			{ "sending, try 3", { state = "flying", attempts = 2 } },
			{ "waiting for an OAuth token", { awaits_token = true } },
			{ "parked: no OAuth token", { state = "parked", last_status = -4 } },
			{ "backing off 12 s", { backing_off = true, attempts = 4, due_in = 12.2 } },
			{ "parked: key refused (401)", { state = "parked", last_status = 401 } },
			{ "parked: key refused (403)", { state = "parked", last_status = 403 } },
			{ "parked: no write key", { state = "parked", last_status = -2 } },
			{ "paused", { state = "paused" } },
		}
		for _, case in ipairs(cases) do
			assert.equal(case[1], (view.lane_state(lane(case[2]))))
		end
	end)

	it("puts those with most to do first, then those in trouble", function()
		local look = { processes = { process {
			lanes_shown = {
				lane { account = "small" }, lane { account = "big", queued = 5, in_flight = 5 },
				lane { account = "parked", state = "parked" }, lane { account = "idle", queued = 0 },
			},
		} } }
		local names = {}
		for i, l in ipairs(looks.busiest(look)) do
			names[i] = l.account
		end
		assert.same({ "big", "parked", "small", "idle" }, names)
	end)

	it("fits any window", function()
		local processes = {}
		for i = 1, 7 do
			processes[i] = process { partition = i, lanes_shown = {} }
			for j = 1, 20 do
				processes[i].lanes_shown[j] = lane {
					account = (j % 2 == 0 and "\229\174\162\230\136\183" or "customer"):rep(j),
					last_error = ("no answer \27[2J"):rep(j), queued = j * 1e6,
				}
			end
		end
		processes[8] = { partition = 8, problem = ("the board file is damaged "):rep(9) }
		for width = 1, 200, 7 do
			for height = 1, 60, 3 do
				local lines = page(processes, width, height)
				assert.is_true(#lines <= height)
				for _, line in ipairs(lines) do
					assert.is_true(layout.width(line) <= width, line)
					assert.not_matches("\27", line, 1, true)
				end
			end
		end
		local text = table.concat(page(processes, 80, 18), "\n")
		assert.matches("and %d+ more processes", text)
		assert.matches("and %d+ more lanes", text)
		assert.matches("LAST ERROR", text, 1, true)
		assert.matches("p8: the board file is damaged", text, 1, true)
	end)

	it("writes numbers that can be read", function()
		assert.same({ "14 ms", "1.2 s", "12 s", "3 min", "3 h", "4 d" }, {
			quantity.duration(0.014), quantity.duration(1.23), quantity.duration(12), quantity.duration(200),
			quantity.duration(10900), quantity.duration(4e5),
		})
		assert.same({ "999 B", "1.0 KiB", "412 KiB", "10 GiB" }, {
			quantity.bytes(999), quantity.bytes(1024), quantity.bytes(412 * 1024), quantity.bytes(10 * 2 ^ 30),
		})
		assert.same({ "-", "0", "0.3", "1,234" }, { quantity.rate(nil), quantity.rate(0), quantity.rate(0.3), quantity.rate(1234) })
		assert.same({ 4, 6, 1 }, { layout.width "acme", layout.width "\229\174\162\230\136\183ab", layout.width "…" })
		assert.equal("\229\174\162…", layout.clip("\229\174\162\230\136\183ab", 4))
	end)
end)
