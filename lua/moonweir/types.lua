---@meta moonweir.core
-- What the C module gives, for editors and readers. Never loaded.

---@alias moonweir.Code
---| "full"         # the queue is full; push again later
---| "too_large"    # a message over 32,000 bytes or a body over 16 MiB
---| "json"         # the body is not valid JSON
---| "mapping"      # the mapping script can't handle this event, or can't be loaded
---| "unmatched"    # the source has no entry for this event
---| "no_event"     # the event does not say what kind it is
---| "no_user"      # the event names no user
---| "no_account"   # the event names no account and none was given
---| "invalid"      # not a valid Segment call
---| "bad_key"      # not a write key
---| "bad_endpoint" # not a usable endpoint
---| "parked"       # a write key was refused; the messages are kept
---| "timeout"      # not finished in the time given
---| "closed"       # the engine is closed
---| "forked"       # opened in another process
---| "no_memory"
---| "io"           # the operating system refused, or a file or directory is not fit
---| "version"      # the store was written by a newer Moonweir
---| "locked"       # another process has the store open
---| "corrupt"      # the store is damaged
---| "bad_master_key" # the vault's master key is missing or another one
---| "spec"         # the message has an error by Segment's Spec, and the client or source is strict

---@class moonweir.Client
local Client = {}

--- A number that stands for all that was pushed before it.
---@return integer mark
function Client:mark() end

--- Is what was pushed before the mark on disk, and synced? Does not wait.
---@param mark integer
---@return boolean|nil safe false: not yet; nil: not to be expected
---@return string? message
---@return "full"|"io"|"closed"|"forked"|nil code
function Client:is_safe(mark) end

--- A descriptor that becomes readable when is_safe is worth asking again (server:watch).
---@return integer|nil fd
---@return string? message
---@return "io"|nil code
function Client:safe_fd() end

---@class moonweir.Report
---@field account string
---@field outcome "delivered"|"dead"|"parked"|"withdrawn"
---@field status integer   HTTP; 0: no answer, -2: no write key, -4: no OAuth token
---@field tag integer      as given with the event
---@field answer? string   what Segment said
---@field message? string  the message's JSON, if it is dead

---@class moonweir.Lane
---@field account string
---@field state "empty"|"waiting"|"ready"|"flying"|"parked"|"paused"
---@field accepted integer
---@field delivered integer
---@field dead integer
---@field queued integer
---@field in_flight integer
---@field attempts integer  of the oldest message's batch, so far
---@field last_status integer
---@field has_app boolean  it sends with the tokens of an OAuth app
---@field awaits_token boolean  its app has none yet; it is "waiting" then
---@field last_error? string
---@field delivered_ago? number  seconds since the last delivery; nil: none since the start
---@field due_in number     seconds until the next try, of a waiting or parked lane

---@class moonweir.PushOptions
---@field account? string  whose event it is, if the source does not say
---@field headers? table<string, string>  read by get.header; Content-Type decides the format; "?user_id" is what
---  get.query "user_id" reads (moonweir.receive puts it there)
---@field format? "json"|"ndjson"|"form"|"xml"
---@field tag? integer     comes back with the reports
---@field now? integer      when it happened, if the source does not say: ms since 1970; default: now
---@field seed? string     names this event, for good: ids that would be random are made from it, the same each time
---@field wait? number     seconds to wait for room while the queue is full; default 0
---@field sync? boolean|number  true: return when it is synced in the spool, or why not, as client:sync does; a number: seconds

--- Map one body (an event, an array of events, lines of events, a form) and queue what comes of it.
--- Costs no I/O and never yields unless `wait` is given, so it is safe in log_by_lua. All of the body's messages are
--- queued or, when the queue is full, none. An event that fails costs its neighbours nothing.
---@param event string|table raw bytes, or an already decoded event
---@param opts? moonweir.PushOptions
---@return integer|nil queued  how many messages; nil if nothing was queued and something failed
---@return string? message     of the first event that failed
---@return moonweir.Code? code
---@return {index: integer, code: moonweir.Code, message: string, account: string?, raw: string}[]? problems
---@return {events: integer, messages: integer, ignored: integer, unmatched: integer, failed: integer}? tally
---  not made for a body of one event that went well
function Client:push(event, opts) end

--- One track call. The other five work alike: identify, page, screen, group, alias.
---@param account string|nil nil: the account given to open
---@param fields table Segment's own field names: userId, anonymousId, event, properties, context, integrations,
---  messageId, timestamp
---@param opts? {tag: integer?, wait: number?, sync: (boolean|number)?} as those of push
---@return true|nil, string?, moonweir.Code?
function Client:track(account, fields, opts) end

--- Wait until what was pushed is safe: on the spool's disk and synced. Without a spool that is at once.
---@param seconds? number default 30
---@return true|nil, string?, "timeout"|"full"|"io"|nil
function Client:sync(seconds) end

--- What moonweir.redis.budget fetches permits for. Only of a client that was opened with `leased = true`; stats() then tells
--- `permits_missed`, those that were not used in time, and while requests wait and none are to be had `unpermitted_for`, in
--- seconds, and why: `permit_trouble`.
---@return userdata|nil, string?, "forked"|nil
function Client:lessee() end

--- Send partial batches now and wait until everything is delivered or dead.
---@param seconds? number default 30
---@return true|nil, string?, "timeout"|"parked"|nil
function Client:flush(seconds) end

