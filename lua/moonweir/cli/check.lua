--- moonweir check -- the review before the review: is a source right by Segment's Spec, as far as can be seen?

local files = require "moonweir.cli.fixtures"
local findings = require "moonweir.check.findings"
local golden = require "moonweir.golden"
local json = require "moonweir.cli.json"
local partner = require "moonweir.check.partner"
local review = require "moonweir.check.review"
local rules = require "moonweir.check.rules"
local spec = require "moonweir.spec"
local terminal = require "moonweir.cli.terminal"
local trace = require "moonweir.check.trace"

local check = {
	summary = "Find what Segment would refuse, drop or turn a source down for, before it is submitted.",
	example = [[
Example:
  $ moonweir check acme-mail.lua
  error    acme-mail.lua:14  order.paid: "Purchase" is "Order Completed" in the Spec. Fix: call
           it "Order Completed". Why: partners are turned down for names of their own … (R3, …)

First what the script declares is read: names of events and properties, their types, the user, the
context. Then the examples in fixtures/ (moonweir test --help says how to save them) are mapped, and
each message is checked. What a function sends is known from examples alone: at the end it says
which entries had none.

  error    Segment refuses or drops it, or turns down a source that sends it
  warning  against a recommendation, or likely wrong; --strict counts it as an error
  note     good to know

What it can't see: whether the customer's write key, region and tracking plan are right, whether
Segment has switched the source off, and whose id a field really holds. --rules lists what it does.

The exit code is 0 without errors, 1 with errors or if something can't be read, 2 if the command
line is wrong.]],
}

local VALUE_MAX = 600 -- bytes of foreign text

-- Rules ----------------------------------------------------------------------------------------------

local BY = { checked = "checked", moonweir = "kept by Moonweir", you = "up to you" }

