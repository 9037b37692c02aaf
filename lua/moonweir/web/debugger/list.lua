--- list -- list.js: the list of messages. Of its rows only those in sight exist, so that 500 cost what 30 do.

return [==[
import { $, badge, clock, count, make, visible } from "./dom.js";
import { kindOf } from "./store.js";

const BEYOND = 6; // rows outside of sight, for scrolling

export class List {
	/** `choose(entry, isFinal)` is called when one is chosen: by the arrows, or for good by Enter or a click. */
	constructor(choose) {
		this.choose = choose;
		this.box = $("list");
		this.rows = $("rows");
		this.entries = [];
		this.made = new Map(); // entry number -> row
		this.spare = [];
		this.chosen = null; // an entry
		this.box.addEventListener("scroll", () => this.later(), { passive: true });
		this.box.addEventListener("click", (e) => this.click(e));
		this.box.addEventListener("keydown", (e) => this.key(e));
		new ResizeObserver(() => this.later()).observe(this.box);
	}

	later() {
		if (this.frame) return;
		this.frame = requestAnimationFrame(() => {
			this.frame = 0;
			this.draw();
		});
	}

	/** Newest first. What is read stays where it is, unless the list is at its top. */
	show(entries) {
		const first = this.entries[0];
		if (this.box.scrollTop > 4 && first) {
			const added = entries.indexOf(first);
			if (added > 0) {
				this.rows.style.height = entries.length * this.height() + "px";
				this.box.scrollTop += added * this.height();
			}
		}
		this.entries = entries;
		this.draw();
	}

	height() {
		return parseFloat(getComputedStyle(this.box).getPropertyValue("--row")) || 40;
	}

	draw() {
		const height = this.height();
		const top = Math.max(0, Math.floor(this.box.scrollTop / height) - BEYOND);
		const end = Math.min(this.entries.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / height) + BEYOND);
		this.rows.style.height = this.entries.length * height + "px";
		const wanted = new Set();
		for (let i = top; i < end; i++) wanted.add(this.entries[i].number);
		for (const [number, row] of this.made) {
			if (wanted.has(number)) continue;
			this.made.delete(number);
			this.spare.push(row);
		}
		for (let i = top; i < end; i++) this.place(this.entries[i], i, height);
		for (const row of this.spare) row.hidden = true;
		this.mark();
	}

	place(entry, i, height) {
		let row = this.made.get(entry.number);
		if (!row) {
			row = this.spare.pop() || this.makeRow();
			this.fill(row, entry);
			this.made.set(entry.number, row);
		}
		row.hidden = false;
		row.style.transform = "translateY(" + i * height + "px)";
		row.setAttribute("aria-posinset", i + 1);
		row.setAttribute("aria-setsize", this.entries.length);
	}

	makeRow() {
		const row = make("div", "row");
		row.setAttribute("role", "option");
		row.parts = {
			when: make("time", "when"), kind: make("span", "kind"), name: make("b"), user: make("i"),
			who: make("span", "who"), size: make("span", "size"),
		};
		const p = row.parts;
		row.append(p.when, make("span", "verdict"), p.kind, make("span", "what", p.name, p.user), p.who, p.size);
		this.rows.append(row);
		return row;
	}

	fill(row, entry) {
		const p = row.parts;
		row.id = "row-" + entry.number;
		row.number = entry.number;
		p.when.textContent = clock(entry.at);
		row.replaceChild(badge(entry.verdict), row.children[1]);
		p.kind.textContent = visible(kindOf(entry));
		p.name.textContent = title(entry);
		p.user.textContent = about(entry);
		p.who.textContent = entry.account ? visible(entry.account) : "";
		p.size.textContent = entry.kind === "request" ? "" : count(entry.bytes) + " B";
	}

	mark() {
		const number = this.chosen && this.chosen.number;
		for (const [n, row] of this.made) row.setAttribute("aria-selected", n === number ? "true" : "false");
		if (this.made.has(number)) this.box.setAttribute("aria-activedescendant", "row-" + number);
		else this.box.removeAttribute("aria-activedescendant");
	}

	pick(i, isFinal) {
		const entry = this.entries[i];
		if (!entry) return;
		this.chosen = entry;
		const height = this.height();
		const top = i * height;
		if (top < this.box.scrollTop) this.box.scrollTop = top;
		else if (top + height > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + height - this.box.clientHeight;
		this.draw();
		this.choose(entry, isFinal);
	}

	click(e) {
		const row = e.target.closest(".row");
		if (row) this.pick(this.entries.findIndex((entry) => entry.number === row.number), true);
	}

	key(e) {
		const at = this.chosen ? this.entries.findIndex((entry) => entry.number === this.chosen.number) : -1;
		const page = Math.max(1, Math.floor(this.box.clientHeight / this.height()) - 1);
		const last = this.entries.length - 1;
		const to = {
			ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last,
			PageDown: Math.min(at + page, last), PageUp: Math.max(at - page, 0), Enter: Math.max(at, 0),
		}[e.key];
		if (to === undefined || last < 0) return;
		e.preventDefault();
		this.pick(to, e.key === "Enter");
	}
}

/** Whose it is; of a request, what became of it. */
function about(entry) {
	if (entry.kind === "request") return outcome(entry);
	return entry.user ? (entry.anonymous ? "anonymous " : "") + visible(entry.user) : "";
}

function outcome({ fault, request }) {
	const code = fault || (/"code":"(\w+)"/.exec(request.answer) || [])[1] || "";
	return request.status ? (request.status === 200 ? "" : request.status + " ") + code : "no answer";
}

/** What a message is called. */
export function title(entry) {
	if (entry.kind === "request") return visible(entry.request.path);
	return visible(entry.name || entry.type || "no type");
}
]==]
