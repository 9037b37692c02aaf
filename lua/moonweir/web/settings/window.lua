--- window -- window.js: the window that goes to Segment and comes back (enable.lua). Its nonce waits in this window's storage.

return [==[
import { $, say, show } from "./dom.js";

const NONCE = "moonweir-enable";
const FIRST_PAUSE = 500, LAST_PAUSE = 4000, PATIENCE = 20000; // ms
const again = " Please close this window and try again.";

const base64url = (bytes) =>
	btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

const wait = (ms) => new Promise((resume) => setTimeout(resume, ms));

/** Why there is no answer; `passes`: there may be one later. */
class Failure extends Error {
	constructor(message, passes, code) {
		super(message);
		this.passes = passes;
		this.code = code;
	}
}

async function ask(path, body) {
	let answer, value;
	try {
		answer = await fetch(path, {
			method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
			credentials: "omit", redirect: "error", cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
		});
		value = await answer.json();
	} catch {
		throw new Failure("The server can’t be reached.", true);
	}
	if (!answer.ok) throw new Failure(value.error.message, answer.status >= 500, value.error.code);
	return value;
}

/** The same, a few times with growing pauses if that may help. */
async function post(path, body) {
	for (let pause = FIRST_PAUSE; ; pause *= 2) {
		try {
			return await ask(path, body);
		} catch (error) {
			if (!error.passes || pause > LAST_PAUSE) throw error;
		}
		await wait(pause);
	}
}

function tell(title, text, tone) {
	say("title", title);
	say("text", text);
	$("icon").className = "icon " + tone;
	$("icon").querySelector("use").setAttribute("href", "#i-" + tone);
	show("icon", true);
}

async function leave(ticket) {
	const nonce = base64url(crypto.getRandomValues(new Uint8Array(32)));
	const hash = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(nonce)));
	const { go } = await post("enable/start", { ticket, nonce_hash: hash });
	sessionStorage.setItem(NONCE, nonce);
	location.assign(go);
}

async function settle(code, state, nonce) {
	try {
		await post("enable/finish", { code, state, nonce });
	} catch (error) {
		if (error.code !== "used") throw error; // by an earlier try of ours, whose answer got lost
	}
	for (;;) {
		const told = await post("enable/look", { state, nonce });
		if (told.outcome === "done") return tell("Connected", "You can close this window and go on in the other one.", "good");
		if (told.outcome === "failed") return tell("Not connected", told.text, "bad");
		await wait(FIRST_PAUSE);
	}
}

async function comeBack(query, nonce) {
	const code = query.get("code"), state = query.get("state");
	if (query.get("error")) return tell("Not connected", "Segment was not allowed to connect." + again, "note");
	if (!nonce || !state || !code) throw new Failure("This window did not come from Segment.");
	await settle(code, state, nonce);
}

/** What fails for now can be gone on with, where it was. */
async function run(work) {
	try {
		await work();
	} catch (error) {
		if (!error.passes) return tell("That did not work", error.message + again, "bad");
		tell("Not finished yet", error.message + " Leave this window open and go on in a moment.", "warn");
		show("again", true);
		$("again").addEventListener("click", () => {
			show("again", false);
			show("icon", false);
			say("title", "One moment …");
			say("text", "Trying again.");
			run(work);
		}, { once: true });
	}
}

const ticket = location.hash.slice(1), query = new URLSearchParams(location.search);
const back = location.pathname.endsWith("/enabled");
history.replaceState(null, "", location.pathname);
const nonce = sessionStorage.getItem(NONCE);
if (back) sessionStorage.removeItem(NONCE);
run(() => (back ? comeBack(query, nonce) : leave(ticket)));
]==]
