--- style -- the look that Moonweir's pages share: colours for light and dark, type, controls, badges.
---
--- Text on its background has a contrast of 4.5 at least, borders of controls 3 (WCAG 2.2 AA); spec/web_spec.lua computes it.

return [==[
:root {
	color-scheme: light dark;
	--bg: #f6f6f4;
	--surface: #ffffff;
	--sunken: #f1f1ee;
	--line: #e2e2dd;
	--border: #858b94;
	--text: #1a1e23;
	--muted: #59616b;
	--accent: #1c5bb8;
	--accent-text: #ffffff;
	--accent-weak: #e7effb;
	--good: #17693d;
	--good-weak: #e2f3e9;
	--warn: #7d5200;
	--warn-weak: #fcf0d6;
	--bad: #ab231c;
	--bad-weak: #fde8e6;
	--note: #4d5a8c;
	--note-weak: #ecedf8;
	--radius: 8px;
	--sans: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif;
	--mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "Noto Sans Mono", "Liberation Mono", "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
	:root {
		--bg: #0f1317;
		--surface: #161b21;
		--sunken: #11161b;
		--line: #2a323b;
		--border: #707b88;
		--text: #e7eaed;
		--muted: #9ba6b2;
		--accent: #84b3ff;
		--accent-text: #0c1524;
		--accent-weak: #1a2a44;
		--good: #74d29c;
		--good-weak: #14301f;
		--warn: #ebb856;
		--warn-weak: #33280e;
		--bad: #ff9389;
		--bad-weak: #3c1a18;
		--note: #aab4f0;
		--note-weak: #222846;
	}
}
*, *::before, *::after { box-sizing: border-box; }
html {
	font: 15px/1.5 var(--sans); background: var(--bg); color: var(--text);
	-webkit-text-size-adjust: 100%; scrollbar-color: var(--border) transparent;
}
body { margin: 0; }
h1, h2, h3, p, ul, ol, dl, dd, figure, fieldset, legend { margin: 0; padding: 0; border: 0; }
ul, ol { list-style: none; }
h1, h2, h3 { font-weight: 600; line-height: 1.25; text-wrap: balance; }
h1 { font-size: 1.2rem; letter-spacing: -0.01em; }
h2 { font-size: 1.05rem; }
h3 { font-size: 0.93rem; }
a { color: var(--accent); text-underline-offset: 2px; }
code, pre, kbd, .mono { font-family: var(--mono); font-size: 0.87em; }
.number, time, td { font-variant-numeric: tabular-nums; }
.muted { color: var(--muted); }
.small { font-size: 0.87rem; }
[hidden] { display: none !important; }

.card { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); }

/* Controls */
button, input, select, textarea { font: inherit; color: inherit; }
button, .button, input, select, textarea {
	min-height: 2.2rem; padding: 0.3rem 0.75rem; background: var(--surface);
	border: 1px solid var(--border); border-radius: 6px;
}
input, select, textarea { width: 100%; }
button, .button { cursor: pointer; font-weight: 500; white-space: nowrap; }
button:hover, .button:hover { border-color: var(--text); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button.danger { color: var(--bad); border-color: var(--bad); }
button.quiet { background: none; border-color: transparent; color: var(--accent); }
button:disabled, input:disabled, select:disabled { opacity: 0.55; cursor: not-allowed; }
input::placeholder { color: var(--muted); opacity: 1; }
label, legend { display: block; font-size: 0.87rem; font-weight: 500; }
.hint { color: var(--muted); font-size: 0.87rem; }
.field { display: grid; gap: 0.25rem; align-content: start; }
.wrong { color: var(--bad); font-size: 0.87rem; }
[aria-invalid="true"] { border-color: var(--bad); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

/* A verdict: a colour and a word, never the colour alone */
.badge {
	display: inline-flex; align-items: center; gap: 0.35em; padding: 0.05rem 0.5rem; border-radius: 99px;
	font-size: 0.8rem; font-weight: 500; line-height: 1.5; white-space: nowrap;
	color: var(--muted); background: var(--sunken);
}
.badge::before { content: ""; width: 0.5em; height: 0.5em; border-radius: 50%; background: currentColor; flex: none; }
.good { color: var(--good); background: var(--good-weak); }
.warn { color: var(--warn); background: var(--warn-weak); }
.bad { color: var(--bad); background: var(--bad-weak); }
.note { color: var(--note); background: var(--note-weak); }

.unseen:not(:focus):not(:active) {
	position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}

@media (prefers-reduced-motion: no-preference) {
	button, .button, input, select { transition: border-color 120ms; }
}
@media (pointer: coarse) {
	button, .button, input, select { min-height: 2.75rem; }
	input, select, textarea { font-size: 16px; }
}
@media (forced-colors: active) {
	.badge { border: 1px solid; }
}
]==]
