--- Nothing that Segment drops in silence goes unnoticed: over all codes of moonweir.spec.drops, so that none is forgotten.

local batch = require "moonweir.check.batch"
local calls = require "spec.support.calls"
local core = require "moonweir.core"
local message = require "moonweir.check.message"
local rules = require "moonweir.check.rules"
local spec = require "moonweir.spec"

local right, context, decoded, find, list = calls.right, calls.context, calls.decoded, calls.find, calls.list

local function without(field)
	local made = right()
	made[field] = nil
	return made
end

describe("what Segment drops in silence", function()
	-- By code: what has it, and where it is to be found. "source" are the customer's settings, which nobody but Segment knows.
	local wrong = {
		no_user_anon_id = without "userId", id_required = right { type = "identify", userId = nil },
		id_not_string = right { userId = 17 }, event_not_defined = without "event", event_not_string = right { event = 5 },
		properties_not_object = right { properties = core.array {} },
		traits_not_object = right { type = "identify", traits = core.array {} },
		name_not_string = right { type = "page", name = "" }, category_not_string = right { type = "page", category = 5 },
		device_advertisingid_should_be_string = right { context = context { device = { advertisingId = 5 } } },
		consent_categorypreferences_should_exist = right { event = "Segment Consent Preference Updated" },
		consent_categorypreferences_fields_should_be_object = right {
			context = context { consent = { categoryPreferences = { "a" } } } },
		consent_categorypreferences_fields_should_be_bool = right {
			context = context { consent = { categoryPreferences = { a = 1 } } } },
		consent_version_should_be_number = right {
			context = context { consent = { version = "1", categoryPreferences = { a = true } } } },
	}
	wrong.id_required.userId = nil
	local batches = {
		empty_batch = { batch = core.array {} },
		empty_batch_result = { batch = { wrong.id_not_string, wrong.event_not_string } },
		multi_user_error = { batch = { right(), wrong.event_not_string } },
	}
	local settings = { source_disabled = true, locked_workspace = true }

	it("is found under Segment's own code, for every code there is", function()
		for code, drop in pairs(spec.drops.ingest) do
			local finding
			local found = wrong[code] and message.check(decoded(wrong[code]))
				or batches[code] and batch.check(decoded(batches[code])) or {}
			for _, one in ipairs(found) do
				if one.code == code or rules.by_name[one.rule].also == code then
					finding = one
				end
			end
			if settings[code] then
				assert.equal("source", drop.what, code)
			else
				assert.is_table(finding, code .. " is not found")
				assert.equal("error", finding.severity, code)
			end
		end
	end)

	it("and has no code is found, but for what nobody can see from here", function()
		local too_many = { batch = {} }
		for i = 1, 2501 do
			too_many.batch[i] = right { messageId = "m" .. i }
		end
		local too_many_properties = {}
		for i = 1, 10001 do
			too_many_properties["p" .. i] = i
		end
		local rule_of = {
			repeated_message_id = { "message-id-repeated", batch.check(decoded { batch = { right(), right() } }) },
			too_many_events = { "batch-too-long", batch.check(decoded(too_many)) },
			too_many_properties = { "too-many-properties", message.check(decoded(right { properties = too_many_properties })) },
			reserved_column = { "reserved-column", message.check(decoded(right { properties = { user_id = "1" } })) },
		}
		local invisible = { wrong_region = true, suppressed_user = true }
		for code in pairs(spec.drops.unseen) do
			assert.is_true(invisible[code] or find(rule_of[code][2], rule_of[code][1]) ~= nil, code)
		end
		for code, drop in pairs(spec.drops.filtered) do
			assert.equal("source", drop.what, code)
		end
	end)

	it("takes context from beside the calls of a batch", function()
		local call = right()
		call.context = nil
		local found, each = batch.check(decoded { batch = { call }, context = right().context })
		assert.equal("", list(found))
		assert.equal("", list(each[1]))
	end)
end)
