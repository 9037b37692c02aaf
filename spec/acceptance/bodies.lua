--- bodies -- the published bodies of a tool's webhooks, and what its source in examples/ makes of them.
---
---     for _, body in ipairs(bodies.list(shared, "stripe")) do
---     	local made = bodies.map(source, tool, body, true)    -- with the customer's own id where the tool's README says it rides
---     	print(body.file, made.tally.messages, made.problems)
---     end
---
--- What is particular to a tool is data: spec/acceptance/tools/<tool>.lua.

local core = require "moonweir.core"
local compile = require "moonweir.compile"
local receive = require "moonweir.receive"

local bodies = {}

---@class moonweir.acceptance.Tool
---@field headers? fun(event: string, text: string): table<string, string>  of the request; `event` is the file's name before "--"
---@field with_user fun(text: string, headers: table, event: string): string   the same body with the customer's own id in it
---@field known? fun(text: string): table[]   facts of the identity store, where no field of a body holds the id (core.roll)
---@field types? table<string, string|false>   what independent libraries call an event: Segment's name, or false for none
---@field explained? table<string, table<string, string>>   by file: what differs from them ("type", "recipient", "time"), and why

---@class moonweir.acceptance.Body
---@field file string "invoice.paid--stripe-ruby-mock.json"
---@field event string "invoice.paid"
---@field text string
---@field expected? {type: string?, recipient: string?, time: string?}

local TYPES = {
	json = "application/json", txt = "application/x-www-form-urlencoded", xml = "text/xml; charset=utf-8",
}

local function read(path)
	local file = assert(io.open(path, "rb"))
	local text = file:read "*a"
	file:close()
	return text
end

-- What an independent library says of a body -----------------------------------------------------------

local function iso(seconds, fraction)
	return os.date("!%Y-%m-%dT%H:%M:%S", tonumber(seconds)) .. "." .. ((fraction or "") .. "000"):sub(1, 3) .. "Z"
end

-- Symfony's tests are PHP: new MailerDeliveryEvent(MailerDeliveryEvent::BOUNCE, 'id', …), $wh->setRecipientEmail('a@b.c'), …
local function of_symfony(lines)
	local all = table.concat(lines, "\n")
	local seconds, fraction = all:match "'U%.u', '(%d+)%.?(%d*)'"
	local day, time, part = all:match "'(%d%d%d%d%-%d%d%-%d%d)T(%d%d:%d%d:%d%d)%.?(%d*)Z'"
	return {
		type = (all:match "::(%u+)," or ""):lower(),
		recipient = all:match "setRecipient%a+%('(.-)'%)",
		time = seconds and iso(seconds, fraction) or day and ("%sT%s.%sZ"):format(day, time, (part .. "000"):sub(1, 3)),
	}
end

local function of_anymail(assertions)
	local time = assertions["event.timestamp"]
	return { type = assertions["event.event_type"], recipient = assertions["event.recipient"],
		time = time and time:gsub("%+00:00$", ".000Z") }
end

local function expected_of(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	file:close()
	local said = assert(core.decode(read(path)))
	return said.php and of_symfony(said.php) or of_anymail(said.assertions)
end

-- As Segment's Spec has it; false: it has no such event.
bodies.types = {
	delivered = "Email Delivered", bounce = "Email Bounced", bounced = "Email Bounced", open = "Email Opened",
	opened = "Email Opened", click = "Email Link Clicked", clicked = "Email Link Clicked", spam = "Email Marked as Spam",
	complained = "Email Marked as Spam", unsubscribe = "Unsubscribed", unsubscribed = "Unsubscribed",
	received = false, queued = false, sent = false, dropped = false, rejected = false, deferred = false, failed = false,
}

-- Reading and mapping ------------------------------------------------------------------------------------

--- A tool's bodies, by name.
---@param shared string
---@param tool string
---@return moonweir.acceptance.Body[]
function bodies.list(shared, tool)
	local folder = ("%s/fixtures/webhooks/%s/"):format(shared, tool)
	local list = {}
	local files = core.process.files(folder) or {}
	table.sort(files)
	for _, file in ipairs(files) do
		local name, kind = file:match "^(.+)%.(%w+)$"
		if TYPES[kind] and not file:find "%.expect%.json$" then
			list[#list + 1] = { file = file, event = file:match "^(.-)%-%-", kind = kind, text = read(folder .. file),
				expected = expected_of(folder .. name .. ".expect.json") }
		end
	end
	return list
end

--- A change to a JSON body: `change` gets each of its events, or the body if that is one event.
---@param text string
---@param change fun(event: table)
---@return string
function bodies.change(text, change)
	local value = assert(core.decode(text))
	for _, event in ipairs(value[1] ~= nil and value or { value }) do
		change(event)
	end
	return assert(core.encode(value))
end

--- What the source makes of a body.
---@param definition moonweir.Definition
---@param tool moonweir.acceptance.Tool
---@param body moonweir.acceptance.Body
---@param has_user boolean put the customer's own id in
---@return {messages: table[], tally: table, problems: table[]}
function bodies.map(definition, tool, body, has_user)
	local text = body.text
	local headers = tool.headers and tool.headers(body.event, text) or {}
	headers["Content-Type"] = headers["Content-Type"] or TYPES[body.kind]
	if has_user then
		text = tool.with_user(text, headers, body.event)
	end
	local bytes, format = assert(receive.body { method = "POST", url = "https://h/", headers = headers, body = text })
	local map = assert(compile(definition))
	local known = has_user and tool.known and core.roll(tool.known(body.text)) or nil
	local messages, tally, problems = core.mapper(map, { identities = known }):map(bytes, {
		format = format, headers = headers, account = "a",
	})
	for i, it in ipairs(messages) do
		messages[i] = assert(core.decode(it.message))
	end
	return { messages = messages, tally = tally, problems = problems or {} }
end

return bodies
