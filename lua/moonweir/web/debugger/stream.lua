--- stream -- stream.js: the token, requests with it, and server-sent events read by fetch, as EventSource can't send a header.

return [==[
const KEY = "moonweir-token";

/** From the address, behind the #, where it goes to no server; kept for a reload and then taken out of sight. */
function takeToken() {
	const given = location.hash.slice(1);
	if (/^[\w-]{16,128}$/.test(given)) {
		sessionStorage.setItem(KEY, given);
		history.replaceState(null, "", location.pathname);
	}
	return sessionStorage.getItem(KEY);
}

export const token = takeToken();

const headers = (more) => ({ "X-Moonweir-Token": token, ...more });

/** One request to /control: what it answers, or an Error with what it says. */
export async function ask(method, path, value) {
	const answer = await fetch("/control/" + path, {
		method,
		headers: headers(method === "POST" ? { "Content-Type": "application/json" } : {}),
		body: method === "POST" ? JSON.stringify(value ?? {}) : undefined,
	});
	const said = await answer.json().catch(() => ({}));
	if (!answer.ok) throw new Error(said.error ? said.error.message : "status " + answer.status);
	return said;
}

async function readEvents(body, take) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "";
	for (;;) {
		const { value, done } = await reader.read();
		if (done) return;
		text += value;
		for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
			const block = text.slice(0, end);
			text = text.slice(end + 2);
			const name = /^event: (\w+)$/m.exec(block);
			const data = /^data: (.*)$/m.exec(block);
			if (name && data) take(name[1], JSON.parse(data[1]));
		}
	}
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Keep a stream open for good. `after()` says which number is known; `take(event, data)` gets what comes; `connection(word)`
 * is told "live", "lost" or "locked" (the token is not good).
 */
export async function follow(after, take, connection) {
	for (let wait = 250; ; wait = Math.min(wait * 2, 5000)) {
		try {
			const answer = await fetch("/control/stream?after=" + after(), { headers: headers() });
			if (answer.status === 401) return connection("locked");
			if (answer.ok) {
				connection("live");
				await readEvents(answer.body, (name, data) => {
					wait = 250;
					take(name, data);
				});
			}
		} catch { /* it is down, or has restarted */ }
		connection("lost");
		await pause(wait);
	}
}
]==]
