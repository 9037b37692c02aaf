-- For /etc/moonweir/kong.lua; what `moonweir serve --print-config` explains. Paths begin at this file's folder.
return {
	source = "kong-source.lua", -- kong.lua of this example, under another name beside this file
	spool = "/var/lib/moonweir/kong",
	write_key_file = "write-key",
}
