--- frame -- what the settings page and the window to Segment have around them: head, icons, the tool's name. {{MAIN}} is one
--- of html.lua and window_html.lua, {{SCRIPT}} its script; all is filled in by page.lua, escaped.

return [==[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Segment connection – {{TOOL}}</title>
<link rel="icon" href="{{BASE}}icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{{BASE}}style.css">
<link rel="stylesheet" href="{{BASE}}settings.css">
<script type="module" src="{{BASE}}{{SCRIPT}}.js"></script>
</head>
<body>
<svg hidden>
	<symbol id="i-good" viewBox="0 0 24 24"><path d="M5 12.5l4.5 4.5L19 7.5"/></symbol>
	<symbol id="i-note" viewBox="0 0 24 24"><path d="M12 11v6M12 7v.5"/></symbol>
	<symbol id="i-warn" viewBox="0 0 24 24"><path d="M12 6v7M12 16.5v.5"/></symbol>
	<symbol id="i-bad" viewBox="0 0 24 24"><path d="M7 7l10 10M17 7L7 17"/></symbol>
	<symbol id="i-paused" viewBox="0 0 24 24"><path d="M9 7v10M15 7v10"/></symbol>
</svg>
<header class="top">
	<span class="mark" aria-hidden="true">{{INITIAL}}</span>
	<div><p class="small muted">{{TOOL}}<span id="whose"></span></p><h1>Segment connection</h1></div>
</header>
{{MAIN}}</body>
</html>
]==]
