--- main -- main.js: puts the page together. What comes changes the store at once and the page at most once a frame.

return [==[
import { $, VERDICTS, announce, copy, count, many, visible } from "./dom.js";
import { Detail } from "./detail.js";
import { Faults } from "./faults.js";
import { Figures } from "./figures.js";
import { List } from "./list.js";
import { MAX, Store } from "./store.js";
import { ask, follow, token } from "./stream.js";

const CHOICES_MAX = 200; // options in a filter
const FILTERS = { type: "by-type", event: "by-event", account: "by-account", verdict: "by-verdict" };

const store = new Store();
const figures = new Figures();
const faults = new Faults();
const detail = new Detail(() => $("list").focus());
const list = new List((entry, isFinal) => detail.show(entry, isFinal));

let connection = "connecting";
let frame = 0;
let state = null;

function changed() {
	if (!frame) frame = requestAnimationFrame(draw);
}

function draw() {
	frame = 0;
	const matches = store.matches();
	list.show(matches);
	const total = store.shown.length;
	const isFiltered = store.isFiltered();
	$("count").textContent = total === 0 ? "" : isFiltered ? count(matches.length) + " of " + count(total)
		: total === MAX ? "the last " + MAX : count(total);
	$("empty").hidden = total > 0;
	$("nothing").hidden = total === 0 || matches.length > 0;
	$("nothing-of").textContent = many(total, "message");
	$("list").hidden = matches.length === 0;
	$("show-all").hidden = !isFiltered;
	$("clear").hidden = total === 0;
	drawConnection();
	drawChoices();
	if (state) {
		figures.show(state);
		faults.show(state.faults, state.stalled);
		state = null;
	}
}

function connectionWords() {
	if (connection === "connecting") return ["Connecting", "note"];
	if (connection === "locked") return ["No token", "bad"];
	if (connection === "lost") return ["Disconnected, trying again", "bad"];
	if (!store.paused) return ["Live", "good"];
	const n = store.waiting.length;
	return ["Paused" + (n === 0 ? "" : n < MAX ? ", " + n + " new" : ", over " + MAX + " new"), "warn"];
}

function drawConnection() {
	const [word, colour] = connectionWords();
	if ($("connection").textContent !== word) $("connection").textContent = word;
	$("connection").className = "badge " + colour;
}

function option(value, text) {
	return new Option(text, value);
}

function fillSelect(select, found, word) {
	if (document.activeElement === select) return; // it may be open
	const names = [...found.keys()].sort().slice(0, CHOICES_MAX);
	if (select.value && !found.has(select.value)) names.unshift(select.value);
	const key = JSON.stringify(names);
	if (select.key === key) return;
	select.key = key;
	const value = select.value;
	select.replaceChildren(select.options[0], ...names.map((name) => option(name, word(name))));
	select.value = value;
}

let choicesAt = 0;
function drawChoices() {
	if (performance.now() - choicesAt < 500) return;
	choicesAt = performance.now();
	const found = store.choices();
	for (const [name, id] of Object.entries(FILTERS)) {
		if (name !== "verdict") fillSelect($(id), found[name], (text) => visible(text).slice(0, 80));
	}
	fillSelect($("fault-account"), found.account, (text) => visible(text).slice(0, 80));
}

function take(name, data) {
	if (name === "messages") {
		store.add(data.entries);
	} else if (name === "state") {
		store.keep(data.first, data.last);
		state = data;
		choicesAt = 0;
	}
	changed();
}

function setFilter(name, value) {
	store.filter[name] = value;
	changed();
	const n = store.matches().length;
	announce(many(n, "message") + (n === 1 ? " matches" : " match"));
}

function begin() {
	const origin = location.origin;
	$("endpoint").textContent = origin;
	$("copy-endpoint").addEventListener("click", (e) => copy(origin, e.currentTarget));
	const first = "curl " + origin + "/v1/track -u 'demo-key-0001:' \\\n  -H 'Content-Type: application/json' \\\n" +
		"  -d '{\"userId\":\"user-17\",\"event\":\"Email Opened\"}'";
	$("first").textContent = first;
	$("copy-first").addEventListener("click", (e) => copy(first, e.currentTarget));
	$("first-run").textContent = "moonweir run source.lua events.ndjson --endpoint " + origin + " --write-key demo-key-0001";

	for (const [value, [word]] of Object.entries(VERDICTS)) $("by-verdict").append(option(value, word));
	$("search").addEventListener("input", (e) => setFilter("text", e.target.value));
	for (const [name, id] of Object.entries(FILTERS)) $(id).addEventListener("change", (e) => setFilter(name, e.target.value));
	$("show-all").addEventListener("click", () => {
		$("search").value = "";
		for (const id of Object.values(FILTERS)) $(id).value = "";
		for (const name of Object.keys(store.filter)) store.filter[name] = "";
		changed();
		$("search").focus();
	});
	$("pause").addEventListener("click", () => {
		store.pause(!store.paused);
		$("pause").textContent = store.paused ? "Resume" : "Pause";
		announce(store.paused ? "Paused; messages are still taken" : "Live");
		changed();
	});
	$("clear").addEventListener("click", async () => {
		await ask("POST", "clear").catch(() => {});
		store.clear();
		list.chosen = null;
		detail.blank();
		changed();
		announce("Cleared");
	});
	changed();
}

function lock() {
	$("locked").hidden = false;
	$("desk").hidden = true;
	$("pause").hidden = true;
	connection = "locked";
	changed();
}

begin();
if (token) {
	follow(() => store.last, take, (word) => {
		if (word === "lost" && connection === "live") announce("Disconnected, trying again");
		connection = word;
		if (word === "locked") lock();
		else changed();
	});
} else {
	lock();
}
addEventListener("hashchange", () => location.reload());
]==]
