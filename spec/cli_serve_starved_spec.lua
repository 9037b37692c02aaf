--- The daemon when clients take what they are given as slowly as they can, and when the system gives it nothing more to open.

local accounts = require "moonweir.accounts"
local child = require "spec.support.child"
local daemon = require "spec.support.daemon"
local mock = require "spec.support.mock"

local EVENT = '{"type":"t","event_id":"%s","user":"u"}'
local READERS = 1000
local MEMORY = 128 * 1024 -- KiB that so many slow readers may cost: half of what their sockets alone could hold
local ASKS = 400          -- each asks so often for a page of some KB: far more than sockets hold

describe("moonweir serve", function()
	local segment
	setup(function()
		segment = mock.start()
	end)
	before_each(function()
		segment:control "reset"
	end)
	teardown(function()
		segment:finish()
		child.clean()
	end)

	local function start(options, how)
		options.delivery = { endpoint = segment.url, rate = 0 }
		return daemon.start((daemon.config(options)), how)
	end

	local function arrive(serve, ...)
		for _, id in ipairs { ... } do
			serve:wait(id .. " to arrive", function()
				return segment:message(id)
			end)
		end
	end

	local function memory(serve)
		return tonumber(child.read("/proc/" .. serve.pid .. "/status"):match "VmRSS:%s*(%d+)")
	end

	it("serves good clients beside a thousand that read no answer, at a bounded price, and lets those go", function()
		local key = child.folder() .. "/link-key"
		assert(accounts.new_master_key(key))
		local serve = start {
			limits = { connections_per_ip = 0, idle_seconds = 4 }, public_url = "http://127.0.0.1:9999",
			settings = { link_key_file = key, name = "Acme Mail" },
		}
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "before")))
		local before = memory(serve)
		local told = child.folder() .. "/crowd"
		local crowd = io.popen(("%s %d %d /settings/main.js %d >%s"):format(os.getenv "MW_CROWD", serve.port, READERS, ASKS, told), "w")
		serve:wait("the crowd", function()
			return child.read(told) == ("open %d\n"):format(READERS)
		end)
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "beside")))
		assert.equal(200, (child.http(serve.port, "GET", "/healthz")))
		assert.is_true(memory(serve) - before < MEMORY, "it grew by " .. memory(serve) - before .. " KiB")
		serve:wait("their places", function() -- the last of them may come only when others go
			return daemon.metric(serve, "moonweir_http_connections") == 0
				and daemon.metric(serve, "moonweir_http_too_slow_total") == READERS
		end)
		crowd:close()
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "after")))
		arrive(serve, "before", "beside", "after")
		daemon.stop(serve)
	end)

	-- nil: only root may look, as the daemon leaves no core file.
	local function open_files(serve)
		local list = io.popen(("ls /proc/%s/fd 2>/dev/null | wc -l"):format(serve.pid))
		local count = list:read "*n"
		list:close()
		return count > 0 and count or nil
	end

	local function allow_files(serve, count)
		assert(os.execute(("prlimit --pid %s --nofile=%d:"):format(serve.pid, count)) ~= nil)
	end

	-- Post, and don't wait: what came of it so far, whenever it is asked.
	local function post_behind(serve, id)
		local event = EVENT:format(id)
		local request = child.file("request-" .. id, ("POST /webhooks/acme HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
			.. "Content-Length: %d\r\n\r\n%s"):format(#event, event))
		local answer = child.folder() .. "/answer-" .. id
		os.execute(("bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d && cat %s >&3 && timeout 60 cat <&3 >%s' &"):format(
			serve.port, request, answer))
		return function()
			return child.read(answer) or ""
		end
	end

	it("out of descriptors keeps its promises and its old script, and goes on when there are some again", function()
		segment:control "always 503" -- for each try a connection may have to be opened anew
		local serve = start { limits = { idle_seconds = 2 } }
		assert.equal(200, (daemon.post(serve, "/webhooks/acme", EVENT:format "kept")))
		serve:wait("nobody to be connected", function()
			return daemon.metric(serve, "moonweir_http_connections") == 0
		end)
		local usual = open_files(serve)
		allow_files(serve, 8) -- lower numbers are all taken
		local answer = post_behind(serve, "late")
		serve:signal "HUP"
		serve:wait_for "event=reload_failed[^\n]*Too many open files; the old one goes on"
		assert.equal("", answer())
		allow_files(serve, (usual or 0) + 100)
		serve:wait("the answer", function()
			return answer():find "^HTTP/1.1 200 "
		end)
		segment:control "reset"
		arrive(serve, "kept", "late")
		serve:signal "HUP"
		serve:wait_for "event=reloaded"
		daemon.stop(serve)
	end)

	it("is not deaf afterwards because another client keeps it busy", function()
		local serve = start {}
		local posted = child.folder() .. "/posted"
		os.execute(("%s %d %s busy 1 >/dev/null 2>&1 &"):format(os.getenv "MW_POSTER", serve.port, posted)) -- ends with the daemon
		serve:wait("a busy client", function()
			return #(child.read(posted) or "") > 100
		end)
		local usual = open_files(serve)
		allow_files(serve, 8)
		local answer = post_behind(serve, "deaf")
		local before = #child.read(posted)
		serve:wait("the other to be refused a descriptor", function()
			return #child.read(posted) > before + 1000
		end)
		allow_files(serve, (usual or 0) + 100)
		serve:wait("the answer", function()
			return answer():find "^HTTP/1.1 200 "
		end)
		daemon.stop(serve)
	end)

	it("shares few descriptors out between its two addresses, and keeps some for delivery", function()
		local few = 64
		local serve = start({}, { descriptors = few })
		local posted, told = child.folder() .. "/posted-few", child.folder() .. "/crowd-few"
		os.execute(("%s %d %s few 1 >/dev/null 2>&1 &"):format(os.getenv "MW_POSTER", serve.port, posted))
		serve:wait("a busy client", function()
			return #(child.read(posted) or "") > 100
		end)
		for _, port in ipairs { serve.port, serve.operations } do
			os.execute(("%s %d %d >%s-%d 2>&1 &"):format(os.getenv "MW_CROWD", port, 2 * few, told, port))
			serve:wait("the crowd", function()
				return (child.read(("%s-%d"):format(told, port)) or ""):find "open"
			end)
		end
		local before = #child.read(posted)
		serve:wait("many a chance to accept", function()
			return #child.read(posted) > before + 1000
		end)
		local count = open_files(serve)
		daemon.stop(serve)
		if not count then
			return pending "skipped: only root may count a daemon's descriptors"
		end
		assert.is_true(count <= few - 6, count .. " of " .. few)
	end)
end)
