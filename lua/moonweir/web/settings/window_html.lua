--- window_html -- the window that goes to Segment and comes back, inside of frame.lua. {{TOOL}} as in html.lua.

return [==[
<main>
	<section class="card piece closed" aria-live="polite">
		<span id="icon" class="icon note" hidden><svg aria-hidden="true"><use href="#i-note"/></svg></span>
		<h2 id="title">One moment …</h2>
		<p id="text">Connecting {{TOOL}} with Segment.</p>
		<button type="button" id="again" class="primary" hidden>Try again</button>
	</section>
</main>
]==]
