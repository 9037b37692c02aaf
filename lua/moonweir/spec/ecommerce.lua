--- A shop: from looking at products to the order and what comes after it.

local make = require "moonweir.spec.make"
local array, event, field, group, with = make.array, make.event, make.field, make.group, make.with

local described = {
	product_id = "string",
	sku        = "string",
	category   = "string",
	name       = "string",
	brand      = "string",
	variant    = "string",
	price      = "number",
	url        = "string",
	image_url  = "string",
}

-- A product where it can be bought. The same fields stand in an event about one product and in `products`.
local product = with(described, {
	quantity = "number",
	coupon   = "string",
	position = "number",
})

local amounts = {
	revenue  = "number",
	shipping = "number",
	tax      = "number",
	discount = "number",
	coupon   = "string",
	currency = "string",
}

local order = with(amounts, {
	order_id    = "string",
	affiliation = "string",
	total       = "number",
	products    = array(product),
})

local promotion = {
	promotion_id = "string",
	creative     = "string",
	name         = "string",
	position     = "string",
}

local step = {
	checkout_id     = "string",
	step            = "number",
	shipping_method = "string",
	payment_method  = "string",
}

local criterion = {
	type  = "string",
	value = "string",
}

local coupon = {
	order_id  = field("string", { optional = true }),
	cart_id   = field("string", { optional = true }),
	coupon_id = "string",
}

local named_coupon = with(coupon, { coupon_name = "string" })

local wishlist = {
	wishlist_id   = "string",
	wishlist_name = "string",
}

local share = {
	share_via     = "string",
	share_message = "string",
	recipient     = "string",
}

return make.category {
	id = "ecommerce",
	title = "Ecommerce",
	page = "src/connections/spec/ecommerce/v2.md",
	minimum = {
		page = "src/connections/spec/ecommerce-tracking-plan.md",
		properties = { "product_id", "sku", "price", "quantity", "currency" },
	},

	group "browsing" {
		event "Products Searched" { query = "string|object" },
		event "Product List Viewed" {
			list_id  = "string",
			category = "string",
			products = array(product),
		},
		event "Product List Filtered" {
			list_id  = "string",
			category = "string",
			filters  = array(criterion),
			sorts    = array(criterion),
			products = array(product),
		},
	},

	group "promotions" {
		event "Promotion Viewed" (promotion),
		event "Promotion Clicked" (promotion),
	},

	group "core-ordering" {
		event "Product Clicked" (product),
		event "Product Viewed" (with(product, { currency = "string", value = "number" })),
		event "Product Added" (with(product, { cart_id = "string" })),
		event "Product Removed" (with(product, { cart_id = "string" })),
		event "Cart Viewed" { cart_id = "string", products = array(product) },
		event "Checkout Started" (with(amounts, {
			order_id    = "string",
			affiliation = "string",
			value       = "number",
			products    = array(product),
		})),
		event "Checkout Step Viewed" (step),
		event "Checkout Step Completed" (step),
		event "Payment Info Entered" (with(step, { order_id = field("string", { optional = true }) })),
		event "Order Updated" (order),
		event "Order Completed" (with(order, { checkout_id = "string", subtotal = "number" })),
		event "Order Refunded" ({ -- the table has order_id alone; the prose asks for every item of the order, the example sends three
			order_id = "string",
			total    = field("number", { example = true }),
			currency = field("string", { example = true }),
			products = array(product, { example = true }),
		}, { properties_of = "Order Completed" }),
		event "Order Cancelled" (order),
	},

	group "coupons" {
		event "Coupon Entered" (coupon),
		event "Coupon Applied" (with(named_coupon, { discount = "number" })),
		event "Coupon Denied" (with(named_coupon, { reason = "string" })),
		event "Coupon Removed" (with(named_coupon, { discount = "number" })),
	},

	group "wishlisting" {
		event "Product Added to Wishlist" (with(product, wishlist)),
		event "Product Removed from Wishlist" (with(product, wishlist)),
		event "Wishlist Product Added to Cart" (with(product, wishlist, { cart_id = "string" })),
	},

	group "sharing" {
		event "Product Shared" (with(described, share)),
		event "Cart Shared" (with(share, {
			cart_id  = "string",
			products = array { product_id = "string" },
		})),
	},

	group "reviewing" {
		event "Product Reviewed" {
			product_id  = "string",
			review_id   = "string",
			review_body = "string",
			rating      = "string", -- so the table says, and its example has "5"
		},
	},
}
