--- The first version of the ecommerce events, which the second has replaced. Old sources still send them.
---
--- The page says of the properties that some destinations cannot do without them.

local make = require "moonweir.spec.make"
local array, event, with = make.array, make.event, make.with

local product = {
	id       = "string", -- now product_id
	sku      = "string",
	name     = "string",
	price    = "number",
	category = "string",
}

local item = with(product, { quantity = "number" })

return make.category {
	id = "ecommerce_v1",
	title = "Ecommerce, version 1",
	page = "src/connections/spec/ecommerce/index.md",
	deprecated = true,
	superseded_by = "ecommerce",

	event "Viewed Product Category" ({ category = "string" }, { replaced_by = "Product List Viewed" }),
	event "Viewed Product" (product, { replaced_by = "Product Viewed" }),
	event "Added Product" (item, { replaced_by = "Product Added" }),
	event "Removed Product" (item, { replaced_by = "Product Removed" }),
	event "Order Completed" ({ -- the name stayed, the properties changed
		orderId  = "string", -- now order_id
		revenue  = "number", -- for some destinations this is total
		shipping = "number",
		tax      = "number",
		discount = "number",
		coupon   = "string",
		currency = "string",
		products = array(item),
	}, { replaced_by = "Order Completed", former = "Completed Order", example = true }),
}
