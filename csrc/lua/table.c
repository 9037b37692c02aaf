/* table.c -- Lua tables to JSON.
 *
 *     { email = "ann@example.com", tags = { "new", "vip" }, age = 41 }
 *     {"email":"ann@example.com","tags":["new","vip"],"age":41}
 *
 * Tables are read raw, so no metamethod runs in here. A table is an array if its keys are 1..n and nothing
 * else, and an object if all of them are strings; any other is refused, and an empty one is {} ([] if
 * core.array made it). What JSON has no word for is refused with its path. Parts of the event (views, digits)
 * are copied as they came.
 *
 * Numbers: a whole number from -2^53 to 2^53 is written without a point, whether the VM calls it an integer
 * or not, so that 3 / 1 is 3 on both VMs. Integers of Lua 5.4 keep all their digits. Other doubles are
 * written as short as they can be.
 */
#include "../core/json_path.h"
#include "../core/json_write.h"
#include "../core/limits.h"
#include "../core/scan.h"
#include "../core/shape.h"
#include "mwl.h"

#include <math.h>

/* What our own reader takes, less the levels that a message puts around a value. */
enum { DEPTH_MAX = MW_JSON_DEPTH_MAX - 4 };

struct writer {
	lua_State *L;
	struct mw_buf *out;
	int depth;
	bool stamped;   /* leave out integration and library of the outermost object */
	bool counts;    /* shapes */
	uint64_t shape; /* of the value written last */
	const char *why;
	struct mw_json_path path; /* to what can't be sent, once there is such */
};

static enum mw_err refuse(struct writer *w, const char *why)
{
	w->why = why;
	return MW_INVALID;
}

static enum mw_err write_value(struct writer *w, int index);

static struct mw_span written(const struct writer *w, size_t mark)
{
	return (struct mw_span){w->out->data + mark, w->out->len - mark};
}

/* before "text" after, in one go if nothing in the text needs an escape or a second look; false, with nothing
 * written, if something does or there is no room. `after` may be 0 for none. */
static bool write_plain(struct mw_buf *out, char before, const char *text, size_t len, char after)
{
	if (mw_buf_reserve(out, len + 4) != MW_OK)
		return false;
	uint8_t *at = out->data + out->len;
	if (before)
		*at++ = (uint8_t)before;
	*at++ = '"';
	if (!mw_scan_copy(at, (const uint8_t *)text, len))
		return false;
	at += len;
	*at++ = '"';
	if (after)
		*at++ = (uint8_t)after;
	out->len = (size_t)(at - out->data);
	return true;
}

/* The name of a member with what stands before and behind it: ,"name": */
static enum mw_err write_key(struct writer *w, char before, const char *name, size_t len)
{
	struct mw_buf *out = w->out;
	if (write_plain(out, before, name, len, ':'))
		return MW_OK;
	enum mw_err err = mw_buf_append_byte(out, before);
	if (!err)
		err = mw_json_write_string(out, name, len);
	if (err == MW_INVALID)
		return refuse(w, "a name that is not UTF-8");
	return err ? err : mw_buf_append_byte(out, ':');
}

static enum mw_err refuse_key(struct writer *w, int key)
{
	switch (lua_type(w->L, key)) {
	case LUA_TNUMBER:
		return refuse(w, "a table with both list and named members");
	case LUA_TBOOLEAN:
		return refuse(w, "a table with a boolean as key; names are strings");
	default:
		return refuse(w, "a table with a key that is neither a name nor a place in a list");
	}
}

/* Of the member whose value was written last, from `mark` on. */
static uint64_t shape_of_member(const struct writer *w, const char *name, size_t len, size_t mark)
{
	uint64_t value = w->shape;
	if (mw_shape_watches((struct mw_span){(const uint8_t *)name, len}))
		value = mw_shape_watched(value, written(w, mark));
	return mw_shape_member(mw_shape_key(name, len), value);
}

