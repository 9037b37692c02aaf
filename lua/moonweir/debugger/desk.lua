--- desk -- all of the debugger behind one port: the Tracking API, faults, the page and its control.
---
---     local desk = desk.new { token = guard.random_token(), on_message = …, on_request = … }
---     local exchange = server:next(0.05)
---     if exchange then desk:take(exchange) end
---     desk:tick(process.monotonic())
---
--- Keeps what came for the page; says it to whoever made it, too. What it keeps is bounded: 500 messages, a minute of numbers.

local control = require "moonweir.debugger.control"
local core = require "moonweir.core"
local debugger = require "moonweir.debugger"
local faults = require "moonweir.debugger.faults"
local feed = require "moonweir.debugger.feed"
local guard = require "moonweir.debugger.guard"
local mask = require "moonweir.debugger.mask"
local meter = require "moonweir.debugger.meter"
local page = require "moonweir.debugger.page"
local respond = require "moonweir.web.respond"
local ring = require "moonweir.debugger.ring"

local process = core.process

local desk = {}

-- So many requests stall at a time; more are cut, that connections do not run out.
local STALLED_MAX = 64

---@class moonweir.debugger.Desk
---@field debugger moonweir.Debugger
---@field ring moonweir.debugger.Ring
---@field faults moonweir.debugger.Faults
---@field feed moonweir.debugger.Feed
local Desk = {}
Desk.__index = Desk

---@class moonweir.debugger.DeskOptions
---@field token string
---@field hosts? table<string, boolean> names that it answers to
---@field names? table<string, string> write key -> name of the account
---@field on_message fun(m: moonweir.debugger.Message)
---@field on_request fun(r: table)
---@field before_answer? fun() called when all of a request is told and its answer is to go out
---@field tokens? table a token server (moonweir.debugger.token)

---@param options moonweir.debugger.DeskOptions
function desk.new(options)
	local self = setmetatable({
		hosts = options.hosts or guard.LOOPBACK,
		names = options.names or {},
		on_message = options.on_message,
		on_request = options.on_request,
		before_answer = options.before_answer or function() end,
		ring = ring.new(),
		meter = meter.new(),
		faults = faults.new(),
		stalled = {},
		page = page.new(),
	}, Desk)
	self.control = control.new(self, options.token)
	self.feed = feed.new {
		ring = self.ring,
		state = function(now)
			return self:state(now)
		end,
		changes = function()
			return self.faults.changes + #self.stalled
		end,
	}
	self.debugger = debugger.new {
		hosts = self.hosts,
		tokens = options.tokens,
		on_message = function(m)
			self:keep_message(m)
		end,
		on_request = function(r)
			self:keep_request(r)
		end,
	}
	return self
end

function Desk:keep_message(m)
	local request = self.request
	if m.fault then
		request.dropped = request.dropped + 1
	end
	self.ring:push {
		kind = "message", at = request.at, request = request, account = mask.account(m.key, self.names), type = m.type,
		fault = m.fault, reason = m.reason, raw = mask.message(m), envelope = m.envelope, is_batch = request.is_batch,
	}
	self.on_message(m)
end

--- What is to be said about a request as such: refused, or with nothing to show for it.
function Desk:keep_request(r)
	local request = self.request
	request.number, request.path, request.status, request.bytes = r.number, r.path, r.status, r.bytes
	request.messages, request.injected = r.messages, r.injected
	if r.status ~= 200 or r.messages == 0 then
		request.answer = r.answer:match "^(.-)%s*$"
		self.ring:push {
			kind = "request", at = request.at, request = request, account = mask.account(r.key, self.names), raw = "",
			fault = r.fault, reason = r.reason,
		}
	end
	self.meter:add(process.monotonic(), r.bytes, r.messages)
	self.on_request(r)
end

local function authorization_of(exchange)
	local header = exchange:header "Authorization"
	return header and (header:match "^%a+" or ""):lower() or "body"
end

