--- pretty -- pretty.js: JSON, indented and coloured from its own text, so that no digit of a number and no repeated name is lost.

return [==[
import { make, visible } from "./dom.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Lines of { depth, path, parts: [[class, text], …] }. Paths are written as findings have them: properties.products[1].price */
export function lines(raw) {
	const tokens = raw.match(TOKEN) || [];
	const made = [];
	const open = []; // { isList, n, path, name }
	let line = null;
	const start = (path) => {
		line = { depth: open.length, path, parts: [] };
		made.push(line);
	};
	const top = () => open[open.length - 1];
	const pathOf = (name) => {
		const at = top();
		if (!at) return "";
		if (at.isList) return at.path + "[" + ++at.n + "]";
		return at.path ? at.path + "." + name : name;
	};
	start("");
	let isValue = true; // inside an object: a value is next, not a name
	for (let i = 0; i < tokens.length; i++) {
		const t = tokens[i];
		if (t === "}" || t === "]") {
			const was = open.pop();
			if (!was || !was.isEmpty) start(was ? was.path : "");
			line.parts.push(["p", t]);
			isValue = false;
			continue;
		}
		if (t === ",") {
			line.parts.push(["p", ","]);
			isValue = Boolean(top() && top().isList);
			continue;
		}
		if (t === ":") {
			line.parts.push(["p", ": "]);
			isValue = true;
			continue;
		}
		const at = top();
		const isName = at && !at.isList && !isValue;
		if (at && (isName || at.isList)) {
			at.isEmpty = false;
			start(pathOf(isName ? unquote(t) : ""));
			if (isName) {
				line.parts.push(["k", t]);
				continue;
			}
		}
		if (t === "{" || t === "[") {
			line.parts.push(["p", t]);
			open.push({ isList: t === "[", n: 0, path: line.path, isEmpty: true });
			isValue = t === "[";
		} else {
			line.parts.push([t[0] === '"' ? "s" : "v", t]);
			isValue = false;
		}
	}
	return made;
}

function unquote(text) {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

const WEIGHT = { error: 3, warning: 2, note: 1 };

/** A <pre> of it, with the lines marked that findings are about. */
export function pretty(raw, findings) {
	const worst = new Map();
	for (const { path, severity } of findings) {
		if (path && (WEIGHT[severity] || 0) > (WEIGHT[worst.get(path)] || 0)) worst.set(path, severity);
	}
	const box = make("pre", "json");
	const seen = new Set();
	for (const { depth, path, parts } of lines(raw)) {
		const severity = !seen.has(path) && worst.get(path);
		seen.add(path);
		const line = make("span", "l" + (severity ? " is-" + severity : ""), "  ".repeat(depth));
		for (const [kind, text] of parts) line.append(make("span", kind, visible(text)));
		line.append("\n");
		box.append(line);
	}
	return box;
}
]==]
