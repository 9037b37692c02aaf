--- Accounts, sign-ups, invitations and trials of a service that companies use.

local make = require "moonweir.spec.make"
local event, field = make.event, make.field

-- Each event may say whose account it is.
local account = { context = { groupId = "string" } }

local trial = {
	trial_start_date = field("date", { format = "iso8601" }),
	trial_end_date   = field("date", { format = "iso8601" }),
	trial_plan_name  = "string",
}

return make.category {
	id = "b2b",
	title = "B2B SaaS",
	page = "src/connections/spec/b2b-saas.md",

	event "Account Created" ({ account_name = "string" }, account),
	event "Account Deleted" ({ account_name = "string" }, account),
	event "Account Added User" ({ role = "string" }, account),
	event "Account Removed User" ({}, account),
	event "Signed Up" ({
		type       = "string",
		first_name = "string",
		last_name  = "string",
		email      = "string",
		phone      = "string",
		username   = "string",
		title      = "string",
	}, account),
	event "Signed In" ({ username = "string" }, account),
	event "Signed Out" ({ username = "string" }, account),
	event "Invite Sent" ({
		invitee_email      = "string",
		invitee_first_name = "string",
		invitee_last_name  = "string",
		invitee_role       = "string",
	}, account),
	event "Trial Started" (trial, account),
	event "Trial Ended" (trial, account),
}
