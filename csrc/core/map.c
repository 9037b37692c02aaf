#include "map_entry.h"

#include "expr_pool.h"
#include "json_write.h"

#include <assert.h>
#include <stdlib.h>

enum { MAP_TEXT_MAX = 64 * 1024 * 1024, FIRST_TABLE = 16 };

static enum mw_err append_pair(struct mw_buf *b, const char *first, struct mw_span name,
			       struct mw_span version)
{
	enum mw_err err = mw_buf_append(b, first, strlen(first));
	if (!err)
		err = mw_buf_append_literal(b, ":{\"name\":");
	if (!err)
		err = mw_json_write_string(b, name.at, name.len);
	if (!err)
		err = mw_buf_append_literal(b, ",\"version\":");
	if (!err)
		err = mw_json_write_string(b, version.at, version.len);
	return err ? err : mw_buf_append_byte(b, '}');
}

static bool stamp(struct mw_map *m, struct mw_span version, struct mw_span library_name,
		  struct mw_span library_version)
{
	struct mw_buf b;
	mw_buf_init(&b, MW_SCRATCH_MAX);
	bool done = append_pair(&b, "\"integration\"", m->slug, version) == MW_OK &&
		    append_pair(&b, ",\"library\"", library_name, library_version) == MW_OK &&
		    mw_arena_copy(&m->arena, mw_buf_span(&b), &m->stamp);
	mw_buf_deinit(&b);
	return done;
}

struct mw_map *mw_map_new(struct mw_span slug, struct mw_span version, struct mw_span library_name,
			  struct mw_span library_version)
{
	struct mw_map *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	mw_arena_init(&m->arena, MAP_TEXT_MAX);
	m->x = mw_exprs_new();
	m->table = calloc(FIRST_TABLE, sizeof(struct mw_entry *));
	m->table_size = FIRST_TABLE;
	m->plain.context_is_one = true;
	if (m->x && m->table && mw_arena_copy(&m->arena, slug, &m->slug) &&
	    mw_arena_copy(&m->arena, version, &m->version) &&
	    stamp(m, version, library_name, library_version))
		return m;
	mw_map_free(m);
	return NULL;
}

void mw_map_free(struct mw_map *m)
{
	if (!m)
		return;
	mw_exprs_free(m->x);
	mw_arena_deinit(&m->arena);
	free(m->table);
	free(m);
}

struct mw_exprs *mw_map_exprs(struct mw_map *m)
{
	return m->x;
}

struct mw_span mw_map_stamp(const struct mw_map *m)
{
	return m->stamp;
}

struct mw_span mw_map_slug(const struct mw_map *m)
{
	return m->slug;
}

struct mw_span mw_map_version(const struct mw_map *m)
{
	return m->version;
}

void mw_map_policy(struct mw_map *m, enum mw_missing_user missing, enum mw_unmatched unmatched)
{
	m->missing = missing;
	m->unmatched = unmatched;
}

/* ---- contexts: the source's and the call's members become one object while the map is built */

static size_t gather(const struct mw_exprs *x, uint32_t object, struct mw_span *names, uint32_t *values)
{
	const struct mw_expr *n = &x->at[object];
	size_t count = 0;
	for (uint32_t i = 0; n->kind == MW_EXPR_OBJECT && i < n->b; i++) {
		if (mw_message_is_stamp(n->members[i].name))
			continue;
		names[count] = n->members[i].name;
		values[count++] = n->members[i].value;
	}
	return count;
}

static bool is_known_object(const struct mw_exprs *x, uint32_t expr)
{
	return expr == 0 || (expr < x->count && x->at[expr].kind == MW_EXPR_OBJECT);
}

/* Where memory runs out the two are merged each time instead. */
static void merge_context(struct mw_map *m, struct mw_entry_call *c)
{
	struct mw_exprs *x = m->x;
	uint32_t source = m->parts[MW_PART_CONTEXT], call = c->as_given.parts[MW_PART_CONTEXT];
	c->context_is_one = is_known_object(x, source) && is_known_object(x, call);
	c->context = 0;
	if (!c->context_is_one || (source == 0 && call == 0))
		return;
	size_t max = (size_t)x->at[source].b + x->at[call].b + 1;
	struct mw_span *names = calloc(max, sizeof *names);
	uint32_t *values = calloc(max, sizeof *values);
	if (names && values) {
		size_t count = gather(x, source, names, values);
		count += gather(x, call, names + count, values + count);
		c->context = mw_expr_object(x, names, values, count);
	}
	free(names);
	free(values);
	c->context_is_one = c->context != 0;
	const struct mw_span *place = x->at[call ? call : source].place;
	if (place)
		mw_expr_place(x, c->context, *place);
}

void mw_map_set(struct mw_map *m, enum mw_map_part part, uint32_t expr)
{
	assert(expr < m->x->count);
	m->parts[part] = expr;
	if (part != MW_PART_CONTEXT)
		return;
	merge_context(m, &m->plain);
	for (struct mw_entry *e = m->entries; e; e = e->next) {
		for (struct mw_entry_call *c = e->calls; c; c = c->next)
			merge_context(m, c);
	}
}

/* ---- entries */

/* Names differ in their length or at their ends; what collides is compared anyway. */
static uint32_t hash(struct mw_span name)
{
	uint64_t head = 0, tail = 0;
	if (name.len >= sizeof head) {
		memcpy(&head, name.at, sizeof head);
		memcpy(&tail, name.at + name.len - sizeof tail, sizeof tail);
	} else {
		memcpy(&head, name.at, name.len);
		tail = head;
	}
	uint64_t h = (head ^ name.len) * 0x9E3779B97F4A7C15u;
	h = (h ^ (h >> 32) ^ tail) * 0xD6E8FEB86659FD93u;
	return (uint32_t)(h >> 32);
}

