--- forms -- forms.js: which form is open, what it says, and what is wrong with it. Secrets leave their field when they are sent.

return [==[
import { $, show, say, complain, busy, announce } from "./dom.js";
import { act, ticket } from "./server.js";

/** `changed` gets each new state, `ended` what ends the session; `waiting`: something will come from another window. */
export function setForms({ changed, ended, waiting }) {
	let state = null;
	let page = null;
	let open = ""; // "connect" or "oauth", opened by its button

	function arrange() {
		const connecting = !state.connected || open === "connect";
		show("connect", connecting);
		show("oauth", open === "oauth");
		show("connection", state.connected && open === "");
		show("leave", state.connected && open === "");
		show("oauth-open", page.oauth);
		show("enable", page.enable);
		$("save").classList.toggle("primary", !page.enable);
		show("connect-cancel", state.connected);
		say("connect-title", state.connected ? "Replace key or region" : "Connect Segment");
		say("save", state.connected ? "Save" : "Connect");
		$("write-key").placeholder = state.connected ? "Leave empty to keep it" : "Paste it here";
	}

	function choose(name) {
		for (const input of $("regions").querySelectorAll("input")) input.checked = input.value === name;
	}

	function clear() {
		for (const id of ["write-key", "client-id", "key-id", "private-key"]) $(id).value = "";
		for (const id of ["key-wrong", "connect-error", "oauth-error", "action-error", "enable-error"]) complain(id, "");
		show("enable-hint", false);
		$("write-key").removeAttribute("aria-invalid");
	}

	function turnTo(name, focus) {
		open = name;
		clear();
		if (name === "connect") choose(state.region);
		if (name === "oauth" && state.oauth) {
			$("client-id").value = state.oauth.client_id;
			$("key-id").value = state.oauth.key_id;
		}
		arrange();
		$(focus).focus();
	}

	/** What is done with a button: the state that comes of it, or why not. True: it was done. */
	function press(button, name, body, errorId) {
		return busy(button, async () => {
			complain(errorId, "");
			try {
				changed(await act(name, body));
				return true;
			} catch (error) {
				if (!ended(error)) complain(errorId, error.message);
				return false;
			}
		});
	}

	/** The same for what ends a form: its secrets are forgotten, and the focus goes where one would go on. */
	async function finish(button, name, body, errorId, focus, said) {
		if (!(await press(button, name, body, errorId))) return;
		turnTo("", focus);
		announce(said);
	}

	$("connect").addEventListener("submit", (event) => {
		event.preventDefault();
		const field = $("write-key");
		const key = field.value.trim();
		const region = $("regions").querySelector("input:checked");
		complain("key-wrong", "");
		field.removeAttribute("aria-invalid");
		const wrong =
			!key && !state.connected ? "Paste the write key of your source."
			: /[^A-Za-z0-9_-]/.test(key) ? "That is not a write key: it has only letters, digits, - and _."
			: "";
		if (wrong) {
			field.setAttribute("aria-invalid", "true");
			complain("key-wrong", wrong);
			field.focus();
			return;
		}
		if (!region) {
			complain("connect-error", "Choose where your Segment workspace is.");
			$("regions").querySelector("input").focus();
			return;
		}
		const body = { region: region.value };
		if (key) body.write_key = key;
		finish($("save"), "connect", body, "connect-error", "send-test", "Saved.");
	});

	const regionChosen = () => ($("regions").querySelector("input:checked") || {}).value;

	$("enable-go").addEventListener("click", () => busy($("enable-go"), async () => {
		complain("enable-error", "");
		try {
			const where = "settings/enable#" + (await ticket(regionChosen()));
			$("enable-link").href = where; // browsers may keep a page from opening a window by itself
			show("enable-hint", true);
			window.open(where, "_blank", "noopener");
			waiting();
		} catch (error) {
			if (!ended(error)) complain("enable-error", error.message);
		}
	}));

	$("oauth").addEventListener("submit", (event) => {
		event.preventDefault();
		const body = { client_id: $("client-id").value, key_id: $("key-id").value, private_key: $("private-key").value };
		finish($("oauth-save"), "oauth", body, "oauth-error", "oauth-open", "Saved.");
	});

	$("oauth-off").addEventListener("click", () =>
		finish($("oauth-off"), "oauth", { off: true }, "oauth-error", "oauth-open", "Saved."));

	for (const id of ["replace", "renew"]) $(id).addEventListener("click", () => turnTo("connect", "write-key"));
	$("oauth-open").addEventListener("click", () => turnTo("oauth", "client-id"));
	$("connect-cancel").addEventListener("click", () => turnTo("", "replace"));
	$("oauth-cancel").addEventListener("click", () => turnTo("", "oauth-open"));

	$("send-test").addEventListener("click", () => press($("send-test"), "test", {}, "action-error"));
	$("pause").addEventListener("click", () => press($("pause"), state.paused ? "resume" : "pause", {}, "action-error"));

	$("disconnect").addEventListener("click", () => {
		complain("confirm-error", "");
		$("confirm").showModal();
	});
	$("confirm-no").addEventListener("click", () => $("confirm").close());
	$("confirm-yes").addEventListener("click", async () => {
		if (!(await press($("confirm-yes"), "disconnect", { confirm: true }, "confirm-error"))) return;
		$("confirm").close();
		turnTo("", "write-key");
		announce("Disconnected.");
	});

	return {
		setPage(p) {
			page = p;
		},
		setState(next) {
			const first = !state;
			const wasConnected = state && state.connected;
			if (open === "connect" && next.key !== state.key) turnTo("", "replace"); // saved by another window
			state = next;
			if (first || (wasConnected && !next.connected)) choose(next.region || (page.regions[0] || {}).name);
			arrange();
		},
	};
}
]==]
