--- dom -- dom.js: elements and text. What came from outside becomes text, never markup.

return [==[
export const $ = (id) => document.getElementById(id);

/** An element with a class, and text or elements in it. */
export function make(tag, className, ...inside) {
	const made = document.createElement(tag);
	if (className) made.className = className;
	for (const one of inside) {
		if (one !== null && one !== undefined && one !== "") made.append(one);
	}
	return made;
}

const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Characters that nobody sees, or that turn the direction of others, are shown as what they are. */
export function visible(text) {
	return String(text).replace(hidden, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

const whole = new Intl.NumberFormat("en-GB");
export const count = (n) => whole.format(n);

export function many(n, word) {
	return count(n) + " " + word + (n === 1 ? "" : "s");
}

export function clock(seconds) {
	const t = new Date(seconds * 1000);
	const digits = (n, wide = 2) => String(n).padStart(wide, "0");
	const day = [t.getHours(), t.getMinutes(), t.getSeconds()].map((n) => digits(n)).join(":");
	return day + "." + digits(t.getMilliseconds(), 3);
}

/** For those who listen: said once, when something was done. */
export function announce(text) {
	$("announce").textContent = text;
}

/** Copy, and say so in the button for a moment. */
export async function copy(text, button) {
	let said = "Copied";
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		const area = make("textarea", "unseen");
		area.value = text;
		document.body.append(area);
		area.select();
		if (!document.execCommand("copy")) said = "Copy is not allowed here";
		area.remove();
		button.focus();
	}
	announce(said);
	if (button.dataset.label === undefined) {
		button.dataset.label = button.textContent;
		button.textContent = said;
		setTimeout(() => {
			button.textContent = button.dataset.label;
			delete button.dataset.label;
		}, 1500);
	}
}

export const VERDICTS = {
	refused: ["Refused", "bad"],
	fault: ["Fault", "note"],
	dropped: ["Dropped", "bad"],
	error: ["Error", "bad"],
	warning: ["Warning", "warn"],
	ok: ["OK", "good"],
};

export function badge(verdict) {
	const [word, colour] = VERDICTS[verdict] || [visible(verdict), "note"];
	return make("span", "badge verdict " + colour, word);
}
]==]