/* stack: ... key value, the first pair of the table at `index`; pops both */
static enum mw_err write_object(struct writer *w, int index, int key)
{
	lua_State *L = w->L;
	bool stamped = w->stamped && w->depth == 1;
	char before = '{';
	uint64_t sum = 0;
	do {
		if (lua_type(L, key) != LUA_TSTRING)
			return refuse_key(w, key);
		size_t len;
		const char *name = lua_tolstring(L, key, &len);
		if (!stamped || !mw_message_is_stamp((struct mw_span){(const uint8_t *)name, len})) {
			enum mw_err err = write_key(w, before, name, len);
			size_t mark = w->out->len;
			if (!err)
				err = write_value(w, key + 1);
			if (err) {
				mw_json_path_prepend(&w->path, name, len);
				return err;
			}
			if (w->counts)
				sum += shape_of_member(w, name, len, mark);
			before = ',';
		}
		lua_settop(L, key);
	} while (lua_next(L, index));
	w->shape = before == '{' ? MW_CLASS_EMPTY_OBJECT : mw_shape_end(sum);
	return before == '{' ? mw_buf_append_literal(w->out, "{}") : mw_buf_append_byte(w->out, '}');
}

/* True if the keys are 1..n and nothing else, in whatever order lua_next finds them; else what is wrong. */
static enum mw_err check_list(struct writer *w, int index, size_t *n)
{
	lua_State *L = w->L;
	double last = 0;
	bool named = false, strange = false;
	*n = 0;
	lua_pushnil(L);
	while (lua_next(L, index)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TNUMBER) {
			double i = lua_tonumber(L, -1);
			strange = strange || i < 1 || i < floor(i) || i > floor(i);
			last = i > last ? i : last;
			++*n;
		} else if (lua_type(L, -1) == LUA_TSTRING) {
			named = true;
		} else {
			return refuse_key(w, lua_gettop(L));
		}
	}
	if (named && *n > 0)
		return refuse(w, "a table with both list and named members");
	if (named)
		return refuse(w, "a list with named members");
	if (strange)
		return refuse(w, "a list with a member that is not at 1, 2, 3 ...");
	/* n different whole numbers, none above n: they are 1..n. */
	if (last > (double)*n)
		return refuse(w, "a list with gaps");
	return MW_OK;
}

static enum mw_err write_list_by_index(struct writer *w, int index)
{
	size_t n;
	enum mw_err err = check_list(w, index, &n);
	int top = lua_gettop(w->L);
	uint64_t shape = 0, before = 0;
	for (size_t i = 1; i <= n && !err; i++) {
		err = mw_buf_append_byte(w->out, i == 1 ? '[' : ',');
		lua_rawgeti(w->L, index, (int)i);
		if (!err && (err = write_value(w, top + 1)))
			mw_json_path_prepend_index(&w->path, i);
		shape = mw_shape_element(shape, &before, w->shape);
		lua_settop(w->L, top);
	}
	w->shape = mw_shape_end_array(shape);
	return err ? err : mw_buf_append_byte(w->out, ']');
}

/* stack: ... key value, the first pair. Nearly every list is met in order, and then read only once. */
static enum mw_err write_list(struct writer *w, int index, int key)
{
	lua_State *L = w->L;
	size_t mark = w->out->len, i = 1;
	uint64_t shape = 0, before = 0;
	do {
		if (lua_type(L, key) != LUA_TNUMBER || lua_tonumber(L, key) < (double)i ||
		    lua_tonumber(L, key) > (double)i) {
			w->out->len = mark;
			lua_settop(L, key - 1);
			return write_list_by_index(w, index);
		}
		enum mw_err err = mw_buf_append_byte(w->out, i == 1 ? '[' : ',');
		if (!err && (err = write_value(w, key + 1)))
			mw_json_path_prepend_index(&w->path, i);
		if (err)
			return err;
		shape = mw_shape_element(shape, &before, w->shape);
		lua_settop(L, key);
		i++;
	} while (lua_next(L, index));
	w->shape = mw_shape_end_array(shape);
	return mw_buf_append_byte(w->out, ']');
}

/* Is the metatable on top of the stack that of one of our own tables, which describe what a source sends? */
static bool is_description(lua_State *L)
{
	lua_pushliteral(L, "__metatable");
	lua_rawget(L, -2);
	bool is = lua_type(L, -1) == LUA_TSTRING && strncmp(lua_tostring(L, -1), "moonweir.", 9) == 0;
	lua_pop(L, 1);
	return is;
}

