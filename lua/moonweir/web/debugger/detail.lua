--- detail -- detail.js: the chosen message: what is wrong and how to mend it, the message itself, the request it came with.

return [==[
import { $, badge, clock, copy, count, make, many, visible } from "./dom.js";
import { kindOf } from "./store.js";
import { pretty } from "./pretty.js";
import { title } from "./list.js";

const SHOWN = 100000; // characters
const NOTHING_WRONG = "Nothing is wrong with it by the Spec and by the rules for partners.";
const ROUTES = ["identify", "track", "page", "screen", "group", "alias"];
const SEVERITY = { error: ["Error", "bad"], warning: ["Warning", "warn"], note: ["Note", "note"] };

/** The message as a command. Its key is a placeholder: the page never had the real one. */
export function curl(entry, origin) {
	const raw = entry.raw.replace(/("writeKey"\s*:\s*)"(?:[^"\\]|\\.)*"/g, '$1"YOUR_WRITE_KEY"');
	const isCall = ROUTES.includes(entry.type);
	const quoted = "'" + (isCall ? raw : '{"batch":[' + raw + "]}").replaceAll("'", "'\\''") + "'";
	return "curl " + origin + "/v1/" + (isCall ? entry.type : "batch") + " \\\n  -u 'YOUR_WRITE_KEY:' \\\n" +
		"  -H 'Content-Type: application/json' \\\n  --data-raw " + quoted;
}

function sentence(text) {
	return visible(text.charAt(0).toUpperCase() + text.slice(1));
}

function finding(it) {
	const [word, colour] = SEVERITY[it.severity] || SEVERITY.note;
	const head = make("p", "line", make("span", "badge " + colour, word), it.path ? make("code", "", visible(it.path)) : "");
	const why = make("p", "small muted", sentence(it.why || ""), it.partner ? " (partner requirement " + it.partner + ")" : "");
	if (/^https:\/\/segment\.com\//.test(it.source || "")) {
		const link = make("a", "", "Segment's page");
		link.href = it.source;
		link.rel = "noopener noreferrer";
		link.target = "_blank";
		why.append(" ", link);
	}
	const what = make("p", "", sentence(it.what));
	return make("li", "finding is-" + it.severity, head, what, make("p", "fix", "Fix: " + visible(it.fix)), why);
}

function facts(pairs) {
	const list = make("dl", "facts");
	for (const [name, value] of pairs) {
		if (value !== undefined && value !== null && value !== "") list.append(make("dt", "", name), make("dd", "", value));
	}
	return list;
}

function answer(request) {
	if (request.injected === "lost") return "lost: the connection was closed";
	return request.status ? String(request.status) : "none: the connection was closed";
}

function requestFacts(entry) {
	const r = entry.request;
	return facts([
		["Arrived", clock(entry.at)],
		["Account", entry.account && visible(entry.account)],
		["User", entry.user && (entry.anonymous ? "anonymous " : "") + visible(entry.user)],
		["messageId", entry.id && visible(entry.id)],
		["Message", entry.kind === "message" && many(entry.bytes, "byte")],
		["Request", "no. " + count(r.number) + " to " + visible(r.path)],
		["Its bytes", count(r.bytes) + (r.encoding ? " of " + visible(r.encoding) : "") + " of 512,000 at most"],
		["Its messages", entry.kind === "message" && count(r.messages) + (r.dropped ? ", " + count(r.dropped) + " dropped" : "")],
		["Answer", answer(r)],
	]);
}

export class Detail {
	constructor(back) {
		this.box = $("detail");
		this.panes = $("panes");
		this.view = "pretty";
		this.back = back;
		this.blank();
	}

	blank() {
		this.entry = null;
		this.box.replaceChildren(make("p", "blank", "Choose a message to see it whole, what is wrong with it and how to mend it."));
		this.panes.classList.remove("is-detail");
	}

	/** Show it; on a narrow screen it takes the list's place once the choice is final. */
	show(entry, isFinal) {
		this.entry = entry;
		this.box.scrollTop = 0;
		this.box.replaceChildren(this.build(entry));
		if (isFinal) {
			this.panes.classList.add("is-detail");
			if (getComputedStyle($("back")).display !== "none") this.box.focus();
		}
	}

	build(entry) {
		const inside = make("div", "detail");
		const back = make("button", "quiet", "‹ Back to the list");
		back.type = "button";
		back.id = "back";
		back.addEventListener("click", () => {
			this.panes.classList.remove("is-detail");
			this.back();
		});
		inside.append(make("div", "detail-head", back,
			make("p", "line", badge(entry.verdict), make("span", "muted", visible(kindOf(entry)))), make("h2", "", title(entry))));
		if (entry.findings.length) inside.append(make("ul", "findings", ...entry.findings.map(finding)));
		else if (entry.kind === "message") inside.append(make("p", "small muted", NOTHING_WRONG));
		if (entry.kind === "message") inside.append(this.views(entry), this.body(entry));
		else if (entry.request.answer) inside.append(make("pre", "json raw", visible(entry.request.answer)));
		inside.append(requestFacts(entry));
		return inside;
	}

	views(entry) {
		const bar = make("div", "views");
		for (const [view, word] of [["pretty", "Pretty"], ["raw", "Raw"]]) {
			const button = make("button", "", word);
			button.type = "button";
			button.id = "view-" + view;
			button.setAttribute("aria-pressed", this.view === view ? "true" : "false");
			button.addEventListener("click", () => {
				this.view = view;
				for (const other of bar.querySelectorAll("[aria-pressed]")) {
					other.setAttribute("aria-pressed", other === button ? "true" : "false");
				}
				this.box.querySelector(".json").replaceWith(this.body(entry));
			});
			bar.append(button);
		}
		bar.append(make("span", "gap"));
		const copies = [
			["copy-json", "Copy JSON", () => entry.raw],
			["copy-curl", "Copy as curl", () => curl(entry, location.origin)],
		];
		for (const [id, word, text] of copies) {
			const button = make("button", "", word);
			button.type = "button";
			button.id = id;
			button.addEventListener("click", () => copy(text(), button));
			bar.append(button);
		}
		return bar;
	}

	body(entry) {
		const more = entry.raw.length - SHOWN;
		const box = this.view === "pretty" && more <= 0 ? pretty(entry.raw, entry.findings)
			: make("pre", "json raw", visible(entry.raw.slice(0, SHOWN)), more > 0 ? "\n… " + count(more) + " characters more" : "");
		box.tabIndex = 0;
		box.setAttribute("aria-label", "The message as JSON");
		return box;
	}
}
]==]
