--- identities -- who is known by which e-mail address, phone number, anonymousId or id of the tool: the userIds that Segment
--- sent, for each account.
---
---     local identities = require "moonweir.identities"
---     local store = assert(identities.open { spool = "spool", master_key_file = "/etc/acme/master-key" })
---     store:teach { { account = "acme", kind = "email", id = "ann@example.com", user = "u1", at = 1763935080000 } }
---     print(store:find("acme", "email", "Ann@Example.com"))               -- u1
---     store:close()
---
--- The store lies in <spool>/state and is shared by all processes of the host. Segment's messages are taken apart by
--- receive/destination.lua. Misuse raises; everything else returns nil, message, code.

local core = require "moonweir.core"
local suggest = require "moonweir.suggest"

local identities = {}

---@alias moonweir.IdentityKind "email"|"phone"|"anonymous_id"|"tool_id"|"user_id"

---@class moonweir.Fact        one thing that a message said
---@field account string
---@field kind? moonweir.IdentityKind
---@field id? string           e-mail addresses and phone numbers are compared without case, blanks and punctuation
---@field user string          the userId, kept byte for byte; at most 512 bytes, as `id`
---@field at number            when it was so, ms since 1970: of two the later counts, whichever comes first
---@field fallback? boolean    `user` is an anonymousId: counts only where no userId is known
---@field forget? boolean      forget `user`, and whatever was known of it by `at`; no kind and id then

---@class moonweir.Lesson      how many facts
---@field learned integer      changed what is known
---@field known integer        were known already, or older than what is
---@field void integer         are about somebody who was forgotten since
---@field forgotten integer    addresses and ids that led to somebody, and no longer do
---@field unusable integer     have no text, or one that is too long
---@field full integer         were not taken: the account has its fill

---@class moonweir.Known
---@field account string
---@field kind moonweir.IdentityKind
---@field id string
---@field user string
---@field fallback boolean
---@field at number

---@class moonweir.Identities
---@field teach fun(self, facts: moonweir.Fact[]): moonweir.Lesson|nil, string?, string?  on disk when it returns: all or none
---@field find fun(self, account: string, kind: moonweir.IdentityKind, id: string): string|nil, string?, string?, string?
---  the userId; nil if nobody is known; with a fourth value, the anonymousId that is known instead
---@field page fun(self, account: string?, after: string?): moonweir.Known[]|nil, string?, string|integer?
---  some of what is known, what to pass as `after` to go on, and how many records were damaged
---@field show fun(self, account: string, user: string): moonweir.Known[]|nil, number|string?, string?
---  what points at this user, and when it was last forgotten, ms since 1970
---@field drop fun(self, account: string): integer|nil, string?, string?  all of an account, what keeps users forgotten too
---@field close fun(self)

local OPTIONS = { spool = "string", master_key_file = "string", existing = "boolean", records_max = "number" }

--- Open the identity store of a spool, making it if it is not there. It is encrypted, so a master key is needed, and always
--- the same one.
---@param options {spool: string, master_key_file: string?, existing: boolean?, records_max: integer?} without a file, the
--- service manager's credential "moonweir-master-key" counts; `existing` makes no new store; `records_max` is for each
--- account, about three a known user
---@return moonweir.Identities|nil
---@return string? message
---@return "io"|"bad_master_key"|"version"|"corrupt"|"no_memory"|nil code
function identities.open(options)
	if type(options) ~= "table" or type(options.spool) ~= "string" or options.spool == "" then
		error("identities.open takes a table of options with spool, a path", 2)
	end
	for name, value in pairs(options) do
		if not OPTIONS[name] then
			error(("identities.open: no option %q%s"):format(tostring(name), suggest(name, OPTIONS)), 2)
		elseif type(value) ~= OPTIONS[name] then
			error(("identities.open: %s must be a %s"):format(name, OPTIONS[name]), 2)
		end
	end
	return core.identities(options.spool, options)
end

return identities
