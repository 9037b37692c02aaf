--- html -- the settings page, inside of frame.lua, before anything is known. {{TOOL}} is filled in (page.lua).

return [==[
<main id="main">
	<noscript><section class="card piece"><h2>JavaScript is off</h2>
		<p>This page needs it. Please turn it on for this page and open it from {{TOOL}} again.</p></section></noscript>

	<section id="opening" class="card piece quiet-piece"><p class="muted">Opening your settings …</p></section>

	<section id="closed" class="card piece closed" hidden>
		<span class="icon note"><svg aria-hidden="true"><use href="#i-note"/></svg></span>
		<h2 id="closed-title" tabindex="-1"></h2>
		<p id="closed-text"></p>
	</section>

	<div id="settings" hidden>
		<section id="status" class="card piece" aria-labelledby="status-title">
			<div class="headline">
				<span id="status-icon" class="icon"><svg aria-hidden="true"><use href="#i-note"/></svg></span>
				<div>
					<h2 id="status-title"></h2>
					<p id="status-text"></p>
					<details id="status-details" class="small" hidden>
						<summary>What Segment said</summary>
						<p id="status-detail" class="said"></p>
					</details>
				</div>
			</div>
			<dl id="figures" class="figures">
				<div><dt>Last delivery</dt><dd id="last">–</dd></div>
				<div><dt>Delivered</dt><dd id="delivered" class="number">0</dd></div>
				<div><dt>Waiting</dt><dd id="waiting" class="number">0</dd></div>
				<div id="refused-figure" hidden><dt>Not accepted</dt><dd id="refused" class="number">0</dd></div>
			</dl>
			<div id="test" class="result" hidden>
				<span id="test-badge" class="badge"></span>
				<p id="test-text"></p>
				<p id="test-detail" class="said small" hidden></p>
			</div>
			<p id="action-error" class="wrong" role="alert" hidden></p>
			<div id="actions" class="buttons">
				<button type="button" id="renew" class="primary" hidden>Paste a new key</button>
				<button type="button" id="send-test">Send a test event</button>
				<button type="button" id="pause">Pause</button>
			</div>
		</section>

		<section id="connection" class="card piece" aria-labelledby="connection-title">
			<h2 id="connection-title">Where events go</h2>
			<dl class="rows">
				<div><dt>Write key</dt><dd id="key" class="mono"></dd></div>
				<div><dt>Workspace region</dt><dd id="region"></dd></div>
				<div id="oauth-row" hidden><dt>Signs in with</dt><dd id="oauth-what"></dd></div>
			</dl>
			<div class="buttons">
				<button type="button" id="replace">Replace key or region</button>
				<button type="button" id="oauth-open" hidden>Use an OAuth app</button>
			</div>
		</section>

		<form id="connect" class="card piece" autocomplete="off" novalidate hidden>
			<h2 id="connect-title">Connect Segment</h2>
			<fieldset class="field" aria-describedby="region-hint">
				<legend>Where is your Segment workspace?</legend>
				<div id="regions" class="choices"></div>
				<p id="region-hint" class="hint">You see it in Segment under Settings, Workspace Settings, General.</p>
			</fieldset>
			<div id="enable" class="enable" hidden>
				<button type="button" id="enable-go" class="primary">Connect with Segment</button>
				<p class="hint">Log in to Segment and choose a source: nothing to copy.</p>
				<p id="enable-hint" hidden>Go on in the window that has opened. <a id="enable-link" target="_blank" rel="noopener">It
					did not open</a></p>
				<p id="enable-error" class="wrong" role="alert" hidden></p>
				<p class="or"><span>or paste a write key</span></p>
			</div>
			<div class="field">
				<label for="write-key">Write key</label>
				<input id="write-key" type="password" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="200"
					aria-describedby="key-hint key-wrong">
				<p id="key-hint" class="hint">It names the source in Segment that the events are for. We keep it encrypted and never
					show it again.</p>
				<p id="key-wrong" class="wrong" role="alert" hidden></p>
			</div>
			<details class="help">
				<summary>Where do I find it?</summary>
				<ol>
					<li>In Segment, open <b>Connections</b>, then <b>Sources</b>.</li>
					<li>Choose the source for {{TOOL}}, or add one: <b>Add source</b>, then search for {{TOOL}}.</li>
					<li>Open <b>Settings</b>, then <b>API Keys</b>.</li>
					<li>Copy the <b>write key</b> and paste it here.</li>
				</ol>
			</details>
			<p id="connect-error" class="wrong" role="alert" hidden></p>
			<div class="buttons">
				<button type="submit" id="save" class="primary">Connect</button>
				<button type="button" id="connect-cancel" hidden>Cancel</button>
			</div>
		</form>

		<form id="oauth" class="card piece" autocomplete="off" novalidate hidden>
			<h2>Use an OAuth app</h2>
			<p>For workspaces that want signed tokens instead of a key alone. The write key stays: it names the source.</p>
			<div class="field"><label for="client-id">App ID</label>
				<input id="client-id" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="200"></div>
			<div class="field"><label for="key-id">Key ID</label>
				<input id="key-id" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="200"></div>
			<div class="field"><label for="private-key">Private key</label>
				<textarea id="private-key" class="mono secret" rows="5" maxlength="12000" autocomplete="off" autocapitalize="none"
					spellcheck="false" aria-describedby="private-hint" placeholder="-----BEGIN PRIVATE KEY-----"></textarea>
				<p id="private-hint" class="hint">The text in the .pem file. We keep it encrypted and never show it again.</p></div>
			<p id="oauth-error" class="wrong" role="alert" hidden></p>
			<div class="buttons">
				<button type="submit" id="oauth-save" class="primary">Save the app</button>
				<button type="button" id="oauth-off" hidden>Use the write key alone</button>
				<button type="button" id="oauth-cancel">Cancel</button>
			</div>
		</form>

		<section id="leave" class="leave" hidden>
			<p class="small muted">To stop for good, disconnect: the key is deleted here. Your data in Segment stays.</p>
			<button type="button" id="disconnect" class="danger">Disconnect …</button>
		</section>
	</div>
</main>

<dialog id="confirm" aria-labelledby="confirm-title" aria-describedby="confirm-text">
	<h2 id="confirm-title">Disconnect Segment?</h2>
	<p id="confirm-text"></p>
	<p class="wrong" id="confirm-error" role="alert" hidden></p>
	<div class="buttons">
		<button type="button" id="confirm-no" autofocus>Keep it connected</button>
		<button type="button" id="confirm-yes" class="danger">Disconnect</button>
	</div>
</dialog>
<p id="announce" class="unseen" role="status"></p>
]==]
