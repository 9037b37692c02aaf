--- openssl -- signatures made by the openssl command, so that ours are not checked by ourselves.

local openssl = {}

local function quote(text)
	return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function hex(bytes)
	return (bytes:gsub(".", function(c)
		return ("%02x"):format(c:byte())
	end))
end
openssl.hex = hex

local function run(command, input)
	local path = os.tmpname()
	local file = assert(io.open(path, "wb"))
	file:write(input)
	file:close()
	local pipe = io.popen((command:gsub("INPUT", function() return quote(path) end)))
	local out = pipe:read "*a"
	pipe:close()
	os.remove(path)
	assert(out ~= "", command)
	return out
end

--- kind: "sha1", "sha256", "sha512"; the bytes of the HMAC.
function openssl.hmac(kind, key, text)
	return run(("openssl dgst -%s -mac HMAC -macopt hexkey:%s -binary INPUT"):format(kind, hex(key)), text)
end

function openssl.base64(bytes)
	return (run("openssl base64 -A -in INPUT", bytes))
end

function openssl.sha256(text)
	return run("openssl dgst -sha256 -binary INPUT", text)
end

--- A new private key in a file, and its public part in DER.
function openssl.key(algorithm)
	local path = os.tmpname()
	os.execute(("openssl genpkey %s -out %s 2>/dev/null"):format(algorithm, quote(path)))
	local pipe = io.popen(("openssl pkey -in %s -pubout -outform DER"):format(quote(path)))
	local public = pipe:read "*a"
	pipe:close()
	assert(#public > 0)
	return path, public
end

--- ECDSA over SHA-256, in DER.
function openssl.ecdsa(key_path, text)
	return run(("openssl dgst -sha256 -sign %s -binary INPUT"):format(quote(key_path)), text)
end

function openssl.ed25519(key_path, text)
	return run(("openssl pkeyutl -sign -rawin -inkey %s -in INPUT"):format(quote(key_path)), text)
end

return openssl
