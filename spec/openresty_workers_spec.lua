--- What nginx's workers tell of each other, without an nginx: shared memory is a table here.

local metrics = require "moonweir.serve.metrics"
local workers = require "moonweir.openresty.workers"

local function dict()
	local kept = {}
	return {
		set = function(_, name, value) kept[name] = value end,
		get = function(_, name) return kept[name] end,
		delete = function(_, name) kept[name] = nil end,
	}
end

describe("moonweir.openresty", function()
	it("says where it runs, elsewhere", function()
		local good, why = pcall(require, "moonweir.openresty")
		assert.is_false(good)
		assert.matches("moonweir.openresty runs inside nginx; elsewhere use moonweir.open, or moonweir serve", why, 1, true)
	end)
end)

describe("the workers' common page", function()
	local id, count
	setup(function()
		rawset(_G, "ngx", { worker = { id = function() return id end, count = function() return count end } })
	end)
	teardown(function()
		rawset(_G, "ngx", nil)
	end)

	local function worker(number, shared)
		id = number
		return workers.new(shared)
	end

	local ACCOUNT = 'a,b={"}\\ c'
	local function text(value)
		return ('# HELP moonweir_x_total An x.\n# TYPE moonweir_x_total counter\nmoonweir_x_total %d\n'
			.. '# HELP moonweir_y A y.\n# TYPE moonweir_y gauge\nmoonweir_y{account="%s"} %d\n'):format(value, metrics.escape(ACCOUNT),
			value)
	end

	it("has each family once, and each sample with its worker", function()
		count = 3
		local shared = dict()
		worker(1, shared):publish(text(10))
		local page = worker(0, shared):page(text(1))
		local label = metrics.escape(ACCOUNT)
		assert.equal(('# HELP moonweir_x_total An x.\n# TYPE moonweir_x_total counter\n'
			.. 'moonweir_x_total{worker="0"} 1\nmoonweir_x_total{worker="1"} 10\n'
			.. '# HELP moonweir_y A y.\n# TYPE moonweir_y gauge\n'
			.. 'moonweir_y{worker="0",account="%s"} 1\nmoonweir_y{worker="1",account="%s"} 10\n'):format(label, label), page)
	end)

	it("says that it is of one alone where there is no shared memory", function()
		count = 2
		local one = worker(1, nil)
		one:publish(text(1))
		assert.matches("^# Of one worker alone", one:page(text(1)))
		assert.matches('moonweir_x_total{worker="1"} 1\n', one:page(text(1)), 1, true)
		assert.is_nil((one:trouble()))
	end)

	it("tells what is wrong with another, until it is well", function()
		count = 2
		local shared = dict()
		local a = worker(0, shared)
		local b = worker(1, shared)
		a:publish(text(1), "stuck", "nothing moves")
		assert.same({ "stuck", "worker 0: nothing moves" }, { b:trouble() })
		assert.is_nil((a:trouble()))
		a:publish(text(1))
		assert.is_nil((b:trouble()))
	end)
end)