static enum mw_err write_table(struct writer *w, int index)
{
	lua_State *L = w->L;
	enum mwl_array array = MWL_ARRAY_UNSAID;
	if (w->depth >= DEPTH_MAX)
		return refuse(w, "nested too deep; does a table hold itself?");
	if (!lua_checkstack(L, 8))
		return MW_NO_MEMORY;
	if (lua_getmetatable(L, index)) {
		array = mwl_array_by_metatable(L);
		if (array == MWL_ARRAY_UNSAID && is_description(L))
			return refuse(w,
				      "a description, not a value; in a function take values from the event");
		lua_pop(L, 1);
	}
	w->depth++;
	int key = lua_gettop(L) + 1;
	bool is_array = array != MWL_ARRAY_UNSAID;
	enum mw_err err;
	lua_pushnil(L);
	w->shape = is_array ? MW_CLASS_EMPTY_ARRAY : MW_CLASS_EMPTY_OBJECT;
	if (!lua_next(L, index))
		err = is_array ? mw_buf_append_literal(w->out, "[]") : mw_buf_append_literal(w->out, "{}");
	else if (array == MWL_ARRAY_ALWAYS || lua_type(L, key) == LUA_TNUMBER)
		err = write_list(w, index, key);
	else
		err = write_object(w, index, key);
	w->depth--;
	return err;
}

static enum mw_err write_number(struct writer *w, int index)
{
	int64_t i;
	w->shape = MW_CLASS_INTEGER;
	if (mwl_exact_integer(w->L, index, &i))
		return mw_json_write_int64(w->out, i);
	double d = lua_tonumber(w->L, index);
	if (isnan(d))
		return refuse(w, "not a number (NaN); JSON has no word for it");
	if (isinf(d))
		return refuse(w, "infinity; JSON has no word for it");
	size_t mark = w->out->len;
	enum mw_err err = mw_json_write_double(w->out, d);
	if (w->counts)
		w->shape = mw_class_of_fraction(written(w, mark));
	return err;
}

/* The members of a part of the event but for the stamp's. */
static enum mw_err write_view_unstamped(struct writer *w, const struct mw_json *doc, uint32_t node)
{
	char before = '{';
	enum mw_err err = MW_OK;
	for (uint32_t key = node + 1; key < mw_json_after(doc, node) && !err;
	     key = mw_json_after(doc, key + 1)) {
		struct mw_span name = mw_json_raw(doc, key);
		if (mw_message_is_stamp(name))
			continue;
		err = mw_buf_append_byte(w->out, before);
		if (!err)
			err = mw_value_write_node(doc, key, w->out);
		if (!err)
			err = mw_buf_append_byte(w->out, ':');
		if (!err)
			err = mw_value_write_node(doc, key + 1, w->out);
		before = ',';
	}
	if (err)
		return err;
	return before == '{' ? mw_buf_append_literal(w->out, "{}") : mw_buf_append_byte(w->out, '}');
}

/* A part of the event, or the digits of a number. */
static enum mw_err copy_userdata(struct writer *w, int index)
{
	const struct mw_json *doc;
	uint32_t node;
	if (!lua_checkstack(w->L, 8))
		return MW_NO_MEMORY;
	if (mwl_view_get(w->L, index, &doc, &node)) {
		if (w->stamped && w->depth == 0 && doc->nodes[node].type == MW_JSON_OBJECT)
			return write_view_unstamped(w, doc, node);
		return mw_value_write_node(doc, node, w->out);
	}
	struct mw_span digits = mwl_digits_get(w->L, index);
	return digits.at ? mw_buf_append_span(w->out, digits) : refuse(w, "a userdata");
}

static enum mw_err write_userdata(struct writer *w, int index)
{
	size_t mark = w->out->len;
	enum mw_err err = copy_userdata(w, index);
	if (!err && w->counts)
		w->shape = mw_shape_of_json(written(w, mark));
	return err;
}

static enum mw_err write_pointer(struct writer *w, int index)
{
	w->shape = MW_CLASS_NULL;
	if (mwl_is_null(w->L, index))
		return mw_buf_append_literal(w->out, "null");
	if (!lua_checkstack(w->L, 4))
		return MW_NO_MEMORY;
	w->shape = MW_CLASS_EMPTY_ARRAY;
	return mwl_array_is_empty(w->L, index) ? mw_buf_append_literal(w->out, "[]")
					       : refuse(w, "a userdata");
}

