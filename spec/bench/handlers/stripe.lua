--- A handler for Stripe's webhooks in plain Lua, without Moonweir's mapping language: what examples/stripe/stripe.lua says,
--- written as somebody writes it who has a JSON library, an HMAC and a function that sends. It makes the same calls of the
--- same events (spec/handlers_spec.lua), and is kept to compare its length (spec/bench/length.lua).

local cjson = require "cjson"

local handler = {}

local TOLERANCE = 300 -- seconds

-- Verification --------------------------------------------------------------------------------------------

local function same_text(a, b)
	if #a ~= #b then
		return false
	end
	local difference = 0
	for i = 1, #a do
		difference = difference + (a:byte(i) == b:byte(i) and 0 or 1)
	end
	return difference == 0
end

--- hmac(key, text) gives lower-case hex.
function handler.verify(header, body, secret, now, hmac)
	local timestamp, signatures = nil, {}
	for name, value in (header or ""):gmatch "([^,=%s]+)=([^,]*)" do
		if name == "t" then
			timestamp = value
		elseif name == "v1" then
			table.insert(signatures, value)
		end
	end
	if not tonumber(timestamp) or #signatures == 0 then
		return nil, "unsigned"
	elseif math.abs(now - tonumber(timestamp)) > TOLERANCE then
		return nil, "stale"
	end
	local expected = hmac(secret, timestamp .. "." .. body)
	for _, signature in ipairs(signatures) do
		if same_text(signature, expected) then
			return true
		end
	end
	return nil, "forged"
end

-- Helpers --------------------------------------------------------------------------------------------------

-- nil for what is absent, null or an empty text.
local function present(value)
	if value == nil or value == cjson.null or value == "" then
		return nil
	end
	return value
end

local function dig(value, ...)
	for i = 1, select("#", ...) do
		if type(value) ~= "table" then
			return nil
		end
		value = value[(select(i, ...))]
	end
	if value == cjson.null then
		return nil
	end
	return value
end

local function first(...)
	for i = 1, select("#", ...) do
		local value = present((select(i, ...)))
		if value ~= nil then
			return value
		end
	end
	return nil
end

local function iso8601(seconds)
	if not present(seconds) then
		return nil
	end
	return os.date("!%Y-%m-%dT%H:%M:%S.000Z", seconds)
end

local decimals = {}
for code in ("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UYI VND VUV XAF XOF XPF"):gmatch "%u+" do
	decimals[code] = 0
end
for code in ("BHD IQD JOD KWD LYD OMR TND"):gmatch "%u+" do
	decimals[code] = 3
end

local function currency_of(object)
	local currency = dig(object, "currency")
	return currency and currency:upper()
end

local function money(amount, object)
	if amount == nil or amount == cjson.null then
		return nil
	end
	return amount / 10 ^ (decimals[currency_of(object)] or 2)
end

-- Whose event it is, and the call around it ------------------------------------------------------------------

local function user_of(object)
	return first(
		dig(object, "client_reference_id"),
		dig(object, "metadata", "user_id"),
		dig(object, "subscription_details", "metadata", "user_id"),
		dig(object, "parent", "subscription_details", "metadata", "user_id")
	)
end

local function email_of(object)
	return first(
		dig(object, "customer_details", "email"),
		dig(object, "customer_email"),
		dig(object, "receipt_email"),
		dig(object, "billing_details", "email"),
		dig(object, "email")
	)
end

local function context_of(event, object)
	local email = email_of(object)
	return {
		stripeCustomerId = dig(object, "object") == "customer" and object.id or present(dig(object, "customer")),
		stripeAccountId = present(event.account),
		traits = email and { email = email } or nil,
		integration = { name = "stripe", version = "1.0.0" },
	}
end

