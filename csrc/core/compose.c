#include "expr_pool.h"
#include "mapping.h"
#include "shape.h"

/* ---- who, where, which, when */

static enum mw_err who(struct mw_mapper *p, struct mw_facts *f, struct mw_message *m, bool *dropped,
		       struct mw_error *e)
{
	enum mw_err err = MW_OK;
	if (!m->user_id.at) {
		err = mw_facts_user(p, f, e);
		m->user_id = f->user;
	}
	if (err || m->user_id.at || m->anonymous_id.at)
		return err;
	if (p->map->missing == MW_NO_USER_DROP) {
		*dropped = true;
		return MW_OK;
	}
	if (p->map->missing == MW_NO_USER_ANONYMOUS) {
		err = mw_facts_anonymous(p, f, e);
		m->anonymous_id = f->anonymous;
	}
	if (err || m->anonymous_id.at)
		return err;
	return mw_mapping_fail(p, e, MW_NO_USER,
			       f->is_asked ? "the event names no user, and by what it names none is known"
					   : "the event names no user");
}

static enum mw_err random_id(struct mw_mapper *p)
{
	uint8_t bytes[16];
	p->host.host.random(p->host.host.context, bytes);
	return mw_message_random_id(&p->message_id, bytes);
}

static enum mw_err which(struct mw_mapper *p, struct mw_facts *f, struct mw_message *m,
			 struct mw_span account, uint32_t index, struct mw_error *e)
{
	enum mw_err err = m->upstream_id.at ? MW_OK : mw_facts_id(p, f, e);
	if (err)
		return err;
	struct mw_span id = m->upstream_id.at ? m->upstream_id : f->id;
	mw_buf_clear(&p->message_id);
	if (id.at)
		err = mw_message_id(&p->message_id, p->map->slug, account, id, index, p->host.host.sha256);
	else
		err = random_id(p);
	m->has_random_id = !id.at;
	m->message_id = mw_buf_span(&p->message_id);
	return err ? mw_mapping_fail(p, e, err, "id: too long") : MW_OK;
}

/* Is the message, the last in the outbox from `start` on, what Segment's Spec asks for? Only strict sources
 * get an error for one that is not. */
static enum mw_err review(struct mw_mapper *p, const struct mw_message *m, size_t start, struct mw_error *why)
{
	struct mw_review *r = p->host.review;
	if (!r)
		return MW_OK;
	uint64_t shape = mw_message_shape(m);
	if (mw_review_look(r, shape) == MW_REVIEW_PASS)
		return MW_OK;
	struct mw_span message = {p->outbox.bytes.data + start, p->outbox.bytes.len - start};
	return p->host.judge(p->host.host.context, shape, message, why);
}

/* Everything is there: write the message where it stays. */
static enum mw_err deliver(struct mw_mapper *p, struct mw_message *m, struct mw_span account,
			   struct mw_error *e)
{
	struct mw_error why;
	struct mw_outbox_mark mark = mw_outbox_mark(&p->outbox);
	m->stamp = p->map->stamp;
	mw_error_clear(&why);
	enum mw_err err = mw_outbox_begin(&p->outbox, account, p->delivery->tag,
					  m->has_random_id ? MW_PARCEL_MESSAGE : MW_PARCEL_REPEATABLE);
	if (!err) {
		size_t start = p->outbox.bytes.len;
		err = mw_message_write(&p->outbox.bytes, m, &why);
		if (!err)
			err = review(p, m, start, &why);
		if (!err)
			err = mw_outbox_end(&p->outbox, mark);
	}
	if (!err) {
		p->messages++;
		return MW_OK;
	}
	mw_outbox_rollback(&p->outbox, mark);
	return mw_mapping_fail(p, e, err, why.detail[0] ? why.detail : mw_err_sentence(err));
}

/* ---- a call of an entry */

