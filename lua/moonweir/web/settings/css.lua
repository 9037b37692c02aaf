--- css -- the settings page's own style, on top of the common one (web/style.lua).

return [==[
:root { --action: var(--brand, var(--accent)); --action-text: var(--brand-text, var(--accent-text)); }
body { padding: 1.5rem 1rem 3rem; }
.top, main { max-width: 40rem; margin: 0 auto; }
.top { display: flex; align-items: center; gap: 0.85rem; margin-bottom: 1.25rem; }
.top h1 { font-size: 1.35rem; }
.top > div { min-width: 0; }
.top p { overflow-wrap: anywhere; }
.mark {
	flex: none; display: grid; place-items: center; width: 2.75rem; height: 2.75rem; border-radius: 11px;
	background: var(--action); color: var(--action-text); font-size: 1.3rem; font-weight: 650;
}
#settings { display: grid; gap: 1rem; }
.piece { padding: 1.35rem 1.5rem; display: grid; gap: 1rem; box-shadow: 0 1px 2px rgb(0 0 0 / 4%); }
.piece p { max-width: 60ch; }
button.primary { background: var(--action); border-color: var(--action); color: var(--action-text); }
button.primary:hover:not(:disabled) { filter: brightness(1.08); }
button[aria-busy="true"] { opacity: 0.7; cursor: progress; }

.icon { flex: none; display: grid; place-items: center; width: 2.5rem; height: 2.5rem; border-radius: 50%; }
.icon svg {
	width: 1.5rem; height: 1.5rem; fill: none; stroke: currentColor; stroke-width: 2.4;
	stroke-linecap: round; stroke-linejoin: round;
}
.headline { display: flex; gap: 0.95rem; align-items: flex-start; }
.headline > div { display: grid; gap: 0.3rem; min-width: 0; }
.headline h2 { font-size: 1.15rem; padding-top: 0.5rem; }

.figures {
	display: flex; flex-wrap: wrap; gap: 1px; background: var(--line); border: 1px solid var(--line);
	border-radius: 8px; overflow: hidden;
}
.figures > div { flex: 1 1 7rem; background: var(--surface); padding: 0.65rem 0.85rem; }
.figures > div:first-child { flex-basis: 9.5rem; }
.figures dt { color: var(--muted); font-size: 0.8rem; }
.figures dd { font-size: 1.05rem; font-weight: 600; }

.rows > div { display: flex; gap: 1rem; justify-content: space-between; padding: 0.6rem 0; border-bottom: 1px solid var(--line); }
.rows > div:first-child { border-top: 1px solid var(--line); }
.rows dt { color: var(--muted); }
.rows dd.mono { font-size: 0.95rem; }
.rows dd { text-align: right; overflow-wrap: anywhere; min-width: 0; }

.buttons { display: flex; flex-wrap: wrap; gap: 0.6rem; }
.result {
	display: grid; gap: 0.35rem; justify-items: start; padding: 0.8rem 0.95rem; background: var(--sunken); border-radius: 8px;
}
.said { font-family: var(--mono); font-size: 0.82rem; overflow-wrap: anywhere; white-space: pre-wrap; color: var(--muted); }
details > summary { cursor: pointer; color: var(--accent); width: fit-content; }
details.help ol { list-style: decimal; padding: 0.5rem 0 0 1.3rem; display: grid; gap: 0.25rem; }
details > .said { padding-top: 0.3rem; }

.choices { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.6rem; }
.choice {
	display: flex; align-items: center; gap: 0.6rem; padding: 0.65rem 0.85rem; border: 1px solid var(--border);
	border-radius: 8px; cursor: pointer; font-size: 1rem; font-weight: 400;
}
.choice input { width: 1.05rem; height: 1.05rem; min-height: 0; margin: 0; accent-color: var(--accent); flex: none; }
.choice:has(:checked) { border-color: var(--accent); background: var(--accent-weak); box-shadow: inset 0 0 0 1px var(--accent); }
.choice:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.choice input:focus-visible { outline: none; }
.field legend { padding-bottom: 0.35rem; }
textarea { resize: vertical; }
textarea::placeholder { color: var(--muted); opacity: 1; }
/* A key on the screen is a key for whoever stands behind. */
.secret:not(:placeholder-shown) { -webkit-text-security: disc; }

.enable { display: grid; gap: 0.6rem; justify-items: start; }
.or { justify-self: stretch; max-width: none; display: flex; align-items: center; gap: 0.75rem; color: var(--muted); }
.or::before, .or::after { content: ""; flex: 1; border-top: 1px solid var(--line); }
.closed { justify-items: center; text-align: center; padding: 2.5rem 1.5rem; }
.closed p { text-wrap: balance; }
.closed h2:focus { outline: none; }
.quiet-piece { text-align: center; padding: 2.5rem 1.5rem; }
.quiet-piece p { margin: 0 auto; }
.leave {
	display: flex; flex-wrap: wrap; gap: 0.75rem 1.5rem;
	align-items: center; justify-content: space-between; padding: 0.25rem 0.5rem;
}
.leave p { flex: 1 1 16rem; }
.leave button { background: none; }

dialog {
	max-width: min(28rem, calc(100vw - 2rem)); padding: 1.5rem; border: 1px solid var(--line); border-radius: 12px;
	background: var(--surface); color: var(--text); box-shadow: 0 12px 40px rgb(0 0 0 / 30%);
}
dialog::backdrop { background: rgb(10 14 18 / 55%); }
dialog h2 { margin-bottom: 0.6rem; }
dialog .buttons { justify-content: flex-end; margin-top: 1.25rem; }
dialog .wrong { margin-top: 0.6rem; }

@media (max-width: 30rem) {
	body { padding: 1rem 0.75rem 2rem; }
	.piece { padding: 1.1rem 1rem; }
	.figures > div:first-child { flex-basis: 100%; }
	.buttons button { flex: 1 1 auto; }
	.leave button { width: 100%; }
	dialog .buttons { flex-direction: column-reverse; }
}
@media (forced-colors: active) {
	.icon, .mark, .result { border: 1px solid; }
}
]==]
