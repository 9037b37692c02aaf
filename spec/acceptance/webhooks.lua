--- Every published body of the ten tools goes through its tool's source: mapped, or ignored on purpose.
---
--- Reads $MW_SHARED/fixtures/webhooks. A body that does not name its user meets the source's policy, and is mapped once the
--- customer's own id stands where the tool's README says it rides. Prints a table.

local bodies = require "spec.acceptance.bodies"
local check = require "moonweir.check.message"
local sandbox = require "moonweir.sandbox"

local shared = os.getenv "MW_SHARED" or "../shared"
local TOOLS = { "stripe", "twilio", "sendgrid", "zendesk", "salesforce", "mailgun", "postmark", "shopify", "typeform", "github" }

local function exists(path)
	local file = io.open(path, "rb")
	return file ~= nil and file:close()
end

local COLUMNS = { "tool", "bodies", "events", "mapped", "ignored", "messages", "no user", "errors", "warnings", "compared" }
local rows = {}

local function print_table()
	local form = ("%-11s" .. ("%9s"):rep(#COLUMNS - 1) .. "\n")
	io.stdout:write("\n", form:format((table.unpack or unpack)(COLUMNS)))
	local total = { tool = "all" }
	for _, row in ipairs(rows) do
		for i = 2, #COLUMNS do
			total[COLUMNS[i]] = (total[COLUMNS[i]] or 0) + (row[COLUMNS[i]] or 0)
		end
	end
	rows[#rows + 1] = total
	for _, row in ipairs(rows) do
		local cells = {}
		for i, name in ipairs(COLUMNS) do
			cells[i] = row[name] or 0
		end
		io.stdout:write(form:format((table.unpack or unpack)(cells)))
	end
	io.stdout:flush()
end

local function add(row, name, n)
	row[name] = (row[name] or 0) + n
end

-- The policy for events without a user applies to those of a body that name none.
local function check_policy(definition, body, made, row)
	for _, problem in ipairs(made.problems) do
		assert.equal("no_user", problem.code, body.file .. ": " .. problem.message)
		assert.equal("dead_letter", definition.missing_user, body.file)
	end
	for _, message in ipairs(made.messages) do
		assert.is_true(message.userId ~= nil or definition.missing_user == "anonymous", body.file)
	end
	add(row, "no user", #made.problems)
end

local function check_messages(body, messages, row)
	for _, message in ipairs(messages) do
		assert.is_string(message.userId, body.file)
		for _, finding in ipairs((check.check(message))) do
			if finding.severity == "error" then
				add(row, "errors", 1)
			elseif finding.severity == "warning" then
				add(row, "warnings", 1)
			end
			assert.not_equal("error", finding.severity, ("%s: %s"):format(body.file, finding.what))
		end
	end
end

-- Type, recipient and time as an independent library has them, or a reason why not.
local function compare(tool, body, messages, row)
	local expected, explained = body.expected, tool.explained and tool.explained[body.file] or {}
	local name = (tool.types or {})[expected.type]
	if name == nil then
		name = bodies.types[expected.type]
	end
	assert.is_true(name ~= nil or expected.type == nil, ("%s: what is %q?"):format(body.file, tostring(expected.type)))
	local seen = messages[1] or {}
	local traits = seen.context and seen.context.traits or {}
	local differences = {}
	local function differs(what, wanted, got)
		if wanted ~= got then
			differences[what] = ("%s: %s is %s, and was expected to be %s"):format(body.file, what, tostring(got), tostring(wanted))
		end
	end
	if expected.type then
		differs("type", name or nil, seen.event)
	end
	if seen.event then
		differs("recipient", expected.recipient, expected.recipient and (traits.email or traits.phone))
		differs("time", expected.time, expected.time and seen.timestamp)
	end
	for what, difference in pairs(differences) do
		assert.is_string(explained[what], difference)
	end
	for what in pairs(explained) do
		assert.not_nil(differences[what], ("%s: %s does not differ any more"):format(body.file, what))
	end
	add(row, "compared", 1)
end

describe("the published bodies of", function()
	teardown(print_table)

	for _, name in ipairs(TOOLS) do
		local script = ("examples/%s/%s.lua"):format(name, name)
		local data = ("spec/acceptance/tools/%s.lua"):format(name)
		if not exists(script) or not exists(data) then
			pending(name .. ": there is no source yet")
		else
			local tool = require("spec.acceptance.tools." .. name)
			local row = { tool = name }
			rows[#rows + 1] = row

			it(name, function()
				local definition = assert(sandbox.load(script, (assert(sandbox.read(script)))))
				for _, body in ipairs(bodies.list(shared, name)) do
					local made = bodies.map(definition, tool, body, false)
					check_policy(definition, body, made, row)
					made = bodies.map(definition, tool, body, true)
					for _, problem in ipairs(made.problems) do
						assert.is_nil(problem.message, ("%s: %s: %s"):format(body.file, problem.code, problem.message))
					end
					assert.is_true(made.tally.messages > 0 or made.tally.ignored > 0, body.file .. ": neither mapped nor ignored")
					assert.equal(0, made.tally.unmatched, body.file)
					check_messages(body, made.messages, row)
					if body.expected then
						compare(tool, body, made.messages, row)
					end
					add(row, "bodies", 1)
					add(row, "events", made.tally.events)
					add(row, "messages", made.tally.messages)
					add(row, made.tally.messages > 0 and "mapped" or "ignored", 1)
				end
				assert.is_true((row.bodies or 0) > 0, shared .. " has no bodies of " .. name)
			end)
		end
	end
end)