local function print_rules()
	terminal.print "Checked:"
	for _, word in ipairs(rules.order) do
		local rule = rules.by_name[word]
		local tail = {}
		tail[#tail + 1] = rule.code and "code " .. table.concat({ rule.code, rule.also }, ", ")
		tail[#tail + 1] = rule.partner
		terminal.print(("  %-8s %-24s %s%s"):format(rule.severity, word, rule.title,
			#tail > 0 and " (" .. table.concat(tail, ", ") .. ")" or ""))
	end
	terminal.print "\nAsked of partners:"
	for _, one in ipairs(partner) do
		terminal.print(("  %-4s %s: %s%s"):format(one.id, one.asks, BY[one.by], one.how and "; " .. one.how or ""))
	end
	terminal.print "\nLost at Segment, and not to be seen from here:"
	for _, group in ipairs { spec.drops.ingest, spec.drops.filtered } do
		for _, code in ipairs(spec.names(group)) do
			if group[code].what == "source" then
				terminal.print(("  %s: %s"):format(code, group[code].why))
			end
		end
	end
	for _, code in ipairs { "wrong_region", "suppressed_user" } do
		terminal.print(("  no code: %s"):format(spec.drops.unseen[code].why))
	end
end

function check.define(parser)
	files.define(parser)
	parser:flag("--strict", "Warnings count as errors.")
	parser:flag("--json", "Print the result as JSON.")
	parser:flag("--rules", "List what is checked, and what can't be."):action(function()
		print_rules()
		os.exit(terminal.flush() and 0 or 1, true)
	end)
end

-- For people -----------------------------------------------------------------------------------------

local COLOURS = { error = "red", warning = "yellow", note = "cyan" }

local function place_of(finding, script)
	if finding.line then
		return ("%s:%d"):format(finding.script or script, finding.line)
	end
	return finding.example or script
end

-- Not of a name: "missing_user is …", "context.ip is …".
local function capital(sentence)
	return sentence:find "^%l+ " and sentence:gsub("^%l", string.upper, 1) or sentence
end

-- What is wrong, what to do, why, and who says so.
local function sentences(finding)
	local example = ""
	if finding.example then
		example = (" [%s%s]"):format(finding.example, finding.times > 1 and (", and %d more"):format(finding.times - 1) or "")
	end
	local said = {}
	said[#said + 1] = finding.partner
	said[#said + 1] = finding.source
	return ("%s%s. Fix: %s. Why: %s%s"):format(finding.what, example, finding.fix, finding.why,
		#said > 0 and " (" .. table.concat(said, ", ") .. ")" or "")
end

local function print_finding(finding, script)
	local entry = finding.entry and finding.entry .. ": " or ""
	local told = finding.entry and sentences(finding) or capital(sentences(finding))
	terminal.print(("%s %s  %s"):format(
		terminal.paint(1, COLOURS[finding.severity], ("%-8s"):format(finding.severity)),
		terminal.paint(1, "bold", terminal.safe(place_of(finding, script), VALUE_MAX)),
		terminal.safe(entry .. told, 4 * VALUE_MAX)))
end

local function plural(n, word)
	return ("%s %s%s"):format(terminal.count(n), word, n == 1 and "" or "s")
end

local function print_unseen(unseen, script)
	if #unseen == 0 then
		return
	end
	terminal.print("\nNo example of:")
	for _, it in ipairs(unseen) do
		terminal.print(terminal.safe(("  %s%s: %s"):format(it.entry, it.line and (" (%s:%d)"):format(script, it.line) or "",
			it.is_function and "a function, so nothing is known of what it sends"
				or it.has_apply and "looked at as it is declared; what :apply makes is not known"
				or "looked at as it is declared, and no more"),
				VALUE_MAX))
	end
end

local function print_summary(result)
	local counts = result.counts
	terminal.print(("\n%s declared and %s of %s looked at: %s, %s, %s"):format(plural(result.review.calls, "call"),
		plural(result.review.messages, "message"), plural(result.examples, "example"), plural(counts.error, "error"),
		plural(counts.warning, "warning"), plural(counts.note, "note")))
	local blind = 0
	for _, it in ipairs(result.unseen) do
		blind = blind + (it.is_function and 1 or 0)
	end
	if result.unread > 0 then
		terminal.print(("%s could not be looked at, so this is no clean bill"):format(plural(result.unread, "example")))
	elseif blind > 0 then
		terminal.print(("%s could not be looked at, so this is no clean bill: save an example of each"):format(
			blind == 1 and "1 entry" or blind .. " entries"))
	elseif counts.error == 0 and #result.unseen > 0 then
		terminal.print "No error in what could be looked at; examples of the rest would tell more"
	end
end

-- For programs ---------------------------------------------------------------------------------------

local text, list, object, count = json.text, json.list, json.object, json.count

local function print_json(result)
	terminal.print(object(
		"ok", tostring(result.ok),
		"errors", count(result.counts.error), "warnings", count(result.counts.warning), "notes", count(result.counts.note),
		"findings", list(result.findings, function(f)
			return object("severity", text(f.severity), "rule", text(f.rule), "code", f.code and text(f.code),
				"partner", f.partner and text(f.partner), "script", f.script and text(f.script), "line", f.line and count(f.line),
				"entry", f.entry and text(f.entry), "example", f.example and text(f.example), "times", f.times and count(f.times),
				"path", text(f.path), "what", text(f.what), "why", text(f.why), "source", f.source and text(f.source), "fix", text(f.fix))
		end),
		"looked_at", object("calls", count(result.review.calls), "examples", count(result.examples),
			"messages", count(result.review.messages), "failed", count(result.review.failed)),
		"no_example", list(result.unseen, function(it)
			return object("entry", text(it.entry), "call", it.call and count(it.call), "line", it.line and count(it.line),
				"function", tostring(it.is_function))
		end),
		"not_read", list(result.wrong, function(it)
			return object("file", text(it.file), "message", text(it.message))
		end)
	))
end

-- The command ----------------------------------------------------------------------------------------

--- Map and check each example; what can't be read is added to `wrong`.
local function look_at(script, dir, fixtures, it, wrong)
	local read = 0
	local function load()
		return golden.load(script.path, script.text)
	end
	for _, fixture in ipairs(fixtures) do
		local body, headers = files.read(dir, fixture)
		local traced, tally, problems
		if body then
			traced, tally, problems = trace.map(load, fixture, body, headers)
		else
			tally = headers
		end
		if traced and tally.events == 0 then
			traced, tally = nil, "there is no event in it"
		elseif traced and #traced == 0 and problems and problems[1] and problems[1].code == "json" then
			traced, tally = nil, problems[1].message
		end
		if traced then
			read = read + 1
			it:example(fixture.file, traced, problems)
		else
			table.insert(wrong, { file = fixture.file, message = tally })
		end
	end
	return read
end

function check.run(args)
	local script, message = files.load(args.source)
	if not script then
		terminal.say("error", terminal.safe(message, 1000))
		return 1
	end
	local dir = files.dir(args)
	local fixtures, wrong, _, why = files.list(dir)
	if why and args.fixtures then
		terminal.say("error", terminal.safe(why, 1000))
		return 1
	end
	local it = review.new(script.definition, script.text)
	local result = { review = it, wrong = wrong }
	result.examples = look_at(script, dir, fixtures, it, wrong)
	result.findings, result.unseen = it:finish()
	result.counts, result.unread = findings.count(result.findings), #wrong
	result.ok = result.counts.error == 0 and #wrong == 0 and not (args.strict and result.counts.warning > 0)

	for _, w in ipairs(wrong) do
		terminal.say("error", ("%s: %s"):format(terminal.safe(w.file, 200), terminal.safe(w.message, 400)))
	end
	if args.json then
		print_json(result)
		return result.ok and 0 or 1
	end
	local name = args.source:match "[^/]+$" or args.source
	for _, finding in ipairs(result.findings) do
		print_finding(finding, name)
	end
	if #fixtures == 0 then
		terminal.print(("%sNo examples: %s; save requests there, as moonweir test --help says"):format(
			#result.findings > 0 and "\n" or "", terminal.safe(why or dir .. " holds none", 400)))
	end
	print_unseen(result.unseen, name)
	print_summary(result)
	return result.ok and 0 or 1
end

return check
