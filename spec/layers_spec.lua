--- The house's floors: core knows nobody, io knows core, lua knows both; and core has neither clock nor I/O.

local function each_file(visit)
	local pipe = io.popen "find csrc -name '*.[ch]'"
	for path in pipe:lines() do
		local file = assert(io.open(path))
		visit(path, path:match "^csrc/(%w+)/", file:read "*a")
		file:close()
	end
	pipe:close()
end

local function without_comments(text)
	return (text:gsub("/%*.-%*/", " "):gsub('"[^"\n]*"', '""'))
end

-- path -> the project's own headers that it includes, as paths
local function own_includes()
	local includes = {}
	each_file(function(path, floor, text)
		includes[path] = {}
		for name in text:gmatch '#include "([^"]+)"' do
			local other, file = name:match "^%.%./(%w+)/(.+)$"
			table.insert(includes[path], ("csrc/%s/%s"):format(other or floor, file or name))
		end
	end)
	return includes
end

local below = { core = {}, io = { core = true }, lua = { core = true, io = true } }

-- Of the C library core takes what neither waits nor reads nor writes; of <stdio.h> snprintf and its like.
local core_headers = {
	["assert.h"] = true, ["emmintrin.h"] = true, ["float.h"] = true, ["math.h"] = true, ["stdarg.h"] = true,
	["stdbool.h"] = true, ["stddef.h"] = true, ["stdint.h"] = true, ["stdio.h"] = true, ["stdlib.h"] = true,
	["string.h"] = true,
}
local not_in_core = {
	"printf", "fprintf", "puts", "fputs", "fopen", "fread", "fwrite", "perror", "time", "clock", "clock_gettime", "rand",
	"random", "getenv", "setlocale", "system", "signal",
}

-- Headers of other libraries, and who alone may include them.
local owners = {
	["lua.h"] = "^csrc/lua/compat%.h$", ["lauxlib.h"] = "^csrc/lua/compat%.h$", ["curl/curl.h"] = "^csrc/io/http_?%a*%.[ch]$",
	["microhttpd.h"] = { "^csrc/io/server[_a-z]*%.c$", "^csrc/io/server_own%.h$" },
	["sodium.h"] = "^csrc/%a+/", ["expat.h"] = "^csrc/io/xml%.c$",
	["zlib.h"] = "^csrc/io/inflate%.c$", ["hiredis/"] = { "^csrc/io/redis_link%.c$", "^csrc/io/redis_reply%.c$" },
	["openssl/"] = { "^csrc/io/signature%.c$", "^csrc/io/rsa_key%.c$", "^csrc/io/redis%.c$", "^csrc/io/redis_link%.c$" },
}

-- LMDB is the stores' own: these and who includes their private headers.
local stores = { "claims", "env_files", "identities_own", "seen", "seen_own", "spool_own", "spool_pieces", "state", "vault_own" }
for _, name in ipairs(stores) do
	stores[name] = true
end

-- Whoever may include a private header: what it is of, and of a store who looks into it.
local private = {
	["identities_own.h"] = "^csrc/io/identities",
	["seen_own.h"] = "^csrc/io/seen", ["vault_own.h"] = "^csrc/io/vault", ["weir_own.h"] = "^csrc/core/weir",
	["server_own.h"] = "^csrc/io/server", ["turns_own.h"] = "^csrc/core/turns",
	["json_token.h"] = { "^csrc/core/json_read%.c$", "^csrc/core/json_token%.c$", "^csrc/core/pattern%.c$" },
	["memo.h"] = { "^csrc/core/memo%.c$", "^csrc/core/path%.c$" },
	["map_entry.h"] = { "^csrc/core/map%.c$", "^csrc/core/mapping%.h$" },
	["mapping.h"] = { "^csrc/core/mapper%.c$", "^csrc/core/facts%.c$", "^csrc/core/context%.c$", "^csrc/core/compose%.c$" },
	["spool_check_own.h"] = "^csrc/io/spool_check",
	["http_own.h"] = "^csrc/io/http",
	["spool_own.h"] = { "^csrc/io/spool_", "^csrc/io/spool%.c$", "^csrc/io/adoption%.c$", "^csrc/io/dead%.c$" },
}

local function is_one_of(path, patterns)
	for _, pattern in ipairs(type(patterns) == "table" and patterns or { patterns }) do
		if path:find(pattern) then
			return true
		end
	end
	return false
end

local function may_include(path, name)
	return is_one_of(path, private[name:match "[^/]+$"] or "")
end

describe("the layers", function()
	it("keep private headers to their owners", function()
		for path, names in pairs(own_includes()) do
			for _, name in ipairs(names) do
				assert.is_true(may_include(path, name), path .. " includes " .. name)
			end
		end
	end)

	it("include only what lies below them", function()
		for path, names in pairs(own_includes()) do
			local floor = path:match "^csrc/(%w+)/"
			for _, name in ipairs(names) do
				local other = name:match "^csrc/(%w+)/"
				assert.is_true(other == floor or below[floor][other] or false, path .. " includes " .. name)
			end
		end
	end)

	it("have no header that includes itself by way of others", function()
		local includes = own_includes()
		local state = {}
		local function visit(path, way)
			assert.is_true(state[path] ~= "open", way .. " -> " .. path)
			if not state[path] then
				state[path] = "open"
				for _, name in ipairs(includes[path] or {}) do
					visit(name, way .. " -> " .. path)
				end
				state[path] = "done"
			end
		end
		for path in pairs(includes) do
			visit(path, "")
		end
	end)

	it("leave clock, files and chance out of core", function()
		each_file(function(path, floor, text)
			if floor ~= "core" then
				return
			end
			for name in text:gmatch "#include <([^>]+)>" do
				assert.is_true(core_headers[name] or false, path .. " includes " .. name)
			end
			local code = without_comments(text)
			for _, name in ipairs(not_in_core) do
				assert.is_nil(code:find("[^%w_.>]" .. name .. "%("), path .. " calls " .. name)
			end
		end)
	end)

	-- clang-format takes an example that is too wide for text, and joins it with what comes next.
	it("keep the examples in comments apart from text", function()
		each_file(function(path, _, text)
			local example
			for line in text:gmatch "([^\n]*)\n" do
				local words = line:match "^%s*%* (%S.*)$"
				assert.is_nil(example and words and words ~= "/" and path .. ": " .. words)
				example = line:match "^%s*%*     %s*%S"
			end
		end)
	end)

	it("keep each library behind few files", function()
		each_file(function(path, _, text)
			for name in text:gmatch "#include <([^>]+)>" do
				assert.is_true(name ~= "lmdb.h" or stores[path:match "^csrc/io/([%w_]+)%.[ch]$"] or false, path .. " includes " .. name)
				local owner = owners[name] or owners[name:match "^%w+/"]
				assert.is_true(not owner or is_one_of(path, owner), path .. " includes " .. name)
			end
		end)
	end)
end)
