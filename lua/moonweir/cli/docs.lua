--- moonweir docs -- the pages about a source: the one that Segment asks for, and one for the tool's own help center.

local fixtures = require "moonweir.cli.fixtures"
local goldens = require "moonweir.cli.goldens"
local missing = require "moonweir.docs.missing"
local output = require "moonweir.cli.output"
local stream = require "moonweir.stream"
local terminal = require "moonweir.cli.terminal"

local docs = {
	summary = "Write the documentation page of a source, and say what is missing from it.",
	example = [[
Examples:
  $ moonweir docs acme-mail.lua -o index.md     # for a pull request to segmentio/segment-docs
  $ moonweir docs acme-mail.lua --format reference -o segment.md      # for your own help center

The page is made of the script's declarations, of its golden files (what functions send, types that
nothing else fixes, examples) and of what about = { … } in source.define says:

  about = {
    name = "Acme Mail", website = "https://acme-mail.example", support = "help@acme-mail.example",
    description = "an email marketing tool for small shops",
    write_key_menu = { "Settings", "Integrations", "Segment" },  -- where the write key is pasted
    regions = { "us", "eu" }, categories = { "Email Marketing" }, destination = true,
    user = "The external ID of the contact.",                    -- what userId is
    events = {
      ["Email Opened"] = "The recipient opened the message.",
      ["Email Bounced"] = { "The message came back.", reason = "What the mail server said." },
      identify = "A contact was added or changed.",
    },
    properties = { email_id = "The ID of the message." },        -- wherever it is sent
    traits = { plan = "…" }, context = { ip = "…" },
    ignored = { ["message.queued"] = "Nothing has happened yet." },
  },

What is missing is listed on standard error, each with where it goes. The exit code is 0 if the page
is complete and 1 if something is missing; the page is written all the same.]],
}

local FORMATS = { segment = "moonweir.docs.segment", reference = "moonweir.docs.reference" }

function docs.define(parser)
	fixtures.define(parser)
	parser
		:option("--format", "segment (Segment's template) or reference (a page for the tool's own help center).")
		:argname("<format>")
		:default("segment")
		:convert(function(format)
			if FORMATS[format] then
				return format
			end
			return nil, ("--format takes segment or reference, not '%s'"):format(terminal.safe(format, 80))
		end)
	parser:option("-o", "Write the page to this file."):argname("<file>"):target("output"):convert(function(file)
		if file ~= "" then
			return file
		end
		return nil, "-o takes a file, not an empty text"
	end)
end

local function say_missing(gaps, script)
	for _, gap in ipairs(gaps) do
		terminal.say("warning", terminal.safe(("%s: %s"):format(gap.where, gap.why), 600))
	end
	if #gaps > 0 then
		terminal.say("note", ("the page is written; %s thing%s to do for it in %s"):format(terminal.count(#gaps),
			#gaps == 1 and "" or "s", terminal.safe(script:match "[^/]+$" or script, 200)))
	end
end

function docs.run(args)
	local script, messages = goldens.read(args)
	if not script then
		return 1
	end
	local source = script.definition
	local subject = { source = source, stream = stream.read(source, messages), texts = source.about or {} }
	local page = require(FORMATS[args.format])(subject)
	if args.output then
		if fixtures.read_file(args.output, #script.text) == script.text then
			terminal.say("error", ("%s is the script itself; give -o another name, as in -o index.md"):format(
				terminal.safe(args.output, 200)))
			return 1
		end
		local ok, why = output.write(args.output, page .. "\n")
		if not ok then
			terminal.say("error", terminal.safe(why, 400))
			return 1
		end
	else
		terminal.print(page)
	end
	goldens.say_stale(subject.stream)
	local gaps = missing(subject)
	say_missing(gaps, args.source)
	return #gaps == 0 and 0 or 1
end

return docs
