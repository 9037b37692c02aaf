--- project -- the files of a new source: a script to be changed, events to try it with, and how to test it.
---
---     for _, file in ipairs(project.files "acme-mail") do print(file.name, #file.text) end
---
--- The golden files are made by the script and the fixtures themselves, so they agree at once.

local golden = require "moonweir.golden"

local project = {}

--- Longer than any name of a tool.
project.SLUG_MAX = 50

--- Is it a slug, as context.integration.name has it?
---@param slug string
---@return true|nil
---@return string? message
function project.check_slug(slug)
	if slug:find "^[a-z0-9][a-z0-9-]*$" and not slug:find "-$" and #slug <= project.SLUG_MAX then
		return true
	end
	local near = slug:lower():gsub("[^a-z0-9]+", "-"):gsub("^-+", ""):sub(1, project.SLUG_MAX):gsub("-+$", "")
	return nil, ('a slug is made of lower-case letters, digits and "-", up to %d of them%s'):format(project.SLUG_MAX,
		near ~= "" and "; how about " .. near .. "?" or ", as in acme-mail")
end

local SCRIPT = [=[
-- @NAME@: how its events become Segment calls. Change what is here into what your tool sends;
-- after each change:
--
--     moonweir test @SLUG@.lua
--
-- An event of @NAME@ looks like this (a guess, until you put a real one into fixtures/):
--
--     {"event_id":"ev-1","type":"message.opened","occurred_at":"2026-01-31T12:00:00Z",
--      "contact":{"id":42,"external_id":"user-17","email":"ada@example.com"},
--      "message":{"id":7,"subject":"Hello"}}

local source = require "moonweir.source"
local get = source.get -- a path into the event: it describes where a value is, and is no value yet

return source.define {
	slug = "@SLUG@", -- as Segment gave it to you; every call says it in context.integration
	version = "1.0.0", -- of this script; the first one that goes to Segment is 1.0.0

	event = get "type", -- which entry of `on` applies
	id = get "event_id", -- makes messageId, so that an event that comes twice counts once
	time = get "occurred_at", -- ISO 8601, or seconds or milliseconds since 1970

	-- Segment wants a userId in every call: the ID that your customer's own database has for the
	-- person, which is not your tool's. An event without one is an error (missing_user changes that).
	user = source.user { get "contact.external_id", email = get "contact.email" },

	context = {
		@TOOL_ID@ = get "contact.id":string(), -- your tool's own ID of the person belongs here
		ip = get "client.ip",
		userAgent = get "client.user_agent",
		traits = { email = get "contact.email":lower() },
	},

	on = {
		-- Events for which Segment's Spec has a name must carry that name, and the Spec's properties:
		-- https://segment.com/docs/connections/spec/
		["message.opened"] = source.track "Email Opened" {
			email_id = get "message.id":string(), -- the Spec wants a text; ids are often numbers
			email_subject = get "message.subject",
		},

		-- What is absent from the event is left out of the call.
		["contact.updated"] = source.identify {
			email = get "contact.email":lower(),
			first_name = get "contact.first_name":trim(),
			last_name = get "contact.last_name":trim(),
		},

		-- Known, and not sent. An event that has no entry at all is an error.
		["message.queued"] = source.ignore,
	},

	-- For `moonweir docs`, which writes the page that Segment asks for, and says what is missing here:
	-- website, support, where the write key is pasted, …
	about = {
		name = "@NAME@",
		events = {
			["Email Opened"] = "The recipient opened the message.",
			identify = "A contact was added, or its data changed.",
		},
		properties = {
			email_id = "ID of the message.",
			email_subject = "Subject line of the message.",
		},
		traits = {
			email = "Email address of the contact, in lower case.",
			first_name = "First name of the contact.",
			last_name = "Last name of the contact.",
		},
		context = {
			@TOOL_ID@ = "ID of the contact in @NAME@.",
			ip = "IP address from which the message was opened.",
			userAgent = "Mail program or browser of the recipient.",
			["traits.email"] = "Email address of the contact, in lower case.",
		},
		ignored = { ["message.queued"] = "Nothing has reached the recipient yet." },
	},
}
]=]

local OPENED = [=[
{
  "event_id": "ev-1",
  "type": "message.opened",
  "occurred_at": "2026-01-31T12:00:00Z",
  "contact": { "id": 42, "external_id": "user-17", "email": "Ada@Example.com" },
  "client": { "ip": "203.0.113.8", "user_agent": "Mozilla/5.0" },
  "message": { "id": 7, "subject": "Hello" }
}
]=]

local UPDATED = [=[
[
  {
    "event_id": "ev-2",
    "type": "contact.updated",
    "occurred_at": "2026-01-31T12:05:00Z",
    "contact": {
      "id": 42, "external_id": "user-17", "email": "Ada@Example.com", "first_name": "Ada", "last_name": "Lovelace"
    }
  },
  {
    "event_id": "ev-3",
    "type": "message.queued",
    "occurred_at": "2026-01-31T12:06:00Z",
    "contact": { "id": 42, "external_id": "user-17", "email": "Ada@Example.com" }
  }
]
]=]

local EVENTS = [=[
{"event_id":"ev-1","type":"message.opened","occurred_at":"2026-01-31T12:00:00Z",@WHO@,"message":{"id":7,"subject":"Hello"}}
{"event_id":"ev-2","type":"contact.updated","occurred_at":"2026-01-31T12:05:00Z",@WHO@}
{"event_id":"ev-3","type":"message.queued","occurred_at":"2026-01-31T12:06:00Z",@WHO@}
]=]

local WHO = '"contact":{"id":42,"external_id":"user-17","email":"Ada@Example.com","first_name":"Ada","last_name":"Lovelace"}'

local CI = [=[
#!/bin/sh
# For a CI job: fails if the source breaks Segment's rules, or makes something else of its fixtures than it did.
set -eu
cd "$(dirname "$0")"
moonweir check @SLUG@.lua
moonweir test @SLUG@.lua
]=]

local README = [=[
# @NAME@ as an event source for Segment

`@SLUG@.lua` says how the events of @NAME@ become [Segment](https://segment.com) calls. Moonweir runs it.

## Look

What becomes of events, without sending anything:

```sh
moonweir map @SLUG@.lua events.ndjson
```

## Test

`fixtures/` holds requests as the tool sends them (`.json`), each with what is to become of it (`.expected.ndjson`).

```sh
moonweir check @SLUG@.lua    # against Segment's Spec and its rules for partners
moonweir test @SLUG@.lua     # against the fixtures
```

After a change that is meant, read what differs, then write the new golden files and commit them:

```sh
moonweir test @SLUG@.lua --update
```

A CI job runs `sh ci.sh`, which does both tests.

## Try

In one terminal, a Segment on your own desk, which prints every call that arrives (Ctrl-C ends it):

```sh
moonweir debugger
```

In another, send it the events:

```sh
moonweir run @SLUG@.lua events.ndjson --endpoint http://127.0.0.1:4400 --write-key demo-key-0001
```

The real Segment knows a source by its write key. Save it in the file `key`, which only you can read and git ignores:

```sh
(umask 077; cat > key)       # paste the key, then Enter and Ctrl-D
moonweir run @SLUG@.lua events.ndjson --write-key-file key
```

## Describe

```sh
moonweir docs @SLUG@.lua -o page.md          # the page that Segment asks for; says what is missing from it
moonweir plan @SLUG@.lua --format markdown   # every event and property, as a table
```
]=]

local function camel_case(slug)
	return (slug:gsub("%-+(%w?)", string.upper))
end

--- What the files say for this slug.
local function filled(text, slug)
	local name = slug:gsub("%-+", " "):gsub("%f[%w]%l", string.upper)
	local tool_id = camel_case(slug) .. "Id"
	local values = { SLUG = slug, NAME = name, WHO = WHO, TOOL_ID = tool_id:find "^%a" and tool_id or ('["%s"]'):format(tool_id) }
	return (text:gsub("@([%u_]+)@", values))
end

--- The golden file of a fixture, as `moonweir test --update` would write it.
local function golden_file(script_name, script, fixture, body)
	local definition = assert(golden.load(script_name, script))
	local messages, tally, problems = golden.map(definition, fixture, body)
	return table.concat(golden.lines(assert(messages, tally), tally, problems), "\n") .. "\n"
end

--- All files of a project, in the order in which one would look at them.
---@param slug string
---@return {name: string, text: string}[]
function project.files(slug)
	local script_name, script = slug .. ".lua", filled(SCRIPT, slug)
	local files = {
		{ name = "README.md", text = filled(README, slug) },
		{ name = script_name, text = script },
		{ name = "events.ndjson", text = filled(EVENTS, slug) },
	}
	local bodies = { ["message.opened.json"] = OPENED, ["contact.updated.json"] = UPDATED }
	for _, fixture in ipairs((golden.fixtures { "contact.updated.json", "message.opened.json" })) do
		local body = bodies[fixture.file]
		files[#files + 1] = { name = "fixtures/" .. fixture.file, text = body }
		files[#files + 1] = { name = "fixtures/" .. fixture.expected_name, text = golden_file(script_name, script, fixture, body) }
	end
	files[#files + 1] = { name = "ci.sh", text = filled(CI, slug) }
	files[#files + 1] = { name = ".gitignore", text = "key\n" }
	return files
end

return project
