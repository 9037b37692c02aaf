--- The life of a mobile app on a device, and the campaigns that bring people to it.

local make = require "moonweir.spec.make"
local event, field, group, object, with = make.event, make.field, make.group, make.object, make.with

local release = {
	version = "string",
	build   = "string",
}

local push = {
	campaign = object {
		name    = "string",
		medium  = "string",
		content = "string",
		source  = field("string", { optional = true }),
	},
}

local tapped = with(push, { action = field("string", { default = "Open" }) })

local link = {
	provider = "string",
	url      = "string",
}

return make.category {
	id = "mobile",
	title = "Mobile",
	page = "src/connections/spec/mobile.md",

	group "lifecycle" {
		event "Application Installed" (release),
		event "Application Opened" (with(release, {
			from_background       = "boolean",
			url                   = "string", -- iOS alone has it
			referring_application = "string",
		})),
		event "Application Backgrounded" {},
		event "Application Foregrounded" {},
		event "Application Updated" (with(release, {
			previous_version = "string",
			previous_build   = "string",
		})),
		event "Application Uninstalled" {},
		event "Application Crashed" {},
	},

	group "campaign" {
		event "Install Attributed" {
			provider = "string",
			campaign = object {
				source      = "string",
				name        = "string",
				medium      = "string",
				content     = "string",
				ad_creative = "string",
				ad_group    = "string",
			},
		},
		event "Push Notification Received" (push),
		event "Push Notification Tapped" (tapped),
		event "Push Notification Bounced" (tapped),
		event "Deep Link Opened" (link),
		event "Deep Link Clicked" (link),
	},
}
