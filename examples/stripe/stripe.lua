-- Stripe: payments and subscriptions as Segment calls. Set-up and the rule for userId: README.md, beside this file.

local source = require "moonweir.source"
local get = source.get

local function object(path)
	return get("data.object." .. path)
end

local function before(path)
	return get("data.previous_attributes." .. path)
end

-- Stripe counts in cents, and in yen; in hundredths too where it keeps to those that a currency no longer has.
local counted_as = source.any(object "currency":lookup { isk = "usd", ugx = "usd" }, object "currency")

local function money(value)
	return value:money(counted_as)
end

local currency = object "currency":upper()

local plan_id = source.any(object "items.data[1].price.id", object "plan.id")
local plan_name = source.any(object "items.data[1].price.nickname", object "plan.nickname", plan_id)

local order = source.track "Order Completed" {
	order_id = source.any(object "payment_intent", object "id"),
	checkout_id = object "id",
	total = money(object "amount_total"),
	subtotal = money(object "amount_subtotal"),
	shipping = money(object "total_details.amount_shipping"),
	tax = money(object "total_details.amount_tax"),
	discount = money(object "total_details.amount_discount"),
	currency = currency,
} :with { when = source.all(object "mode":is "payment", object "payment_status":is("paid", "no_payment_required")) }

local customer = source.identify {
	email = object "email",
	name = object "name",
	phone = object "phone",
	address = {
		street = object "address.line1",
		city = object "address.city",
		state = object "address.state",
		postalCode = object "address.postal_code",
		country = object "address.country",
	},
	created_at = object "created":time(),
} :with { context = { stripeCustomerId = object "id" } }

local trial = {
	trial_start_date = object "trial_start":time(),
	trial_end_date = object "trial_end":time(),
	trial_plan_name = plan_name,
}

local subscription = {
	subscription_id = object "id",
	plan_id = plan_id,
	plan_name = plan_name,
	status = object "status",
	quantity = source.any(object "items.data[1].quantity", object "quantity"),
	cancel_at_period_end = object "cancel_at_period_end",
}

local invoice = {
	invoice_id = object "id",
	invoice_number = object "number",
	billing_reason = object "billing_reason",
	subscription_id = source.any(object "subscription", object "parent.subscription_details.subscription"),
	amount_due = money(object "amount_due"),
	amount_paid = money(object "amount_paid"),
	attempt_count = object "attempt_count",
	currency = currency,
}

-- Known, not sent, and why.
local not_sent = {
	["A thin event names an object, and doesn't hold it."] = "v1 v2",
	["It's a step on the way to the payment, which the order or the invoice reports."] = "invoice invoiceitem payment_intent quote",
	["It's about Stripe's own pages and meters."] = "billing billing_portal",
	["It's about the business's own account."] =
		"account application_fee balance file payout radar reporting review tax topup transfer",
	["It's about the catalog."] = "coupon payment_link plan price product promotion_code tax_rate",
	["It's about the means of payment, or about records that the business keeps."] =
		"customer mandate payment_method setup_intent source",
	["Nothing has been paid."] = "checkout.session",
	["The order or the invoice says the same. A dispute doesn't say whose payment it's about."] = "charge",
	["The subscription itself reports what changes."] = "subscription_schedule",
	["`charge.refunded` reports what was paid back."] = "credit_note refund",
}

local on = {
	["checkout.session.completed"] = order,
	["checkout.session.async_payment_succeeded"] = order,
	["charge.refunded"] = source.track "Order Refunded" {
		order_id = source.any(object "payment_intent", object "id"),
		-- Stripe gives the sum of all refunds so far.
		total = money(object "amount_refunded" - before "amount_refunded":default(0)),
		currency = currency,
	},
	["payment_intent.canceled"] = source.track "Order Cancelled" {
		order_id = object "id",
		total = money(object "amount"),
		currency = currency,
	},
	["payment_intent.payment_failed"] = source.track "Payment Failed" {
		payment_id = object "id",
		amount = money(object "amount"),
		currency = currency,
		reason = source.any(object "last_payment_error.decline_code", object "last_payment_error.code"),
	} :with { when = source.none(object "invoice") }, -- invoice.payment_failed says it then

	["customer.created"] = customer,
	["customer.updated"] = customer,

	["customer.subscription.created"] = {
		source.track "Subscription Created" (subscription),
		source.track "Trial Started" (trial) :with { when = object "status":is "trialing" },
	},
	["customer.subscription.updated"] = {
		source.track "Subscription Updated" (subscription)
			:with { when = source.any(before "status", before "items", before "plan", before "quantity") },
		source.track "Trial Ended" (trial) :with { when = before "status":is "trialing" },
	},
	["customer.subscription.deleted"] = {
		source.track "Subscription Cancelled" { subscription, cancellation_reason = object "cancellation_details.reason" },
		source.track "Trial Ended" (trial) :with { when = object "trial_end":above(object "ended_at") },
	},
	["customer.subscription.trial_will_end"] = source.track "Trial Expiring Soon" (trial),

	["invoice.paid"] = source.track "Invoice Paid" (invoice) :with { when = object "amount_paid":above(0) }, -- a trial's is of 0
	["invoice.payment_failed"] = source.track "Invoice Payment Failed" (invoice),
}
local ignored = {}
for why, objects in pairs(not_sent) do
	for object_name in objects:gmatch "%S+" do
		on[object_name .. ".*"], ignored[object_name .. ".*"] = source.ignore, why
	end
