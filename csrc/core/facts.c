#include "expr_pool.h"
#include "json_write.h"
#include "mapping.h"
#include "timestamp.h"
#include "utf8.h"

#include <stdio.h>

enum mw_err mw_mapping_fail(struct mw_mapper *p, struct mw_error *e, enum mw_err err, const char *what)
{
	struct mw_span place = p->scene.place;
	if (place.len == 0)
		return mw_error_set(e, err, 0, "%s", what);
	return mw_error_set(e, err, 0, "%.*s: %s", place.len < 120 ? (int)place.len : 120,
			    (const char *)place.at, what);
}

static uint32_t expr_of(const struct mw_facts *f, enum mw_map_part part)
{
	return f->own && f->own[part] ? f->own[part] : f->parts[part];
}

static bool is_known(const struct mw_facts *f, enum mw_map_part part)
{
	return f->known & 1u << part;
}

/* Only what was found out is known: a function that catches an error and goes on meets it again. */
static enum mw_err learn(struct mw_facts *f, enum mw_map_part part, enum mw_err err)
{
	if (!err)
		f->known |= 1u << part;
	return err;
}

static enum mw_err eval_id(struct mw_mapper *p, uint32_t expr, const char *field, struct mw_value *v,
			   struct mw_error *e)
{
	v->kind = MW_VALUE_ABSENT;
	if (expr == 0)
		return MW_OK;
	p->scene.field = field;
	return mw_expr_eval_id(p->map->x, expr, &p->scene, v, e);
}

static enum mw_err full(struct mw_mapper *p, const char *field, struct mw_error *e)
{
	char what[96];
	snprintf(what, sizeof what, "%s: mapping this event takes too much memory", field);
	return mw_mapping_fail(p, e, MW_TOO_LARGE, what);
}

static enum mw_err not_utf8(struct mw_mapper *p, const char *field, struct mw_error *e)
{
	char what[96];
	snprintf(what, sizeof what, "%s: the text is not UTF-8", field);
	return mw_mapping_fail(p, e, MW_MAPPING, what);
}

/* The characters of an id; at == NULL if it is absent. */
static enum mw_err id_chars(struct mw_mapper *p, uint32_t expr, const char *field, struct mw_span *chars,
			    struct mw_error *e)
{
	struct mw_value v;
	if (mw_expr_known_text(p->map->x, expr, &p->scene, chars))
		return MW_OK;
	*chars = (struct mw_span){NULL, 0};
	enum mw_err err = eval_id(p, expr, field, &v, e);
	if (err || v.kind == MW_VALUE_ABSENT)
		return err;
	if (!mw_value_chars(&v, &p->arena, chars))
		return full(p, field, e);
	if (v.kind == MW_VALUE_CHARS && !v.clean && mw_utf8_valid(chars->at, chars->len) != chars->len)
		return not_utf8(p, field, e);
	return MW_OK;
}

/* Characters to the inside of a JSON string, in the arena. An escape makes six bytes of one at most. */
static enum mw_err escape(struct mw_mapper *p, struct mw_span chars, const char *field,
			  struct mw_span *inside, struct mw_error *e)
{
	struct mw_buf b = mw_arena_buf(&p->arena, chars.len * 6);
	enum mw_err err = mw_json_write_chars(&b, chars.at, chars.len);
	*inside = mw_buf_span(&b);
	if (err == MW_INVALID)
		return not_utf8(p, field, e);
	return err ? full(p, field, e) : MW_OK;
}

enum mw_err mw_facts_text(struct mw_mapper *p, uint32_t expr, const char *field, struct mw_span *inside,
			  struct mw_error *e)
{
	struct mw_value v;
	if (mw_expr_known_text(p->map->x, expr, &p->scene, inside))
		return MW_OK;
	*inside = (struct mw_span){NULL, 0};
	enum mw_err err = eval_id(p, expr, field, &v, e);
	if (err || v.kind == MW_VALUE_ABSENT)
		return err;
	if (v.kind == MW_VALUE_ESCAPED) {
		*inside = v.text;
		return MW_OK;
	}
	if (!mw_value_chars(&v, &p->arena, inside))
		return full(p, field, e);
	return v.kind != MW_VALUE_CHARS || v.clean ? MW_OK : escape(p, *inside, field, inside, e);
}

enum mw_err mw_facts_account(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e)
{
	struct mw_span account;
	uint32_t expr = expr_of(f, MW_PART_ACCOUNT);
	if (is_known(f, MW_PART_ACCOUNT))
		return MW_OK;
	if (mw_expr_known_text(p->map->x, expr, &p->scene, &f->account) && f->account.len <= MW_ACCOUNT_MAX)
		return learn(f, MW_PART_ACCOUNT, MW_OK);
	enum mw_err err = id_chars(p, expr, "account", &account, e);
	if (err)
		return err;
	if (!account.at && p->delivery->account.len > 0)
		account = p->delivery->account;
	if (!account.at)
		return mw_mapping_fail(p, e, MW_NO_ACCOUNT, "the event names no account");
	if (account.len > MW_ACCOUNT_MAX)
		return mw_mapping_fail(p, e, MW_INVALID, "account: longer than 255 bytes");
	f->account = account;
	return learn(f, MW_PART_ACCOUNT, MW_OK);
}