static struct mw_entry **slot_of(struct mw_entry **table, uint32_t size, struct mw_span name)
{
	uint32_t i = hash(name) & (size - 1);
	while (table[i] &&
	       (table[i]->name.len != name.len || memcmp(table[i]->name.at, name.at, name.len) != 0))
		i = (i + 1) & (size - 1);
	return &table[i];
}

const struct mw_entry *mw_map_entry(const struct mw_map *m, struct mw_span name)
{
	return *slot_of(m->table, m->table_size, name);
}

/* "customer.*" stands in the table under that very name, and in the list of families. */
__attribute__((noinline)) const struct mw_entry *mw_map_family(const struct mw_map *m, struct mw_span name)
{
	const struct mw_entry *e = m->families;
	while (e && (e->name.len > name.len + 1 || memcmp(e->name.at, name.at, e->name.len - 1) != 0))
		e = e->family;
	return e;
}

static void join_families(struct mw_map *m, struct mw_entry *e)
{
	struct mw_entry **at = &m->families;
	if (e->name.at[e->name.len - 1] != '*')
		return;
	while (*at && (*at)->name.len > e->name.len)
		at = &(*at)->family;
	e->family = *at;
	*at = e;
}

static enum mw_err grow(struct mw_map *m)
{
	if (m->entry_count * 2 < m->table_size)
		return MW_OK;
	uint32_t size = m->table_size * 2;
	struct mw_entry **table = calloc(size, sizeof(struct mw_entry *));
	if (!table)
		return MW_NO_MEMORY;
	for (struct mw_entry *e = m->entries; e; e = e->next)
		*slot_of(table, size, e->name) = e;
	free(m->table);
	m->table = table;
	m->table_size = size;
	return MW_OK;
}

/* The entry of that name, made if there is none. */
static enum mw_err entry_for(struct mw_map *m, struct mw_span name, enum mw_entry_kind kind,
			     struct mw_entry **out)
{
	if (name.len == 0)
		return MW_INVALID;
	enum mw_err err = grow(m);
	if (err)
		return err;
	struct mw_entry **slot = slot_of(m->table, m->table_size, name);
	*out = *slot;
	if (*slot)
		return (*slot)->kind == kind && kind == MW_ENTRY_CALLS ? MW_OK : MW_INVALID;
	struct mw_entry *e = mw_arena_take(&m->arena, sizeof *e);
	if (!e)
		return MW_NO_MEMORY;
	*e = (struct mw_entry){.kind = kind, .next = m->entries};
	if (!mw_arena_copy(&m->arena, name, &e->name))
		return MW_NO_MEMORY;
	m->entries = e;
	m->entry_count++;
	join_families(m, e);
	*slot = *out = e;
	return MW_OK;
}

enum mw_err mw_map_add_ignore(struct mw_map *m, struct mw_span event)
{
	struct mw_entry *e;
	return entry_for(m, event, MW_ENTRY_IGNORE, &e);
}

enum mw_err mw_map_add_function(struct mw_map *m, struct mw_span event, int function, struct mw_span place)
{
	struct mw_span kept;
	struct mw_entry *e;
	if (!mw_arena_copy(&m->arena, place, &kept))
		return MW_NO_MEMORY;
	enum mw_err err = entry_for(m, event, MW_ENTRY_FUNCTION, &e);
	if (!err) {
		e->function = function;
		e->place = kept;
	}
	return err;
}

static bool refers_to_exprs(const struct mw_map *m, const struct mw_map_call *call)
{
	uint32_t count = m->x->count;
	for (int i = 0; i < MW_PARTS; i++) {
		if (call->parts[i] >= count)
			return false;
	}
	return call->name < count && call->category < count && call->group_id < count &&
	       call->previous_id < count && call->payload < count && call->when < count;
}

enum mw_err mw_map_add_call(struct mw_map *m, struct mw_span event, const struct mw_map_call *call)
{
	if (call->call >= MW_CALLS || !refers_to_exprs(m, call))
		return MW_INVALID;
	struct mw_entry_call *c = mw_arena_take(&m->arena, sizeof *c);
	if (!c)
		return MW_NO_MEMORY;
	*c = (struct mw_entry_call){.as_given = *call};
	if (!mw_arena_copy(&m->arena, call->place, &c->as_given.place))
		return MW_NO_MEMORY;
	const struct mw_expr *name = &m->x->at[call->name];
	if (name->kind == MW_EXPR_CONSTANT && name->constant->json.at[0] == '"' &&
	    name->constant->json.len > 2)
		c->name = (struct mw_span){name->constant->json.at + 1, name->constant->json.len - 2};
	/* What a user is known by comes with the user. */
	static const enum mw_map_part facts[] = {MW_PART_ACCOUNT, MW_PART_EACH, MW_PART_ID, MW_PART_TIME,
						 MW_PART_USER};
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		c->has_parts = c->has_parts || call->parts[facts[i]] != 0;
	struct mw_entry *e;
	enum mw_err err = entry_for(m, event, MW_ENTRY_CALLS, &e);
	if (err)
		return err;
	merge_context(m, c);
	struct mw_entry_call **last = &e->calls;
	while (*last)
		last = &(*last)->next;
	*last = c;
	return MW_OK;
}