-- Each handler gets `emit`, to be called any number of times.
local function emitter(event, object, account, calls)
	local count = 0
	return function(kind, name, payload)
		local user = user_of(object)
		if not user then
			error({ code = "no_user", message = event.type .. ": the event names no user" })
		end
		table.insert(calls, {
			type = kind,
			event = name,
			userId = user,
			messageId = ("stripe:%s:%s:%d"):format(account, event.id, count),
			timestamp = iso8601(event.created),
			context = context_of(event, object),
			[kind == "identify" and "traits" or "properties"] = payload,
		})
		count = count + 1
	end, function()
		count = count + 1
	end
end

-- Payloads -----------------------------------------------------------------------------------------------------

local function plan_of(object)
	local item = dig(object, "items", "data", 1)
	local id = first(dig(item, "price", "id"), dig(object, "plan", "id"))
	local name = first(dig(item, "price", "nickname"), dig(object, "plan", "nickname"), id)
	local quantity = first(dig(item, "quantity"), dig(object, "quantity"))
	return id, name, quantity
end

local function subscription_of(object)
	local plan_id, plan_name, quantity = plan_of(object)
	return {
		subscription_id = dig(object, "id"),
		plan_id = plan_id,
		plan_name = plan_name,
		status = dig(object, "status"),
		quantity = quantity,
		cancel_at_period_end = dig(object, "cancel_at_period_end"),
	}
end

local function trial_of(object)
	local _, plan_name = plan_of(object)
	return {
		trial_start_date = iso8601(dig(object, "trial_start")),
		trial_end_date = iso8601(dig(object, "trial_end")),
		trial_plan_name = plan_name,
	}
end

local function invoice_of(object)
	return {
		invoice_id = dig(object, "id"),
		invoice_number = dig(object, "number"),
		billing_reason = dig(object, "billing_reason"),
		subscription_id = first(dig(object, "subscription"), dig(object, "parent", "subscription_details", "subscription")),
		amount_due = money(dig(object, "amount_due"), object),
		amount_paid = money(dig(object, "amount_paid"), object),
		attempt_count = dig(object, "attempt_count"),
		currency = currency_of(object),
	}
end

local function address_of(object)
	local address = {
		street = dig(object, "address", "line1"),
		city = dig(object, "address", "city"),
		state = dig(object, "address", "state"),
		postalCode = dig(object, "address", "postal_code"),
		country = dig(object, "address", "country"),
	}
	return next(address) and address or nil
end

-- Events -------------------------------------------------------------------------------------------------------

local handlers = {}

handlers["checkout.session.completed"] = function(object, _, emit)
	local status = dig(object, "payment_status")
	if dig(object, "mode") ~= "payment" or (status ~= "paid" and status ~= "no_payment_required") then
		return
	end
	emit("track", "Order Completed", {
		order_id = first(dig(object, "payment_intent"), dig(object, "id")),
		checkout_id = dig(object, "id"),
		total = money(dig(object, "amount_total"), object),
		subtotal = money(dig(object, "amount_subtotal"), object),
		shipping = money(dig(object, "total_details", "amount_shipping"), object),
		tax = money(dig(object, "total_details", "amount_tax"), object),
		discount = money(dig(object, "total_details", "amount_discount"), object),
		currency = currency_of(object),
	})
end
handlers["checkout.session.async_payment_succeeded"] = handlers["checkout.session.completed"]

handlers["charge.refunded"] = function(object, previous, emit)
	local so_far = dig(object, "amount_refunded")
	emit("track", "Order Refunded", {
		order_id = first(dig(object, "payment_intent"), dig(object, "id")),
		total = so_far and money(so_far - (dig(previous, "amount_refunded") or 0), object),
		currency = currency_of(object),
	})
end

handlers["payment_intent.canceled"] = function(object, _, emit)
	emit("track", "Order Cancelled", {
		order_id = dig(object, "id"),
		total = money(dig(object, "amount"), object),
		currency = currency_of(object),
	})
end

