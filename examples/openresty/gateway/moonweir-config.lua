-- What `moonweir serve --print-config` explains; paths begin at this folder.
return {
	source = "gateway.lua",
	spool = "spool",
	write_key_file = "write-key",
	delivery = {
		endpoint = "http://127.0.0.1:4400", -- `moonweir debugger`, on your desk; take this out to send to Segment
	},
}