/* An object behind what is in the scratch; {} if it is absent and `required`. */
static enum mw_err write_object(struct mw_mapper *p, uint32_t expr, const char *field, bool required,
				uint64_t *shape, struct mw_error *e)
{
	size_t mark = p->scratch.len;
	*shape = MW_CLASS_ABSENT;
	if (expr == 0 && !required)
		return MW_OK;
	p->scene.field = field;
	enum mw_err err = mw_buf_append_byte(&p->scratch, '{');
	if (!err && expr)
		err = mw_expr_write_members(p->map->x, expr, &p->scene, &p->scratch, shape, e);
	if (err)
		return err;
	if (p->scratch.len == mark + 1 && !required) {
		p->scratch.len = mark;
		return MW_OK;
	}
	if (p->scratch.len == mark + 1)
		*shape = MW_CLASS_EMPTY_OBJECT;
	err = mw_buf_append_byte(&p->scratch, '}');
	return err ? mw_mapping_fail(p, e, err, "no room for the message") : MW_OK;
}

static struct mw_span piece(const struct mw_mapper *p, size_t from, size_t to)
{
	return (struct mw_span){to > from ? p->scratch.data + from : NULL, to - from};
}

static enum mw_err write_pieces(struct mw_mapper *p, const struct mw_entry_call *c, struct mw_message *m,
				struct mw_error *e)
{
	const struct mw_map_call *given = &c->as_given;
	uint32_t integrations = given->parts[MW_PART_INTEGRATIONS];
	if (integrations == 0)
		integrations = p->map->parts[MW_PART_INTEGRATIONS];
	mw_buf_clear(&p->scratch);
	enum mw_err err =
	    write_object(p, given->payload, mw_call_payload_word(m->call), true, &m->payload_shape, e);
	if (err)
		return err;
	size_t payload = p->scratch.len;
	p->scene.echo = m->user_id;
	err = mw_context_write(p, c, &m->context_shape, e);
	p->scene.echo = (struct mw_span){NULL, 0};
	m->knows_echo = m->context_shape != 0;
	if (err)
		return err;
	size_t context = p->scratch.len;
	err = write_object(p, integrations, "integrations", false, &m->integrations_shape, e);
	if (err)
		return err;
	m->payload = piece(p, 0, payload);
	m->context = piece(p, payload, context);
	m->integrations = piece(p, context, p->scratch.len);
	return MW_OK;
}

static enum mw_err write_names(struct mw_mapper *p, const struct mw_entry_call *c, struct mw_message *m,
			       struct mw_error *e)
{
	const struct mw_map_call *given = &c->as_given;
	enum mw_err err = MW_OK;
	m->name = c->name;
	if (!m->name.at && given->name)
		err = mw_facts_text(p, given->name, m->call == MW_TRACK ? "event" : "name", &m->name, e);
	if (!err && given->category)
		err = mw_facts_text(p, given->category, "category", &m->category, e);
	if (!err && given->group_id)
		err = mw_facts_text(p, given->group_id, "groupId", &m->group_id, e);
	if (!err && given->previous_id)
		err = mw_facts_text(p, given->previous_id, "previousId", &m->previous_id, e);
	return err;
}

static enum mw_err is_wanted(struct mw_mapper *p, uint32_t when, bool *wanted, struct mw_error *e)
{
	struct mw_value v;
	*wanted = true;
	if (when == 0)
		return MW_OK;
	p->scene.field = "when";
	enum mw_err err = mw_expr_eval(p->map->x, when, &p->scene, &v, e);
	*wanted = !err && mw_value_is_true(&v);
	return err;
}

static enum mw_err compose(struct mw_mapper *p, const struct mw_entry_call *c, struct mw_facts *f,
			   struct mw_error *e)
{
	struct mw_message m;
	uint32_t index = p->calls++;
	bool wanted, dropped = false;
	mw_message_clear(&m);
	m.call = c->as_given.call;
	p->scene.place = c->as_given.place;
	enum mw_err err = is_wanted(p, c->as_given.when, &wanted, e);
	if (!err && wanted)
		err = who(p, f, &m, &dropped, e);
	if (err)
		return err;
	if (!wanted || dropped) {
		p->ignored++;
		return MW_OK;
	}
	err = mw_facts_account(p, f, e);
	if (!err)
		err = which(p, f, &m, f->account, index, e);
	if (!err)
		err = mw_facts_time(p, f, e);
	if (!err)
		err = write_names(p, c, &m, e);
	if (!err)
		err = write_pieces(p, c, &m, e);
	m.timestamp = f->time;
	m.time = f->time_text;
	return err ? err : deliver(p, &m, f->account, e);
}

