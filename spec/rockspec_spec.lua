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
	local library, extras = nil, {}
	for path in pairs(files "ls rockspec/*.rockspec") do
		local rock = load_rockspec(path:match "[^/]+$")
		if rock.package == "moonweir" then
			library = rock
		else
			extras[#extras + 1] = rock
		end
	end

	it("build every C file, and the library none that is a binding of another rock", function()
		local built = set_of(library.build.modules["moonweir.core"].sources)
		for _, extra in ipairs(extras) do
			for _, module in pairs(extra.build.modules) do
				for _, path in ipairs(module.sources) do
					assert.is_false(built[path] == true and path:find "^csrc/lua/" ~= nil, path)
				end
			end
		end
		for _, extra in ipairs(extras) do
			for _, module in pairs(extra.build.modules) do
				for _, path in ipairs(module.sources) do
					built[path] = true
				end
			end
		end
		assert.same(files "find csrc -name '*.c'", built)
	end)

	it("are of the version that CHANGELOG.md has on top", function()
		local header = assert(io.open "csrc/core/version.h"):read "*a"
		local changes = assert(io.open "CHANGELOG.md"):read "*a"
		assert.equal(changes:match "\n## (%S-),", header:match 'MW_VERSION_TEXT "(.-)"')
	end)

	it("give each module of the other rocks a binding of its own", function()
		local bindings = {}
		for _, extra in ipairs(extras) do
			for name, module in pairs(extra.build.modules) do
				local binding
				for _, path in ipairs(module.sources) do
					binding = path:match "^csrc/lua/.+" or binding
				end
				assert.is_string(binding, name)
				assert.is_nil(bindings[binding], name)
				bindings[binding] = name
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
