--- main -- main.js: opens the session with the link's token, and keeps the page up to date.

return [==[
import { $, show, complain } from "./dom.js";
import { open, look } from "./server.js";
import { setPage, showState, showClosed } from "./view.js";
import { setForms } from "./forms.js";

const SLOW = 10000, FAST = 1000; // ms between two looks

let page = null;
let closed = false;
let active = true; // has somebody done something since the last look?
let looking = 0;
let lost = false; // did the last look fail?

const again = (tool) => "Please go back to " + tool + " and open the Segment settings from there again.";
const REASONS = {
	link_used: ["This link was used already", "For your safety each link opens the settings once. "],
	link_expired: ["This link is too old", "For your safety a link is good for a few minutes. "],
	link_invalid: ["This link is not valid", "It may have been cut when it was copied. "],
	session_over: ["You have been signed out", "For your safety that happens after half an hour without a click. "],
	no_link: ["Open this page from TOOL", "Its address alone does not say whose settings these are. "],
};

const tool = () => (page && page.tool) || document.title.split(" – ").slice(1).join(" – ");

function close(code) {
	closed = true;
	clearTimeout(looking);
	const [title, text] = REASONS[code];
	showClosed(title.replace("TOOL", () => tool()), text + again(tool()));
}

/** True if it ends the session. */
function ended(error) {
	if (!REASONS[error.code]) return false;
	close(error.code);
	return true;
}

function plan(state) {
	clearTimeout(looking);
	const soon = Date.now() < expecting || (state && (state.testing || state.waiting > 0));
	if (!closed && !document.hidden) looking = setTimeout(refresh, soon ? FAST : SLOW);
}

function changed(state) {
	if (closed) return;
	showState(state);
	forms.setState(state);
	plan(state);
}

async function refresh() {
	const wasActive = active;
	active = false;
	try {
		const state = await look(wasActive);
		if (state) changed(state);
		if (lost) complain("action-error", "");
		lost = false;
	} catch (error) {
		active = wasActive;
		if (!ended(error)) {
			lost = true;
			complain("action-error", error.message);
			plan(null);
		}
	}
}

let expecting = 0; // until when a window may bring news

function waiting() {
	expecting = Date.now() + 15 * 60000;
	plan(null);
}

const forms = setForms({ changed, ended, waiting });

for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { active = true; }, { passive: true });
document.addEventListener("visibilitychange", () => {
	if (page && !document.hidden && !closed) refresh();
});

async function start() {
	const token = location.hash.slice(1);
	// The address is clean before anything else happens: nobody shall bookmark or copy a link that is used up.
	history.replaceState(null, "", location.pathname + location.search);
	if (!token) return close("no_link");
	try {
		page = (await open(token)).page;
		setPage(page);
		forms.setPage(page);
		const state = await look(true);
		show("opening", false);
		show("settings", true);
		changed(state);
		if (!state.connected) $(page.enable ? "enable-go" : "write-key").focus();
	} catch (error) {
		if (!ended(error)) showClosed("The settings can’t be opened", error.message + " " + again(tool()));
	}
}

// The same page, opened by another link: the browser changes the fragment and loads nothing.
addEventListener("hashchange", () => {
	if (location.hash.length > 1) location.reload();
});

start();
]==]