--- All that is known of a request before it is read; its messages share it.
function Desk:begin(exchange)
	local coding, path = exchange:header "Content-Encoding", exchange.path
	self.request = {
		at = process.wall(), dropped = 0, authorization = authorization_of(exchange),
		content_type = exchange:header "Content-Type",
		encoding = coding and coding:lower():match "^[%l-]+" or nil,
		is_batch = path:find "^/v1/batch" ~= nil or path:find "^/v1/import" ~= nil,
	}
end

local function as_request(exchange)
	return {
		method = exchange.method,
		path = exchange.path,
		query = exchange.query,
		body = exchange.body,
		header = function(name)
			return exchange:header(name)
		end,
	}
end

--- A request that a fault strikes before it is taken.
function Desk:count_struck(request, status, answer, rule)
	local d = self.debugger
	d.requests = d.requests + 1
	self:keep_request {
		number = d.requests, path = request.path, status = status, bytes = #request.body, answer = answer, messages = 0,
		injected = rule.kind, key = self.faults:ask_for_account() and debugger.write_key(request) or nil,
	}
	self.before_answer()
end

function Desk:answer(exchange, request)
	local status, headers, body = self.debugger:handle(request)
	self.before_answer()
	exchange:answer(status, headers, body)
end

function Desk:strike(exchange, request, rule)
	if rule.kind == "lost" then
		self.debugger:handle(request)
		self.request.injected = "lost"
		self.before_answer()
		exchange:cut()
	elseif rule.kind == "cut" or rule.kind == "stall" and #self.stalled >= STALLED_MAX then
		self:count_struck(request, 0, "the connection was closed without an answer: a fault that was asked for", rule)
		exchange:cut()
	elseif rule.kind == "stall" then
		self.stalled[#self.stalled + 1] = {
			exchange = exchange, request = request, until_ = rule.seconds and process.monotonic() + rule.seconds or math.huge,
		}
	else
		local status, headers, body = faults.answer(rule)
		self:count_struck(request, status, body, rule)
		exchange:answer(status, headers, body)
	end
end

--- Answer one exchange, now or, if it is to stall, later.
---@param exchange table from moonweir.server
---@return boolean is_tracking it was for the Tracking API
function Desk:take(exchange)
	if guard.is_foreign(exchange:header "Host", self.hosts) then
		exchange:answer(respond.refusal(403, "foreign_host", "the debugger answers to the names of this machine only"))
		return false
	end
	local request = as_request(exchange)
	if request.path == "/control" or request.path:find("/control/", 1, true) == 1 then
		self.control:take(exchange, request)
		return false
	end
	local status, headers, body = self.page(request.method, request.path)
	if status then
		exchange:answer(status, headers, body)
		return false
	end
	self:begin(exchange)
	if not debugger.is_tracking(request.method, request.path) then
		self:answer(exchange, request)
		return false
	end
	local rule = self.faults.rules[1]
		and self.faults:next(self.faults:ask_for_account() and mask.account(debugger.write_key(request), self.names) or nil)
	if rule then
		self:strike(exchange, request, rule)
	else
		self:answer(exchange, request)
	end
	return true
end

--- Let go of requests that stall: they are taken and answered as if they came now.
---@param now? number only those whose time is over; nil: all
---@return integer count
function Desk:release(now)
	local count, kept = 0, {}
	for _, held in ipairs(self.stalled) do
		if not now or held.until_ <= now then
			count = count + 1
			self:begin(held.exchange)
			self:answer(held.exchange, held.request)
		else
			kept[#kept + 1] = held
		end
	end
	self.stalled = kept
	return count
end

--- What has to happen as time goes by; call it often.
---@param now number of the monotonic clock, in seconds
function Desk:tick(now)
	if self.stalled[1] then
		self:release(now)
	end
	self.feed:tick(now)
end

function Desk:state(now)
	local d = self.debugger
	return {
		version = core.version, requests = d.requests, messages = d.messages, dropped = d.faults, last = self.ring.last,
		first = self.ring.first, minute = self.meter:view(now or process.monotonic()),
		faults = core.array(self.faults:list()), stalled = #self.stalled,
	}
end

function Desk:clear()
	self.ring:clear()
	self.faults.changes = self.faults.changes + 1
end

function Desk:close()
	self.feed:close()
end

return desk
