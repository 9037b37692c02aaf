--- window -- window.js: the window that goes to Segment and comes back (enable.lua). Its nonce waits in this window's storage.

return [==[
import { $, say, show } from "./dom.js";

const NONCE = "moonweir-enable";
const again = " Please close this window and try again.";

const base64url = (bytes) =>
	btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

async function post(path, body) {
	const answer = await fetch(path, {
		method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
		credentials: "omit", redirect: "error", cache: "no-store",
	});
	const value = await answer.json();
	if (!answer.ok) throw new Error(value.error.message);
	return value;
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

async function comeBack(query) {
	const nonce = sessionStorage.getItem(NONCE);
	sessionStorage.removeItem(NONCE);
	if (query.get("error")) return tell("Not connected", "Segment was not allowed to connect." + again, "note");
	const state = query.get("state");
	if (!nonce || !state || !query.get("code")) throw new Error("This window did not come from Segment.");
	await post("enable/finish", { code: query.get("code"), state, nonce });
	for (;;) {
		const told = await post("enable/look", { state, nonce });
		if (told.outcome === "done") return tell("Connected", "You can close this window and go on in the other one.", "good");
		if (told.outcome === "failed") return tell("Not connected", told.text, "bad");
		await new Promise((resume) => setTimeout(resume, 500));
	}
}

const ticket = location.hash.slice(1), query = new URLSearchParams(location.search);
const back = location.pathname.endsWith("/enabled");
history.replaceState(null, "", location.pathname);
(back ? comeBack(query) : leave(ticket)).catch((error) => tell("That did not work", error.message + again, "bad"));
]==]
