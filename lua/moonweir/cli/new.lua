--- moonweir new -- the files of a new source, ready to run.

local core = require "moonweir.core"
local output = require "moonweir.cli.output"
local project = require "moonweir.project"
local terminal = require "moonweir.cli.terminal"

local new = {
	summary = "Begin a source: a script, fixtures with golden files, a README and a line for CI.",
	example = [[
Example:
  $ moonweir new acme-mail            # makes the folder acme-mail
  $ cd acme-mail
  $ moonweir test acme-mail.lua       # passes
  $ moonweir map acme-mail.lua events.ndjson

Then change acme-mail.lua, which explains itself, into what your tool sends. The slug is the name of
the source in Segment: lower-case letters, digits and "-". Segment gives it to you with the
integration; until then take your tool's name.

Nothing is overwritten: if one of the files is there already, none is written. The exit code is 0 if
all were written, 1 if not, 2 if the command line is wrong.]],
}

function new.define(parser)
	parser:argument("slug", "The source's name in Segment, as in acme-mail."):convert(function(slug)
		local ok, why = project.check_slug(slug)
		if ok then
			return slug
		end
		return nil, ("'%s' is no slug: %s"):format(terminal.safe(slug, 80), terminal.safe(why, 200))
	end)
	parser:argument("dir", "The folder for it, made if it is not there (the slug)."):args("?"):convert(function(dir)
		if dir ~= "" then
			return dir
		end
		return nil, "the folder is an empty text; leave it out for one that is called as the slug"
	end)
end

local function shown(name)
	return terminal.safe(name, 200)
end

-- What can't be looked at may be there.
local function is_there(path)
	local file, _, code = io.open(path, "rb")
	if file then
		file:close()
	end
	return file ~= nil or code ~= 2
end

--- A folder and those above it.
local function make_folders(path)
	local at = 0
	repeat
		at = path:find("/", at + 1, true) or #path + 1
		local part = path:sub(1, at - 1)
		if part ~= "" then
			local ok, message = core.process.make_directory(part)
			if not ok then
				return nil, message
			end
		end
	until at > #path
	return true
end

function new.run(args)
	local slug, dir = args.slug, (args.dir or args.slug)
	local ok, message = make_folders(dir)
	if not ok then
		terminal.say("error", shown(message))
		return 1
	end
	dir = dir:gsub("/*$", "") .. "/"
	local files, there = project.files(slug), {}
	for _, file in ipairs(files) do
		there[#there + 1] = is_there(dir .. file.name) and file.name or nil
	end
	if #there > 0 then
		terminal.say("error", ("%s already has %s; nothing is overwritten. Move %s away, or name another folder: moonweir new %s DIR")
			:format(shown(dir), table.concat(there, ", "), #there == 1 and "it" or "them", slug))
		return 1
	end
	ok, message = core.process.make_directory(dir .. "fixtures")
	for _, file in ipairs(files) do
		if ok then
			ok, message = output.write(dir .. file.name, file.text)
		end
		if not ok then
			terminal.say("error", shown(message))
			return 1
		end
		terminal.print("written  " .. shown(dir .. file.name))
	end
	local folder = dir:gsub("(.)/$", "%1")
	if not folder:find "^[%w_./][%w_./-]*$" then
		folder = "'" .. folder:gsub("'", "'\\''") .. "'"
	end
	terminal.print(("\nNext:\n  cd %s\n  moonweir test %s.lua\nThen change %s.lua into what your tool sends; README.md says more.")
		:format(terminal.safe(folder, 400), slug, slug))
	return 0
end

return new