handlers["payment_intent.payment_failed"] = function(object, _, emit)
	if present(dig(object, "invoice")) then
		return
	end
	emit("track", "Payment Failed", {
		payment_id = dig(object, "id"),
		amount = money(dig(object, "amount"), object),
		currency = currency_of(object),
		reason = first(dig(object, "last_payment_error", "decline_code"), dig(object, "last_payment_error", "code")),
	})
end

handlers["customer.created"] = function(object, _, emit)
	emit("identify", nil, {
		email = dig(object, "email"),
		name = dig(object, "name"),
		phone = dig(object, "phone"),
		address = address_of(object),
		created_at = iso8601(dig(object, "created")),
	})
end
handlers["customer.updated"] = handlers["customer.created"]

handlers["customer.subscription.created"] = function(object, _, emit)
	emit("track", "Subscription Created", subscription_of(object))
	if dig(object, "status") == "trialing" then
		emit("track", "Trial Started", trial_of(object))
	end
end

handlers["customer.subscription.updated"] = function(object, previous, emit, skip)
	local changed = dig(previous, "status") or dig(previous, "items") or dig(previous, "plan") or dig(previous, "quantity")
	if changed then
		emit("track", "Subscription Updated", subscription_of(object))
	else
		skip() -- ids of calls are by their place
	end
	if dig(previous, "status") == "trialing" then
		emit("track", "Trial Ended", trial_of(object))
	end
end

handlers["customer.subscription.deleted"] = function(object, _, emit)
	local subscription = subscription_of(object)
	subscription.cancellation_reason = dig(object, "cancellation_details", "reason")
	emit("track", "Subscription Cancelled", subscription)
	local trial_end, ended_at = dig(object, "trial_end"), dig(object, "ended_at")
	if trial_end and ended_at and trial_end > ended_at then
		emit("track", "Trial Ended", trial_of(object))
	end
end

handlers["customer.subscription.trial_will_end"] = function(object, _, emit)
	emit("track", "Trial Expiring Soon", trial_of(object))
end

handlers["invoice.paid"] = function(object, _, emit)
	local paid = dig(object, "amount_paid")
	if paid and paid > 0 then
		emit("track", "Invoice Paid", invoice_of(object))
	end
end

handlers["invoice.payment_failed"] = function(object, _, emit)
	emit("track", "Invoice Payment Failed", invoice_of(object))
end

local ignored = {
	"account.", "application_fee.", "balance.", "billing.", "billing_portal.", "charge.", "checkout.session.",
	"coupon.", "credit_note.", "customer.", "file.", "invoice.", "invoiceitem.", "mandate.", "payment_intent.",
	"payment_link.", "payment_method.", "payout.", "plan.", "price.", "product.", "promotion_code.", "quote.",
	"radar.", "refund.", "reporting.", "review.", "setup_intent.", "source.", "subscription_schedule.", "tax.",
	"tax_rate.", "topup.", "transfer.", "v1.", "v2.",
}

local function is_ignored(kind)
	for _, prefix in ipairs(ignored) do
		if kind:sub(1, #prefix) == prefix then
			return true
		end
	end
	return false
end

--- The Segment calls that one body makes.
---@param body string
---@param account string
---@return table[]|nil calls
---@return string? message
---@return string? code
function handler.map(body, account)
	local ok, event = pcall(cjson.decode, body)
	if not ok or type(event) ~= "table" then
		return nil, "the body is not JSON", "json"
	elseif not present(event.type) then
		return nil, "the event has no type", "no_event"
	end
	local handle = handlers[event.type]
	if not handle then
		if is_ignored(event.type) then
			return {}
		end
		return nil, "there is no handler for " .. event.type, "unmatched"
	end
	local calls = {}
	local object = dig(event, "data", "object")
	local emit, skip = emitter(event, object, account, calls)
	local done, failure = pcall(handle, object, dig(event, "data", "previous_attributes"), emit, skip)
	if not done then
		return nil, type(failure) == "table" and failure.message or tostring(failure),
			type(failure) == "table" and failure.code or "mapping"
	end
	return calls
end

return handler
