--- A person watches a video: the player, the content, the ads in it, and the quality. Lengths and positions are seconds.

local make = require "moonweir.spec.make"
local array, event, field, group, object, with = make.array, make.event, make.field, make.group, make.object, make.with

local ad_places = { "pre-roll", "mid-roll", "post-roll" }

local float = field("number", { doc_type = "Float" })

local player = {
	session_id   = "string",
	position     = "integer",  -- ads included
	total_length = "integer?", -- null: a live stream
	bitrate      = "integer",
	framerate    = float,
	video_player = "string",
	sound        = field("integer", { min = 0, max = 100 }),
	full_screen  = "boolean",
	ad_enabled   = "boolean",
	quality      = "string",
	livestream   = "boolean",
}

-- At the start all contents and ads of the session are known; later there is the current one, or none. The names of the
-- ad fields do not tell: they are singular in both, though the page's example has them in the plural.
local started = with(player, {
	content_asset_ids = array "string",
	content_pod_ids   = array "string",
	ad_asset_id       = array "string",
	ad_pod_id         = array "string",
	ad_type           = field("string|array", { enum = ad_places, items = field("string", { enum = ad_places }) }),
})

local playback = with(player, {
	content_asset_id = "string?",
	content_pod_id   = "string?",
	ad_asset_id      = "string?",
	ad_pod_id        = "string?",
	ad_type          = field("string?", { enum = ad_places }),
})

local content = {
	session_id   = "string",
	asset_id     = "string",
	pod_id       = "string",
	title        = "string",
	description  = "string",
	keywords     = array "string",
	season       = "string",
	episode      = "string",
	genre        = "string",
	program      = "string",
	publisher    = "string",
	position     = "integer",  -- ads excluded
	total_length = "integer?", -- null: a live stream
	channel      = "string",
	full_episode = "boolean",
	livestream   = "boolean",
	airdate      = field("date", { format = "iso8601" }),
	bitrate      = "integer",
	framerate    = float,
}

local ad = {
	session_id   = "string",
	asset_id     = "string",
	pod_id       = "string",
	pod_position = "integer",
	pod_length   = "integer",
	type         = field("string", { enum = ad_places }),
	title        = "string",
	publisher    = "string",
	position     = "integer",
	total_length = "integer",
	load_type    = field("string", { enum = { "linear", "dynamic" } }),
	content      = object(content),
}

return make.category {
	id = "video",
	title = "Video",
	page = "src/connections/spec/video.md",
	heartbeat_s = 10,

	group "playback" {
		event "Video Playback Started" (started),
		event "Video Playback Paused" (playback),
		event "Video Playback Interrupted" (with(playback, { method = "string" })),
		event "Video Playback Buffer Started" (playback),
		event "Video Playback Buffer Completed" (playback),
		event "Video Playback Seek Started" (with(playback, { seek_position = field("integer", { example = true }) })),
		event "Video Playback Seek Completed" (playback),
		event "Video Playback Resumed" (playback),
		event "Video Playback Completed" (playback),
		event "Video Playback Exited" (playback),
	},

	group "content" {
		event "Video Content Started" (content),
		event "Video Content Playing" (content),
		event "Video Content Completed" (content),
	},

	group "ads" {
		event "Video Ad Started" (ad),
		event "Video Ad Playing" (with(ad, { quartile = field("integer", { enum = { 1, 2, 3 } }) })),
		event "Video Ad Completed" (ad),
	},

	group "quality" {
		event "Video Quality Updated" { -- the page gives no types: the first two as in the player, and numbers
			bitrate       = "integer",
			framerate     = "number",
			startupTime   = "number",
			droppedFrames = "number",
		},
	},
}
