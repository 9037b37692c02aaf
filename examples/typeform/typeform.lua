-- Typeform: a form that somebody sent becomes `Form Submitted`, and what they gave of themselves an identify.
--
--     moonweir map examples/typeform/typeform.lua examples/typeform/fixtures/survey.json

local source = require "moonweir.source"
local get = source.get

local answers = get "form_response.answers"
local email = answers:map(get "email"):first():lower()
local phone = answers:map(get "phone_number"):first()

return source.define {
	slug = "typeform",
	version = "1.0.0",
	verify = source.verify.typeform { secret = source.secret "TYPEFORM_SECRET" },

	event = get "event_type",
	id = get "event_id",
	time = get "form_response.submitted_at",
	user = source.user {
		-- Typeform shows a form's link with #user_id=xxxxx, to be filled in. Where nobody did, xxxxx is not a user.
		get "form_response.hidden.user_id":except "xxxxx",
		email = email,
		phone = phone,
	},
	context = {
		typeformId = get "form_response.token", -- Typeform knows responses, not people
		traits = { email = email },
		campaign = {
			source = get "form_response.hidden.utm_source",
			medium = get "form_response.hidden.utm_medium",
			name = get "form_response.hidden.utm_campaign",
		},
	},

	on = {
		form_response = {
			source.track "Form Submitted" {
				form_id = get "form_response.form_id",
				form_title = get "form_response.definition.title",
				response_id = get "form_response.token",
				landed_at = get "form_response.landed_at":time(),
				ending_id = get "form_response.ending.id",
				score = get "form_response.calculated.score",
				answers = answers:map {
					field_id = get "field.id",
					field_ref = get "field.ref",
					field_type = get "field.type",
					answer = source.any(
						get "text", get "email", get "phone_number", get "url", get "file_url", get "date",
						get "choice.label", get "choice.other", get "payment.amount", get "number", get "boolean"
					):string(),
					choices = get "choices.labels",
				},
			},
			source.identify { email = email, phone = phone }:with { when = source.any(email, phone) },
		},
		form_response_partial = source.ignore, -- the rest may come, and then comes as a form_response
	},

	about = {
		name = "Typeform",
		website = "https://www.typeform.com",
		description = "a tool for forms and surveys that people like to fill in",
		support = "help@typeform.example", -- this and the menu: whoever runs the source has their own
		write_key_menu = { "Settings", "Integrations", "Segment" },
		regions = { "us", "eu" },
		categories = { "Surveys" },
		user = "It's the hidden field `user_id` of the form: the customer's own database ID of the person, in the form's link.",
		events = {
			["Form Submitted"] = "A person sent a form to its end.",
			identify = "A person gave an email address or a phone number in a form.",
		},
		properties = {
			answers = "What was answered, in the order of the form.",
			["answers[].answer"] = "The answer as text, also where it's a number, a date or `true`.",
			["answers[].choices"] = "The answers, where several could be chosen.",
			["answers[].field_id"] = "ID of the question.",
			["answers[].field_ref"] = "Name of the question, which can be changed in the form.",
			["answers[].field_type"] = "Kind of the question, for example `short_text` or `yes_no`.",
			ending_id = "ID of the ending that the person saw.",
			form_id = "ID of the form.",
			form_title = "Title of the form.",
			landed_at = "When the person opened the form.",
			response_id = "ID of this response.",
			score = "Score of the answers, in forms that count one.",
		},
		traits = {
			email = "Email address that was given in the form, in lower case.",
			phone = "Phone number that was given in the form.",
		},
		context = {
			["campaign.medium"] = "Hidden field `utm_medium` of the form.",
			["campaign.name"] = "Hidden field `utm_campaign` of the form.",
			["campaign.source"] = "Hidden field `utm_source` of the form.",
			["traits.email"] = "Email address that was given in the form, in lower case.",
			typeformId = "ID of the response in Typeform, which has no ID of a person.",
		},
		ignored = { form_response_partial = "The form isn't sent yet: what's missing is still being typed, or never comes." },
	},
}
