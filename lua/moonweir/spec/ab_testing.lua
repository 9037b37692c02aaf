--- Which variation of an experiment a person saw.

local make = require "moonweir.spec.make"
local event = make.event

return make.category {
	id = "ab_testing",
	title = "A/B testing",
	page = "src/connections/spec/ab-testing.md",
	audience = "partners",

	event "Experiment Viewed" {
		experiment_id   = "string",
		experiment_name = "string",
		variation_id    = "string",
		variation_name  = "string",
	},
}
