--- subject -- which property says what an event of the Spec is about, so that it can be joined with others.
---
--- No page calls a property of an event required (see spec/init.lua); these are the ones without which an event is of little
--- use: of products the page on tracking plans says that destinations ignore them.

local spec = require "moonweir.spec"
local value = require "moonweir.check.value"

local subject = {}

local function any_of(...)
	return { ... }
end

-- By the first that is a property of the event. An event in `by_event` is not looked up by category.
local by_category = {
	email      = any_of "email_id",
	live_chat  = any_of "conversation_id",
	ab_testing = any_of "experiment_id",
	video      = any_of "session_id",
	copilot    = any_of "conversationId",
}

local by_event = {
	["Unsubscribed"]               = any_of("email_id", "list_id"),
	["Promotion Viewed"]           = any_of "promotion_id",
	["Promotion Clicked"]          = any_of "promotion_id",
	["Product Clicked"]            = any_of("product_id", "sku"),
	["Product Viewed"]             = any_of("product_id", "sku"),
	["Product Added"]              = any_of("product_id", "sku"),
	["Product Removed"]            = any_of("product_id", "sku"),
	["Product Added to Wishlist"]  = any_of("product_id", "sku"),
	["Product Removed from Wishlist"] = any_of("product_id", "sku"),
	["Wishlist Product Added to Cart"] = any_of("product_id", "sku"),
	["Product Shared"]             = any_of("product_id", "sku"),
	["Product Reviewed"]           = any_of "product_id",
	["Order Updated"]              = any_of "order_id",
	["Order Completed"]            = any_of "order_id",
	["Order Refunded"]             = any_of "order_id",
	["Order Cancelled"]            = any_of "order_id",
	["Coupon Entered"]             = any_of "coupon_id",
	["Coupon Applied"]             = any_of "coupon_id",
	["Coupon Denied"]              = any_of "coupon_id",
	["Coupon Removed"]             = any_of "coupon_id",
	["Video Quality Updated"]      = {},
}

local PRODUCT = any_of("product_id", "sku")

local function has_one(object, names)
	for _, field in ipairs(names) do
		local v = object[field]
		if v ~= nil and v ~= "" and value.kind(v) ~= "null" then
			return true
		end
	end
	return #names == 0
end

--- The properties of which an event should have one.
---@param event moonweir.spec.Event
---@return string[]
function subject.of(event)
	return by_event[event.name] or by_category[event.category] or {}
end

-- Of products there is a page that says so; of the others, the event's own has the property.
local function source_of(event)
	local minimum = spec.category(event.category).minimum
	return spec.url(minimum and minimum.page or event.page)
end

---@param findings moonweir.check.Findings
---@param event moonweir.spec.Event
---@param properties table
function subject.check(findings, event, properties)
	local names = subject.of(event)
	if not has_one(properties, names) then
		local listed = table.concat(names, " or ")
		findings:add("property-id-missing", "properties." .. names[1], ("%s has no %s"):format(event.name, listed),
			("send %s"):format(listed),
			{ source = source_of(event) })
	end
	local products = event.properties.products and value.kind(properties.products) == "array" and properties.products
	for i, product in ipairs(products and not value.is_later(products) and products or {}) do
		if value.members(product) and not has_one(product, PRODUCT) then
			findings:add("property-id-missing", ("properties.products[%d].product_id"):format(i), "the product has no product_id or sku",
				"send product_id or sku", { source = source_of(event) })
		end
	end
end

return subject
