#include "redis_advice.h"

const char *mw_redis_advice(const char *code)
{
	static const char *const table[][2] = {
	    {"readonly", "this is a replica, which takes no writes; give the master's address"},
	    {"loading", "it has just started; this passes"},
	    {"masterdown", "this replica has lost its master"},
	    {"noauth", "it wants a password: put it into the URL, redis://user:password@host"},
	    {"wrongpass", "user or password is wrong, or the user is disabled"},
	    {"noperm", "give this user the right (ACL SETUSER), or use another"},
	    {"oom", "it is full and takes no writes; raise its maxmemory or make room"},
	    {"misconf", "it can't write to its disk and so takes no writes; see its log"},
	    {"noreplicas", "it has too few replicas and so takes no writes"},
	    {"busy", "a script there does not come to an end; SCRIPT KILL stops it"},
	    {"clusterdown", "some slots of the cluster are nobody's just now"},
	    {"tryagain", "keys are moving between nodes of the cluster; this passes"},
	    {"crossslot", "keys that belong together need a common {tag} in their names"},
	    {"noscript", "it forgot the script at once; is SCRIPT FLUSH in a loop somewhere?"},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(code, table[i][0]) == 0)
			return table[i][1];
	return "";
}

bool mw_redis_says_not_now(const char *code)
{
	static const char *const list[] = {"loading", "busy", "tryagain", "clusterdown", "masterdown"};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (strcmp(code, list[i]) == 0)
			return true;
	return false;
}

struct mw_redis_reply *mw_redis_explain(struct mw_redis_arena *a, const char *where,
					const struct mw_redis_reply *error)
{
	char text[256];
	size_t len = error->text.len < sizeof text ? error->text.len : sizeof text - 1;
	memcpy(text, error->text.at, len);
	text[len] = '\0';
	char *args = strstr(text, ", with args");
	if (args)
		*args = '\0';
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	const char *what = mw_redis_advice(error->code);
	len = strlen(text);
	if (*what && len > 0 && text[len - 1] == '.')
		text[len - 1] = '\0';
	return mw_redis_reply_error(a, error->code, "Redis at %s: %s%s%s", where, text, *what ? ": " : "",
				    what);
}
