--- reload -- one script file, followed as it changes.
---
---     local loader, message, code = reload.new "acme.lua"
---     local changed, message, code = loader:check()      -- now and then; loader.map is always a good one
---
--- A changed script is loaded and compiled beside the running one and takes over whole. One that fails leaves the old one
--- running. Plain Lua knows no modification times, so the text itself is compared.

local compile = require "moonweir.compile"
local sandbox = require "moonweir.sandbox"

---@class moonweir.Loader
---@field path string
---@field map userdata the compiled program
---@field definition moonweir.Definition
---@field library? {name: string, version: string}
local Loader = {}
Loader.__index = Loader

local reload = {}

-- Both, or neither.
local function build(loader, text)
	local definition, message, code = sandbox.load(loader.path, text)
	if not definition then
		return nil, message, code
	end
	local map
	map, message, code = compile(definition, loader.library)
	if not map then
		return nil, message, code
	end
	loader.map, loader.definition, loader.text = map, definition, text
	return true
end

--- Load a script file and remember where it came from.
---@param path string
---@param library? {name: string, version: string}
---@return moonweir.Loader|nil loader
---@return string? message
---@return "mapping"|"no_memory"|nil code
function reload.new(path, library)
	local text, message = sandbox.read(path)
	if not text then
		return nil, message, "mapping"
	end
	local loader = setmetatable({ path = path, library = library }, Loader)
	local ok, code
	ok, message, code = build(loader, text)
	if not ok then
		return nil, message, code
	end
	return loader
end

--- Look whether the file changed, and if so load it.
---@return boolean|nil changed true if a new script took over, false if the file is as it was; nil as long as what is there fails
---@return string? message
---@return "mapping"|"no_memory"|nil code
function Loader:check()
	local text, message = sandbox.read(self.path)
	if not text then
		return nil, message, "mapping"
	elseif text == self.text then
		self.failed = nil
		return false
	elseif self.failed and self.failed.text == text then
		return nil, self.failed.message, self.failed.code
	end
	local ok, code
	ok, message, code = build(self, text)
	if not ok then
		self.failed = { text = text, message = message, code = code }
		return nil, message, code
	end
	self.failed = nil
	return true
end

return reload
