--- css -- the look of the debugger's page, on top of the common style.

return [==[
html, body { height: 100%; }
body { display: flex; flex-direction: column; min-height: 100%; }
main { flex: 1; display: flex; flex-direction: column; min-height: 0; padding: 0.9rem 1.2rem 1.2rem; }
#desk { flex: 1; display: flex; flex-direction: column; gap: 0.75rem; min-height: 0; }

.bar {
	display: flex; align-items: center; gap: 0.9rem; padding: 0.55rem 1.2rem;
	background: var(--surface); border-bottom: 1px solid var(--line);
}
.bar h1 { display: flex; align-items: center; gap: 0.5rem; white-space: nowrap; }
.bar h1 span { font-weight: 400; color: var(--muted); }
.bar .endpoint { margin-right: auto; display: flex; align-items: center; gap: 0.25rem; color: var(--muted); min-width: 0; }
.bar .endpoint code { color: var(--text); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#pause { min-width: 6.5rem; }

.sentence { padding: 1.6rem; max-width: 44rem; display: grid; gap: 0.6rem; justify-items: start; align-content: start; }
.sentence pre {
	margin: 0; padding: 0.8rem 1rem; max-width: 100%; overflow: auto; border-radius: 6px; background: var(--sunken);
	border: 1px solid var(--line);
}

/* What is going on */
.tiles { display: grid; grid-template-columns: minmax(20rem, 2.4fr) 1fr 1fr; gap: 0.75rem; }
.tile { padding: 0.65rem 0.95rem; display: grid; align-content: start; }
.tile-name { font-size: 0.8rem; font-weight: 500; color: var(--muted); }
.figure { line-height: 1.2; margin: 0.15rem 0 0.1rem; white-space: nowrap; }
.figure strong { font-size: 1.6rem; font-weight: 600; letter-spacing: -0.02em; }
.wide { grid-template-columns: auto 1fr; column-gap: 1.5rem; }
.wide > * { grid-column: 1; }
#chart { grid-column: 2; grid-row: 1 / span 3; width: 100%; height: 4.1rem; align-self: center; overflow: visible; }
#chart rect { fill: var(--accent); }
.over { color: var(--bad); }
#chart rect.over { fill: var(--bad); }
#chart line { stroke: var(--border); stroke-width: 1; vector-effect: non-scaling-stroke; }
#chart line.limit { stroke-dasharray: 4 4; }
#chart line.base { stroke: var(--line); }

/* Faults */
.faults { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 0.9rem; padding: 0.45rem 0.95rem; }
.buttons { display: flex; flex-wrap: wrap; gap: 0.35rem; }
.faults button { min-height: 1.9rem; padding: 0.1rem 0.65rem; font-size: 0.87rem; }
.choices { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem; }
.choices label { font-weight: 400; color: var(--muted); }
.choices select, .choices input { width: auto; min-height: 1.9rem; padding: 0.1rem 0.5rem; font-size: 0.87rem; max-width: 13rem; }
.choices input { width: 4.2rem; }
#fault-list:empty { display: none; }
#fault-list li { display: inline-flex; }
#fault-list button { border-radius: 99px; border-color: currentColor; }

/* Search and filters */
.filters { display: grid; grid-template-columns: minmax(14rem, 2fr) repeat(4, minmax(8rem, 1fr)); gap: 0.6rem; }
.filters label { color: var(--muted); font-size: 0.8rem; }

/* Messages and the chosen one */
.panes { flex: 1; display: grid; grid-template-columns: minmax(0, 11fr) minmax(0, 9fr); gap: 0.75rem; min-height: 24rem; }
.list-pane, .detail-pane { display: flex; flex-direction: column; min-height: 0; min-width: 0; overflow: hidden; }
.pane-head {
	display: flex; align-items: center; gap: 0.5rem; padding: 0.45rem 0.95rem; min-height: 2.9rem;
	border-bottom: 1px solid var(--line);
}
.pane-head h2 { margin-right: auto; }
.pane-head h2 .muted { font-weight: 400; font-size: 0.87rem; margin-left: 0.3rem; }
.pane-head button { min-height: 1.9rem; padding: 0.1rem 0.5rem; }

.list { --row: 40px; flex: 1; overflow-y: auto; overflow-x: hidden; outline-offset: -2px; overflow-anchor: none; }
#rows { position: relative; }
.row {
	position: absolute; left: 0; right: 0; top: 0; height: var(--row); cursor: pointer; padding: 0 0.95rem;
	border-bottom: 1px solid var(--line); contain: strict;
	display: grid; align-items: center; gap: 0 0.75rem;
	grid-template-columns: 6.1rem 5.6rem 4.2rem minmax(6rem, 1fr) minmax(3.5rem, auto) 4rem;
}
.row:hover { background: var(--sunken); }
.row[aria-selected="true"] { background: var(--accent-weak); box-shadow: inset 3px 0 0 var(--accent); }
.row > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; }
.row .when, .row .size, .row .who { font-size: 0.8rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.row .size { text-align: right; }
.row .kind { font-size: 0.87rem; color: var(--muted); }
.row .verdict { justify-self: start; }
.row .what b { font-weight: 550; }
.row .what i { font-style: normal; color: var(--muted); font-size: 0.87rem; margin-left: 0.5rem; }
.row b, .row i, .detail-pane h2, dd { unicode-bidi: isolate; }

.detail-pane { overflow: auto; }
.detail-pane:focus { outline: none; }
.detail-pane .blank { margin: auto; padding: 2rem; color: var(--muted); text-align: center; max-width: 22rem; }
.detail { padding: 0.9rem 1.1rem 1.1rem; display: grid; gap: 0.9rem; grid-template-columns: minmax(0, 1fr); }
.detail-head { display: grid; gap: 0.35rem; justify-items: start; }
.detail-head h2 { overflow-wrap: anywhere; font-size: 1.15rem; }
.detail-head .line { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
#back { display: none; margin-left: -0.75rem; }
.list, .detail-pane, .json { scrollbar-width: thin; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.1rem 1rem; font-size: 0.87rem; }
.facts dt { color: var(--muted); }
.facts dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }

.findings { display: grid; gap: 0.5rem; }
.finding {
	display: grid; gap: 0.15rem; padding: 0.5rem 0.8rem;
	border: 1px solid var(--line); border-left: 3px solid var(--border); border-radius: 6px;
}
.finding.is-error { border-left-color: var(--bad); }
.finding.is-warning { border-left-color: var(--warn); }
.finding.is-note { border-left-color: var(--note); }
.finding .line { display: flex; flex-wrap: wrap; gap: 0.25rem 0.6rem; align-items: baseline; }
.finding p { overflow-wrap: anywhere; }
.finding .fix { font-weight: 550; }
.finding code { color: var(--muted); }

.views { display: flex; flex-wrap: wrap; gap: 0.35rem; align-items: center; }
.views .gap { margin-right: auto; }
.views button { min-height: 2rem; padding: 0.1rem 0.7rem; font-size: 0.87rem; }
.views button[aria-pressed="true"] { background: var(--accent-weak); border-color: var(--accent); color: var(--accent); }
.json {
	margin: 0; padding: 0.8rem 0; overflow: auto; border-radius: 6px; background: var(--sunken); border: 1px solid var(--line);
	font-size: 0.84rem; line-height: 1.55; tab-size: 2; max-width: 100%;
}
.json.raw { padding: 0.8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.json .l {
	display: block; padding: 0 1rem; min-height: 1.55em; width: max-content; min-width: 100%; border-left: 3px solid transparent;
}
.json .is-error { border-left-color: var(--bad); background: var(--bad-weak); }
.json .is-warning { border-left-color: var(--warn); background: var(--warn-weak); }
.json .is-note { border-left-color: var(--note); background: var(--note-weak); }
.json .k { color: var(--accent); }
.json .s { color: var(--good); }
.json .v { color: var(--warn); }
.json .p { color: var(--muted); }
.json .is-error > *, .json .is-warning > *, .json .is-note > * { color: var(--text); }

@media (max-height: 760px) and (min-width: 60rem) {
	body { height: auto; }
	.panes { min-height: 30rem; height: 30rem; flex: none; }
}
@media (max-width: 60rem) {
	html, body { height: auto; }
	.panes { grid-template-columns: minmax(0, 1fr); }
	.list-pane { height: 75vh; min-height: 26rem; }
	.detail-pane { display: none; overflow: visible; }
	.panes.is-detail .detail-pane { display: flex; }
	.panes.is-detail .list-pane { display: none; }
	#back { display: inline-block; }
	.tiles { grid-template-columns: 1fr 1fr; }
	.tile.wide { grid-column: 1 / -1; }
	.filters { grid-template-columns: repeat(4, minmax(0, 1fr)); }
	.filters .grow { grid-column: 1 / -1; }
}
@media (max-width: 40rem) {
	main { padding: 0.7rem; }
	.bar { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0.3rem 0.7rem; padding: 0.55rem 0.8rem; }
	.bar #pause { grid-column: 2; grid-row: 1; }
	.bar .endpoint { grid-row: 2; font-size: 0.87rem; }
	.bar #connection { grid-column: 2; grid-row: 2; justify-self: end; align-self: center; }
	.bar .endpoint button { min-height: 2rem; }
	.tile .small { font-size: 0.8rem; }
	.figure strong { font-size: 1.35rem; }
	.faults { order: 1; }
	.wide { column-gap: 0.9rem; }
	.filters { grid-template-columns: 1fr 1fr; }
	.choices select { max-width: 9.5rem; }
	.sentence { padding: 1.1rem; }
	.list { --row: 62px; }
	.row {
		grid-template-columns: minmax(0, 1fr) auto; grid-template-rows: auto auto; align-content: center; gap: 0.1rem 0.6rem;
		padding: 0 0.8rem;
	}
	.row .what { grid-column: 1; grid-row: 1; }
	.row .verdict { grid-column: 2; grid-row: 1; justify-self: end; }
	.row .kind { grid-column: 1; grid-row: 2; }
	.row .when { grid-column: 2; grid-row: 2; justify-self: end; }
	.row .who, .row .size { display: none; }
}
]==]