enum mw_err mw_facts_id(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e)
{
	if (is_known(f, MW_PART_ID))
		return MW_OK;
	return learn(f, MW_PART_ID, id_chars(p, expr_of(f, MW_PART_ID), "id", &f->id, e));
}

enum mw_err mw_facts_time(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e)
{
	struct mw_expr_time time = {.present = false};
	enum mw_err err = MW_OK;
	uint32_t expr = expr_of(f, MW_PART_TIME);
	if (is_known(f, MW_PART_TIME))
		return MW_OK;
	p->scene.field = "time";
	if (mw_expr_known_text(p->map->x, expr, &p->scene, &f->time_text) &&
	    mw_timestamp_is_written(f->time_text))
		return learn(f, MW_PART_TIME, MW_OK);
	if (expr != 0)
		err = mw_expr_eval_time(p->map->x, expr, &p->scene, &time, e);
	f->time = time.present ? time.ms : p->delivery->now;
	f->time_text = time.written;
	return learn(f, MW_PART_TIME, err);
}

/* Whose address it is that a call gives besides a user of its own is known to that call alone: the source's
 * would be somebody else's. */
static uint32_t identity_of(const struct mw_facts *f, enum mw_map_part part)
{
	return f->own && f->own[MW_PART_USER] ? f->own[part] : f->parts[part];
}

enum mw_err mw_mapper_identify(struct mw_mapper *p, enum mw_identity_kind kind, struct mw_span id,
			       struct mw_identity_found *found, struct mw_error *e)
{
	const struct mw_host *host = &p->host.host;
	const char *field = p->scene.field;
	*found = (struct mw_identity_found){{NULL, 0}, false};
	/* What is wrong with the account is said when the message is made. */
	bool has_account = host->identify && mw_facts_account(p, &p->facts, NULL) == MW_OK;
	p->scene.field = field; /* that of whoever asks from inside an expression */
	return has_account ? host->identify(host->context, p->facts.account, kind, id, found, e) : MW_OK;
}

/* The surest first. */
static const struct {
	enum mw_map_part part;
	enum mw_identity_kind kind;
	const char *field;
} identities[] = {
    {MW_PART_TOOL_ID, MW_IDENTITY_TOOL, "user.tool_id"},
    {MW_PART_EMAIL, MW_IDENTITY_EMAIL, "user.email"},
    {MW_PART_PHONE, MW_IDENTITY_PHONE, "user.phone"},
    {MW_PART_ANONYMOUS_ID, MW_IDENTITY_ANONYMOUS, "user.anonymous_id"},
};

/* The event names no user: who is known by what it does name? */
static enum mw_err known_user(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e)
{
	const struct mw_host *host = &p->host.host;
	enum mw_err err = MW_OK;
	for (size_t i = 0; i < sizeof identities / sizeof *identities && !err && !f->user.at; i++) {
		struct mw_identity_found found;
		struct mw_span id;
		uint32_t expr = identity_of(f, identities[i].part);
		if (expr == 0)
			continue;
		err = id_chars(p, expr, identities[i].field, &id, e);
		if (err || !id.at || mw_facts_account(p, f, NULL) != MW_OK)
			continue;
		f->is_asked = true;
		err = host->identify(host->context, f->account, identities[i].kind, id, &found, e);
		if (!err && found.text.at && !found.is_anonymous)
			err = escape(p, found.text, "user", &f->user, e);
		else if (!err && found.text.at && !f->anonymous.at)
			err = escape(p, found.text, "user", &f->anonymous, e);
	}
	return err;
}

enum mw_err mw_facts_user(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e)
{
	if (is_known(f, MW_PART_USER))
		return MW_OK;
	f->anonymous = (struct mw_span){NULL, 0};
	f->is_asked = false;
	enum mw_err err = mw_facts_text(p, expr_of(f, MW_PART_USER), "user", &f->user, e);
	if (!err && !f->user.at && p->host.host.identify)
		err = known_user(p, f, e);
	return learn(f, MW_PART_USER, err);
}

enum mw_err mw_facts_anonymous(struct mw_mapper *p, struct mw_facts *f, struct mw_error *e)
{
	struct mw_span inside;
	if (is_known(f, MW_PART_ANONYMOUS_ID))
		return MW_OK;
	enum mw_err err = mw_facts_text(p, identity_of(f, MW_PART_ANONYMOUS_ID), "anonymousId", &inside, e);
	if (!err && !inside.at && !f->anonymous.at)
		err = mw_facts_text(p, identity_of(f, MW_PART_EMAIL), "email", &inside, e);
	if (!err && inside.at)
		f->anonymous = inside;
	return learn(f, MW_PART_ANONYMOUS_ID, err);
}
