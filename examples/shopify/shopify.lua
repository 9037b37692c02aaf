-- Shopify: a shop's orders, checkouts and customers as Segment calls. Set-up and the rule for userId: README.md, beside
-- this file.

local source = require "moonweir.source"
local get = source.get

local address = {
	street = get "default_address.address1",
	city = get "default_address.city",
	state = get "default_address.province",
	postalCode = get "default_address.zip",
	country = get "default_address.country_code",
}

-- [{ "name": "user_id", "value": "u1" }, …]: the value that goes with a name. Some of Shopify's APIs have an object there.
local function value_of(list, member, name)
	local listed = get(list):when(get(list .. "[1]"))
	return source.any(get(list .. "." .. name), listed:filter(get(member):is(name)):map(get "value"):first())
end

-- A hidden property that the shop's theme gives each line of the cart.
local of_line = value_of("properties", "name", "_user_id")

-- Shopify sends money as text: "59.30".
local function products(lines)
	return get(lines):map {
		product_id = get "product_id":string(),
		sku = get "sku":trim(),
		name = get "title",
		variant = get "variant_title",
		brand = get "vendor",
		price = get "price":number(),
		quantity = get "quantity",
	}
end

local amounts = {
	revenue = get "subtotal_price":number(),
	tax = get "total_tax":number(),
	discount = get "total_discounts":number(),
	coupon = get "discount_codes[1].code",
	currency = get "currency",
	affiliation = get.header "X-Shopify-Shop-Domain",
	products = products "line_items",
}

local order = {
	amounts,
	order_id = get "id":string(),
	total = get "total_price":number(),
	shipping = get "total_shipping_price_set.shop_money.amount":number(),
}

local customer = source.identify {
	email = get "email":trim():lower(),
	first_name = get "first_name",
	last_name = get "last_name",
	phone = get "phone",
	address = address,
	created_at = get "created_at":time(),
} :with {
	user = source.user {
		value_of("metafields", "key", "user_id"), get "multipass_identifier",
		email = get "email":trim():lower(), phone = get "phone", tool_id = get "id":string(),
	},
	context = { shopifyCustomerId = get "id":string() },
}

-- Known, not sent, and why.
local ignored = {
	["carts/*"] = "A cart says what is in it, and not what was added or removed.",
	["checkouts/*"] = "The order, or the checkout when it was started, says the same.",
	["customers/*"] = "It's about a record that the shop keeps. Requests under privacy laws have to be answered by you.",
	["draft_orders/*"] = "A draft that's paid becomes an order.",
	["fulfillments/*"] = "It's a step of the delivery.",
	["order_transactions/*"] = "The order or the refund says the same.",
	["orders/*"] = "Another event of the order says the same.",
	["products/*"] = "It's about the catalog.",
	["shop/*"] = "It's about the shop.",
}

local on = {
	["orders/create"] = source.track "Order Completed" {
		order,
		checkout_id = get "checkout_token",
		subtotal = get "subtotal_price":number(),
	},
	["orders/updated"] = source.track "Order Updated" (order),
	["orders/cancelled"] = source.track "Order Cancelled" (order),
	["refunds/create"] = source.track "Order Refunded" {
		order_id = get "order_id":string(),
		total = get "transactions":filter(source.all(get "kind":is "refund", get "status":is "success")):sum(get "amount"),
		currency = get "transactions[1].currency",
		products = get "refund_line_items":map {
			product_id = get "line_item.product_id":string(),
			sku = get "line_item.sku":trim(),
			name = get "line_item.title",
			price = get "line_item.price":number(),
			quantity = get "quantity",
		},
	} :with {
		-- get "user_id" would be the clerk's.
		user = source.user { get "refund_line_items":map(value_of("line_item.properties", "name", "_user_id")):first() },
		-- What is only calculated has no order; what is paid back without items, for shipping or as a favor, names nobody.
		when = source.all(get "order_id", get "refund_line_items[1]"),
	},
	["fulfillments/create"] = source.track "Order Fulfilled" {
		order_id = get "order_id":string(),
		fulfillment_id = get "id":string(),
		status = get "status",
		tracking_company = get "tracking_company",
		tracking_number = get "tracking_number",
		tracking_url = get "tracking_url",
		products = products "line_items",
	},
	["checkouts/create"] = source.track "Checkout Started" {
		amounts,
		checkout_id = get "token",
		value = get "total_price":number(),
	},
	["customers/create"] = customer,
	["customers/update"] = customer,
}
for topic in pairs(ignored) do
	on[topic] = source.ignore
