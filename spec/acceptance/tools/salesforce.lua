--- Salesforce: the field External_Id__c of each record.

local bodies = require "spec.acceptance.bodies"

return {
	with_user = function(text)
		if text:find("<soapenv:", 1, true) then
			return (text:gsub("<sf:Id>", "<sf:External_Id__c>u1</sf:External_Id__c>%0"))
		end
		return bodies.change(text, function(body)
			body.data.payload.External_Id__c = "u1"
		end)
	end,
}
