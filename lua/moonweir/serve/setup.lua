--- setup -- from a config to the parts of a service: script, secrets, handlers.

local core = require "moonweir.core"
local receive = require "moonweir.receive"
local sandbox = require "moonweir.sandbox"
local secrets = require "moonweir.serve.secrets"
local webhooks = require "moonweir.serve.webhooks"

local process = core.process

local setup = {}

local function read_key(path)
	local text, message = process.read_private(path)
	if not text then
		return nil, message
	end
	text = text:gsub("%s", "")
	if text == "" then
		return nil, path .. ": empty; it should hold the write key"
	end
	return text
end

--- What moonweir.open takes.
function setup.client_options(values, definition)
	local given = {
		source = definition, spool = values.spool, master_key_file = values.master_key_file, rate = values["delivery.rate"],
		endpoint = values["delivery.endpoint"], timeout = values["delivery.timeout"], proxy = values["delivery.proxy"],
		ca_file = values["delivery.ca_file"], disk_bytes = values["spooling.disk_bytes"], repeats = values["spooling.repeats"],
		dead_days = values["spooling.dead_days"],
	}
	if values.write_key_file then
		local key, message = read_key(values.write_key_file)
		if not key then
			return nil, message
		end
		given.write_key = key
	end
	return given
end

--- The script, and the secrets that it asks for.
---@return moonweir.Definition|nil
---@return table|string secrets or what is wrong
function setup.source(config)
	local definition, message, code = sandbox.load(config.values.source)
	if not definition then
		return nil, message, code
	end
	local found
	found, message = secrets.load(config.secrets, receive.secret_names(definition))
	if not found then
		return nil, message, "io"
	end
	return definition, found
end

--- Handlers get the service, for what reload changes in it.
---@return moonweir.web.Handler
function setup.webhooks(self)
	local handler = webhooks.new {
		client = self.client, definition = self.definition, log = self.log, now = process.wall,
		public_url = self.config.values.public_url,
		find_secret = function(name)
			return self.secrets[name]
		end,
		is_known = function(account)
			return self.config.values.unknown_accounts == "accept" or self.config.values.write_key_file ~= nil
				or self.vault:has(account)
		end,
	}
	self.webhooks = handler
	return function(request)
		return handler:handle(request)
	end
end

--- The app of "Enable with Segment"; nil: there is none.
---@return table|nil
---@return string? message
function setup.enable_options(values)
	local id, path = values["settings.enable_client_id"], values["settings.enable_client_secret_file"]
	if not id and not path then
		return nil
	elseif not (id and path) then
		return nil, "enable_client_id and enable_client_secret_file go together"
	end
	local secret, message = process.read_private(path)
	if not secret then
		return nil, message
	end
	return {
		client_id = id, client_secret = secret:match "^%s*(.-)%s*$", ca_file = values["delivery.ca_file"],
		proxy = values["delivery.proxy"], scope = values["settings.enable_scope"],
		authorize_url = values["settings.enable_authorize_url"], token_url = values["settings.enable_token_url"],
		api_url = values["settings.enable_api_url"],
	}
end

--- The page where a customer connects Segment.
---@return moonweir.web.Handler|nil
---@return string? message
function setup.settings(self)
	local values = self.config.values
	local found, settings = pcall(require, "moonweir.web.settings")
	if not found then
		return nil, "settings: the page is not installed here (moonweir.web.settings)"
	end
	local about = self.definition.about
	local enable, message = setup.enable_options(values)
	if message then
		return nil, "settings: " .. message
	end
	local good, page
	good, page, message = pcall(settings.new, {
		base_url = values.public_url, link_key_file = values["settings.link_key_file"], spool = values.spool,
		vault = self.vault, client = self.client, color = values["settings.color"], oauth = values["settings.oauth"],
		frame_ancestors = values["settings.frame_ancestors"], enable = enable,
		about = {
			name = values["settings.name"] or type(about) == "table" and about.name or self.definition.slug,
			slug = self.definition.slug,
		},
		log = function(entry)
			self.log:say("info", "settings", entry)
		end,
	})
	if not good or not page then -- what is wrong with an option raises: there it is a program's mistake, here the config's
		return nil, "settings: " .. tostring(good and message or page):gsub("^.-settings%.new:? ?", "")
	end
	self.settings_page = page
	return function(request)
		return page:handle(request)
	end
end

--- The keys by which Segment calls; none without their file.
---@return table<string, string|string[]>|nil
---@return string? message
function setup.segment_keys(values)
	local path = values["segment.api_keys_file"]
	if not path then
		return {}
	end
	local keys, message = require("moonweir.serve.destination").keys(path)
	if not keys then
		return nil, "segment: " .. message
	end
	return keys
end

--- Where Segment tells who is who.
---@return moonweir.web.Handler|nil
---@return string? message
function setup.segment(self)
	local values = self.config.values
	local found, identities = pcall(require, "moonweir.identities")
	if not found then
		return nil, "segment: the identity store is not installed here (moonweir.identities)"
	end
	local destination = require "moonweir.serve.destination"
	local store, message = identities.open { spool = values.spool, master_key_file = values.master_key_file }
	if not store then
		return nil, "segment: " .. tostring(message)
	end
	self.segment_keys, message = setup.segment_keys(values)
	if not self.segment_keys then
		return nil, message
	end
	return destination.new {
		identities = store, slug = self.definition.slug, log = self.log, now = process.wall,
		api_key = function(account)
			return self.segment_keys[account]
		end,
		shared_secret = function()
			return self.secrets[values["segment.shared_secret"] or false]
		end,
		learned = function(account)
			self.learned[account] = true
		end,
	}
end

return setup
