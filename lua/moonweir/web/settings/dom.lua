--- dom -- dom.js: elements and text. What came from outside becomes text, never markup.

return [==[
export const $ = (id) => document.getElementById(id);

const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of others, without what could turn the direction of the text around it. */
export const plain = (text) => String(text ?? "").replace(unseen, "\ufffd");

export function say(id, text) {
	const at = $(id);
	const said = plain(text);
	if (at.textContent !== said) at.textContent = said;
	return at;
}

export function show(id, visible) {
	$(id).hidden = !visible;
}

/** A message about something wrong, or none. */
export function complain(id, text) {
	say(id, text || "").hidden = !text;
}

/** For those who listen: said once, when something was done. */
export function announce(text) {
	$("announce").textContent = plain(text);
}

const whole = new Intl.NumberFormat("en-GB");
export const count = (n) => whole.format(n);

export function ago(seconds) {
	if (seconds === undefined || seconds === null) return "none yet";
	if (seconds < 10) return "just now";
	if (seconds < 90) return Math.round(seconds / 10) * 10 + " seconds ago";
	if (seconds < 5400) return Math.round(seconds / 60) + " minutes ago";
	if (seconds < 129600) return Math.round(seconds / 3600) + " hours ago";
	return Math.round(seconds / 86400) + " days ago";
}

/** The button is busy until the work is done, and can't be pressed twice. */
export async function busy(button, work) {
	if (button.getAttribute("aria-busy") === "true") return false;
	button.setAttribute("aria-busy", "true");
	try {
		return await work();
	} finally {
		button.removeAttribute("aria-busy");
	}
}
]==]
