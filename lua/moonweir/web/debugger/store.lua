--- store -- store.js: what is kept in the page, and which of it search and filters show.

return [==[
export const MAX = 500;

export class Store {
	constructor() {
		this.shown = []; // newest last
		this.waiting = []; // came while paused
		this.last = 0;
		this.paused = false;
		this.filter = { text: "", type: "", event: "", account: "", verdict: "" };
	}

	add(entries) {
		const list = this.paused ? this.waiting : this.shown;
		for (const entry of entries) {
			list.push(entry);
			this.last = Math.max(this.last, entry.number);
		}
		if (list.length > MAX) list.splice(0, list.length - MAX);
	}

	pause(paused) {
		this.paused = paused;
		if (!paused) {
			const all = this.shown.concat(this.waiting);
			this.shown = all.slice(-MAX);
			this.waiting = [];
		}
	}

	/** The debugger keeps only those from `first` on; one that has restarted counts from 1 again. */
	keep(first, last) {
		if (last < this.last) {
			this.last = last;
			this.shown = [];
			this.waiting = [];
		}
		if (!this.paused && this.shown.length && this.shown[0].number < first) {
			this.shown = this.shown.filter((entry) => entry.number >= first);
		}
	}

	clear() {
		this.shown = [];
		this.waiting = [];
	}

	isFiltered() {
		return Object.values(this.filter).some((value) => value !== "");
	}

	/** Newest first. */
	matches() {
		const { type, event, account, verdict } = this.filter;
		const text = this.filter.text.toLowerCase();
		const list = [];
		for (let i = this.shown.length - 1; i >= 0; i--) {
			const entry = this.shown[i];
			if (type && kindOf(entry) !== type) continue;
			if (event && entry.name !== event) continue;
			if (account && entry.account !== account) continue;
			if (verdict && entry.verdict !== verdict) continue;
			if (text && !haystack(entry).includes(text)) continue;
			list.push(entry);
		}
		return list;
	}

	/** What there is to choose from in each filter. */
	choices() {
		const found = { type: new Map(), event: new Map(), account: new Map(), verdict: new Map() };
		const tally = (map, value) => {
			if (value) map.set(value, (map.get(value) || 0) + 1);
		};
		for (const entry of this.shown) {
			tally(found.type, kindOf(entry));
			tally(found.event, entry.name);
			tally(found.account, entry.account);
			tally(found.verdict, entry.verdict);
		}
		return found;
	}
}

export function kindOf(entry) {
	return entry.kind === "request" ? "request" : entry.type || "?";
}

function haystack(entry) {
	if (entry.haystack === undefined) {
		const request = entry.request || {};
		entry.haystack = (entry.raw || [request.path, request.status, request.answer].join(" ")).toLowerCase();
	}
	return entry.haystack;
}
]==]
