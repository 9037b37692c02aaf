--- schema -- what can be set of the plugin where it is enabled: globally, for a service, a route or a consumer.

local typedefs = require "kong.db.schema.typedefs"

return {
	name = "moonweir",
	fields = {
		{ protocols = typedefs.protocols_http },
		{
			config = {
				type = "record",
				fields = {
					-- The account in Moonweir whose events these are. Unset: the one of write_key_file.
					{ account = { type = "string", len_max = 255 } },
					-- A header that holds the user's id, set by what authenticates; used where Kong knows no consumer.
					{ user_header = typedefs.header_name },
				},
			},
		},
	},
}
