--- faults -- faults.js: the buttons that make it fail, and what is failing.

return [==[
import { $, announce, make, visible } from "./dom.js";
import { ask } from "./stream.js";

const WORDS = { 429: "429", 500: "500", 401: "401", stall: "Stall", cut: "Cut", lost: "Lost answer" };

async function attempt(what) {
	$("fault-error").hidden = true;
	try {
		await what();
	} catch (e) {
		$("fault-error").textContent = e.message;
		$("fault-error").hidden = false;
	}
}

export class Faults {
	constructor() {
		this.key = "";
		$("fault-buttons").addEventListener("click", (e) => {
			const kind = e.target.dataset.kind;
			if (kind) attempt(() => this.add(kind));
		});
	}

	async add(kind) {
		const times = Number($("fault-times").value) || undefined;
		const wish = { kind, times, account: $("fault-account").value || undefined };
		if (kind === "429") wish.retry_after = Number($("fault-wait").value);
		await ask("POST", "faults", wish);
		announce("It will fail: " + WORDS[kind]);
	}

	/** What the debugger says is active. */
	show(faults, stalled) {
		const key = JSON.stringify([faults, stalled]);
		if (key === this.key) return;
		this.key = key;
		const items = faults.map((fault) => this.item(
			WORDS[fault.kind] + (fault.times ? " × " + fault.times : "") + (fault.account ? " for " + visible(fault.account) : ""),
			"Remove", () => ask("DELETE", "faults/" + Number(fault.id))));
		if (stalled) items.push(this.item(stalled + " stalled", "Let go", () => ask("POST", "release")));
		$("fault-list").replaceChildren(...items);
	}

	item(text, verb, act) {
		const button = make("button", "danger", text + " ", make("span", "unseen", verb), verb === "Remove" ? "✕" : "▸ let go");
		button.type = "button";
		button.addEventListener("click", () => attempt(act));
		return make("li", "", button);
	}
}
]==]
