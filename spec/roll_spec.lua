--- core.roll: who is known while fixtures are mapped.

local core = require "moonweir.core"
local compile = require "moonweir.compile"
local source = require "moonweir.source"

local get = source.get

-- "u1" or "- a1" of the one message that is made of `event`; or the code of what failed.
local function who(roll, event)
	local map = assert(compile(source.define {
		slug = "tool", version = "1.0.0", event = get "type", missing_user = "anonymous",
		user = source.user { email = get "email", phone = get "phone", tool_id = get "id" },
		on = { x = source.track "X" {} },
	}))
	local messages, _, problems = core.mapper(map, { identities = roll }):map(event, { account = "a" })
	local made = messages[1] and core.decode(messages[1].message)
	return made and (made.userId or "- " .. made.anonymousId) or problems[1].code
end

local function fact(kind, id, user, more)
	local made = { account = "a", kind = kind, id = id, user = user }
	for name, value in pairs(more or {}) do
		made[name] = value
	end
	return made
end

describe("core.roll", function()
	it("knows a user by what the facts name, as the store compares it", function()
		local roll = core.roll {
			fact("email", "Ann@example.com", "u1"), fact("phone", "+1 555 0100", "u2"), fact("tool_id", "9007199254740993", "u3"),
		}
		collectgarbage()
		assert.equal("u1", who(roll, '{"type":"x","email":" ann@EXAMPLE.com"}'))
		assert.equal("u2", who(roll, '{"type":"x","phone":"+1-555-0100"}'))
		assert.equal("u3", who(roll, '{"type":"x","id":9007199254740993}'))
		assert.equal("no_user", who(roll, '{"type":"x","id":9007199254740992}'))
	end)

	it("takes the later of two facts, and an anonymousId where no userId is known", function()
		assert.equal("u2", who(core.roll { fact("email", "a@x.example", "u1"), fact("email", "A@x.example", "u2") },
			'{"type":"x","email":"a@x.example"}'))
		assert.equal("- a1", who(core.roll { fact("email", "a@x.example", "a1", { fallback = true }) },
			'{"type":"x","email":"a@x.example"}'))
	end)

	it("keeps accounts apart, and may be empty", function()
		local other = core.roll { fact("email", "a@x.example", "u1", { account = "b" }) }
		assert.equal("- a@x.example", who(other, '{"type":"x","email":"a@x.example"}'))
		assert.equal("no_user", who(core.roll {}, '{"type":"x","id":1}'))
	end)

	it("keeps the texts that it was given", function()
		local facts = {}
		for i = 1, 200 do
			facts[i] = fact("tool_id", ("id %d"):format(i), ("user %d"):format(i))
		end
		local roll = core.roll(facts)
		facts = nil -- luacheck: ignore
		for _ = 1, 3 do
			collectgarbage()
		end
		assert.equal("user 1", who(roll, '{"type":"x","id":"id 1"}'))
		assert.equal("user 200", who(roll, '{"type":"x","id":"id 200"}'))
	end)

	it("says what is no fact", function()
		for message, facts in pairs {
			["a fact's user is a text, not a nil"] = { { account = "a", kind = "email", id = "x" } },
			["a fact's id is a text, not a table"] = { { account = "a", kind = "email", id = {}, user = "u" } },
			["a fact's kind is email, phone"] = { { account = "a", kind = "mail", id = "x", user = "u" } },
			["table expected"] = { "x" },
		} do
			local ok, why = pcall(core.roll, facts)
			assert.is_false(ok)
			assert.matches(message, why, 1, true)
		end
	end)
end)
