--- moonweir verify -- is everything that a spool accepted accounted for, and whole?

local core = require "moonweir.core"
local json = require "moonweir.cli.json"
local keys = require "moonweir.cli.keys"
local progress = require "moonweir.cli.progress"
local terminal = require "moonweir.cli.terminal"

local verify = {
	summary = "Prove that a spool lost nothing: every message counted, every byte checked.",
	example = [[
Examples:
  moonweir verify --spool /var/lib/acme/spool
  moonweir verify --spool /var/lib/acme/spool --by-account --json

Works beside a process that sends from the spool, and changes nothing. For each account, and
in sum: accepted = delivered + dead + queued. What is in flight counts as queued: it is on disk.
The exit code is 0 only if all is well; findings are told on standard error.]],
}

function verify.define(parser)
	parser:flag("--by-account", "List the accounts, too.")
	parser:flag("--json", "Print the result as JSON.")
end

local COUNTS = { "accepted", "delivered", "dead", "queued", "queued_bytes", "packs" }
local SHOWN = { "accepted", "delivered", "dead", "queued" }

local function add(sum, more)
	for _, name in ipairs(COUNTS) do
		sum[name] = (sum[name] or 0) + more[name]
	end
	return sum
end

--- One entry an account: each partition has a lane of its own for it.
local function by_account(lanes)
	local list, known = {}, {}
	for _, lane in ipairs(lanes) do
		local entry = known[lane.account]
		if not entry then
			entry = { account = lane.account, balanced = true }
			known[lane.account] = entry
			list[#list + 1] = entry
		end
		add(entry, lane)
		entry.balanced = entry.balanced and lane.balanced
	end
	table.sort(list, function(a, b)
		return a.account < b.account
	end)
	return list
end

local function print_json(result, sum)
	local parts = {
		'"ok":' .. tostring(result.ok),
		json.counts(sum, COUNTS),
		'"partitions":' .. json.list(result.partitions, function(p)
			local owner = p.owner and (',"owner":%d'):format(p.owner) or ""
			return "{" .. json.counts(p, { "partition", "lanes", "accepted", "delivered", "dead", "queued", "queued_bytes", "packs",
				"letters", "findings" }) .. owner .. ',"balanced":' .. tostring(p.balanced) .. "}"
		end),
		'"findings":' .. json.list(result.findings, function(f)
			local account = f.account and ',"account":' .. core.encode(f.account) or ""
			return ('{"partition":%d,"code":"%s"%s,"message":%s,"advice":%s}'):format(
				f.partition, f.code, account, core.encode(f.message), core.encode(f.advice)
			)
		end),
	}
	if result.accounts then
		parts[#parts + 1] = '"accounts":' .. json.list(result.accounts, function(a)
			return ('{"account":%s,%s,"balanced":%s}'):format(core.encode(a.account), json.counts(a, COUNTS), tostring(a.balanced))
		end)
	end
	terminal.print("{" .. table.concat(parts, ",") .. "}")
end

local function row(name, entry, last)
	local parts = { ("%-20s"):format(name) }
	for i, column in ipairs(SHOWN) do
		parts[i + 1] = ("%13s"):format(type(entry) == "table" and terminal.count(entry[column]) or column:upper())
	end
	return table.concat(parts) .. "  " .. last
end

local function print_table(result, sum)
	if result.accounts then
		terminal.print(row("ACCOUNT", nil, ""):gsub("%s+$", ""))
		for _, a in ipairs(result.accounts) do
			terminal.print((row(terminal.safe(a.account, 60), a, a.balanced and "" or "UNBALANCED"):gsub("%s+$", "")))
		end
		terminal.print ""
	end
	terminal.print(row("PARTITION", nil, "STATE"))
	for _, p in ipairs(result.partitions) do
		local state = p.owner and ("process %d sends from it"):format(p.owner) or "at rest"
		terminal.print(row("p" .. p.partition, p, p.balanced and state or state .. ", UNBALANCED"))
	end
	if #result.partitions > 1 then
		terminal.print(row("all", sum, ""):gsub("%s+$", ""))
	end
	terminal.print ""
	terminal.print(("accepted %s %s delivered %s + dead %s + queued %s"):format(
		terminal.count(sum.accepted),
		sum.accepted == sum.delivered + sum.dead + sum.queued and "=" or "IS NOT",
		terminal.count(sum.delivered),
		terminal.count(sum.dead),
		terminal.count(sum.queued)
	))
end

--- Each kind of advice once, below its last finding: a thousand findings have one cause.
local function say_findings(result)
	local count = 0
	for i, f in ipairs(result.findings) do
		local account = f.account and (" (account %s)"):format(terminal.safe(f.account, 60)) or ""
		terminal.say("error", ("p%d: %s: %s%s"):format(f.partition, f.code, f.message, account))
		local following = result.findings[i + 1]
		if not following or following.code ~= f.code then
			terminal.say("note", f.advice)
		end
	end
	for _, p in ipairs(result.partitions) do
		count = count + p.findings
	end
	if count > #result.findings then
		terminal.say("error", ("and %s findings more"):format(terminal.count(count - #result.findings)))
	end
end

function verify.run(args)
	local dir, message = keys.spool(args)
	if not dir then
		terminal.say("error", message)
		return 2
	end
	local bar = progress.new()
	local result
	result, message = core.verify(dir, {
		accounts = args.by_account,
		progress = function(done, total, partition)
			bar:draw(total > 0 and done / total, { ("p%d"):format(partition), terminal.count(total / 1e6) .. " MB" })
		end,
	})
	bar:clear()
	if not result then
		terminal.say("error", terminal.safe(message, 400))
		return 1
	end
	result.accounts = result.accounts and by_account(result.accounts)
	local sum = { accepted = 0, delivered = 0, dead = 0, queued = 0, queued_bytes = 0, packs = 0 }
	for _, p in ipairs(result.partitions) do
		add(sum, p)
	end
	if args.json then
		print_json(result, sum)
	else
		print_table(result, sum)
		say_findings(result)
		if result.ok and terminal.is_heard() then
			terminal.print(terminal.paint(1, "green", "all is well"))
		end
	end
	return result.ok and 0 or 1
end

return verify
