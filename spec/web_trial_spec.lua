--- The test event's watch, where a page is not enough to bring it about: a thousand tests, a clock that is set, a full disk.

local trial = require "moonweir.web.settings.trial"

local ABOUT = { name = "Acme Mail", slug = "acme-mail" }
local NOW = 1700000000

--- A client whose messages are accepted at once, and have come to their end when `delivered` says so.
local function stand_in()
	local client = { lanes = {}, delivered = false }
	function client:lane(account)
		local accepted = self.lanes[account] or 0
		return { accepted = accepted, delivered = self.delivered and accepted or 0, dead = 0 }
	end
	function client:track(account)
		self.lanes[account] = (self.lanes[account] or 0) + 1
		return true
	end
	function client.sync()
		return true
	end
	return client
end

--- Claims that count what is written, and write nothing while `full`.
local function claims_stand_in()
	local claims = { held = {}, full = false, asked = 0 }
	function claims:take(name, until_, now)
		self.asked = self.asked + 1
		if self.full then
			return nil, "no room", "full"
		end
		local is_new = (self.held[name] or now) <= now
		self.held[name] = is_new and until_ or self.held[name]
		return is_new
	end
	function claims:holds(name, now)
		return (self.held[name] or now) > now
	end
	return claims
end

describe("the test event's watch", function()
	local client, claims, test
	before_each(function()
		client, claims = stand_in(), claims_stand_in()
		test = trial.new(client, claims, ABOUT)
	end)

	local function send(count, now)
		local sent = {}
		for i = 1, count do
			sent[i] = assert(test:send("account " .. i, now))
		end
		return sent
	end

	--- What comes to no end is an error after so many instructions.
	local function within(instructions, run)
		if jit then
			jit.off()
			jit.flush()
		end
		debug.sethook(function()
			debug.sethook()
			error "this goes on and on"
		end, "", instructions)
		local ok, message = pcall(run)
		debug.sethook()
		if jit then
			jit.on()
		end
		assert(ok, message)
	end

	it("holds a thousand, whatever the clock says", function()
		for _, step in ipairs { 0, 1, -1, -7200 } do
			test = trial.new(client, claims, ABOUT)
			claims.held = {}
			local sent = send(1000, NOW)
			within(1e6, function()
				sent[1001] = assert(test:send("one more", NOW + step))
				sent[1002] = assert(test:send("and another", NOW + step))
			end)
			assert.equal(1000, test.count)
			assert.is_nil(test.tests[sent[1].id])
			assert.is_nil(test.tests[sent[2].id])
			assert.truthy(test.tests[sent[1001].id])
			test:tick(NOW + 601)
			test:tick(NOW - 601)
			assert.equal(0, test.count)
		end
	end)

	it("writes down some at a time, for whoever ticks waits for each", function()
		local sent = send(100, NOW)
		client.delivered = true
		local now = NOW
		while test.count > 0 do
			now = now + 1
			local before, asked = test.count, claims.asked
			test:tick(now)
			assert.is_true(test.count < before)
			assert.is_true(claims.asked - asked <= 16)
		end
		for i, it in ipairs(sent) do
			assert.equal("delivered", test:outcome("account " .. i, it, now).outcome)
		end
	end)

	it("tells the one that is asked for at once", function()
		local sent = send(100, NOW)
		client.delivered = true
		test:tick(NOW + 1)
		for i, it in ipairs(sent) do
			assert.equal("delivered", test:outcome("account " .. i, it, NOW + 1).outcome)
		end
	end)

	it("asks a full disk once a tick, and tells when there is room", function()
		local sent = send(100, NOW)
		client.delivered, claims.full, claims.asked = true, true, 0
		test:tick(NOW + 1)
		assert.equal(1, claims.asked)
		assert.same({ outcome = "waiting" }, test:outcome("account 1", sent[1], NOW + 1))
		claims.full = false
		assert.same({ outcome = "delivered" }, test:outcome("account 1", sent[1], NOW + 2))
	end)

	it("says within a minute that nobody watches any more, if the process that did is gone", function()
		local here, there = trial.new(client, claims, ABOUT), test
		local sent = assert(there:send("acme", NOW))
		local now = NOW
		while now < NOW + 300 do
			assert.same({ outcome = "waiting" }, here:outcome("acme", sent, now))
			now = now + 1
			there:tick(now)
		end
		local last = now
		while here:outcome("acme", sent, now).outcome == "waiting" do
			now = now + 1
			assert.is_true(now - last <= 60)
		end
		assert.same({ outcome = "unwatched" }, here:outcome("acme", sent, now))
		assert.is_true(now - last >= 30)
		-- It was only asleep.
		client.delivered = true
		there:tick(now)
		assert.same({ outcome = "delivered" }, here:outcome("acme", sent, now))
	end)

	it("says the same of one that had to make room", function()
		local sent = send(1001, NOW)
		assert.same({ outcome = "unwatched" }, test:outcome("account 1", sent[1], NOW))
		assert.same({ outcome = "waiting" }, test:outcome("account 2", sent[2], NOW))
	end)

	it("writes nothing while there is nothing to watch", function()
		local asked = claims.asked
		for now = NOW, NOW + 100, 10 do
			test:tick(now)
		end
		assert.equal(asked, claims.asked)
	end)
end)
