--- redislink -- where Redis is, from options, a file or the environment; and how its password stays out of sight.
---
--- A URL in an argument is visible to other users until `keys.scrub` has wiped user and password, which happens first of
--- all; a file or the environment never shows them.

local terminal = require "moonweir.cli.terminal"

local redislink = {}

function redislink.define(parser)
	parser
		:option("--redis", "redis://user:password@host:port/database, rediss:// for TLS, unix:///path (MOONWEIR_REDIS). With a "
			.. "password prefer the file or the variable.")
		:argname "<url>"
	parser:option("--redis-file", "A file that holds the URL; only its owner may read it."):argname "<file>"
	parser:option("--redis-ca-file", "Authorities to trust for rediss:// instead of the system's (PEM)."):argname "<file>"
	parser:option("--redis-cert-file", "Our certificate, where Redis asks for one (PEM)."):argname "<file>"
	parser:option("--redis-key-file", "Its private key (PEM)."):argname "<file>"
end

--- A connection that is made when it is first used.
---@param more? {name: string?, patience: number?, timeout: number?}
---@return userdata|nil red
---@return string? message
---@return string? code "usage": the command line is wrong
function redislink.open(args, more)
	local ok, hiredis = pcall(require, "moonweir.hiredis")
	if not ok then
		return nil, "the module moonweir.hiredis is missing; the rock moonweir-redis has it, or make where hiredis is there", "io"
	end
	local options = {
		url = args.redis, file = args.redis_file, env = "MOONWEIR_REDIS", ca_file = args.redis_ca_file,
		cert_file = args.redis_cert_file, key_file = args.redis_key_file,
	}
	for name, value in pairs(more or {}) do
		options[name] = value
	end
	local red, message, code = hiredis.new(options)
	if red then
		return red
	end
	if code == "bad_endpoint" and message:find "^no URL" then
		message = "no Redis. Give --redis URL or --redis-file FILE, or set MOONWEIR_REDIS"
	end
	return nil, terminal.safe(message, 400), code == "bad_endpoint" and "usage" or code
end

return redislink