end

return source.define {
	slug = "shopify",
	version = "1.0.0",
	verify = source.verify.shopify { secret = source.secret "SHOPIFY_WEBHOOK_SECRET" },

	event = get.header "X-Shopify-Topic",
	id = get.header "X-Shopify-Webhook-Id",
	time = source.any(get.header "X-Shopify-Triggered-At", get "updated_at", get "created_at"),
	user = source.user {
		value_of("note_attributes", "name", "user_id"),
		get "line_items":map(of_line):first(),
		get "customer.multipass_identifier",
		email = get "email":trim():lower(),
		phone = get "phone",
		tool_id = get "customer.id":string(),
	},
	context = {
		shopifyCustomerId = get "customer.id":string(),
		shopifyShop = get.header "X-Shopify-Shop-Domain",
		ip = get "browser_ip",
		userAgent = get "client_details.user_agent",
		locale = get "customer_locale",
		traits = { email = get "email":trim():lower() },
	},
	on = on,

	about = {
		name = "Shopify",
		website = "https://www.shopify.com",
		description = "a commerce platform for online stores and points of sale",
		support = "help@shopify.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Apps", "Segment", "Settings" },
		regions = { "us", "eu" },
		categories = { "Custom" },
		user = "It's the `user_id` that your store adds to the attributes of the cart, or to its lines as `_user_id`, or else the "
			.. "customer's Multipass identifier: the ID that your own database has for this person. It's never the ID of Shopify's "
			.. "customer record.",

		events = {
			["Order Completed"] = "An order was placed.",
			["Order Updated"] = "An order was changed.",
			["Order Cancelled"] = "An order was canceled.",
			["Order Refunded"] = { "Items of an order were paid back. An order can have several refunds.",
				total = "What was paid back this time.", products = "The items that came back.",
				["products[].quantity"] = "How many of the item came back." },
			["Order Fulfilled"] = { "Items of an order were sent.", products = "The items that were sent.",
				status = "State of the fulfillment, for example `success`." },
			["Checkout Started"] = "A person started a checkout.",
			identify = "A customer record was created, or its data changed.",
		},
		properties = {
			affiliation = "Domain of the store.",
			checkout_id = "Token of the checkout.",
			coupon = "Code of the first discount.",
			currency = "Currency of the store, as an ISO 4217 code.",
			discount = "Discounts on the whole order.",
			fulfillment_id = "ID of the fulfillment.",
			order_id = "ID of the order.",
			products = "What was ordered.",
			["products[].brand"] = "Vendor of the product.",
			["products[].name"] = "Name of the product.",
			["products[].price"] = "Price of 1 piece.",
			["products[].product_id"] = "ID of the product.",
			["products[].quantity"] = "How many of the product were ordered.",
			["products[].sku"] = "Stock number of the variant.",
			["products[].variant"] = "Name of the variant.",
			revenue = "Sum of the items after discounts, without taxes and shipping.",
			shipping = "Cost of shipping.",
			subtotal = "Sum of the items after discounts.",
			tax = "Taxes on the whole order.",
			total = "What's paid for the whole order.",
			tracking_company = "Carrier of the parcel.",
			tracking_number = "Number of the parcel.",
			tracking_url = "Where the parcel can be tracked.",
			value = "What's to be paid.",
		},
		traits = {
			address = "The customer's default address.",
			["address.city"] = "City of the address.",
			["address.country"] = "Country of the address, as a code of 2 letters.",
			["address.postalCode"] = "Postal code of the address.",
			["address.state"] = "Province or state of the address.",
			["address.street"] = "Street and number of the address.",
			created_at = "When the customer record was created.",
			email = "Email address of the customer, in lower case.",
			first_name = "First name of the customer.",
			last_name = "Last name of the customer.",
			phone = "Phone number of the customer.",
		},
		context = {
			ip = "IP address of the buyer.",
			locale = "Language of the buyer.",
			shopifyCustomerId = "ID of Shopify's customer record.",
			shopifyShop = "Domain of the store.",
			["traits.email"] = "Email address of the buyer, in lower case.",
			userAgent = "Browser of the buyer.",
		},
		ignored = ignored,
	},
}
