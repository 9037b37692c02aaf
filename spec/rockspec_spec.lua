--- The rockspecs name every file of the tree that they should, and none that is not there.

local function load_rockspec(name)
	local env = {}
	local chunk = assert(loadfile("rockspec/" .. name))
	if setfenv then
		setfenv(chunk, env)
	else
		local text = assert(io.open("rockspec/" .. name)):read "*a"
		chunk = assert(load(text, name, "t", env))
	end
	chunk()
	return env
end

local function files(command)
	local set = {}
	local pipe = io.popen(command)
	for path in pipe:lines() do
		set[path] = true
	end
	pipe:close()
	return set
end

local function set_of(list)
	local set = {}
	for _, path in pairs(list) do
		set[path] = true
	end
	return set
end

describe("the rockspecs", function()
	local library = load_rockspec "moonweir-scm-1.rockspec"
	local extras = { load_rockspec "moonweir-server-scm-1.rockspec", load_rockspec "moonweir-receive-scm-1.rockspec",
		load_rockspec "moonweir-redis-scm-1.rockspec" }
	local stem = { hiredis = "redis" } -- moonweir.redis is what needs no hiredis

	it("build the library from every C file but those that need a library of their own", function()
		local tree = files "find csrc -name '*.c' ! -name 'server*.c' ! -name xml.c ! -name inflate.c ! -name 'redis*.c'"
		assert.same(tree, set_of(library.build.modules["moonweir.core"].sources))
	end)

	it("build the modules beside it from files that are there, each with its own", function()
		local tree = files "find csrc -name '*.c'"
		for _, extra in ipairs(extras) do
			for name, module in pairs(extra.build.modules) do
				local own = set_of(module.sources)
				for path in pairs(own) do
					assert.is_true(tree[path], path)
				end
				name = name:gsub("^moonweir%.", "")
				name = stem[name] or name
				assert.is_true(own["csrc/io/" .. name .. ".c"] and own["csrc/lua/" .. name .. ".c"], name)
			end
		end
	end)

	it("install every Lua file that is ever loaded, under its module's name", function()
		local tree, modules = files "find lua -name '*.lua' ! -name types.lua", {}
		for name, path in pairs(library.build.modules) do
			if type(path) == "string" then
				modules[path] = true
				assert.equal("lua/" .. name:gsub("%.", "/"), (path:gsub("%.lua$", ""):gsub("/init$", "")))
			end
		end
		assert.same(tree, modules)
	end)
end)