static enum mw_err compose_own(struct mw_mapper *p, const struct mw_entry_call *c, struct mw_error *e)
{
	struct mw_facts own = {.own = c->as_given.parts, .parts = p->map->parts};
	return compose(p, c, &own, e);
}

/* Out of line: most calls are made once. One message for each element of what `each` names; what the call
 * says itself starts at the element. What it does not say is the event's, and was written to start there
 * (compile.lua). */
__attribute__((noinline)) static enum mw_err compose_each(struct mw_mapper *p, const struct mw_entry_call *c,
							  struct mw_error *e)
{
	struct mw_value list;
	struct mw_elements all;
	uint32_t node;
	p->scene.place = c->as_given.place;
	p->scene.field = "each";
	enum mw_err err = mw_expr_eval(p->map->x, c->as_given.parts[MW_PART_EACH], &p->scene, &list, e);
	if (err)
		return err;
	if (list.kind == MW_VALUE_ABSENT) {
		p->ignored++;
		return MW_OK;
	}
	if (!mw_elements_of(&p->doc, &list, &all))
		return mw_mapping_fail(p, e, MW_MAPPING, "each: must be an array of the event");
	if (all.left == 0)
		p->ignored++;
	while (!err && mw_elements_next(&all, &node)) {
		p->scene.base[MW_SCOPE_ITEM] = node;
		err = compose_own(p, c, e);
	}
	p->scene.base[MW_SCOPE_ITEM] = p->scene.base[MW_SCOPE_EVENT];
	return err;
}

enum mw_err mw_compose_call(struct mw_mapper *p, const struct mw_entry_call *c, struct mw_error *e)
{
	if (!c->has_parts)
		return compose(p, c, &p->facts, e);
	return c->as_given.parts[MW_PART_EACH] == 0 ? compose_own(p, c, e) : compose_each(p, c, e);
}

/* ---- what a function emits */

static enum mw_err source_integrations(struct mw_mapper *p, struct mw_error *e)
{
	if (p->integrations_known)
		return MW_OK;
	mw_buf_clear(&p->scratch);
	enum mw_err err = write_object(p, p->map->parts[MW_PART_INTEGRATIONS], "integrations", false,
				       &p->source_integrations_shape, e);
	if (err)
		return err;
	p->integrations_known = mw_arena_copy(&p->arena, mw_buf_span(&p->scratch), &p->source_integrations);
	return p->integrations_known
		   ? MW_OK
		   : mw_mapping_fail(p, e, MW_TOO_LARGE, "mapping this event takes too much memory");
}

enum mw_err mw_mapper_emit(struct mw_mapper *p, const struct mw_message *message, bool has_timestamp,
			   struct mw_span account, struct mw_error *e)
{
	struct mw_message m = *message;
	struct mw_facts *f = &p->facts;
	uint32_t index = p->calls++;
	bool dropped = false;
	enum mw_err err = who(p, f, &m, &dropped, e);
	if (dropped) {
		p->ignored++;
		return MW_OK;
	}
	if (!err && !account.at) {
		err = mw_facts_account(p, f, e);
		account = f->account;
	} else if (!err && (account.len == 0 || account.len > MW_ACCOUNT_MAX)) {
		err = mw_mapping_fail(p, e, MW_INVALID, "account: must have 1 to 255 bytes");
	}
	if (!err && !m.message_id.at)
		err = which(p, f, &m, account, index, e);
	if (!err && !has_timestamp) {
		err = mw_facts_time(p, f, e);
		m.timestamp = f->time;
		m.time = f->time_text;
	}
	if (!err && !m.integrations.at) {
		err = source_integrations(p, e);
		if (p->source_integrations.len > 0)
			m.integrations = p->source_integrations;
		m.integrations_shape = p->source_integrations_shape;
	}
	if (!err)
		err = mw_context_complete(p, &m, e);
	return err ? err : deliver(p, &m, account, e);
}
