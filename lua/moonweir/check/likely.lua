--- likely -- names that no page of Segment's speaks of, under which tools mostly send what the Spec has a name for.
---
--- Ours, from what tools call these things; so they are asked about and never refused. What Segment's pages do speak of is in
--- moonweir.spec.aliases.

return {
	["Add to Cart"]            = "Product Added",
	["Item Added"]             = "Product Added",
	["Product Added to Cart"]  = "Product Added",
	["Removed from Cart"]      = "Product Removed",
	["Checkout Completed"]     = "Order Completed",
	["Order Confirmed"]        = "Order Completed",
	["Order Created"]          = "Order Completed",
	["Order Paid"]             = "Order Completed",
	["Order Placed"]           = "Order Completed",
	["Order Submitted"]        = "Order Completed",
	["Product Purchased"]      = "Order Completed",
	["Purchase Completed"]     = "Order Completed",
	["Refund Issued"]          = "Order Refunded",
	["Category Viewed"]        = "Product List Viewed",
	["Product Page Viewed"]    = "Product Viewed",
	["Review Submitted"]       = "Product Reviewed",

	["Login"]                  = "Signed In",
	["Logged In"]              = "Signed In",
	["User Logged In"]         = "Signed In",
	["Logout"]                 = "Signed Out",
	["Logged Out"]             = "Signed Out",
	["User Logged Out"]        = "Signed Out",
	["Registered"]             = "Signed Up",
	["Registration Completed"] = "Signed Up",
	["User Registered"]        = "Signed Up",
	["Invitation Sent"]        = "Invite Sent",
	["User Invited"]           = "Invite Sent",

	["Email Complaint"]        = "Email Marked as Spam",
	["Email Spam"]             = "Email Marked as Spam",
	["Spam Complaint"]         = "Email Marked as Spam",
	["Marked as Spam"]         = "Email Marked as Spam",
	["Spam Report"]            = "Email Marked as Spam",
	["List Unsubscribed"]      = "Unsubscribed",
	["Group Unsubscribe"]      = "Unsubscribed",

	["Chat Started"]           = "Live Chat Conversation Started",
	["Chat Ended"]             = "Live Chat Conversation Ended",
	["Chat Message Sent"]      = "Live Chat Message Sent",
	["Chat Message Received"]  = "Live Chat Message Received",

	["App Launched"]           = "Application Opened",
	["Uninstall"]              = "Application Uninstalled",
	["Push Delivered"]         = "Push Notification Received",
	["Push Tapped"]            = "Push Notification Tapped",
	["Video Started"]          = "Video Playback Started",
	["Video Played"]           = "Video Playback Started",
	["Video Paused"]           = "Video Playback Paused",
	["Video Completed"]        = "Video Playback Completed",
}