static enum mw_err write_value(struct writer *w, int index)
{
	lua_State *L = w->L;
	switch (lua_type(L, index)) {
	case LUA_TSTRING: {
		size_t len;
		const char *text = lua_tolstring(L, index, &len);
		if (w->counts)
			w->shape = mw_class_of_text((struct mw_span){(const uint8_t *)text, len});
		if (write_plain(w->out, 0, text, len, 0))
			return MW_OK;
		enum mw_err err = mw_json_write_string(w->out, text, len);
		return err == MW_INVALID ? refuse(w, "text that is not UTF-8") : err;
	}
	case LUA_TNUMBER:
		return write_number(w, index);
	case LUA_TBOOLEAN:
		w->shape = lua_toboolean(L, index) ? MW_CLASS_TRUE : MW_CLASS_FALSE;
		return lua_toboolean(L, index) ? mw_buf_append_literal(w->out, "true")
					       : mw_buf_append_literal(w->out, "false");
	case LUA_TTABLE:
		return write_table(w, index);
	case LUA_TLIGHTUSERDATA:
		return write_pointer(w, index);
	case LUA_TUSERDATA:
		return write_userdata(w, index);
	case LUA_TNIL:
		w->shape = MW_CLASS_NULL;
		return mw_buf_append_literal(w->out, "null");
	case LUA_TFUNCTION:
		return refuse(w, "a function");
	case LUA_TTHREAD:
		return refuse(w, "a coroutine");
	default:
		return refuse(w, "a value of C's");
	}
}

static enum mw_err tell(struct writer *w, enum mw_err err, const char *root, struct mw_error *e)
{
	if (root)
		mw_json_path_prepend(&w->path, root, strlen(root));
	const char *why = err == MW_INVALID ? w->why : mw_err_sentence(err);
	return mw_error_set(e, err, 0, "%s%s%s", w->path.text, w->path.text[0] ? ": " : "", why);
}

static enum mw_err write_root(struct writer *w, int index, const char *root, struct mw_error *e)
{
	size_t mark = w->out->len;
	int top = lua_gettop(w->L);
	enum mw_err err = write_value(w, lua_absindex(w->L, index));
	lua_settop(w->L, top);
	if (err == MW_OK)
		return MW_OK;
	w->out->len = mark;
	return tell(w, err, root, e);
}

/* Member by member: clearing the room for a path is not free. */
static void init(struct writer *w, lua_State *L, struct mw_buf *out, bool counts)
{
	w->L = L;
	w->out = out;
	w->depth = 0;
	w->stamped = false;
	w->counts = counts;
	w->shape = 0;
	w->why = NULL;
	mw_json_path_clear(&w->path);
}

/* Of what must be an object. */
static enum mw_err write_object_root(struct writer *w, int index, const char *root, struct mw_error *e)
{
	size_t mark = w->out->len;
	enum mw_err err = write_root(w, index, root, e);
	if (err || w->out->data[mark] == '{')
		return err;
	w->out->len = mark;
	return tell(w, refuse(w, "must be a table of named members"), root, e);
}

enum mw_err mwl_table_write(lua_State *L, int index, struct mw_buf *out, struct mw_error *e)
{
	struct writer w;
	init(&w, L, out, false);
	return write_root(&w, index, NULL, e);
}

enum mw_err mwl_table_object(lua_State *L, int index, const char *root, struct mw_buf *out, uint64_t *shape,
			     struct mw_error *e)
{
	struct writer w;
	init(&w, L, out, shape != NULL);
	enum mw_err err = write_object_root(&w, index, root, e);
	if (shape)
		*shape = w.shape;
	return err;
}

enum mw_err mwl_table_members(lua_State *L, int index, const char *root, bool stamped, struct mw_buf *out,
			      uint64_t *shape, struct mw_error *e)
{
	struct writer w;
	init(&w, L, out, shape != NULL);
	w.stamped = stamped;
	size_t mark = out->len;
	enum mw_err err = write_object_root(&w, index, root, e);
	if (err)
		return err;
	out->len -= 2;
	memmove(out->data + mark, out->data + mark + 1, out->len - mark);
	if (shape)
		*shape = out->len > mark ? w.shape : MW_CLASS_ABSENT;
	return MW_OK;
}
