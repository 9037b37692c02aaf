--- Shopify: the topic is in a header; the customer's own id rides in the cart's attributes, or in the lines' properties.

local core = require "moonweir.core"
local bodies = require "spec.acceptance.bodies"

-- Files are named "orders-resource" where Shopify documents what several topics send.
local function topic_of(event)
	return event == "customers-resource" and "customers/update"
		or (event:gsub("%-resource$", "/create"):gsub("%.", "/"))
end

local function each_line(event, change)
	for _, line in ipairs(type(event.line_items) == "table" and event.line_items or {}) do
		change(line)
	end
	for _, refunded in ipairs(type(event.refund_line_items) == "table" and event.refund_line_items or {}) do
		if refunded.line_item then -- one that is only calculated has none
			change(refunded.line_item)
		end
	end
end

return {
	headers = function(event)
		return { ["X-Shopify-Topic"] = topic_of(event), ["X-Shopify-Webhook-Id"] = "w1", ["X-Shopify-Shop-Domain"] = "a.example" }
	end,
	with_user = function(text, headers)
		return bodies.change(text, function(event)
			if headers["X-Shopify-Topic"]:find "^customers/" then
				event.metafields = core.array { { namespace = "custom", key = "user_id", value = "u1" } }
			elseif type(event.note_attributes) == "table" then
				event.note_attributes = core.array { { name = "user_id", value = "u1" } }
			else
				each_line(event, function(line)
					line.properties = core.array { { name = "_user_id", value = "u1" } }
				end)
			end
		end)
	end,
}
