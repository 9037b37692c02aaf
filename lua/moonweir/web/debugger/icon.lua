--- icon -- a moon over a weir.

return [==[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1c5bb8"/>
<path d="M19.5 5.5a6.5 6.5 0 1 0 5 10.2 5.4 5.4 0 0 1-5-10.2z" fill="#fff"/>
<path d="M4 21c3-2 6-2 8 0s5 2 8 0 5-2 8 0M4 26c3-2 6-2 8 0s5 2 8 0 5-2 8 0" fill="none" stroke="#cfe0fb" stroke-width="2"
	stroke-linecap="round"/></svg>
]==]
