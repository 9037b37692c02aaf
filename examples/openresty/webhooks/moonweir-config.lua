-- What `moonweir serve --print-config` explains; paths begin at this folder.
return {
	source = "acme-desk.lua",
	spool = "spool",
	master_key_file = "master-key",
	secrets = { ACME_DESK_SECRET = "desk-secret" },
	-- settings = { link_key_file = "link-key", name = "Acme Desk" }, public_url = "https://hooks.acme.example",
}
