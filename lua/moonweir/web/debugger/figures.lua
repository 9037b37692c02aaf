--- figures -- figures.js: requests a second against 50 as a chart, messages, bytes a request.

return [==[
import { $, count, many } from "./dom.js";

const SECONDS = 60, LIMIT = 50, WIDTH = 300, HEIGHT = 64;
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
	const made = document.createElementNS(SVG, tag);
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	return made;
}

export class Figures {
	constructor() {
		const step = WIDTH / SECONDS;
		this.bars = [];
		const chart = $("chart");
		for (let i = 0; i < SECONDS; i++) {
			this.bars.push(chart.appendChild(shape("rect", { x: i * step + 0.5, width: step - 1, y: HEIGHT, height: 0 })));
		}
		chart.append(shape("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }));
		this.limit = chart.appendChild(shape("line", { class: "limit", x1: 0, x2: WIDTH, y1: 0, y2: 0 }));
		this.show({ requests: 0, messages: 0, dropped: 0, minute: { requests: [], messages: [], bytes: [], largest: [] } });
	}

	/** The last second that is over counts as now; the chart has the running one, too. */
	show({ messages, dropped, minute }) {
		const seconds = minute.requests;
		const peak = Math.max(0, ...seconds);
		const top = Math.max(LIMIT * 1.2, peak * 1.05);
		const over = seconds.filter((n) => n > LIMIT).length;
		this.bars.forEach((bar, i) => {
			const n = seconds[i] || 0;
			const height = n && Math.max(1.5, (n / top) * HEIGHT);
			bar.setAttribute("y", HEIGHT - height);
			bar.setAttribute("height", height);
			bar.setAttribute("class", n > LIMIT ? "over" : "");
		});
		const y = HEIGHT - (LIMIT / top) * HEIGHT;
		this.limit.setAttribute("y1", y);
		this.limit.setAttribute("y2", y);
		const now = seconds[SECONDS - 2] || 0;
		$("rate").textContent = count(now);
		$("rate").classList.toggle("over", now > LIMIT);
		$("rate-note").classList.toggle("over", over > 0);
		$("rate-note").textContent = over ? "over 50 in " + many(over, "second") + " of the last minute"
			: peak ? "at most " + count(peak) + " in the last minute" : "none in the last minute";
		$("chart").setAttribute("aria-label", "Requests a second in the last minute: now " + now + ", at most " + peak +
			"; partners are asked for at most " + LIMIT);
		$("messages").textContent = count(messages);
		$("messages-note").textContent = dropped ? count(dropped) + " dropped by Segment's rules" : "none dropped";
		const sum = (list) => list.reduce((a, b) => a + b, 0);
		const requests = sum(seconds);
		$("bytes").textContent = requests ? count(Math.round(sum(minute.bytes) / requests)) : "–";
		$("bytes-note").textContent = requests
			? (sum(minute.messages) / requests).toFixed(1) + " messages, largest " + count(Math.max(...minute.largest)) + " B of 500 KB"
			: "none in the last minute";
	}
}
]==]
