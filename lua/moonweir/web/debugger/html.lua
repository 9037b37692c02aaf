--- html -- the debugger's page: what is there before the first message. No script or style stands in it (see the CSP).

return [==[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Moonweir debugger</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
<link rel="stylesheet" href="/debugger.css">
<script type="module" src="/main.js"></script>
</head>
<body>
<header class="bar">
	<h1><img src="/icon.svg" alt="" width="24" height="24"> Moonweir <span>debugger</span></h1>
	<p class="endpoint"><span class="unseen">Send to</span> <code id="endpoint"></code>
		<button type="button" class="quiet small" id="copy-endpoint">Copy<span class="unseen"> the endpoint</span></button></p>
	<p id="connection" class="badge">Connecting</p>
	<button type="button" id="pause" class="primary">Pause</button>
</header>

<main>
	<noscript><p class="card sentence">This page is a live view and needs JavaScript.</p></noscript>
	<div id="locked" class="card sentence" hidden>
		<h2>This address lacks its token</h2>
		<p>Open the whole address that <code>moonweir debugger</code> printed in its terminal: behind the <code>#</code> it has
			a token that lets this page see what arrives.</p>
	</div>

	<div id="desk">
	<section class="tiles" aria-label="Right now">
		<div class="card tile wide">
			<h2 class="tile-name">Requests a second</h2>
			<p class="figure"><strong class="number" id="rate">0</strong> <span class="muted">of 50</span></p>
			<svg id="chart" role="img" aria-label="Requests a second, the last minute" viewBox="0 0 300 64"
				preserveAspectRatio="none" focusable="false"></svg>
			<p class="small muted" id="rate-note">the last minute</p>
		</div>
		<div class="card tile">
			<h2 class="tile-name">Messages</h2>
			<p class="figure"><strong class="number" id="messages">0</strong></p>
			<p class="small muted" id="messages-note">none dropped</p>
		</div>
		<div class="card tile">
			<h2 class="tile-name">Bytes a request</h2>
			<p class="figure"><strong class="number" id="bytes">0</strong></p>
			<p class="small muted" id="bytes-note">the last minute</p>
		</div>
	</section>

	<section class="card faults" aria-labelledby="faults-name">
		<h2 class="tile-name" id="faults-name">Make it fail</h2>
		<div class="buttons" id="fault-buttons">
			<button type="button" data-kind="429">429</button>
			<button type="button" data-kind="500">500</button>
			<button type="button" data-kind="401">401</button>
			<button type="button" data-kind="stall">Stall</button>
			<button type="button" data-kind="cut">Cut</button>
			<button type="button" data-kind="lost">Lose the answer</button>
		</div>
		<div class="choices">
			<label for="fault-times">for</label>
			<select id="fault-times">
				<option value="1">the next request</option>
				<option value="10">the next 10</option>
				<option value="">all, until removed</option>
			</select>
			<label for="fault-account">of</label>
			<select id="fault-account"><option value="">all accounts</option></select>
			<label for="fault-wait">Retry-After</label>
			<input id="fault-wait" class="number" type="number" min="0" max="3600" value="2" inputmode="numeric">
			<span class="small muted">s</span>
		</div>
		<ul id="fault-list" class="buttons" aria-label="Faults that are active"></ul>
		<p class="wrong" id="fault-error" role="alert" hidden></p>
	</section>

	<search class="filters" aria-label="Search and filters">
		<div class="field grow"><label for="search">Search the raw JSON</label>
			<input id="search" type="search" autocomplete="off" spellcheck="false" placeholder="an id, an address, a property …"></div>
		<div class="field"><label for="by-type">Type</label><select id="by-type"><option value="">All types</option></select></div>
		<div class="field"><label for="by-event">Event</label><select id="by-event"><option value="">All events</option></select></div>
		<div class="field"><label for="by-account">Account</label>
			<select id="by-account"><option value="">All accounts</option></select></div>
		<div class="field"><label for="by-verdict">Verdict</label>
			<select id="by-verdict"><option value="">All verdicts</option></select></div>
	</search>

	<div class="panes" id="panes">
		<section class="card list-pane" aria-labelledby="list-name">
			<div class="pane-head">
				<h2 id="list-name">Messages <span class="muted number" id="count"></span></h2>
				<button type="button" class="quiet small" id="show-all" hidden>Show all</button>
				<button type="button" class="quiet small" id="clear">Clear</button>
			</div>
			<div id="list" class="list" role="listbox" tabindex="0" aria-label="Messages, newest first">
				<div id="rows" role="presentation"></div>
			</div>
			<div id="empty" class="sentence">
				<h3>Nothing has arrived yet</h3>
				<p>Point any Segment library at this address, or send a first event from a terminal:</p>
				<pre id="first" tabindex="0" aria-label="Command for a first event"></pre>
				<p><button type="button" id="copy-first">Copy the command</button></p>
				<p class="muted">A source of yours: <code id="first-run"></code></p>
			</div>
			<div id="nothing" class="sentence" hidden>
				<h3>Nothing matches</h3>
				<p>None of the <span id="nothing-of"></span> that are kept matches search and filters.</p>
			</div>
		</section>
		<section class="card detail-pane" id="detail" aria-label="The chosen message" tabindex="-1"></section>
	</div>
	</div>
</main>
<p id="announce" class="unseen" role="status"></p>
</body>
</html>
]==]
