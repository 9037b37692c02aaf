--- window_html -- the window that goes to Segment and comes back. {{TOOL}} and {{INITIAL}} as in html.lua.

return [==[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Segment connection – {{TOOL}}</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="style.css">
<link rel="stylesheet" href="settings.css">
<script type="module" src="window.js"></script>
</head>
<body>
<svg hidden>
	<symbol id="i-good" viewBox="0 0 24 24"><path d="M5 12.5l4.5 4.5L19 7.5"/></symbol>
	<symbol id="i-note" viewBox="0 0 24 24"><path d="M12 11v6M12 7v.5"/></symbol>
	<symbol id="i-bad" viewBox="0 0 24 24"><path d="M7 7l10 10M17 7L7 17"/></symbol>
</svg>
<header class="top">
	<span class="mark" aria-hidden="true">{{INITIAL}}</span>
	<div><p class="small muted">{{TOOL}}</p><h1>Segment connection</h1></div>
</header>
<main>
	<section class="card piece closed" aria-live="polite">
		<span id="icon" class="icon note" hidden><svg aria-hidden="true"><use href="#i-note"/></svg></span>
		<h2 id="title">One moment …</h2>
		<p id="text">Connecting {{TOOL}} with Segment.</p>
	</section>
</main>
</body>
</html>
]==]
