--- server -- server.js: requests in the session's name. The session lives in this variable and nowhere else.

return [==[
let session = null;

/** What the server refused, in its words; `code` tells programs. */
export class Refusal extends Error {
	constructor(code, message) {
		super(message);
		this.code = code;
	}
}

async function ask(path, options) {
	let answer, value;
	try {
		answer = await fetch("settings/" + path, { ...options, credentials: "omit", redirect: "error", cache: "no-store" });
		value = await answer.json();
	} catch {
		throw new Refusal("unreachable", "The server can’t be reached. Please try again.");
	}
	if (!answer.ok) {
		const error = value.error || {};
		if (error.code === "session_over") session = null;
		throw new Refusal(error.code || "unavailable", error.message || "This can’t be done right now. Please try again.");
	}
	return value;
}

/** The session goes on as an answer says. */
function go(value) {
	if (value.session) session = value.session;
	return value;
}

function post(path, body, headers) {
	return ask(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
}

const bearer = () => ({ Authorization: "Bearer " + session });

/** The token of a link for a session. */
export const open = async (token) => go(await post("session", { token }, {}));

export const act = async (name, body = {}) => go(await post("api/" + name, body, bearer()));

/** For the window that goes to Segment. */
export const ticket = async (region) => (await post("api/enable", { region }, bearer())).ticket;

/** The state; `active`: somebody is there, so the session goes on. null: something was done meanwhile, which is newer. */
export async function look(active) {
	const asked = session;
	const state = await ask("api/state" + (active ? "?active" : ""), { headers: bearer() });
	return session === asked ? go(state) : null;
}
]==]