--- What came of messages since the last call: dead and parked ones; delivered ones too with report = "all".
---@param max? integer default 1000
---@return moonweir.Report[]
function Client:poll(max) end

--- The same with report = "all", for many messages: tags of those that were delivered, and what became of the others.
---@param max? integer default all
---@return integer[] tags
---@return moonweir.Report[] others
function Client:settled(max) end

--- Messages of parked and paused accounts go back to the caller, who keeps them elsewhere: each has a report "withdrawn",
--- and is as if it had never been pushed. Not with a spool.
---@return integer count
function Client:withdraw() end

--- Counters; accepted = delivered + dead + queued + in_flight at any instant.
--- `spec` holds what was found of Segment's Spec; nil if nothing is checked.
---@return table<string, number>|{spec: moonweir.ReviewStats?}
function Client:stats() end

--- What messages break of Segment's Spec: one finding for each event and rule when it is first met, then when there are a
--- hundred times as many messages, and so on. What is told once is not told again.
---@return moonweir.Finding[]
function Client:findings() end

--- Every account's state, or that of the busiest.
---@param max? integer
---@return moonweir.Lane[]
function Client:lanes(max) end

--- One account's state; nil without a message if nothing ever came for it.
---@param account string
---@return moonweir.Lane|nil, string?, moonweir.Code?
function Client:lane(account) end

--- Save an account's write key, or replace it; a parked account resumes at once. "" is every account without a key
--- of its own.
---@param account string
---@param settings {write_key: string, endpoint: string?}
---@return true|nil, string?, "bad_key"|nil
function Client:set_account(account, settings) end

--- What could not be delivered, oldest first. Only with a spool; without one it raises.
---@param filter? moonweir.DeadFilter  limit: 1000 if it is left out
---@return moonweir.Letter[]|nil, string?, "io"|"version"|"corrupt"|"no_memory"|nil
function Client:dead(filter) end

--- Send letters once more: events through the source as it is now, refused messages as they are, each under its
--- messageId. A letter goes when what was made of it is on disk; one whose event fails again stays, and is told to `failed`.
---@param filter? moonweir.DeadFilter|{wait: number?, failed: fun(letter: moonweir.Letter, message: string, code: string)?}
---@return {replayed: integer, messages: integer, failed: integer}|nil, string?, moonweir.Code?
function Client:replay(filter) end

--- Drop letters for good. Which ones must be said: ids, a condition, or all = true.
---@param filter moonweir.DeadFilter|{all: boolean}
---@return integer|nil, string?, moonweir.Code?
function Client:drop_dead(filter) end

--- Queue what one letter holds once more, and leave the letter where it is. What replay does for each of them.
---@param letter moonweir.Letter
---@param opts? {wait: number?, sync: number|boolean|nil}
---@return integer|nil messages, string?, moonweir.Code?
function Client:resend(letter, opts) end

--- Where messages and dead letters are kept; nil: in memory, and there are none.
---@return string|nil
function Client:spool_dir() end

--- Deliver what can be delivered in that time, then stop. Safe to call twice.
---@param seconds? number default 5
---@return true|nil, string?, "timeout"|nil
function Client:close(seconds) end

-- moonweir.hiredis, a module of its own -----------------------------------------------------------------------

---@class moonweir.hiredis.Options
---@field url? string       redis://user:password@host:port/database, rediss:// for TLS, unix:///path?db=2
---@field file? string      a file that holds it, which only its owner may read; if there is no url
---@field env? string       the environment variable that holds it; if there is neither
---@field ca_file? string   of rediss://: authorities to trust, in place of the system's
---@field cert_file? string our certificate, and ...
---@field key_file? string  ... its key
---@field name? string      shown by CLIENT LIST
---@field timeout? number   seconds without a byte moving; default 5
---@field patience? number  seconds for which a command that could not run is tried again; default 0: once

--- Connects when it is first used. hiredis.script(text) makes what is given in place of a command's name: it is sent as
--- EVALSHA, and as EVAL where that is not known. hiredis.slot(key) is the cluster's slot of a key.
---@class moonweir.Hiredis
local Hiredis = {}

--- One command. A null reply is false, so that nil is an error and nothing else.
---@param command string|userdata  its name, or a script; the arguments of that: number of keys, keys, the rest
---@param ... string|number
---@return string|number|table|false|nil reply
---@return string? message
---@return string? code the server's first word in lower case ("noperm", "oom", "err" …), or "io", "timeout", "forked",
---  "no_memory", "too_large"
function Hiredis:call(command, ...) end

--- The same for a command that may run twice, should the connection break before its answer is there.
---@param command string|userdata
---@param ... string|number
---@return string|number|table|false|nil reply, string? message, string? code
function Hiredis:call_again(command, ...) end

--- Many at once; each stands for itself, and one that is tried again runs behind the others.
---@param commands (string|number|userdata)[][]
---@param may_run_twice? boolean
---@return {[integer]: any, errors: table<integer, {message: string, code: string}>?}|nil replies false where there is an error
---@return string? message, string? code
function Hiredis:pipeline(commands, may_run_twice) end

--- Another to the same place, with connections of its own.
---@return moonweir.Hiredis|nil, string?, string?
function Hiredis:twin() end

--- Where it is, without user and password.
---@return string
function Hiredis:address() end

---@return {commands: integer, connects: integer, redirects: integer, repeats: integer}
function Hiredis:stats() end

function Hiredis:close() end
