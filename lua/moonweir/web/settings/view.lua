--- view -- view.js: the state of the account, shown.

return [==[
import { $, say, show, count, ago, announce } from "./dom.js";

let regions = [];
let told = "";

export function setPage(page) {
	regions = page.regions;
	const list = $("regions");
	for (const region of regions) {
		const label = document.createElement("label");
		label.className = "choice";
		const input = document.createElement("input");
		input.type = "radio";
		input.name = "region";
		input.value = region.name;
		const name = document.createElement("span");
		name.textContent = region.label;
		label.append(input, name);
		list.append(label);
	}
}

const regionName = (state) =>
	state.other_endpoint ? "set by support" : (regions.find((r) => r.name === state.region) || { label: "" }).label;

function showStatus(state) {
	const status = state.status;
	const icon = $("status-icon");
	icon.className = "icon " + status.tone;
	icon.querySelector("use").setAttribute("href", "#i-" + (state.paused ? "paused" : status.tone));
	say("status-title", status.title);
	say("status-text", status.text);
	say("status-detail", status.detail);
	show("status-details", Boolean(status.detail));
	const news = status.title + ". " + status.text;
	if (told && told !== status.title) announce(news);
	told = status.title;
}

function showTest(state) {
	show("test", state.connected && Boolean(state.test));
	if (!state.test) return;
	const badge = $("test-badge");
	badge.className = "badge " + state.test.tone;
	if (badge.textContent !== state.test.title) {
		badge.textContent = state.test.title;
		announce(state.test.title + ". " + state.test.text);
	}
	say("test-text", state.test.text);
	say("test-detail", state.test.detail).hidden = !state.test.detail;
}

export function showState(state) {
	showStatus(state);
	showTest(state);
	say("whose", state.label ? " · " + state.label : "");
	say("last", ago(state.delivered_ago));
	say("delivered", count(state.delivered));
	say("waiting", count(state.waiting));
	say("refused", count(state.refused));
	show("refused-figure", state.refused > 0);
	show("figures", state.connected || state.waiting > 0);
	show("actions", state.connected);
	say("pause", state.paused ? "Resume" : "Pause");
	const refused = state.status.tone === "bad" && !state.uses_oauth;
	show("renew", refused);
	$("pause").classList.toggle("primary", state.paused && !refused);
	$("send-test").classList.toggle("primary", !state.paused && !refused);
	say("key", state.key === "…" ? "saved" : (state.key || "").replace("…", "•••• "));
	say("region", regionName(state));
	show("oauth-row", state.uses_oauth);
	say("oauth-what", state.oauth ? "OAuth app " + state.oauth.client_id + ", key " + state.oauth.key_id : "an OAuth app");
	say("oauth-open", state.uses_oauth ? "Change the OAuth app" : "Use an OAuth app");
	show("oauth-off", state.uses_oauth);
	const kept = state.waiting === 1 ? "1 event that waits is" : count(state.waiting) + " events that wait are";
	say(
		"confirm-text",
		"The write key is deleted here and nothing more is sent. " +
			(state.waiting > 0 ? kept + " kept, and sent if you connect again." : "No event is waiting."),
	);
}

/** Instead of the settings: why they can't be shown. */
export function showClosed(title, text) {
	show("opening", false);
	show("settings", false);
	if ($("confirm").open) $("confirm").close();
	say("closed-title", title);
	say("closed-text", text);
	show("closed", true);
	$("closed-title").focus();
}
]==]
