-- /etc/moonweir/moonweir.lua: `moonweir serve --print-config` shows every option.
return {
	source = "/etc/moonweir/acme-mail.lua",
	spool = "/var/lib/moonweir/spool",
	listen = "127.0.0.1:8080",
	operations = "127.0.0.1:9464",
	-- workers = 2, -- processes, for more than one core; systemctl stop and reload reach all of them
	-- public_url = "https://hooks.acme.example",
	limits = {
		connections_per_ip = 0, -- behind nginx all connections come from nginx
	},
}