end

local email = source.any(object "customer_details.email", object "customer_email", object "receipt_email",
	object "billing_details.email", object "email")

return source.define {
	slug = "stripe",
	version = "1.0.0",
	verify = source.verify.stripe { secret = source.secret "STRIPE_WEBHOOK_SECRET" },

	event = get "type",
	id = get "id",
	time = get "created",
	user = source.user {
		object "client_reference_id",
		object "metadata.user_id",
		object "subscription_details.metadata.user_id",
		object "parent.subscription_details.metadata.user_id",
		email = email,
		tool_id = source.any(object "customer", object "id"),
	},
	context = {
		stripeCustomerId = object "customer",
		stripeAccountId = get "account",
		traits = { email = email },
	},
	on = on,

	about = {
		name = "Stripe",
		website = "https://stripe.com",
		description = "a payments platform for online businesses, with checkout pages, invoices, and subscriptions",
		support = "help@stripe.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Segment" },
		regions = { "us", "eu" },
		categories = { "Payments" },
		user = "It's the `client_reference_id` of the checkout session, or else the `user_id` in the metadata of the object or of its "
			.. "subscription: the ID that your own database has for this person. It's never the ID of Stripe's customer object.",

		events = {
			["Order Completed"] = "A checkout session was paid for.",
			["Order Refunded"] = { "A payment was refunded, in full or in part.", total = "What was paid back this time." },
			["Order Cancelled"] = "A payment was canceled before it was made.",
			["Payment Failed"] = { "A payment that doesn't belong to an invoice failed.",
				amount = "What was to be paid.", reason = "Why the bank declined it, as Stripe's code." },
			["Subscription Created"] = "A subscription was created.",
			["Subscription Updated"] = "The plan, the quantity, or the status of a subscription changed.",
			["Subscription Cancelled"] = "A subscription came to its end.",
			["Trial Started"] = "A subscription began with a trial.",
			["Trial Ended"] = "A trial ended, because it was over or because the subscription was canceled.",
			["Trial Expiring Soon"] = "A trial ends in 3 days.",
			["Invoice Paid"] = "An invoice was paid. An invoice of which nothing had to be paid isn't sent.",
			["Invoice Payment Failed"] = "The payment of an invoice failed.",
			identify = "A customer object was created, or its data changed.",
		},
		properties = {
			amount_due = "Amount of the invoice.",
			amount_paid = "What was paid of the invoice so far.",
			attempt_count = "How often the payment was tried.",
			billing_reason = "Why the invoice was made, for example `subscription_cycle`.",
			cancel_at_period_end = "Whether the subscription ends with the period that's paid for.",
			cancellation_reason = "Why the subscription was canceled, as Stripe's code.",
			checkout_id = "ID of the checkout session.",
			currency = "Currency, as an ISO 4217 code.",
			discount = "Discount on the whole order.",
			invoice_id = "ID of the invoice.",
			invoice_number = "Number of the invoice, as the person sees it.",
			order_id = "ID of the payment intent. Without one, it's the ID of the checkout session or the charge.",
			payment_id = "ID of the payment intent.",
			plan_id = "ID of the price that's subscribed to.",
			plan_name = "Name of the price that's subscribed to, or its ID.",
			quantity = "How many units are subscribed to.",
			shipping = "Cost of shipping.",
			status = "Status of the subscription, for example `active`.",
			subscription_id = "ID of the subscription.",
			subtotal = "Sum of the items, before discounts and taxes.",
			tax = "Taxes on the whole order.",
			total = "What was paid for the whole order, in its currency.",
			trial_end_date = "When the trial ends.",
			trial_plan_name = "Name of the price that's tried, or its ID.",
			trial_start_date = "When the trial began.",
		},
		traits = {
			address = "Postal address of the customer.",
			["address.city"] = "City of the address.",
			["address.country"] = "Country of the address, as a code of 2 letters.",
			["address.postalCode"] = "Postal code of the address.",
			["address.state"] = "State of the address.",
			["address.street"] = "Street and number of the address.",
			created_at = "When the customer object was created.",
			email = "Email address of the customer.",
			name = "Name of the customer.",
			phone = "Phone number of the customer.",
		},
		context = {
			stripeAccountId = "ID of the connected account, if Stripe Connect is used.",
			stripeCustomerId = "ID of Stripe's customer object.",
			["traits.email"] = "Email address that the payment was made with.",
		},
		ignored = ignored,
	},
}
